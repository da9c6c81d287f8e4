"""Writes that are done once however often they are sent: the keys that callers name them by.

A key belongs to its caller and stands for one request. It is claimed before the write and given the
write's response afterwards; for a day whoever sends the same again gets that response. The two are
not one transaction: where a server is killed between the write and its response, the key is held
until `CLAIM_S` have passed and the write can then be done again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, update

from rag.errors import Conflict, KeyReused
from rag.store import tables
from rag.store.database import Database

KEPT_S = 24 * 3600
CLAIM_S = 300  # a request that has not ended by then has been lost with its server
IN_WORK = 0  # in place of a status

_keys = tables.idempotency


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """A response that was kept: its status, the headers that belong to it, and its body."""

    status: int
    headers: dict[str, str]
    body: str


class Idempotency:
    """The keys in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, owner: int, key: str, request_sha256: str) -> KeptResponse | None:
        """Take a key for a request; what was answered, where it has been done already.

        Raises:
            KeyReused: the key stands for another request.
            Conflict: the same request is being done at this moment.
        """
        now = datetime.now(UTC)
        with self._database.write() as connection:
            _prune(connection, now)
            row = connection.execute(select(_keys).where(_of(owner, key))).one_or_none()
            if row is None:
                values = {"principal_id": owner, "key": key, "request_sha256": request_sha256}
                row_of = insert(_keys).values(**values, status=IN_WORK, response={}, created_at=now)
                connection.execute(row_of)
                return None
            return _known(row, request_sha256)

    def keep(self, owner: int, key: str, response: KeptResponse) -> None:
        """Keep the response to the request that the key was claimed for."""
        kept: dict[str, Any] = {"headers": response.headers, "body": response.body}
        changed = update(_keys).where(_of(owner, key))
        with self._database.write() as connection:
            connection.execute(changed.values(status=response.status, response=kept))

    def release(self, owner: int, key: str) -> None:
        """Give up a claim: nothing was done, so the same may be sent again."""
        with self._database.write() as connection:
            connection.execute(delete(_keys).where(_of(owner, key), _keys.c.status == IN_WORK))


def _of(owner: int, key: str) -> ColumnElement[bool]:
    return and_(_keys.c.principal_id == owner, _keys.c.key == key)


def _prune(connection: Connection, now: datetime) -> None:
    """Drop what has been kept long enough, and the claims of those who will not come back."""
    old = _keys.c.created_at < now - timedelta(seconds=KEPT_S)
    lost = and_(_keys.c.status == IN_WORK, _keys.c.created_at < now - timedelta(seconds=CLAIM_S))
    connection.execute(delete(_keys).where(or_(old, lost)))


def _known(row: Row[Any], request_sha256: str) -> KeptResponse:
    if row.request_sha256 != request_sha256:
        raise KeyReused(
            "this Idempotency-Key came with another request before",
            hint="Send each new request with a new key, a UUID for instance.",
        )
    if row.status == IN_WORK:
        raise Conflict(
            "the same request is being done at this moment",
            hint="Wait a second and send it again with the same key, for its result.",
        )
    return KeptResponse(row.status, row.response["headers"], row.response["body"])

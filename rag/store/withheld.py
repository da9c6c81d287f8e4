"""What the guard stopped, kept for whoever administers the installation and for nobody else."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select

from rag.errors import NotFound
from rag.store import audit, tables
from rag.store.database import Database
from rag.store.documents import MAX_ID
from rag.text import valid_unicode

MAX_CHARS = 100_000  # of a text that is kept

_withheld = tables.withheld


@dataclass(frozen=True, slots=True)
class Withheld:
    """A question that got no answer because of the guard. `text` is what had been written by then,
    or the question as it was searched.

    `stage` is what the verdict was on: the question, the answer, or what a research had found.
    """

    created_at: datetime
    request_id: str
    status: Literal["blocked", "no_verdict"]
    stage: Literal["question", "answer", "tool"]
    categories: tuple[str, ...]
    probability: float | None  # of `unsafe`
    reason: str  # why there was no verdict
    question: str
    text: str
    collections: tuple[str, ...]
    engine: str  # the model that wrote the text, "" for quotes
    id: int = 0  # given by the store


class WithheldRecords:
    """These records: `store.withheld`. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, record: Withheld) -> None:
        """Keep what the guard stopped."""
        with self._database.write() as connection:
            keep(connection, record)

    def listed(self, limit: int = 50, before_id: int | None = None) -> list[Withheld]:
        """The newest of what the guard stopped, newest first."""
        with self._database.read() as connection:
            return listed(connection, limit, before_id)

    def one(self, record_id: int) -> Withheld:
        """One of them.

        Raises:
            NotFound: there is none of this number.
        """
        with self._database.read() as connection:
            return one(connection, record_id)

    def purge(self, before: datetime | None = None) -> int:
        """Delete those from before a time, or all; returns how many."""
        with self._database.write() as connection:
            return purge(connection, before)


def keep(connection: Connection, record: Withheld) -> None:
    """Add a record."""
    values = asdict(record)
    del values["id"]
    for name in ("request_id", "reason", "question", "text", "engine"):
        values[name] = _storable(values[name])
    connection.execute(insert(_withheld).values(**values))


def listed(connection: Connection, limit: int, before_id: int | None) -> list[Withheld]:
    """The newest records, those before `before_id` where it is given; newest first."""
    query = select(_withheld).order_by(_withheld.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(_withheld.c.id < max(0, min(before_id, MAX_ID)))
    return [_record(row) for row in connection.execute(query)]


def one(connection: Connection, record_id: int) -> Withheld:
    """One record.

    Raises:
        NotFound: there is none of this number.
    """
    possible = select(_withheld).where(_withheld.c.id == min(record_id, MAX_ID))
    row = connection.execute(possible).first() if record_id > 0 else None
    if row is None:
        raise NotFound(
            f"nothing that was blocked has the number {record_id}",
            hint="`citadel blocked list` shows the numbers.",
        )
    return _record(row)


def purge(connection: Connection, before: datetime | None) -> int:
    """Delete the records from before a time, all where none is given; returns how many."""
    query = delete(_withheld)
    if before is not None:
        query = query.where(_withheld.c.created_at < before)
    n_purged = connection.execute(query).rowcount
    audit.append(connection, "blocked_purged", {"records": n_purged})
    return n_purged


def _record(row: Row[Any]) -> Withheld:
    values = dict(row._mapping)
    values |= {name: tuple(values[name]) for name in ("categories", "collections")}
    return Withheld(**values)


def _storable(text: str) -> str:
    """What every database takes, and not without end."""
    text = valid_unicode(text).replace("\0", "\ufffd")
    n_more = len(text) - MAX_CHARS
    return text if n_more <= 0 else text[:MAX_CHARS] + f" [… {n_more:,} more characters]"

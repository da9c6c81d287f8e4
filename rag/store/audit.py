"""The audit records: added, never changed, each with the hash of the one before it.

A record is canonical JSON. Its hash is SHA-256 over the hash before it and the record, and its
number counts without a gap, so that a changed, missing or exchanged record shows. It is added in
the transaction of what it records: neither can be there without the other.

Whatever may have to be forgotten one day (addresses, names typed in, paths, questions in clear) is
no part of the record but lies beside it, in `audit_private`; the record has its salted hash. People
are numbers. So a person can be forgotten and the chain still holds.

Records that explain why something is missing are signed as well, with a secret that isn't in the
database: whoever can write the database alone could otherwise add one and take out what it covers.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from rag.acting import acting
from rag.store import tables

Outcome = Literal["success", "failure"]
Json = dict[str, Any]
START = "0" * 64  # what stands for the hash before the first record
HEAD = "citadel audit head"  # where the transaction's newest record is noted, for `Database.write`
SIGN = "citadel audit sign"  # where `Database.write` leaves what signs
SIGNED = frozenset({"retention", "forget"})
MAX_SEQ = 2**63 - 1
SALT_BYTES = 16
_audit, _private = tables.audit, tables.audit_private


class Head(NamedTuple):
    """The newest record. Whoever keeps it elsewhere can prove that the end was cut off."""

    seq: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is read. `private` is None where there was none or it was forgotten."""

    seq: int
    at: datetime
    kind: str
    outcome: Outcome
    actor: Json
    detail: Json
    private: Json | None
    sha256: str
    previous_sha256: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: the oldest first, those after `after`; None does not narrow."""

    after: int = 0
    limit: int = 100
    kind: str | None = None
    user: int | None = None
    since: datetime | None = None


def append(
    connection: Connection,
    kind: str,
    detail: Mapping[str, Any] | None = None,
    *,
    outcome: Outcome = "success",
    private: Mapping[str, Any] | None = None,
) -> int:
    """Add a record of what the acting one does, in the transaction that does it; its number.

    The caller is in a write transaction. What is `private` can be forgotten later.
    """
    actor, before, at = acting.get(), head(connection), datetime.now(UTC)
    aside = {"address": actor.address, "account": actor.account, **(private or {})}
    texts = canonical({name: value for name, value in aside.items() if value})
    salt = secrets.token_hex(SALT_BYTES)
    who = {
        "kind": actor.kind,
        "number": actor.number,
        "how": actor.how,
        "credential": actor.credential,
        "request_id": actor.request_id,
    }
    said: Json = {
        "seq": before.seq + 1,
        "at": at.isoformat(),
        "kind": kind,
        "outcome": outcome,
        "actor": {name: value for name, value in who.items() if value},
        "detail": detail or {},
        "private_sha256": None if texts == "{}" else hashed(salt, texts),
    }
    if kind in SIGNED:
        sign: Callable[[str], str] = connection.info[SIGN]
        said["signature"] = sign(signed_text(before.sha256, said))
    record = canonical(said)
    after = Head(before.seq + 1, hashed(before.sha256, record))
    values = {"seq": after.seq, "at": at, "kind": kind, "actor_id": actor.number}
    hashes = {"previous_sha256": before.sha256, "sha256": after.sha256}
    connection.execute(insert(_audit), [values | {"record": record} | hashes])
    if texts != "{}":
        connection.execute(insert(_private), [{"seq": after.seq, "salt": salt, "texts": texts}])
    connection.info[HEAD] = after
    return after.seq


def canonical(value: Json) -> str:
    """The one way to write a record: sorted, without blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def hashed(before: str, text: str) -> str:
    """SHA-256 over what came before, or a salt, and a text."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def signed_text(previous_sha256: str, said: Json) -> str:
    """What the signature of a record is of: its place in the chain and all that it says."""
    unsigned = {name: value for name, value in said.items() if name != "signature"}
    return f"{previous_sha256}\n{canonical(unsigned)}"


def head(connection: Connection) -> Head:
    """The newest record, number 0 where there is none."""
    query = select(_audit.c.seq, _audit.c.sha256).order_by(_audit.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return Head(0, START) if row is None else Head(row.seq, row.sha256)


def read(connection: Connection, wanted: Wanted) -> list[Record]:
    """Records with what lies beside them, oldest first."""
    query = with_private().where(_audit.c.seq > min(wanted.after, MAX_SEQ))
    if wanted.kind is not None:
        query = query.where(_audit.c.kind == wanted.kind)
    if wanted.user is not None:
        query = query.where(_audit.c.actor_id == wanted.user)
    if wanted.since is not None:
        query = query.where(_audit.c.at >= wanted.since)
    return [_record(row) for row in connection.execute(query.limit(wanted.limit))]


def with_private() -> Select[Any]:
    """The rows of all records by number, each with what lies beside it."""
    joined = _audit.outerjoin(_private, _private.c.seq == _audit.c.seq)
    columns = (*_audit.c, _private.c.salt, _private.c.texts)
    return select(*columns).select_from(joined).order_by(_audit.c.seq)


def _record(row: Row[Any]) -> Record:
    record = json.loads(row.record)
    return Record(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        outcome=record["outcome"],
        actor=record["actor"],
        detail=record["detail"],
        private=None if row.texts is None else json.loads(row.texts),
        sha256=row.sha256,
        previous_sha256=row.previous_sha256,
    )


# Names


def names(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """What these principals are or were called, as `user:NAME`; who is forgotten is absent."""
    found: dict[int, str] = {}
    for table in (tables.audit_names, tables.principals):
        number = next(iter(table.primary_key))
        query = select(number, table.c.kind, table.c.name).where(number.in_(set(numbers)))
        query = query.where(table.c.kind.in_(["user", "group"]))
        found |= {row[0]: f"{row.kind}:{row.name}" for row in connection.execute(query)}
    return found


def keep_name(connection: Connection, number: int) -> None:
    """Keep what a principal is called that is about to be removed."""
    people = tables.principals
    query = select(people.c.id, people.c.kind, people.c.name).where(people.c.id == number)
    columns = ["principal_id", "kind", "name"]
    connection.execute(insert(tables.audit_names).from_select(columns, query))


# Leaving


def prune(connection: Connection, before: datetime) -> int:
    """Remove the records from before a time, and say so in one; returns how many.

    What is left begins in the middle of the chain; the new record vouches for its beginning.
    """
    old = select(func.count(), func.max(_audit.c.seq)).where(_audit.c.at < before)
    n_old, last = connection.execute(old).one()
    if not n_old:
        return 0
    sha256 = connection.execute(select(_audit.c.sha256).where(_audit.c.seq == last)).scalar_one()
    append(connection, "retention", {"removed": n_old, "last_seq": last, "last_sha256": sha256})
    connection.execute(insert(tables.audit_pruning).values(up_to=last))
    connection.execute(delete(_private).where(_private.c.seq <= last))
    connection.execute(delete(_audit).where(_audit.c.seq <= last))
    connection.execute(delete(tables.audit_pruning))
    return int(n_old)

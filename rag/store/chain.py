"""Proof that the audit records are as they were written, as `citadel audit verify` asks for it."""

import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from rag.store import tables
from rag.store.audit import SIGNED, START, Head, hashed, signed_text, with_private

BATCH = 2000
_START = Head(0, START)
_audit = tables.audit


@dataclass(slots=True)
class Proof:
    """What was found: how many records there are, and what is wrong, as sentences."""

    n_records: int = 0
    head: Head = _START
    n_forgotten: int = 0  # records beside which something was forgotten, as another one says
    problems: list[str] = field(default_factory=list)


def verify(connection: Connection, kept: Head | None, sign: Callable[[str], str]) -> Proof:
    """Walk the whole chain; `kept` is a head that was kept outside of the database.

    What a record says of others counts only where `sign` gives the signature that it has.
    """
    proof = Proof()
    said = _Said.by(connection, sign)
    proof.problems += [f"record {seq} was not signed by this installation" for seq in said.unsigned]
    expected: Head | None = None
    for row in _rows(connection):
        before = said.beginning(row.seq) if expected is None else expected
        proof.problems += _broken(row, before)
        if row.private_sha256 is not None:
            proof.problems += _beside(row, said, proof)
        if kept is not None and row.seq == kept.seq and row.sha256 != kept.sha256:
            proof.problems.append(f"record {row.seq} is not the one whose hash was kept elsewhere")
        expected = proof.head = Head(row.seq, row.sha256)
        proof.n_records += 1
    if kept is not None and kept.seq > proof.head.seq:
        proof.problems.append(
            f"{_numbers(proof.head.seq + 1, kept.seq)} missing at the end: record {kept.seq} was"
            " there once"
        )
    return proof


@dataclass(slots=True)
class _Said:
    """What records say of others: where the chain begins now, and what was forgotten."""

    beginnings: dict[int, str]  # hash by number of the last record that was removed by age
    forgotten: list[tuple[int, int]]
    unsigned: list[int]  # numbers of records that nobody here has written

    @classmethod
    def by(cls, connection: Connection, sign: Callable[[str], str]) -> "_Said":
        said = cls({}, [], [])
        query = select(_audit.c.seq, _audit.c.kind, _audit.c.record, _audit.c.previous_sha256)
        rows = connection.execute(query.where(_audit.c.kind.in_(SIGNED)).order_by(_audit.c.seq))
        for seq, kind, record, previous in rows:
            try:
                whole = json.loads(record)
                if not hmac.compare_digest(whole["signature"], sign(signed_text(previous, whole))):
                    said.unsigned.append(seq)
                    continue
                said._take(kind, whole["detail"])
            except (ValueError, KeyError, TypeError, AttributeError):
                said.unsigned.append(seq)
        return said

    def _take(self, kind: str, detail: dict[str, Any]) -> None:
        if kind == "retention":
            self.beginnings[detail["last_seq"]] = detail["last_sha256"]
        else:
            self.forgotten += [(first, last) for first, last in detail["records"]]

    def beginning(self, seq: int) -> Head:
        """What the first record that is there has to follow."""
        return Head(seq - 1, self.beginnings[seq - 1]) if seq - 1 in self.beginnings else _START

    def covers(self, seq: int) -> bool:
        return any(first <= seq <= last for first, last in self.forgotten)


@dataclass(frozen=True, slots=True)
class _Found:
    """A row as it lies in the table, with what its record says of itself."""

    seq: int
    at: datetime
    kind: str
    actor_id: int | None
    record: str
    previous_sha256: str
    sha256: str
    salt: str | None
    texts: str | None
    said: dict[str, Any]

    @property
    def private_sha256(self) -> str | None:
        return self.said.get("private_sha256")

    @property
    def agrees(self) -> bool:
        """Whether the columns say what the record says."""
        actor = self.said.get("actor")
        number = actor.get("number") if isinstance(actor, dict) else None
        said = (self.said.get("seq"), self.said.get("at"), self.said.get("kind"), number)
        return said == (self.seq, self.at.isoformat(), self.kind, self.actor_id)


def _rows(connection: Connection) -> Iterator[_Found]:
    last = -1
    while rows := connection.execute(with_private().where(_audit.c.seq > last).limit(BATCH)).all():
        yield from map(_found, rows)
        last = rows[-1].seq


def _found(row: Row[Any]) -> _Found:
    try:
        said = json.loads(row.record)
    except ValueError:
        said = None
    return _Found(**row._mapping, said=said if isinstance(said, dict) else {})


def _broken(row: _Found, before: Head) -> Iterator[str]:
    if row.seq > before.seq + 1:
        yield f"{_numbers(before.seq + 1, row.seq - 1)} missing"
    elif row.previous_sha256 != before.sha256:
        yield f"record {row.seq} does not follow the one before it"
    if row.sha256 != hashed(row.previous_sha256, row.record) or not row.agrees:
        yield f"record {row.seq} was changed"


def _beside(row: _Found, said: _Said, proof: Proof) -> Iterator[str]:
    if row.texts is None:
        if said.covers(row.seq):
            proof.n_forgotten += 1
        else:
            yield f"what lay beside record {row.seq} is missing, and no record says why"
    elif hashed(row.salt or "", row.texts) != row.private_sha256:
        yield f"what lies beside record {row.seq} was changed"


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"

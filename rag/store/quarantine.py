"""Passages kept out of every search and answer until an admin has looked at them.

A quarantined chunk is stored like any other, with its vector, and named by the change log; but no
index is given its row, no reader its text, and where a longer span of its document is read its
place is blank. What an admin decides is remembered by the SHA-256 of what was judged, so it holds
for the same passage in a later version of the file.
"""

import contextlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from rag.errors import NotFound
from rag.store import audit, changes, documents, tables
from rag.store.changes import Entry
from rag.store.database import Database
from rag.store.documents import IN_LIMIT, MAX_ID
from rag.types import Access, NewDocument

NOTICE = "that read like instructions to a model: see `citadel quarantine list`"
_REMOVED = "[removed]"
_WITHHELD = "[in quarantine]"

_chunks, _documents, _quarantine = tables.chunks, tables.documents, tables.quarantine

Span = tuple[int, int]
Place = tuple[int, int, int | None]  # a document, and the span of its text; None is its end


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why the chunk with this ordinal is to be looked at before anybody reads it.

    `char_start:char_end` is what is withheld: the chunk, and headings before it where they are
    the reason. `text_sha256` is of everything that was judged.
    """

    ordinal: int
    reason: str
    score: float  # in [0, 1]
    text_sha256: str
    char_start: int
    char_end: int


@dataclass(frozen=True, slots=True)
class ScreenedDocument(NewDocument):
    """A document whose chunks were looked through for instructions to a model."""

    suspicions: tuple[Suspicion, ...] = ()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A passage in quarantine; `id` is its chunk's."""

    id: int
    document_id: int
    collection: str
    title: str
    source_uri: str
    page: int | None
    reason: str
    score: float
    text: str


class Quarantine:
    """What an admin does with these passages: `store.quarantine`. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(self) -> list[Quarantined]:
        """The passages that wait for an admin, of all collections, in the order they came."""
        with self._database.read() as connection:
            return listed(connection)

    def release(self, ids: Sequence[int]) -> int:
        """Let passages be found and read from now on, here and in later versions of their files.

        Raises:
            NotFound: one is not in quarantine; then none is released.
        """
        with self._database.write() as connection:
            return release(connection, ids)

    def remove(self, ids: Sequence[int]) -> int:
        """Delete passages for good, here and in later versions of their files.

        Raises:
            NotFound: one is not in quarantine; then none is removed.
        """
        with self._database.write() as connection:
            return remove(connection, ids)


def listed(connection: Connection) -> list[Quarantined]:
    """Everything in quarantine, in the order it came."""
    rows = connection.execute(
        select(
            _chunks.c.id,
            _chunks.c.document_id,
            tables.collections.c.name,
            _documents.c.title,
            _documents.c.source_uri,
            _chunks.c.page_start,
            _quarantine.c.reason,
            _quarantine.c.score,
            _chunks.c.text,
        )
        .select_from(_quarantine.join(_chunks).join(_documents).join(tables.collections))
        .order_by(_chunks.c.id)
    )
    return [Quarantined(*row) for row in rows]


def texts(connection: Connection, access: Access, places: Collection[Place]) -> dict[Place, str]:
    """Spans of readable documents' texts, blank where something is in quarantine.

    A document that may not be read, or that has gone, is absent.
    """
    withheld = _withheld(connection, {document_id for document_id, _, _ in places})
    found: dict[Place, str] = {}
    for place in places:
        document_id, start, end = place
        with contextlib.suppress(NotFound):
            text = documents.text(connection, access, document_id, start, end)
            found[place] = _masked(text, start, withheld.get(document_id, ()))
    return found


def _withheld(connection: Connection, document_ids: Collection[int]) -> dict[int, list[Span]]:
    """By document, what nobody is to read. Asked before the text: a new version has its own."""
    spans: dict[int, list[Span]] = {}
    owner = _chunks.c.document_id
    query = select(owner, _quarantine.c.char_start, _quarantine.c.char_end).join(_chunks)
    ids = [min(document_id, MAX_ID) for document_id in document_ids]
    for document_id, start, end in connection.execute(query.where(owner.in_(ids))):
        spans.setdefault(document_id, []).append((start, end))
    return spans


def _masked(text: str, start: int, spans: Iterable[Span]) -> str:
    """`text`, which begins at offset `start`, with a filler of the same length over the spans."""
    for first, last in spans:
        first, last = max(0, first - start), min(len(text), last - start)
        if first < last:
            text = text[:first] + _filler(_WITHHELD, last - first) + text[last:]
    return text


def admit(
    connection: Connection, document_id: int, document: NewDocument, chunk_ids: Sequence[int]
) -> list[int]:
    """Put the suspicious ones of a new document's chunks where they belong; returns what is left.

    What was released before is left alone, what was removed before is removed again.
    """
    suspicions = document.suspicions if isinstance(document, ScreenedDocument) else ()
    known = _decisions(connection, {suspicion.text_sha256 for suspicion in suspicions})
    rows = [
        {"chunk_id": chunk_ids[s.ordinal], **_columns(s)}
        for s in suspicions
        if known.get(s.text_sha256) != "released"
    ]
    if not rows:
        return list(chunk_ids)
    connection.execute(insert(_quarantine), rows)
    gone = {row["chunk_id"] for row in rows if known.get(row["text_sha256"]) == "removed"}
    for suspect in _suspects(connection, gone):
        _erase(connection, suspect)
    _tell(connection, document_id)
    return [chunk_id for chunk_id in chunk_ids if chunk_id not in gone]


def release(connection: Connection, ids: Iterable[int]) -> int:
    """Let passages be found from now on; returns how many.

    Raises:
        NotFound: one is not in quarantine; then none is released.
    """
    suspects = _suspects(connection, ids)
    chunk_ids = [suspect.chunk_id for suspect in suspects]
    connection.execute(delete(_quarantine).where(_quarantine.c.chunk_id.in_(chunk_ids)))
    return _decided(connection, suspects, "released")


def remove(connection: Connection, ids: Iterable[int]) -> int:
    """Delete passages from the store; returns how many.

    Raises:
        NotFound: one is not in quarantine; then none is removed.
    """
    suspects = _suspects(connection, ids)
    for suspect in suspects:
        _erase(connection, suspect)
    return _decided(connection, suspects, "removed")


def _columns(suspicion: Suspicion) -> dict[str, Any]:
    columns = asdict(suspicion)
    del columns["ordinal"]
    return columns


def _suspects(connection: Connection, ids: Iterable[int]) -> list[Row[Any]]:
    """What is known of these passages in quarantine, by id."""
    wanted = sorted(set(ids))
    possible = [i for i in wanted if 0 < i <= MAX_ID]
    query = select(_quarantine, _chunks.c.document_id).join(_chunks)
    rows = connection.execute(
        query.where(_quarantine.c.chunk_id.in_(possible)).order_by(_quarantine.c.chunk_id)
    ).all()
    if len(rows) < len(wanted):
        missing = sorted(set(wanted) - {row.chunk_id for row in rows})
        raise NotFound(
            f"not in quarantine: {', '.join(map(str, missing))}",
            hint="`citadel quarantine list` shows what is; a file that was read anew has new ids.",
        )
    return list(rows)


def _decisions(connection: Connection, hashes: Iterable[str]) -> dict[str, str]:
    table = tables.decisions
    known: dict[str, str] = {}
    wanted = sorted(hashes)
    for start in range(0, len(wanted), IN_LIMIT):
        batch = table.c.text_sha256.in_(wanted[start : start + IN_LIMIT])
        rows = connection.execute(select(table.c.text_sha256, table.c.decision).where(batch))
        known |= {row.text_sha256: row.decision for row in rows}
    return known


def _decided(
    connection: Connection, suspects: Sequence[Row[Any]], decision: Literal["released", "removed"]
) -> int:
    """Remember what was decided, and have the indexes read the documents again."""
    hashes = sorted({suspect.text_sha256 for suspect in suspects})
    table = tables.decisions
    connection.execute(delete(table).where(table.c.text_sha256.in_(hashes)))
    now = datetime.now(UTC)
    rows = [{"text_sha256": h, "decision": decision, "decided_at": now} for h in hashes]
    if rows:
        connection.execute(insert(table), rows)
    entries = []
    for document_id in sorted({suspect.document_id for suspect in suspects}):
        _tell(connection, document_id)
        left = select(_chunks.c.id).where(_chunks.c.document_id == document_id)
        ids = list(connection.scalars(left.order_by(_chunks.c.ordinal)))
        entries.append(Entry("put", document_id, ids))
    changes.append(connection, entries)
    chunk_ids = [suspect.chunk_id for suspect in suspects]
    audit.append(connection, f"quarantine_{decision}", {"chunks": chunk_ids})
    return len(suspects)


def _erase(connection: Connection, suspect: Row[Any]) -> None:
    """Delete a chunk, and write over its text in the document so that all offsets stay."""
    chunk = connection.execute(select(_chunks).where(_chunks.c.id == suspect.chunk_id)).one()
    start, end = suspect.char_start, suspect.char_end
    text = _documents.c.text
    rest = func.substr(text, end + 1)
    new_text = func.substr(text, 1, start).concat(_filler(_REMOVED, end - start)).concat(rest)
    own = _documents.c.id == chunk.document_id
    values = {"text": new_text, "n_chunks": _documents.c.n_chunks - 1}
    connection.execute(update(_documents).where(own).values(values))
    connection.execute(delete(_chunks).where(_chunks.c.id == chunk.id))
    siblings = _chunks.c.document_id == chunk.document_id
    # A row of another place may be taken while they move up, so they go by way of the negatives.
    later = update(_chunks).where(siblings, _chunks.c.ordinal > chunk.ordinal)
    connection.execute(later.values(ordinal=-_chunks.c.ordinal))
    moved = update(_chunks).where(siblings, _chunks.c.ordinal < 0)
    connection.execute(moved.values(ordinal=-_chunks.c.ordinal - 1))
    length = _chunks.c.header_end - _chunks.c.header_start
    header = select(func.substr(text, _chunks.c.header_start + 1, length)).where(own)
    headed = siblings & (_chunks.c.header_start < end) & (_chunks.c.header_end > start)
    connection.execute(update(_chunks).where(headed).values(header=header.scalar_subquery()))


def _filler(label: str, n_chars: int) -> str:
    return label[:n_chars].ljust(n_chars)


def _tell(connection: Connection, document_id: int) -> None:
    """Bring the document's warning about its passages in quarantine up to date."""
    query = select(func.count()).select_from(_quarantine.join(_chunks))
    n_held = connection.execute(query.where(_chunks.c.document_id == document_id)).scalar_one()
    own = _documents.c.id == document_id
    warnings = connection.execute(select(_documents.c.warnings).where(own)).scalar_one()
    kept = [warning for warning in warnings if not warning.endswith(NOTICE)]
    if n_held:
        kept.append(f"{n_held} passage{'s' * (n_held != 1)} withheld {NOTICE}")
    connection.execute(update(_documents).where(own).values(warnings=kept))

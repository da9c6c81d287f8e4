"""What can be proved about the database by looking at it alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, Subquery, func, select, text

from rag.store import changes, tables

BATCH = 20  # documents whose texts are held at once

_collections, _sources, _documents = tables.collections, tables.sources, tables.documents
_pages, _chunks, _vectors = tables.pages, tables.chunks, tables.vectors


@dataclass(frozen=True, slots=True)
class Stats:
    """How much the store holds."""

    collections: int
    sources: int
    failed: int
    documents: int
    chunks: int
    vectors: int
    characters: int
    seq: int  # head of the change log


def stats(connection: Connection) -> Stats:
    """Count what the store holds."""
    documents, characters = connection.execute(
        select(func.count(), func.coalesce(func.sum(_documents.c.n_chars), 0))
    ).one()
    return Stats(
        collections=_count(connection, select(_collections.c.id)),
        sources=_count(connection, select(_sources.c.id)),
        failed=_count(connection, select(_sources.c.id).where(_sources.c.state == "failed")),
        documents=documents,
        chunks=_count(connection, select(_chunks.c.id)),
        vectors=_count(connection, select(_vectors.c.chunk_id)),
        characters=characters,
        seq=changes.head(connection),
    )


def check(connection: Connection) -> list[str]:
    """What is wrong, as sentences; where SQLite finds the file damaged, only that."""
    damage = list(_damage(connection))
    if damage:
        return damage
    problems = [
        f"{n} {what}" for what, query in _contradictions() if (n := _count(connection, query))
    ]
    problems += _mixed_lengths(connection)
    problems += _log_gaps(connection)
    for batch in _document_batches(connection):
        problems += _wrong_texts(connection, batch)
    return problems


def _count(connection: Connection, query: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _damage(connection: Connection) -> Iterator[str]:
    if connection.dialect.name != "sqlite":
        return
    for line in connection.scalars(text("PRAGMA integrity_check")):
        if line != "ok":
            yield f"SQLite finds the file damaged: {line}"
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row} of {table} refers to a row of {parent} that does not exist"


def _contradictions() -> list[tuple[str, Select[Any]]]:
    """What must not be there, each as the rest of a sentence that begins with a number."""
    parents = _documents.alias()
    latest = _latest_changes()
    return [
        ("chunk(s) without a vector", _without(_chunks, _vectors)),
        ("vector(s) without a chunk", _without(_vectors, _chunks)),
        ("chunk(s) without a document", _without(_chunks, _documents)),
        ("passage(s) in quarantine without a chunk", _without(tables.quarantine, _chunks)),
        ("page(s) without a document", _without(_pages, _documents)),
        ("document(s) without a source", _without(_documents, _sources)),
        ("ingested source(s) without a document", _idle_sources()),
        (
            "document(s) of a source that failed",
            select(_documents.c.id).join(_sources).where(_sources.c.state != "ingested"),
        ),
        (
            "attachment(s) of a document from another source",
            select(_documents.c.id)
            .join(parents, _documents.c.parent_id == parents.c.id)
            .where(_documents.c.source_id != parents.c.source_id),
        ),
        (
            "place(s) in a document claimed by several chunks",
            select(_chunks.c.document_id)
            .group_by(_chunks.c.document_id, _chunks.c.ordinal)
            .having(func.count() > 1),
        ),
        ("document(s) with another number of chunks than recorded", _miscounted("n_chunks")),
        ("document(s) with another number of pages than recorded", _miscounted("n_pages")),
        (
            "document(s) that the change log does not know",
            select(_documents.c.id)
            .outerjoin(latest, latest.c.document_id == _documents.c.id)
            .where(func.coalesce(latest.c.op, "delete") == "delete"),
        ),
        (
            "document(s) in the change log that do not exist",
            select(latest.c.document_id)
            .outerjoin(_documents, latest.c.document_id == _documents.c.id)
            .where(latest.c.op == "put", _documents.c.id.is_(None)),
        ),
    ]


def _without(table: Any, other: Any) -> Select[Any]:
    """The rows of `table` that lack their row in `other`."""
    key, missing = next(iter(table.primary_key)), next(iter(other.primary_key))
    return select(key).outerjoin(other).where(missing.is_(None))


def _idle_sources() -> Select[Any]:
    return (
        select(_sources.c.id)
        .outerjoin(_documents)
        .where(_sources.c.state == "ingested", _documents.c.id.is_(None))
    )


def _miscounted(column: str) -> Select[Any]:
    counted = _chunks if column == "n_chunks" else _pages
    actual = select(func.count()).where(counted.c.document_id == _documents.c.id)
    return select(_documents.c.id).where(_documents.c[column] != actual.scalar_subquery())


def _latest_changes() -> Subquery:
    """The newest change of each document."""
    table = tables.changes
    newest = select(func.max(table.c.seq)).group_by(table.c.document_id)
    return select(table).where(table.c.seq.in_(newest)).subquery()


def _mixed_lengths(connection: Connection) -> Iterator[str]:
    length = func.length(_vectors.c.vector)
    query = select(_vectors.c.model_id, func.min(length), func.max(length))
    for model, least, most in connection.execute(query.group_by(_vectors.c.model_id)):
        if least != most:
            yield f"vectors of {model} have from {least // 4} to {most // 4} dimensions"


def _log_gaps(connection: Connection) -> Iterator[str]:
    seq = tables.changes.c.seq
    query = select(func.count(), func.coalesce(func.max(seq), 0))
    n_changes, newest = connection.execute(query).one()
    head = changes.head(connection)
    if not n_changes == newest == head:
        yield f"the change log has {n_changes} rows up to {newest}, its head is at {head}"


def _document_batches(connection: Connection) -> Iterator[Sequence[Row[Any]]]:
    """All documents by id, with text and the chunks that the newest change names."""
    latest = _latest_changes()
    query: Select[Any] = (
        select(_documents.c.id, _documents.c.n_chars, _documents.c.text, latest.c.chunk_ids)
        .outerjoin(latest, latest.c.document_id == _documents.c.id)
        .order_by(_documents.c.id)
        .limit(BATCH)
    )
    batch = connection.execute(query).all()
    while batch:
        yield batch
        batch = connection.execute(query.where(_documents.c.id > batch[-1].id)).all()


def _wrong_texts(connection: Connection, batch: Sequence[Row[Any]]) -> Iterator[str]:
    """Documents whose chunks are not what the text and the change log say."""
    query = select(_chunks).where(_chunks.c.document_id.in_([row.id for row in batch]))
    rows = connection.execute(query.order_by(_chunks.c.document_id, _chunks.c.ordinal))
    chunks = {key: list(rows) for key, rows in groupby(rows, lambda row: row.document_id)}
    for document in batch:
        own = chunks.get(document.id, [])
        if len(document.text) != document.n_chars:
            yield f"document {document.id} has another length than recorded"
        if [chunk.ordinal for chunk in own] != list(range(len(own))):
            yield f"document {document.id} lacks a chunk in the middle"
        if wrong := [chunk.id for chunk in own if not _is_cut_from(chunk, document.text)]:
            yield f"document {document.id}: chunks {wrong} differ from the text at their span"
        logged = np.frombuffer(document.chunk_ids or b"", dtype="<i8").tolist()
        if sorted(chunk.id for chunk in own) != sorted(logged):
            yield f"document {document.id} has other chunks than the change log names"


def _is_cut_from(chunk: Row[Any], text: str) -> bool:
    same_text: bool = chunk.text == text[chunk.char_start : chunk.char_end]
    same_header: bool = chunk.header == text[chunk.header_start : chunk.header_end]
    return same_text and same_header

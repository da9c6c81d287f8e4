"""The change log, and the rows that the indexes are built from.

A writing transaction first locks the single row of `log_head` and moves it on at its end. So on
PostgreSQL, as on SQLite, writers follow one another, changes become visible in the order of their
numbers, and whoever has read up to n has missed nothing before n.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from sqlalchemy import Connection, Select, func, insert, select, update

from rag.store import tables
from rag.store.documents import IN_LIMIT, IS_FREE
from rag.types import Change, IndexRow

_HEAD = select(tables.log_head.c.seq)


class Entry(NamedTuple):
    """A change that has no number yet."""

    op: Literal["put", "delete"]
    document_id: int
    chunk_ids: Sequence[int]


def head(connection: Connection) -> int:
    """Number of the newest change."""
    seq: int = connection.execute(_HEAD).scalar_one()
    return seq


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Number the entries and add them to the log; the caller holds the lock on `log_head`."""
    if not entries:
        return
    seq = head(connection)
    rows = [
        {
            "seq": number,
            "op": entry.op,
            "document_id": entry.document_id,
            "chunk_ids": np.asarray(entry.chunk_ids, dtype="<i8").tobytes(),
        }
        for number, entry in enumerate(entries, seq + 1)
    ]
    connection.execute(insert(tables.changes), rows)
    connection.execute(update(tables.log_head).values(seq=seq + len(rows)))


def put_again(connection: Connection, source_ids: Sequence[int]) -> list[Entry]:
    """The entries that make the indexes read the documents of these sources again."""
    found = chunk_ids(connection, document_ids(connection, source_ids))
    return [Entry("put", document_id, ids) for document_id, ids in found.items()]


def document_ids(connection: Connection, source_ids: Sequence[int]) -> list[int]:
    """The documents that were made from these sources, by id."""
    documents = tables.documents
    query = select(documents.c.id).where(documents.c.source_id.in_(source_ids))
    return list(connection.scalars(query.order_by(documents.c.id)))


def chunk_ids(connection: Connection, document_ids: Sequence[int]) -> dict[int, list[int]]:
    """The chunks of each document, in order."""
    found: dict[int, list[int]] = {document_id: [] for document_id in document_ids}
    chunks = tables.chunks
    for start in range(0, len(document_ids), IN_LIMIT):
        batch = document_ids[start : start + IN_LIMIT]
        query = select(chunks.c.document_id, chunks.c.id).where(chunks.c.document_id.in_(batch))
        for document_id, chunk_id in connection.execute(query.order_by(chunks.c.id)):
            found[document_id].append(chunk_id)
    return found


def following(connection: Connection, after: int, limit: int) -> list[Change]:
    """At most `limit` changes numbered above `after`, in order."""
    query = select(tables.changes).where(tables.changes.c.seq > after)
    rows = connection.execute(query.order_by(tables.changes.c.seq).limit(limit))
    return [
        Change(
            seq=row.seq,
            op=row.op,
            document_id=row.document_id,
            chunk_ids=tuple(np.frombuffer(row.chunk_ids, dtype="<i8").tolist()),
        )
        for row in rows
    ]


def _index_rows(model_id: str | None) -> Select[Any]:
    """The rows of all chunks outside quarantine, each with its vector of a model if it has one.

    Without a model: with each vector that it has.
    """
    chunks, documents, vectors = tables.chunks, tables.documents, tables.vectors
    joined = (
        chunks.join(vectors)
        if model_id is None
        else chunks.outerjoin(
            vectors, (vectors.c.chunk_id == chunks.c.id) & (vectors.c.model_id == model_id)
        )
    )
    query = select(
        chunks.c.id,
        chunks.c.document_id,
        tables.collections.c.name,
        func.coalesce(tables.sources.c.list_id, 0),
        documents.c.language,
        documents.c.title,
        documents.c.source_uri,
        chunks.c.heading_path,
        chunks.c.header,
        chunks.c.text,
        func.coalesce(vectors.c.model_id, ""),
        vectors.c.vector,
    )
    placed = joined.join(documents, documents.c.id == chunks.c.document_id).join(
        tables.sources, tables.sources.c.id == documents.c.source_id
    )
    in_collection = tables.collections.c.id == documents.c.collection_id
    return (
        query.select_from(placed.join(tables.collections, in_collection))
        .where(IS_FREE)
        .order_by(chunks.c.id)
    )


def index_rows(
    connection: Connection, chunk_ids: Iterable[int], model_id: str | None
) -> list[IndexRow]:
    """The rows of these chunks by id; those gone or in quarantine are absent."""
    ids = sorted({int(i) for i in chunk_ids})
    found: list[IndexRow] = []
    for start in range(0, len(ids), IN_LIMIT):
        batch = tables.chunks.c.id.in_(ids[start : start + IN_LIMIT])
        found += map(_index_row, connection.execute(_index_rows(model_id).where(batch)))
    return found


def all_index_rows(
    connection: Connection, batch: int, model_id: str | None
) -> Iterator[list[IndexRow]]:
    """The rows of all chunks outside quarantine by id, `batch` at a time."""
    last = 0
    while True:
        query = _index_rows(model_id).where(tables.chunks.c.id > last).limit(batch)
        rows = [_index_row(row) for row in connection.execute(query)]
        if not rows:
            return
        last = rows[-1].chunk_id
        yield rows


def model_ids(connection: Connection) -> set[str]:
    """The models that the stored vectors were made by."""
    return set(connection.scalars(select(tables.vectors.c.model_id).distinct()))


def some_vectors(connection: Connection, model_id: str, n: int) -> Iterator[bytes]:
    """About `n` of a model's vectors, from all over the store."""
    vectors = tables.vectors
    mine = vectors.c.model_id == model_id
    held = connection.execute(select(func.count()).select_from(vectors).where(mine)).scalar_one()
    step = max(1, -(-held // n))
    query = select(vectors.c.vector).where(mine, vectors.c.chunk_id % step == 0)
    return iter(connection.scalars(query.limit(n)))


def _index_row(row: Sequence[Any]) -> IndexRow:
    chunk_id, document_id, collection, list_id, language, title, uri, *rest = row
    headings, header, text, model_id, vector = rest
    return IndexRow(
        chunk_id=chunk_id,
        document_id=document_id,
        collection=collection,
        list_id=list_id,
        language=language,
        title=title,
        name=PurePosixPath(uri).stem,
        heading=" > ".join(headings),
        text=text if text.startswith(header) else f"{header}\n{text}",
        model_id=model_id,
        vector=np.frombuffer(vector or b"", dtype="<f4"),  # (dim,), read-only
    )

"""Which chunks lack a vector of a model, what is embedded for them, and taking the vectors in.

Ids of chunks are never given twice and only grow, and whoever stores chunks holds the write lock
until they can be seen. So what lacks a vector of a model lies behind the chunk that it has reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from rag.store import changes, documents, tables
from rag.types import Chunk, Vectors

UNIT_TOLERANCE = 1e-3  # of a vector's length; half-precision models stay below it

_chunks, _vectors, _models = tables.chunks, tables.vectors, tables.models
_documents = tables.documents


@dataclass(frozen=True, slots=True)
class Unembedded:
    """Chunks of one document that lack a vector, with what their context is made of."""

    title: str
    name: str  # of the file or attachment, with its suffix
    language: str
    text: str
    ids: tuple[int, ...]
    chunks: tuple[Chunk, ...]


def lacking(connection: Connection, model_id: str, limit: int) -> list[Unembedded]:
    """The first `limit` chunks by id that lack a vector of a model, by document."""
    query = _without_vector(model_id).with_only_columns(_chunks.c.id)
    ids = list(connection.scalars(query.order_by(_chunks.c.id).limit(limit)))
    found: list[Unembedded] = []
    for start in range(0, len(ids), documents.IN_LIMIT):
        rows = connection.execute(_in_context(ids[start : start + documents.IN_LIMIT]))
        of_document = groupby(rows, lambda row: row.document_id)
        found += [_unembedded(list(own)) for _, own in of_document]
    return found


def n_lacking(connection: Connection, model_id: str) -> int:
    """How many chunks lack a vector of a model."""
    query = _without_vector(model_id).with_only_columns(func.count())
    n: int = connection.execute(query).scalar_one()
    return n


def fill(
    connection: Connection, model_id: str, ids: Sequence[int], vectors: Vectors, *, n_cut: int
) -> None:
    """Store the vectors of chunks that `lacking` named, in its order; those gone are left out.

    Where searches use the model the indexes are told to read the documents again.

    Raises:
        ValueError: a vector does not have length 1.
    """
    if not are_unit(vectors):
        raise ValueError(f"a vector of {model_id} does not have length 1")
    missing = set(_still_lacking(connection, model_id, ids))
    rows = [
        {"chunk_id": i, "model_id": model_id, "vector": vector.astype("<f4").tobytes()}
        for i, vector in zip(ids, vectors, strict=True)
        if i in missing
    ]
    own = _models.c.id == model_id
    values = {"reached": max(ids), "n_cut": _models.c.n_cut + n_cut}
    if rows:
        connection.execute(insert(_vectors), rows)
    state = connection.scalar(update(_models).where(own).values(values).returning(_models.c.state))
    if state == "current" and rows:
        touched = select(_chunks.c.document_id).where(_chunks.c.id.in_(missing)).distinct()
        found = changes.chunk_ids(connection, sorted(connection.scalars(touched)))
        put = [changes.Entry("put", document_id, chunks) for document_id, chunks in found.items()]
        changes.append(connection, put)


def are_unit(vectors: Vectors) -> bool:
    """Whether all vectors (n, dim) have length 1, as a search takes for granted."""
    lengths = np.linalg.norm(vectors, axis=1)  # (n,)
    return bool((np.abs(lengths - 1) <= UNIT_TOLERANCE).all())  # also false for NaN and infinity


def drop(connection: Connection, model_id: str, limit: int) -> int:
    """Delete at most `limit` vectors of a model; returns how many."""
    own = select(_vectors.c.chunk_id).where(_vectors.c.model_id == model_id)
    ids = list(connection.scalars(own.order_by(_vectors.c.chunk_id).limit(limit)))
    if ids:
        first, last = _vectors.c.chunk_id >= ids[0], _vectors.c.chunk_id <= ids[-1]
        connection.execute(delete(_vectors).where(_vectors.c.model_id == model_id, first, last))
    return len(ids)


def some_chunks(connection: Connection, places: Sequence[float]) -> list[int]:
    """The chunks at these shares, from 0 to 1, of the way from the first id to the last."""
    query = select(func.min(_chunks.c.id), func.max(_chunks.c.id))
    first, last = connection.execute(query).one()
    if first is None:
        return []
    found: dict[int, None] = {}
    for place in places:
        at = first + int(place * (last - first))
        following = select(_chunks.c.id).where(_chunks.c.id >= at).order_by(_chunks.c.id)
        found[connection.execute(following.limit(1)).scalar_one()] = None
    return list(found)


def counts(connection: Connection) -> dict[str, int]:
    """How many vectors there are of each model."""
    query = select(_vectors.c.model_id, func.count()).group_by(_vectors.c.model_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def _without_vector(model_id: str) -> Select[Any]:
    """The chunks behind what the model has reached that have no vector of it."""
    reached = select(_models.c.reached).where(_models.c.id == model_id).scalar_subquery()
    of_it = (_vectors.c.chunk_id == _chunks.c.id) & (_vectors.c.model_id == model_id)
    joined = select(_chunks.c.id).select_from(_chunks.outerjoin(_vectors, of_it))
    return joined.where(_chunks.c.id > func.coalesce(reached, 0), _vectors.c.chunk_id.is_(None))


def _still_lacking(connection: Connection, model_id: str, ids: Sequence[int]) -> list[int]:
    missing: list[int] = []
    for start in range(0, len(ids), documents.IN_LIMIT):
        batch = ids[start : start + documents.IN_LIMIT]
        there = select(_chunks.c.id).where(_chunks.c.id.in_(batch))
        has = select(_vectors.c.chunk_id).where(
            _vectors.c.chunk_id.in_(batch), _vectors.c.model_id == model_id
        )
        missing += sorted({*connection.scalars(there)} - {*connection.scalars(has)})
    return missing


def _in_context(ids: Sequence[int]) -> Select[Any]:
    about = (_documents.c.title, _documents.c.source_uri, _documents.c.language)
    body = _documents.c.text.label("body")
    joined = select(_chunks, *about, body).select_from(_chunks.join(_documents))
    return joined.where(_chunks.c.id.in_(ids)).order_by(_chunks.c.id)


def _unembedded(rows: Sequence[Row[Any]]) -> Unembedded:
    first = rows[0]
    return Unembedded(
        title=first.title,
        name=first.source_uri.rpartition("/")[2],  # an attachment's name has no "/" either
        language=first.language,
        text=first.body,
        ids=tuple(row.id for row in rows),
        chunks=tuple(documents.chunk_of(row) for row in rows),
    )

"""What changes documents. Each function runs inside one write transaction of its caller.

Every change of a document goes into the change log in the same transaction, so the log and the
tables cannot disagree.
"""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from rag.errors import NotFound
from rag.store import audit, changes, limits, quarantine, sources, tables
from rag.store.changes import Entry
from rag.store.vectors import are_unit
from rag.text import title_of_name
from rag.types import Box, Chunk, NewDocument, Page, SourceFile, Vectors

MAX_URI_BYTES = 2000  # what fits into an entry of a PostgreSQL index, with some room
FAST = 1  # zlib level: a page's words shrink nearly as much at a tenth of the time


def commit_source(
    connection: Connection,
    collection: str,
    source: SourceFile,
    documents: Sequence[NewDocument],
    *,
    model_id: str,
) -> list[int]:
    """Replace all that was made from a source by these documents; returns their ids."""
    sources.refuse_forgotten(connection, [source.content_sha256])
    collection_id = sources.ensure_collection(connection, collection)
    existing = sources.get(connection, collection, source.uri)
    if existing and _is_done(existing.file, source):
        return changes.document_ids(connection, [existing.id])
    entries = _delete_documents(connection, [existing.id]) if existing else []
    source_id = sources.put(connection, collection_id, existing, source)
    ids: dict[str, int] = {}
    for document in documents:
        parent_id = ids[document.parent_uri] if document.parent_uri is not None else None
        values = {"collection_id": collection_id, "source_id": source_id, "parent_id": parent_id}
        document_id = _insert_document(connection, document, values)
        chunk_ids = _insert_chunks(connection, document_id, document, model_id)
        kept = quarantine.admit(connection, document_id, document, chunk_ids)
        entries.append(Entry("put", document_id, kept))
        ids[document.source_uri] = document_id
    changes.append(connection, entries)
    detail = _stored_as(collection, source_id, source) | {"documents": list(ids.values())}
    audit.append(connection, "ingested", detail, private={"uri": source.uri})
    return list(ids.values())


def record_failure(connection: Connection, collection: str, source: SourceFile) -> None:
    """Record a failed source and remove what an older version of it gave."""
    if source.state != "failed":
        raise ValueError(f"{source.uri} has not failed")
    collection_id = sources.ensure_collection(connection, collection)
    existing = sources.get(connection, collection, source.uri)
    if existing and _is_done(existing.file, source):
        return
    if existing:
        changes.append(connection, _delete_documents(connection, [existing.id]))
    source_id = sources.put(connection, collection_id, existing, source)
    detail = _stored_as(collection, source_id, source)
    aside = {"uri": source.uri}  # not the reason, which may quote the file
    audit.append(connection, "ingested", detail, outcome="failure", private=aside)


def move_source(connection: Connection, collection: str, old_uri: str, new: SourceFile) -> None:
    """Give a source and its documents a new URI, replacing a source that was there."""
    existing = sources.get(connection, collection, old_uri)
    if existing is None or not _has_content_of(existing.file, new):
        raise NotFound(
            f"{old_uri} is no longer in collection {collection!r} with the content to be moved",
            hint="Another run changed it; ingest the folder again.",
        )
    if new.uri != old_uri:
        remove_sources(connection, collection, [new.uri])
        limits.carry(connection, existing, new.uri)
    _rename_documents(connection, existing.id, old_uri, new.uri)
    sources.put(connection, existing.collection_id, existing, new)
    changes.append(connection, changes.put_again(connection, [existing.id]))
    detail = _stored_as(collection, existing.id, new)
    audit.append(connection, "moved", detail, private={"from": old_uri, "uri": new.uri})


def remove_sources(connection: Connection, collection: str, uris: Sequence[str]) -> int:
    """Remove sources and what was made from them; returns the number of documents removed."""
    source_ids, entries = take_out(connection, collection, uris)
    if source_ids:
        detail = {"collection": collection, "documents": [each.document_id for each in entries]}
        aside = {"uris": [*uris]}
        audit.append(connection, "removed", {**detail, "sources": source_ids}, private=aside)
    return len(entries)


def take_out(
    connection: Connection, collection: str, uris: Sequence[str]
) -> tuple[list[int], list[Entry]]:
    """The same without an audit record; returns the sources' numbers and the changes."""
    query = (
        select(tables.sources.c.id)
        .join(tables.collections)
        .where(tables.collections.c.name == collection, tables.sources.c.uri.in_(uris))
    )
    ids = list(connection.scalars(query))
    entries = _delete_documents(connection, ids)
    connection.execute(delete(tables.sources).where(tables.sources.c.id.in_(ids)))
    changes.append(connection, entries)
    return ids, entries


def _stored_as(collection: str, source_id: int, source: SourceFile) -> dict[str, Any]:
    """What an audit record says of a source. Its path is said beside it."""
    return {"collection": collection, "source": source_id, "sha256": source.content_sha256}


def validate(source: SourceFile, documents: Sequence[NewDocument]) -> None:
    """Check that what is to be stored is consistent.

    Raises:
        ValueError: there is no document, the first is not the source, a URI comes twice, is
            longer than `MAX_URI_BYTES` or doesn't begin with the source's, a parent is unknown, a
            text holds what no database stores (NUL, lone surrogates), a chunk's text differs from
            its span, ordinals don't count from 0, or the vectors are not one finite float32 row
            of length 1 for each chunk.
    """
    if source.state != "ingested":
        raise ValueError(f"{source.uri} is not marked as ingested")
    if not documents or documents[0].source_uri != source.uri:
        raise ValueError(f"the first document is not the source {source.uri}")
    seen: set[str] = set()
    for document in documents:
        uri = document.source_uri
        if uri in seen or not uri.startswith(source.uri) or len(uri.encode()) > MAX_URI_BYTES:
            raise ValueError(f"source_uri comes twice, is not below its file or too long: {uri}")
        if (document.parent_uri is None) != (not seen) or document.parent_uri not in {None, *seen}:
            raise ValueError(f"{uri} has the parent {document.parent_uri}, which isn't before it")
        _validate_text(document)
        _validate_vectors(document)
        seen.add(uri)


def _validate_text(document: NewDocument) -> None:
    text = document.text
    for part in (text, document.title, document.source_uri):
        part.encode()  # UnicodeEncodeError is a ValueError
        if "\0" in part:
            raise ValueError(f"{document.source_uri!r}: NUL in text, title or URI")
    for ordinal, chunk in enumerate(document.chunks):
        header_fits = 0 <= chunk.header_start <= chunk.header_end <= len(text)
        if not header_fits or not 0 <= chunk.char_start <= chunk.char_end <= len(text):
            raise ValueError(f"{document.source_uri}: chunk {ordinal} lies outside the text")
        if chunk.ordinal != ordinal or chunk.text != text[chunk.char_start : chunk.char_end]:
            raise ValueError(f"{document.source_uri}: chunk {ordinal} is not the text at its span")


def _validate_vectors(document: NewDocument) -> None:
    vectors: Vectors = document.vectors  # (n, dim)
    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise ValueError(f"{document.source_uri}: vectors are not a float32 matrix")
    if len(vectors) != len(document.chunks):
        raise ValueError(
            f"{document.source_uri}: {len(vectors)} vectors for {len(document.chunks)} chunks"
        )
    if not are_unit(vectors):
        raise ValueError(f"{document.source_uri}: a vector does not have length 1")


def _is_done(existing: SourceFile, source: SourceFile) -> bool:
    """Another run has stored exactly this."""
    same = existing.fingerprint == source.fingerprint != ""
    return same and existing.state == "ingested"


def _has_content_of(existing: SourceFile, moved: SourceFile) -> bool:
    return existing.state == "ingested" and existing.content_sha256 == moved.content_sha256


def _delete_documents(connection: Connection, source_ids: Sequence[int]) -> list[Entry]:
    """Delete the documents of these sources; returns the changes for the log."""
    chunk_ids = changes.chunk_ids(connection, changes.document_ids(connection, source_ids))
    table = tables.documents
    connection.execute(delete(table).where(table.c.source_id.in_(source_ids)))
    return [Entry("delete", document_id, ids) for document_id, ids in chunk_ids.items()]


def _rename_documents(connection: Connection, source_id: int, old: str, new: str) -> None:
    """Exchange the prefix `old` of the documents' URIs for `new`, and titles made of file names.

    The vectors keep what they were made with: a move does not embed again.
    """
    table = tables.documents
    columns = (table.c.id, table.c.source_uri, table.c.title)
    query = select(*columns).where(table.c.source_id == source_id)
    for document_id, uri, title in connection.execute(query).all():
        new_uri = new + uri.removeprefix(old)
        if title == title_of_name(PurePosixPath(uri).name):
            title = title_of_name(PurePosixPath(new_uri).name)
        renamed = update(table).where(table.c.id == document_id)
        connection.execute(renamed.values(source_uri=new_uri, title=title))


def _insert_document(
    connection: Connection, document: NewDocument, links: dict[str, int | None]
) -> int:
    row = insert(tables.documents).values(
        **links,
        source_uri=document.source_uri,
        title=document.title,
        media_type=document.media_type,
        language=document.language,
        size_bytes=document.size_bytes,
        n_chars=len(document.text),
        n_chunks=len(document.chunks),
        n_pages=len(document.pages),
        content_sha256=document.content_sha256,
        metadata=document.metadata,
        warnings=list(document.warnings),
        ingested_at=datetime.now(UTC),
        text=document.text,
    )
    document_id: int = connection.execute(row.returning(tables.documents.c.id)).scalar_one()
    if document.pages:
        pages = [_page_values(document_id, page) for page in document.pages]
        connection.execute(insert(tables.pages), pages)
    return document_id


def _insert_chunks(
    connection: Connection, document_id: int, document: NewDocument, model_id: str
) -> list[int]:
    """Insert chunks and vectors; returns the chunks' ids in order."""
    if not document.chunks:
        return []
    statement = insert(tables.chunks).returning(tables.chunks.c.id, sort_by_parameter_order=True)
    rows = [_chunk_values(document_id, document.text, chunk) for chunk in document.chunks]
    ids = list(connection.scalars(statement, rows))
    packed = document.vectors.astype("<f4", copy=False)
    vectors = [
        {"chunk_id": chunk_id, "model_id": model_id, "vector": vector.tobytes()}
        for chunk_id, vector in zip(ids, packed, strict=True)
    ]
    connection.execute(insert(tables.vectors), vectors)
    return ids


def _page_values(document_id: int, page: Page) -> dict[str, Any]:
    return {
        "document_id": document_id,
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "char_start": page.char_start,
        "char_end": page.char_end,
        "words": zlib.compress(page.words, FAST),
    }


def _chunk_values(document_id: int, text: str, chunk: Chunk) -> dict[str, Any]:
    return {
        "document_id": document_id,
        "ordinal": chunk.ordinal,
        "char_start": chunk.char_start,
        "char_end": chunk.char_end,
        "header_start": chunk.header_start,
        "header_end": chunk.header_end,
        "page_start": chunk.page_start,
        "page_end": chunk.page_end,
        "n_tokens": chunk.n_tokens,
        "heading_path": list(chunk.heading_path),
        "boxes": [_rounded(box) for box in chunk.boxes],
        "text": chunk.text,
        "header": text[chunk.header_start : chunk.header_end],
    }


def _rounded(box: Box) -> list[float]:
    return [box.page, *(round(float(edge), 2) for edge in box[1:])]

"""Collections, documents, pages and chunks as a caller may read them."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, select

from rag.errors import NotFound
from rag.store import tables
from rag.store.rule import named, readable
from rag.store.sources import at_or_below
from rag.times import own_day
from rag.types import Access, Box, Chunk, Document, Page, StoredChunk

IN_LIMIT = 5000  # ids bound in one statement, well below what either database accepts
MAX_CHARS = 2**31 - 1  # of a span; no text is longer
MAX_ID = 2**63 - 1  # larger numbers can't be bound, and no row has them
MAX_PAGE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection and how much it holds."""

    name: str
    n_documents: int
    n_chunks: int


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which of the readable documents are asked for; what is left empty narrows nothing."""

    title_contains: str = ""
    media_type: str = ""
    language: str = ""
    after: datetime | None = None  # when they were ingested
    before: datetime | None = None
    under: str = ""  # a file, or a folder with all below it


_DOCUMENT = [c for c in tables.documents.c if c.name not in ("text", "collection_id", "source_id")]
IS_FREE = ~exists().where(tables.quarantine.c.chunk_id == tables.chunks.c.id)  # of quarantine
_IN = tables.documents.c.collection_id == tables.collections.c.id
_PLACED = tables.documents.join(tables.sources).join(tables.collections, _IN)
# For chunks, which are asked for by id. The sum keeps SQLite from going the other way: where one
# collection is granted, it would walk through all documents of that one to find the chunks.
_OF_CHUNK = tables.documents.c.collection_id + 0 == tables.collections.c.id
_CHUNKS = (
    tables.chunks.join(tables.documents).join(tables.sources).join(tables.collections, _OF_CHUNK)
)
_CHUNK = [c.name for c in tables.chunks.c if c.name not in ("id", "document_id", "header")]
_of_chunk = attrgetter(*_CHUNK)  # by name: by column takes twice as long, forty times a query


def collections(connection: Connection) -> list[CollectionInfo]:
    """All collections by name."""
    documents = tables.documents
    rows = connection.execute(
        select(
            tables.collections.c.name,
            func.count(documents.c.id),
            func.coalesce(func.sum(documents.c.n_chunks), 0),
        )
        .outerjoin(documents, documents.c.collection_id == tables.collections.c.id)
        .group_by(tables.collections.c.name)
    )
    return sorted((CollectionInfo(*row) for row in rows), key=lambda info: info.name)


def readable_collections(connection: Connection, access: Access) -> list[CollectionInfo]:
    """The collections of the access by name, with how much of each may be read."""
    documents = tables.documents
    rows = connection.execute(
        select(
            tables.collections.c.name, func.count(documents.c.id), func.sum(documents.c.n_chunks)
        )
        .select_from(_PLACED)
        .where(readable(access))
        .group_by(tables.collections.c.name)
    )
    held = {name: CollectionInfo(name, n, n_chunks) for name, n, n_chunks in rows}
    return [held.get(name, CollectionInfo(name, 0, 0)) for name in sorted(access.collections)]


def content_hashes(connection: Connection) -> set[str]:
    """SHA-256 of every file that a document was made from."""
    return set(connection.scalars(select(tables.documents.c.content_sha256).distinct()))


def list_documents(
    connection: Connection, access: Access, *, after: int, limit: int, only: Narrowing
) -> list[Document]:
    """Readable documents by id, beginning after the id `after`."""
    if any("\0" in part for part in astuple(only) if isinstance(part, str)):
        return []  # in no title, and PostgreSQL rejects it
    query = _readable(access).where(tables.documents.c.id > min(after, MAX_ID), *_narrowed(only))
    rows = connection.execute(query.order_by(tables.documents.c.id).limit(limit))
    return [_document(row) for row in rows]


def _narrowed(only: Narrowing) -> Iterator[ColumnElement[bool]]:
    columns = tables.documents.c
    if only.title_contains:
        yield columns.title.icontains(only.title_contains, autoescape=True)
    if only.media_type:
        yield columns.media_type == only.media_type
    if only.language:
        yield columns.language == only.language
    if only.after is not None:
        yield columns.ingested_at > only.after
    if only.before is not None:
        yield columns.ingested_at < only.before
    if only.under:
        yield at_or_below(tables.sources.c.uri, only.under)


def made_from(
    connection: Connection, access: Access, collection: str, *, uri: str, sha256: str
) -> Document | None:
    """The oldest readable document made from the file of this URI, or of this content."""
    table = tables.documents.c
    same = table.source_uri == uri if uri else table.content_sha256 == sha256
    query = _readable(access).where(
        tables.collections.c.name == collection, same, table.parent_id.is_(None)
    )
    row = connection.execute(query.order_by(table.id).limit(1)).one_or_none()
    return None if row is None else _document(row)


def count(connection: Connection, access: Access) -> int:
    """How many documents are readable: two counts, as few are limited and an index has the rest."""
    documents, sources = tables.documents, tables.sources
    granted = tables.collections.c.name.in_(access.collections)
    total = select(func.count()).select_from(documents.join(tables.collections)).where(granted)
    beyond = (
        select(func.count())
        .select_from(sources.join(documents).join(tables.collections, _IN))
        .where(granted, sources.c.list_id.is_not(None), ~named(access))
    )
    n_total, n_beyond = (connection.execute(query).scalar_one() for query in (total, beyond))
    return int(n_total - n_beyond)


def days(connection: Connection, access: Access, ids: Iterable[int]) -> dict[int, str]:
    """The day, ISO 8601, that each of these documents gives itself, else that of its file."""
    columns = tables.documents.c.id, tables.documents.c.metadata, tables.sources.c.mtime_ns
    found: dict[int, str] = {}
    for query in _of_readable(select(*columns), access, ids):
        for document_id, properties, mtime_ns in connection.execute(query):
            changed = datetime.fromtimestamp(mtime_ns / 1e9, UTC)
            found[document_id] = own_day(properties) or changed.date().isoformat()
    return found


def readable_ids(connection: Connection, access: Access, ids: Iterable[int]) -> set[int]:
    """Those of these documents that are there and may be read."""
    queries = _of_readable(select(tables.documents.c.id), access, ids)
    return {i for query in queries for i in connection.scalars(query)}


def _of_readable(asked: Select[Any], access: Access, ids: Iterable[int]) -> Iterator[Select[Any]]:
    """What is asked, of those of these documents that may be read: as many ids as can be bound."""
    wanted = sorted({i for i in ids if 0 < i <= MAX_ID})
    for start in range(0, len(wanted), IN_LIMIT):
        batch = tables.documents.c.id.in_(wanted[start : start + IN_LIMIT])
        yield asked.select_from(_PLACED).where(batch, readable(access))


def document(connection: Connection, access: Access, document_id: int) -> Document:
    """One document; NotFound if it may not be read."""
    query = _readable(access).where(tables.documents.c.id == min(document_id, MAX_ID))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found(document_id)
    return _document(row)


def children(connection: Connection, access: Access, document_id: int) -> list[Document]:
    """What was attached to a document, by id."""
    document(connection, access, document_id)
    query = _readable(access).where(tables.documents.c.parent_id == document_id)
    return [_document(row) for row in connection.execute(query.order_by(tables.documents.c.id))]


def text(
    connection: Connection, access: Access, document_id: int, start: int, end: int | None
) -> str:
    """A span of a document's text, cut out by the database; NotFound if it may not be read."""
    whole = tables.documents.c.text
    n_chars = MAX_CHARS if end is None else max(0, end - start)
    query = (
        select(func.substr(whole, start + 1, n_chars))
        .select_from(_PLACED)
        .where(tables.documents.c.id == min(document_id, MAX_ID), readable(access))
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise not_found(document_id)
    return found


def pages(connection: Connection, access: Access, document_id: int) -> list[Page]:
    """A document's pages by number."""
    document(connection, access, document_id)
    query = select(tables.pages).where(tables.pages.c.document_id == document_id)
    return [_page(row) for row in connection.execute(query.order_by(tables.pages.c.number))]


def page(connection: Connection, access: Access, document_id: int, number: int) -> Page:
    """One page; NotFound if there is none or it may not be read."""
    document(connection, access, document_id)
    query = select(tables.pages).where(
        tables.pages.c.document_id == document_id, tables.pages.c.number == min(number, MAX_PAGE)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            f"document {document_id} has no page {number}",
            hint="Pages are counted from 1; only formats with a fixed layout have them.",
        )
    return _page(row)


def chunks(connection: Connection, access: Access, ids: Sequence[int]) -> dict[int, StoredChunk]:
    """Readable chunks by id; those in quarantine are not."""
    found: dict[int, StoredChunk] = {}
    possible = [int(i) for i in ids if 0 < i <= MAX_ID]  # int: NumPy's integers don't bind
    for start in range(0, len(possible), IN_LIMIT):
        batch = possible[start : start + IN_LIMIT]
        query = _readable_chunks(access).where(tables.chunks.c.id.in_(batch))
        found |= {row.id: _stored_chunk(row) for row in connection.execute(query)}
    return found


def document_chunks(connection: Connection, access: Access, document_id: int) -> list[StoredChunk]:
    """A document's chunks in order."""
    document(connection, access, document_id)
    query = _readable_chunks(access).where(tables.chunks.c.document_id == document_id)
    rows = connection.execute(query.order_by(tables.chunks.c.ordinal))
    return [_stored_chunk(row) for row in rows]


def _readable(access: Access) -> Select[Any]:
    return (
        select(*_DOCUMENT, tables.collections.c.name.label("collection"))
        .select_from(_PLACED)
        .where(readable(access))
    )


def _readable_chunks(access: Access) -> Select[Any]:
    documents = tables.documents
    return (
        select(
            tables.chunks,
            tables.collections.c.name.label("collection"),
            documents.c.title,
            documents.c.source_uri,
            documents.c.language,
        )
        .select_from(_CHUNKS)
        .where(readable(access), IS_FREE)
    )


def _document(row: Row[Any]) -> Document:
    fields = dict(row._mapping)
    return Document(**fields | {"warnings": tuple(fields["warnings"])})


def _page(row: Row[Any]) -> Page:
    return Page(
        number=row.number,
        width=row.width,
        height=row.height,
        char_start=row.char_start,
        char_end=row.char_end,
        words=zlib.decompress(row.words),
    )


def chunk_of(row: Row[Any]) -> Chunk:
    """The chunk in a row that has all its columns."""
    fields = dict(zip(_CHUNK, _of_chunk(row), strict=True))
    fields["heading_path"] = tuple(fields["heading_path"])
    fields["boxes"] = tuple(Box(*box) for box in fields["boxes"])
    return Chunk(**fields)


def _stored_chunk(row: Row[Any]) -> StoredChunk:
    return StoredChunk(
        id=row.id,
        document_id=row.document_id,
        collection=row.collection,
        title=row.title,
        source_uri=row.source_uri,
        language=row.language,
        chunk=chunk_of(row),
        header=row.header,
    )


def not_found(document_id: int) -> NotFound:
    """What is raised where a document is not there or may not be read."""
    return NotFound(
        f"no document {document_id}",
        hint="It may have been removed, or ingested again under a new id; list the documents.",
    )

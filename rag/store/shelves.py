"""Making and removing collections, and taking single documents out of them."""

import re

from sqlalchemy import Connection, delete, func, select

from rag.errors import BadRequest, Conflict
from rag.store import audit, documents, ingestion, runs, sources, tables
from rag.types import Access, Document

_NAME = re.compile(r"[\w.@+-][\w.@+ -]{0,99}")
_sources = tables.sources


def create(connection: Connection, name: str) -> None:
    """Make an empty collection, which the operator manages and nobody else may read.

    Raises:
        BadRequest: the name is none, or would be confused with another's.
        Conflict: there is one of that name.
    """
    if not _NAME.fullmatch(name) or name != name.strip():
        raise BadRequest(
            f"{name!r} is no name for a collection",
            hint="Letters, digits, blanks and any of . _ @ + - make a name, 100 at the most.",
        )
    if sources.collection_id(connection, name) is not None:
        raise Conflict(f"there is a collection {name!r} already")
    sources.ensure_collection(connection, name)


def remove(connection: Connection, name: str) -> None:
    """Remove an empty collection with its grants, limits and runs.

    Raises:
        NotFound: there is none of that name.
        Conflict: it holds something, or a run may bring something in.
    """
    number = sources.existing_collection(connection, name)
    refuse_busy(connection, name)
    held = select(func.count()).select_from(_sources).where(_sources.c.collection_id == number)
    n_held = connection.execute(held).scalar_one()
    if n_held:
        raise Conflict(
            f"the collection {name!r} holds {n_held:,} file{'s' * (n_held != 1)}",
            hint="Add ?force=true to remove them with it.",
        )
    connection.execute(delete(tables.collections).where(tables.collections.c.id == number))
    audit.append(connection, "collection_removed", {"collection": name})


def refuse_busy(connection: Connection, name: str) -> None:
    """See that no run may bring something into a collection.

    Raises:
        NotFound: there is none of that name.
        Conflict: a run waits or runs.
    """
    if runs.is_busy(connection, sources.existing_collection(connection, name)):
        raise Conflict(
            f"an ingest run of the collection {name!r} has not ended", hint="Cancel it first."
        )


def uris(connection: Connection, name: str, limit: int) -> list[str]:
    """Some of the sources in a collection."""
    query = select(_sources.c.uri).where(
        _sources.c.collection_id == sources.existing_collection(connection, name)
    )
    return list(connection.scalars(query.limit(limit)))


def take_out(connection: Connection, access: Access, document_id: int) -> Document:
    """Remove a document with the file it was made from and all else that was made from that.

    Raises:
        NotFound: it does not exist or may not be read.
        Conflict: it came with another document.
    """
    document = documents.document(connection, access, document_id)
    if document.parent_id is not None:
        raise Conflict(
            f"document {document_id} came with document {document.parent_id}",
            hint=f"Delete document {document.parent_id}, which removes both.",
        )
    uri = document.source_uri
    number = sources.existing_collection(connection, document.collection)
    attached = select(_sources.c.uri).where(
        _sources.c.collection_id == number,
        _sources.c.state == "failed",
        _sources.c.uri.startswith(f"{uri}#", autoescape=True),
    )
    parts = list(connection.scalars(attached))
    ingestion.remove_sources(connection, document.collection, [uri, *parts])
    return document

"""The record of source files: one row for each file that ingest has seen, and what became of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from rag.acting import acting
from rag.errors import Forgotten, NotFound
from rag.store import audit, names, people, tables
from rag.types import SourceFile

_FILE = [
    tables.sources.c[name]
    for name in (
        "uri",
        "size_bytes",
        "mtime_ns",
        "content_sha256",
        "fingerprint",
        "state",
        "error",
        "hint",
        "retry",
    )
]


class StoredSource(NamedTuple):
    """A source row with what it is known by in the tables."""

    id: int
    collection_id: int
    file: SourceFile


def collection_id(connection: Connection, name: str) -> int | None:
    """The id of a collection, None where it does not exist."""
    query = select(tables.collections.c.id).where(tables.collections.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def existing_collection(connection: Connection, name: str) -> int:
    """The id of a collection.

    Raises:
        NotFound: there is none of that name.
    """
    number = collection_id(connection, name)
    if number is None:
        hint = "`citadel status` shows the collections."
        raise NotFound(f"there is no collection {name!r}", hint=hint)
    return number


def ensure_collection(connection: Connection, name: str) -> int:
    """The id of a collection, which is created where it does not exist.

    Raises:
        BadRequest: it does not, and its name would be confused with another's.
    """
    found = collection_id(connection, name)
    if found is not None:
        return found
    taken = connection.scalars(select(tables.collections.c.name)).all()
    names.refuse_confusing("collection", name, taken)
    row = insert(tables.collections).values(name=name, created_at=datetime.now(UTC))
    created: int = connection.execute(row.returning(tables.collections.c.id)).scalar_one()
    grant = {"collection_id": created, "principal_id": people.operator(connection)}
    connection.execute(insert(tables.grants).values(**grant, right="manage"))
    audit.append(connection, "collection_added", {"collection": name})
    return created


def get(connection: Connection, collection: str, uri: str) -> StoredSource | None:
    """One source by its URI."""
    query = (
        select(tables.sources.c.id, tables.sources.c.collection_id, *_FILE)
        .join_from(tables.sources, tables.collections)
        .where(tables.collections.c.name == collection, tables.sources.c.uri == uri)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredSource(row[0], row[1], SourceFile(*row[2:]))


def put(
    connection: Connection, collection_id: int, existing: StoredSource | None, source: SourceFile
) -> int:
    """Insert a source or overwrite the existing row; returns its id."""
    values = {column.name: getattr(source, column.name) for column in _FILE}
    values |= {"error": _printable(source.error), "hint": _printable(source.hint)}
    values |= {"collection_id": collection_id, "changed_at": datetime.now(UTC)}
    values["list_id"] = list_at(connection, collection_id, source.uri)
    if existing is None:
        row = insert(tables.sources).values(**values).returning(tables.sources.c.id)
        source_id: int = connection.execute(row).scalar_one()
        return source_id
    connection.execute(
        update(tables.sources).where(tables.sources.c.id == existing.id).values(**values)
    )
    return existing.id


def list_at(connection: Connection, collection_id: int, uri: str) -> int | None:
    """The list that the nearest rule gives: the one for this URI, or for a folder above it.

    Of several at one place the last one holds: command, file, met. See `rag.store.limits`.
    """
    above = [str(folder) for folder in PurePosixPath(uri).parents]
    rules = tables.access_rules
    query = (
        select(rules.c.list_id)
        .where(rules.c.collection_id == collection_id, rules.c.uri.in_([uri, *above]))
        .order_by(func.length(rules.c.uri).desc(), rules.c.origin.desc())
        .limit(1)
    )
    found: int | None = connection.execute(query).scalar_one_or_none()
    return found


def at_or_below(column: ColumnElement[str], uri: str) -> ColumnElement[bool]:
    """Whether a URI is `uri`, or is below it as a folder."""
    folder = uri.rstrip("/") + "/"
    below = folder[:-1] + chr(ord("/") + 1)  # the first string after all that begin with folder
    return or_(column == folder[:-1], (column >= folder) & (column < below))


def under(connection: Connection, collection: str, uri: str) -> list[SourceFile]:
    """The sources at `uri` or below it as a folder, by URI."""
    column = tables.sources.c.uri
    query = (
        select(*_FILE)
        .join_from(tables.sources, tables.collections)
        .where(tables.collections.c.name == collection)
        .where(at_or_below(column, uri))
        .order_by(column)
    )
    return [SourceFile(*row) for row in connection.execute(query)]


def failures(connection: Connection, collection: str | None) -> list[tuple[str, SourceFile]]:
    """The failed sources with their collection, by collection and URI."""
    query = (
        select(tables.collections.c.name, *_FILE)
        .join_from(tables.sources, tables.collections)
        .where(tables.sources.c.state == "failed")
        .order_by(tables.collections.c.name, tables.sources.c.uri)
    )
    if collection is not None:
        query = query.where(tables.collections.c.name == collection)
    return [(name, SourceFile(*file)) for name, *file in connection.execute(query)]


def touch(connection: Connection, collection: str, touched: Sequence[SourceFile]) -> None:
    """Overwrite size, time and fingerprint of sources; NotFound if one is missing."""
    if not touched:
        return
    statement = (
        update(tables.sources)
        .where(
            tables.sources.c.collection_id == collection_id(connection, collection),
            tables.sources.c.uri == bindparam("at"),
        )
        .values(
            size_bytes=bindparam("size"),
            mtime_ns=bindparam("mtime"),
            fingerprint=bindparam("print"),
            changed_at=datetime.now(UTC),
        )
    )
    values = [
        {"at": s.uri, "size": s.size_bytes, "mtime": s.mtime_ns, "print": s.fingerprint}
        for s in touched
    ]
    result = connection.execute(statement, values)
    if result.rowcount != len(touched):
        raise NotFound(
            f"a source to be touched is no longer in collection {collection!r}",
            hint="Another run removed it; ingest the folder again.",
        )


def refuse_forgotten(connection: Connection, hashes: Sequence[str]) -> None:
    """Let nothing in again that was to be forgotten.

    Only the operator is told why: to others it would say what there was, somewhere they don't read.

    Raises:
        Forgotten: one of these contents was.
    """
    table = tables.forgotten
    query = select(table.c.content_sha256).where(table.c.content_sha256.in_(hashes)).limit(1)
    if connection.execute(query).first() is None:
        return
    if acting.get().kind == "operator":
        raise Forgotten(
            "its content was to be forgotten, and the file is still there",
            hint="Delete the file, or name it in .citadelignore.",
        )
    raise Forgotten("this file is not taken in", hint="Ask your administrator.")


def _printable(message: str) -> str:
    """A message as a database can store it: it may quote the bytes of a broken file."""
    return message.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")

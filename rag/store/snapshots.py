"""The record of index snapshots. The files belong to the indexes."""

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from rag.store import tables
from rag.store.database import Database
from rag.types import Snapshot


class Snapshots:
    """This record: `store.snapshots`. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, snapshot: Snapshot) -> None:
        """Record an index snapshot that has been written; one at the same path is replaced."""
        with self._database.write() as connection:
            record(connection, snapshot)

    def of_kind(self, kind: Literal["dense", "lexical"]) -> list[Snapshot]:
        """The recorded snapshots of an index, newest first."""
        with self._database.read() as connection:
            return of_kind(connection, kind)

    def forget(self, path: str) -> None:
        """Strike a snapshot off the record; nothing happens if it isn't there."""
        with self._database.write() as connection:
            forget(connection, path)


def record(connection: Connection, snapshot: Snapshot) -> None:
    """Add a snapshot, replacing one at the same path."""
    forget(connection, snapshot.path)
    connection.execute(
        insert(tables.snapshots).values(
            kind=snapshot.kind,
            seq=snapshot.seq,
            path=snapshot.path,
            sha256=snapshot.sha256,
            config=snapshot.config,
            created_at=datetime.now(UTC),
        )
    )


def of_kind(connection: Connection, kind: Literal["dense", "lexical"]) -> list[Snapshot]:
    """The snapshots of one index, newest first."""
    table = tables.snapshots
    rows = connection.execute(
        select(table.c.kind, table.c.seq, table.c.path, table.c.sha256, table.c.config)
        .where(table.c.kind == kind)
        .order_by(table.c.id.desc())
    )
    return [Snapshot(*row) for row in rows]


def forget(connection: Connection, path: str) -> None:
    """Strike a snapshot off the record."""
    connection.execute(delete(tables.snapshots).where(tables.snapshots.c.path == path))

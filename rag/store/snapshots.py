"""The record of index snapshots. The files belong to the indexes."""

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from rag.store import tables
from rag.types import Snapshot


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

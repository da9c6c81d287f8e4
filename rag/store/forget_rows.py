"""What forgetting documents and forgetting people have in common: rows, some at a time."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, select

from rag.store import tables

NOTICE = "[This quoted a document that has been forgotten.]"
BATCH = 500  # rows held at once


def walk(connection: Connection, table: Table) -> Iterable[Row[Any]]:
    """All rows by id, some at a time."""
    last = 0
    while True:
        query = select(table).where(table.c.id > last).order_by(table.c.id).limit(BATCH)
        rows = connection.execute(query).all()
        if not rows:
            return
        yield from rows
        last = rows[-1].id


def erase_private(connection: Connection, seqs: set[int]) -> list[list[int]]:
    """Delete what lies beside these audit records; returns their numbers as ranges."""
    private, numbers = tables.audit_private, sorted(seqs)
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        connection.execute(delete(private).where(private.c.seq.in_(batch)))
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges

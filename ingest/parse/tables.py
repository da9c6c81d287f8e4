"""Rows of cell texts as a table element, whatever format they come from."""

import re
from collections.abc import Iterable, Sequence

from ingest.parse import clean
from ingest.parse.model import Element

_MAX_HEADER_ROWS = 4
_SIGNS_BEFORE = frozenset("$€£¥")
_SIGNS_AFTER = frozenset({")", "%", ")%", "%)"})


def table_element(
    rows: Iterable[Sequence[str]], *, header_rows: int, page: int | None = None
) -> Element | None:
    """A table of cell texts; empty rows and rows' empty ends are dropped. None if nothing is left.

    `header_rows` counts rows as given; an empty one among them is not counted in the element.
    """
    kept: list[str] = []
    header = 0
    for index, row in enumerate(rows):
        text = row_text(row)
        if text:
            kept.append(text)
            header += index < header_rows
    if not kept:
        return None
    return Element("table", "\n".join(kept), page=page, header_rows=min(header, len(kept) - 1))


def row_text(cells: Sequence[str]) -> str:
    """Cells joined by ` | `, without empty ones at the end."""
    texts = [clean.one_line(cell) for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return " | ".join(texts)


def header_row_count(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows read like names of columns; for tables that don't say.

    A first row without values is a header. So are rows under it whose first cell is empty, as in
    reports with years below a spanning title, if values follow.
    """
    filled = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if len(filled) < 2 or _has_value(filled[0]):
        return 0
    count = 1
    while count < min(len(filled) - 1, _MAX_HEADER_ROWS):
        row = filled[count]
        if row[0] or _has_value(row) or not any(map(_has_value, filled[count + 1 :])):
            break
        count += 1
    return count


def _has_value(row: Sequence[str]) -> bool:
    return any(map(is_value, row))


def is_value(cell: str) -> bool:
    """Whether a cell holds a number, an amount or a bare date. A year may name a column."""
    if re.fullmatch(r"(19|20)\d\d", cell):
        return False
    letters = sum(char.isalpha() for char in cell)
    return letters < 3 and sum(char.isdigit() for char in cell) > letters


def without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """The rows without columns in which no row has text."""
    width = max(map(len, rows), default=0)
    used = [i for i in range(width) if any(i < len(row) and row[i].strip() for row in rows)]
    return [[row[i] if i < len(row) else "" for i in used] for row in rows]


def with_signs_joined(rows: list[list[str]]) -> list[list[str]]:
    """Currency and percent signs that have cells of their own joined to their number.

    Financial reports set `$ | 1,234 | )` in three columns to align the digits.
    """
    return [_signs_joined([cell.strip() for cell in row]) for row in rows]


def _signs_joined(row: list[str]) -> list[str]:
    row = list(row)
    for i, cell in enumerate(row):
        if cell in _SIGNS_BEFORE:
            following = next((j for j in range(i + 1, len(row)) if row[j]), None)
            if following is not None and row[following][0] in "0123456789(-—–.":
                row[following], row[i] = f"{cell}{row[following]}", ""
        elif cell in _SIGNS_AFTER:
            before = next((j for j in range(i - 1, -1, -1) if row[j]), None)
            if before is not None and row[before][-1].isdigit():
                row[before], row[i] = f"{row[before]}{cell}", ""
    return row

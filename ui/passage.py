"""A passage with its surroundings as HTML: rows of tables as tables, the cited span marked."""

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import NamedTuple

from rag.client.records import Passage

CELL_BREAK = " | "  # how the parsers join the cells of a row
_BEGIN = '<i class="begin"></i>'  # where the browser begins to show


class _Line(NamedTuple):
    text: str
    start: int  # in the text that is shown

    @property
    def is_row(self) -> bool:
        return CELL_BREAK in self.text


def passage(found: Passage) -> str:
    """The text around the span; without a span nothing is marked."""
    shown = found.before + found.text + found.after
    span = (len(found.before), len(found.before) + len(found.text))
    runs = groupby(_lines(shown), key=lambda line: line.is_row)
    body = "".join(_table(run, span) if rows else _prose(run, span) for rows, run in runs)
    lead = '<p class="more">…</p>' if found.before_start > 0 else ""
    tail = '<p class="more">…</p>' if found.after_end < found.n_chars else ""
    return (
        '<div class="passage" tabindex="0" role="group" aria-label="Passage">'
        f"{lead}{body}{tail}</div>"
    )


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for line in text.split("\n"):
        yield _Line(line, start)
        start += len(line) + 1


def _prose(lines: Iterator[_Line], span: tuple[int, int]) -> str:
    text = "\n".join(_marked(line.text, line.start, span) for line in lines).strip("\n")
    return f'<div class="prose">{text}</div>' if text else ""


def _table(lines: Iterator[_Line], span: tuple[int, int]) -> str:
    return f"<table><tbody>{''.join(_row(line, span) for line in lines)}</tbody></table>"


def _row(line: _Line, span: tuple[int, int]) -> str:
    cells, start = [], line.start
    for cell in line.text.split(CELL_BREAK):
        cells.append(f"<td>{_marked(cell, start, span)}</td>")
        start += len(cell) + len(CELL_BREAK)
    return f"<tr>{''.join(cells)}</tr>"


def _marked(text: str, start: int, span: tuple[int, int]) -> str:
    """`text`, which stands at `start`, escaped and with its part of the span marked."""
    first = min(max(span[0] - start, 0), len(text))
    last = min(max(span[1] - start, first), len(text))
    if first == last:
        return escape(text)
    begin = _BEGIN if start + first == span[0] else ""
    cited = f"{begin}<mark>{escape(text[first:last])}</mark>"
    return f"{escape(text[:first])}{cited}{escape(text[last:])}"

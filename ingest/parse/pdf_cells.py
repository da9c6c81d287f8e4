"""Lines of a table as cells, and cells as the text of a table with its header on one line."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from ingest.parse.layout import Block, Placed, Row, Segment, is_number, join_words, starts_item
from ingest.parse.pdf_chars import Word

_SIGN_BEFORE = re.compile(r"[$€£¥(]+$|(?:US|C|A)?\$$")
_CURRENCY = re.compile(r"(?:US|C|A)?[$€£¥]$")
_SIGN_AFTER = re.compile(r"[)%\]*]+$|pts?\.?$")
_YEAR = re.compile(
    r"\(?(?:19|20)\d\d[.,)*]*$|\d{1,2},$|\d{1,2}/\d{1,2}/\d{2,4}$|\d{1,2}\.\d{1,2}\.\d{2,4}$"
)
_DOTS = re.compile(r"[.·…_]{3,}$")
_GOES_ON = re.compile(r",$|^(?:and|or|of|the|to|for|in|on|with|by|from|und|oder|von|y|o|de)$")

MIN_ROWS = 3
MAX_HEADER_LINES = 5

Band = tuple[float, float]  # left and right edge of a column, in points
Grid = list[list[list[Word]]]  # rows of cells of words


class Cell:
    """The words of one cell on one line."""

    __slots__ = ("numeric", "words", "x0", "x1", "year")

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.x0 = words[0].x0
        self.x1 = max(w.x1 for w in words)
        self.numeric = all(is_number(w.text) for w in words)
        self.year = all(_YEAR.match(w.text) for w in words)


class Line:
    """A row of the page as cells."""

    __slots__ = ("bold", "cells", "row", "y0", "y1")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.cells = _cells(row)
        self.y0 = min(s.y0 for s in row)
        self.y1 = max(s.y1 for s in row)
        self.bold = all(s.bold for s in row)

    @property
    def text(self) -> str:
        """All words of the line."""
        return " ".join(w.text for c in self.cells for w in c.words)


def _cells(row: Row) -> list[Cell]:
    """A row's segments as cells: signs go to their figure, bullets to their text, leaders go."""
    groups: list[list[Word]] = []
    for segment in row:
        for words in _cut(segment.words):
            if groups and (
                _SIGN_BEFORE.match(groups[-1][-1].text)
                or _SIGN_AFTER.match(words[0].text)
                or (len(groups) == 1 and _is_marker(groups[0]))
            ):
                groups[-1] = groups[-1] + words
            else:
                groups.append(words)
    return [Cell(words) for words in groups]


def _cut(words: list[Word]) -> Iterator[list[Word]]:
    """Cut at dot leaders, and "19,442 $" where the sign of the next cell has come close."""
    cell: list[Word] = []
    for word in words:
        leader = _DOTS.match(word.text)
        sign = cell and _CURRENCY.match(word.text) and is_number(cell[-1].text)
        if cell and (leader or sign):
            yield cell
            cell = []
        if not leader:
            cell.append(word)
    if cell:
        yield cell


def _is_marker(words: list[Word]) -> bool:
    probe = Segment([*words, *words])
    return len(words) == 1 and starts_item([probe]) and not words[0].text.isalnum()


def render(lines: Sequence[Line], bands: list[Band]) -> Block:
    """The table as a block, its header on one line."""
    n_header = _header_lines(lines, bands)
    grid: Grid = [_merged_header(lines[:n_header], bands)] if n_header else []
    step = wrap_step(lines[n_header:])
    for index, line in enumerate(lines[n_header:], n_header):
        cells = place(line, bands)
        near = index > n_header and line.y0 - lines[index - 1].y0 < step
        if index > n_header and (near or _is_wrapped(grid[-1], cells)):
            for have, more in zip(grid[-1], cells, strict=True):
                have += more
        else:
            grid.append(cells)
    rows = [line.row for line in lines]
    return table_block(grid, rows, header_rows=min(1, n_header))


def wrap_step(lines: Sequence[Line]) -> float:
    """Lines of a text table nearer than this belong to one row; 0 where no gap tells rows apart."""
    if len(lines) < MIN_ROWS or any(c.numeric for line in lines for c in line.cells[1:]):
        return 0.0
    steps = sorted(b.y0 - a.y0 for a, b in pairwise(lines))
    height = median(line.y1 - line.y0 for line in lines)
    limit = steps[0] + 0.3 * height
    apart = sum(step > limit for step in steps)
    return limit if 0.25 * len(steps) <= apart < len(steps) else 0.0


def table_block(grid: Grid, rows: Sequence[Row], *, header_rows: int) -> Block:
    """A grid of cells as a block of kind table, one row a line."""
    texts: list[str] = []
    placed: list[Placed] = []
    position = 0
    for cells in grid:
        while cells and not cells[-1]:
            cells = cells[:-1]
        line = ""
        for index, words in enumerate(cells):
            line += " | " if index else ""
            text, spans = join_words(words, position + len(line))
            line += text
            placed += spans
        if line:
            texts.append(line)
            position += len(line) + 1
    block = Block("table", "\n".join(texts), placed, rows)
    block.header_rows = header_rows
    return block


def _header_lines(lines: Sequence[Line], bands: list[Band]) -> int:
    """How many lines at the top name the columns: no figures in them other than years."""
    for index, line in enumerate(lines[: MAX_HEADER_LINES + 1]):
        edge = bands[1][0] + 1 if index else bands[0][1]  # a label may be wider than others
        values = [c for c in line.cells if c.x1 > edge or c.x0 >= bands[0][1]]
        section = len(line.cells) == 1 and line.text.endswith(":")
        if section or not values or any(c.numeric and not c.year for c in values):
            return index
        if index and not any(c.numeric for rest in lines for c in rest.cells[1:]):
            # A table of texts has one line of header, if its weight says so.
            return int(all(x.bold != lines[0].bold for x in lines[1:]))
    return 0


def _merged_header(lines: Sequence[Line], bands: list[Band]) -> list[list[Word]]:
    """The header's lines as one, what spans several columns repeated over each of them."""
    header: list[list[Word]] = [[] for _ in bands]
    for line in lines:
        labels = [c for c in line.cells if c.x0 < bands[0][1] and c.x1 < bands[1][0] + 1]
        values = [Cell(p) for c in line.cells if c not in labels for p in _parts(c, bands)]
        over = _cells_over(values, bands[1:])
        for words, cell in zip(header[1:], over, strict=True):
            words += cell.words if cell else []
        for cell in (*labels, *values):
            if cell not in over:
                header[0] += cell.words
    return header


def _cells_over(cells: list[Cell], bands: list[Band]) -> list[Cell | None]:
    """Which of a header line's cells names each column."""
    if not cells:
        return [None] * len(bands)
    each, rest = divmod(len(bands), len(cells))
    groups = [bands[i * each : (i + 1) * each] for i in range(len(cells))]
    if not rest and all(
        g[0][0] < (c.x0 + c.x1) / 2 < g[-1][1] for g, c in zip(groups, cells, strict=True)
    ):
        return [cell for cell in cells for _ in range(each)]
    reach = 0.5 * max((b[0] - a[1] for a, b in pairwise(bands)), default=0.0)
    found: list[Cell | None] = []
    for band in bands:
        gap, _, nearest = min((_distance(c, band), i, c) for i, c in enumerate(cells))
        found.append(nearest if gap <= reach else None)
    return found


def _distance(cell: Cell, band: Band) -> float:
    """Points between a cell and a column, negative where they overlap."""
    return max(cell.x0 - band[1], band[0] - cell.x1)


def place(line: Line, bands: list[Band]) -> list[list[Word]]:
    """The line's cells by column."""
    placed: list[list[Word]] = [[] for _ in bands]
    for cell in line.cells:
        for words in _parts(cell, bands):
            placed[_nearest(words[0].x0, max(w.x1 for w in words), bands)] += words
    return placed


def _parts(cell: Cell, bands: list[Band]) -> list[list[Word]]:
    """A cell that reaches over several columns, cut where a figure stands in the next one."""
    parts = [cell.words[:1]]
    for word in cell.words[1:]:
        here = _nearest(word.x0, word.x1, bands)
        last = parts[-1][-1]
        if (
            here != _nearest(last.x0, last.x1, bands)
            and bands[here][0] - 1 < word.x0 < bands[here][1]
            and (is_number(word.text) or word.x0 - last.x1 > 0.5 * word.size)
            and not _SIGN_BEFORE.match(last.text)
        ):
            parts.append([])
        parts[-1].append(word)
    return parts


def _nearest(x0: float, x1: float, bands: list[Band]) -> int:
    """The column that a stretch overlaps most or is nearest to; the left one of two equals."""
    return min(range(len(bands)), key=lambda i: max(x0 - bands[i][1], bands[i][0] - x1))


def _is_wrapped(above: list[list[Word]], cells: list[list[Word]]) -> bool:
    """Whether a row goes on with the label or the texts of the row above."""
    if cells[0] and above[0]:
        last = above[0][-1].text
        if last.endswith(":") or not (cells[0][0].text[:1].islower() or _GOES_ON.search(last)):
            return False
        return not any(cells[1:]) or not any(above[1:])
    if cells[0] or not any(cells):
        return False
    texts = [words for words in cells if words]
    if any(all(is_number(w.text) for w in words) for words in texts):
        return False
    gap = texts[0][0].y0 - max(w.y1 for words in above for w in words)
    return gap < 0.6 * (texts[0][0].y1 - texts[0][0].y0) and all(
        above[i] and above[i][0].bold == words[0].bold and abs(above[i][0].x0 - words[0].x0) < 3.0
        for i, words in enumerate(cells)
        if words
    )

"""The words and grids of a page in, its blocks in reading order out.

Ruled tables are taken out first and put back, each as one thing, where they stand; tables without
rules are found among the rows of each column.
"""

import re
import struct

from ingest.parse.layout import (
    Block,
    Placed,
    Segment,
    is_number,
    reading_order,
    to_paragraphs,
    to_rows,
    to_segments,
)
from ingest.parse.pdf_cells import Grid as Cells
from ingest.parse.pdf_cells import Line, table_block
from ingest.parse.pdf_chars import Word, from_frame
from ingest.parse.pdf_rules import Grid
from ingest.parse.pdf_tables import MIN_CELL_CHARS, find_tables

_UNITS = re.compile(  # "(In millions, except per share amounts) (Unaudited)"
    r"(?=.*\b(?:thousands?|millions?|billions?|unaudited|percent|%|tausend|tsd|mio|mrd|millionen|"
    r"milliarden|miles|millones|milliers|t?eur|euro|usd|dollars?)\b)"
    r"\([^()]{5,120}\)(?: \([^()]{5,40}\))?",
    re.IGNORECASE,
)
_MAX_CELL_WORDS = 40  # mean; boxes with more than that are a layout, not a table
_MIN_FILLED = 0.4  # share of a grid's cells with text
_MIN_LINE_WORDS = 2.5  # mean over a cell's lines; fewer is a stack of values


def to_blocks(words: list[Word], hyphenated: set[str], grids: list[Grid]) -> list[Block]:
    """The blocks of a page in reading order: paragraphs, list items and tables."""
    segments: list[Segment] = []
    for grid in grids:
        grid = _trimmed(grid, _fill(grid, [w for w in words if _holds(grid, w)]))
        inside = [w for w in words if _holds(grid, w)]
        table = None if not inside or _cuts_lines(grid, words) else _ruled_table(grid, inside)
        if table:
            taken = set(map(id, inside))
            words = [w for w in words if id(w) not in taken]
            segments.append(Segment(inside, table=table))
    segments += to_segments(words)
    blocks: list[Block] = []
    for region in reading_order(segments):
        blocks += _with_units(_region_blocks(region, hyphenated))
    return blocks


def _with_units(blocks: list[Block]) -> list[Block]:
    """A remark above a table ("(in millions)") becomes the beginning of its header.

    There it is quoted with each row, which says little without it.
    """
    merged: list[Block] = []
    for block in blocks:
        above = merged[-1] if merged else None
        if above and block.kind == "table" and _UNITS.fullmatch(above.text):
            glue = "\n" if not block.header_rows else "" if block.text[0] == " " else " "
            block.text = f"{above.text}{glue}{block.text}"
            by = len(above.text) + len(glue)
            moved = [Placed(p.start + by, p.end + by, p.word) for p in block.placed]
            block.placed = above.placed + moved
            block.header_rows = max(1, block.header_rows)
            block.y0 = min(above.y0, block.y0)
            merged.pop()
        merged.append(block)
    return merged


def _region_blocks(region: list[Segment], hyphenated: set[str]) -> list[Block]:
    rows = to_rows(region)
    right = max(s.x1 for s in region)
    blocks: list[Block] = []
    begin = 0
    for index in range(len(rows) + 1):
        table = rows[index][0].table if index < len(rows) else None
        if index < len(rows) and table is None:
            continue
        done = begin
        for start, end, found in find_tables(rows[begin:index]):
            blocks += to_paragraphs(rows[done : begin + start], hyphenated, right)
            blocks += found
            done = begin + end
        blocks += to_paragraphs(rows[done:index], hyphenated, right)
        blocks += [table] if table else []
        begin = index + 1
    return blocks


def _holds(grid: Grid, word: Word) -> bool:
    x, y = (word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2
    return len(grid.ys) > 2 and grid.xs[0] < x < grid.xs[-1] and grid.ys[0] < y < grid.ys[-1]


def _cuts_lines(grid: Grid, words: list[Word]) -> bool:
    """Whether lines go on beside the grid: then its rules part a table only in places."""
    left, right = grid.xs[0], grid.xs[-1]
    top, bottom = grid.ys[0], grid.ys[-1]
    beside = [
        w
        for w in words
        if top < (w.y0 + w.y1) / 2 < bottom
        and (left - 15 < w.x1 <= left + 2 or right - 2 <= w.x0 < right + 15)
    ]
    return len(beside) > 1


def _fill(grid: Grid, words: list[Word]) -> Cells:
    """The words of each cell of a grid, line by line."""
    cells: Cells = [[[] for _ in grid.xs[1:]] for _ in grid.ys[1:]]
    for row in to_rows(to_segments(words)):
        for segment in row:
            for word in segment.words:
                y = (word.y0 + word.y1) / 2
                at_row, at_column = grid.cell_of((word.x0 + word.x1) / 2, y)
                cells[at_row][at_column].append(word)
    return cells


def _trimmed(grid: Grid, cells: Cells) -> Grid:
    """The grid without boxes above and below it, which hold a caption, a note or other text."""
    several = [index for index, row in enumerate(cells) if sum(map(bool, row)) > 1]
    if not several:
        return grid._replace(ys=[])
    return grid._replace(ys=grid.ys[several[0] : several[-1] + 2])


def _ruled_table(grid: Grid, words: list[Word]) -> Block | None:
    """What is written in a grid, unless it frames something else than a table."""
    cells = _fill(grid, words)
    filled = [cell for row in cells for cell in row if cell]
    rows = [row for row in cells if any(row)]
    columns = [c for c in range(len(grid.xs) - 1) if any(row[c] for row in cells)]
    if len(rows) < 2 or len(columns) < 2 or len(filled) < _MIN_FILLED * len(rows) * len(columns):
        return None
    n_chars = sum(len(w.text) for w in words)
    if len(words) > _MAX_CELL_WORDS * len(filled) or n_chars < MIN_CELL_CHARS * len(filled):
        return None
    if any(_has_hidden_rows(row) for row in rows):
        return None
    header = _is_header(rows)
    if header:
        _repeat_spanning(grid, cells)
    return table_block(
        [[row[c] for c in columns] for row in rows],
        [to_segments(words)],
        header_rows=int(header),
    )


def _has_hidden_rows(row: list[list[Word]]) -> bool:
    """Whether a row of the grid holds several rows of a table: short texts under each other."""
    stacked = 0
    for words in row:
        n_lines = len(to_rows(to_segments(words)))
        stacked += n_lines > 2 and len(words) < _MIN_LINE_WORDS * n_lines
    return stacked > 1


def _is_header(rows: Cells) -> bool:
    """Whether the first row names the columns: no figures, but others' weight or length."""
    first = [cell for cell in rows[0] if cell]
    lines = [Line([Segment(cell)]) for cell in first]
    if len(first) < 2 or any(c.numeric and not c.year for line in lines for c in line.cells):
        return False
    below = [cell for row in rows[1:] for cell in row if cell]
    if all(w.bold for cell in first for w in cell) and not all(w.bold for c in below for w in c):
        return True
    if sum(is_number(cell[0].text) for cell in below) > 0.3 * len(below):
        return True
    return len(first) > 2 and max(map(len, first)) < 5


def _repeat_spanning(grid: Grid, cells: Cells) -> None:
    """Write a header cell that covers several columns over each of them."""
    for column, words in enumerate(list(cells[0])):
        for other in range(1, grid.width_of(0, column) if words else 1):
            cells[0][column + other] = cells[0][column + other] or words


def settle(block: Block, turn: int, width: float, height: float) -> None:
    """Put a block where it is displayed, and keep its words packed only."""
    block.words = _pack(block.placed, turn, width, height)
    block.placed = []
    box = from_frame((block.x0, block.y0, block.x1, block.y1), turn, width, height)
    block.x0, block.y0, block.x1, block.y1 = box


def _pack(placed: list[Placed], turn: int, width: float, height: float) -> bytes:
    """Words as `model.Element.words`."""
    numbers: list[float] = []
    for start, end, word in placed:
        if end > start:
            numbers += (start, end, *from_frame(word[1:5], turn, width, height))
    return struct.pack(f"<{len(numbers)}f", *numbers)

"""Rows of a column in, tables out: found by how their cells stand under each other.

Financial reports rarely rule their tables: a label, then figures aligned to the right, with "$"
and ")" as words of their own and a header of several lines that spans columns. A false table is
worse than a missed one, so whatever reads like prose is left alone.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ingest.parse.layout import Block, Row, Segment, to_paragraphs
from ingest.parse.pdf_cells import (
    MAX_HEADER_LINES,
    MIN_ROWS,
    Band,
    Cell,
    Line,
    place,
    render,
    wrap_step,
)

_MAX_LABEL_ROWS = 4  # rows of one cell between rows of several
_MAX_GAP = 2.6  # line heights between two rows of a table
_PROSE_WORDS = 9  # a line this long across the columns is a sentence
_MAX_CELL_WORDS = 7.0  # mean over a text table's cells

_ADDRESS = re.compile(r"\w[.@]\w")  # in small letters, yet no prose
MIN_CELL_CHARS = 2.5  # mean; less is a formula or the scale of a drawing
_FORMULA = re.compile(r"[=∂∈∉⇒⇔→∪∩⊆∀∃≤≥∑∫√∞◦·∅]")
_MIN_FILLED = 0.45  # share of a table's cells that hold something


Found = tuple[int, int, list[Block]]  # first row, row after the last, the table


def find_tables(rows: Sequence[Row]) -> Iterator[Found]:
    """Tables among a column's rows, top down."""
    if sum(len(row) > 1 for row in rows) < MIN_ROWS:
        return
    lines = [Line(row) for row in rows]
    start = 0
    while start < len(lines):
        if len(lines[start].cells) < 2:
            start += 1
            continue
        end = _run_end(lines, start)
        found = _table_in(lines, start, end)
        if found:
            yield found
        start = found[1] if found else end


def _run_end(lines: list[Line], start: int) -> int:
    """The row after the last that may belong to a table that begins at `start`."""
    end = start + 1
    singles = 0
    for index in range(start + 1, len(lines)):
        line, before = lines[index], lines[index - 1]
        height = min(line.y1 - line.y0, before.y1 - before.y0)
        if line.row[0].table or line.y0 - before.y1 > _MAX_GAP * height:
            break
        if len(line.cells) >= 2:
            end, singles = index + 1, 0
        elif line.cells and (singles := singles + 1) > _MAX_LABEL_ROWS:
            break
    return end


def _table_in(lines: list[Line], start: int, end: int) -> Found | None:
    """The table in a run of lines, cut where a sentence runs across its columns."""
    bands = _bands(lines[start:end])
    if len(bands) < 2:
        return None
    for index in range(start, end):
        if _is_sentence(lines[index], bands):
            head = index - start >= MIN_ROWS
            above = _table_in(lines, start, _last_multi(lines, start, index)) if head else None
            rest = next((i for i in range(index + 1, end) if len(lines[i].cells) > 1), end)
            return above or (_table_in(lines, rest, end) if end - rest >= MIN_ROWS else None)
    while start < end and not any(c.x0 >= bands[0][1] - 1 for c in lines[start].cells):
        start += 1
    while end - start > MIN_ROWS and _is_larger(lines[start], lines[start + 1 : end]):
        start += 1
    end = _inner_header(lines, start, end, bands)
    if not _is_table(lines[start:end], bands):
        return None
    if not any(c.numeric for line in lines[start:end] for c in line.cells[1:]) and _is_running(
        lines[start:end]
    ):
        return start, end, _as_columns(lines[start:end], bands)
    start = _spanning_header(lines, start, bands)
    end = _wrapped_end(lines, end, bands)
    return start, end, [render(lines[start:end], bands)]


def _is_larger(line: Line, below: Sequence[Line]) -> bool:
    """Whether a line is a heading that is set in pieces ("Note 7 :    Income taxes")."""
    largest = max(s.size for other in below for s in other.row)
    return min(s.size for s in line.row) > 1.1 * largest


def _inner_header(lines: list[Line], start: int, end: int, bands: list[Band]) -> int:
    """Where figures give way to names of columns again, another table begins."""
    figures = False
    for index in range(start, end):
        cells = lines[index].cells
        has_label = not cells or cells[0].x0 < bands[0][1]
        names = not has_label and all(c.year or not c.numeric for c in cells)
        if figures and names and index - start >= MIN_ROWS and end - index > MIN_ROWS:
            following = lines[index + 1].cells
            if following and following[0].x0 >= bands[0][1]:
                return _last_multi(lines, start, index)
        figures = figures or any(c.numeric and not c.year for c in cells[1:])
    return end


def _last_multi(lines: list[Line], start: int, end: int) -> int:
    while end > start and len(lines[end - 1].cells) < 2:
        end -= 1
    return end


def _is_sentence(line: Line, bands: list[Band]) -> bool:
    if len(line.cells) != 1:
        return False
    cell = line.cells[0]
    return len(cell.words) >= _PROSE_WORDS and cell.x1 > bands[1][0] + 10


def _bands(lines: Sequence[Line]) -> list[Band]:
    """Where the columns stand: narrow cells found them, wider ones widen them."""
    multi = [line for line in lines if len(line.cells) > 1]
    if all(len(line.cells) == 2 and line.cells[1].numeric for line in multi):
        # A table of contents: its page numbers follow their dots, wherever those end.
        split = min(line.cells[1].x0 for line in multi)
        return [(min(line.cells[0].x0 for line in multi), split), (split, split + 1e4)]
    cells = [c for line in multi for c in line.cells]
    # Figures first: names of columns stand over them in the middle, and may not overlap all.
    cells.sort(key=lambda c: (c.year or not c.numeric, c.x1 - c.x0))
    bands: list[list[float]] = []
    for cell in cells:
        hit = [b for b in bands if b[0] < cell.x1 and cell.x0 < b[1]]
        if not hit:
            bands.append([cell.x0, cell.x1])
        elif len(hit) == 1:
            x0, x1 = min(hit[0][0], cell.x0), max(hit[0][1], cell.x1)
            if not any(b is not hit[0] and b[0] < x1 and x0 < b[1] for b in bands):
                hit[0][:] = x0, x1
    needed = 2 if len(multi) > 3 else 1
    joined = _joined(sorted((b[0], b[1]) for b in bands), multi)
    return [b for b in joined if sum(_fills(line, b) for line in multi) >= needed]


def _fills(line: Line, band: Band) -> bool:
    return any(c.x0 < band[1] and band[0] < c.x1 for c in line.cells)


def _joined(bands: list[Band], lines: Sequence[Line]) -> list[Band]:
    """Neighbours that are never filled on the same line and that a cell spans are one column."""
    joined = bands[:1]
    for band in bands[1:]:
        last = joined[-1]
        both = spanned = False
        for line in lines:
            left = {id(c) for c in line.cells if c.x0 < last[1] and last[0] < c.x1}
            right = {id(c) for c in line.cells if c.x0 < band[1] and band[0] < c.x1}
            spanned = spanned or bool(left & right)
            both = both or bool(left and right and not left & right)
        if spanned and not both:
            joined[-1] = (last[0], band[1])
        else:
            joined.append(band)
    return joined


def _is_table(lines: Sequence[Line], bands: list[Band]) -> bool:
    """Enough rows of several cells, and cells of figures or short aligned texts."""
    multi = [line for line in lines if len(line.cells) > 1]
    if len(multi) < MIN_ROWS or len(multi) < 0.4 * len(lines):
        return False
    cells = [c for line in multi for c in line.cells]
    if len(cells) < _MIN_FILLED * len(multi) * len(bands):
        return False
    values = [c for line in multi for c in line.cells[1:]]
    n_words = sum(len(c.words) for c in cells)
    texts = ["".join(w.text for w in c.words) for c in cells]
    if sum(map(len, texts)) < MIN_CELL_CHARS * len(cells):
        return False
    if sum(bool(_FORMULA.search(text)) for text in texts) > 0.15 * len(cells):
        return False
    if sum(c.numeric for c in values) >= 0.5 * len(values):
        return n_words <= 12 * len(cells)
    if n_words > _MAX_CELL_WORDS * len(cells) or len(multi) < 0.6 * len(lines):
        return False
    return _aligned(cells, bands) >= 0.75 * len(cells)


def _is_running(lines: Sequence[Line]) -> bool:
    """Whether the lines of a column go on from one to the next: prose in columns."""
    step = wrap_step(lines)
    starts = [
        cell.words[0].text[0].islower()
        for above, line in pairwise(lines)
        if line.y0 - above.y0 >= step
        for cell in line.cells
        if not _ADDRESS.search(cell.words[0].text)
    ]
    return sum(starts) > 0.3 * len(starts)


def _as_columns(lines: Sequence[Line], bands: list[Band]) -> list[Block]:
    """Short columns of prose one after the other."""
    columns: list[list[Row]] = [[] for _ in bands]
    for line in lines:
        for column, words in zip(columns, place(line, bands), strict=True):
            if words:
                column.append([Segment(words)])
    filled = [column for column in columns if column]
    return [b for c in filled for b in to_paragraphs(c, set(), max(row[0].x1 for row in c))]


def _aligned(cells: list[Cell], bands: list[Band]) -> int:
    """How many cells share an edge or their middle with others of their column."""
    count = 0
    for x0, x1 in bands:
        mine = [c for c in cells if min(x1, c.x1) - max(x0, c.x0) > 0]
        lefts = _most_common([c.x0 for c in mine])
        middles = _most_common([(c.x0 + c.x1) / 2 for c in mine])
        count += max(lefts, middles, _most_common([c.x1 for c in mine]))
    return count


def _most_common(places: list[float]) -> int:
    """Size of the largest group of places within about three points."""
    counts = Counter(round(place / 3) for place in places)
    return max((n + counts[p + 1] for p, n in counts.items()), default=0)


def _spanning_header(lines: list[Line], start: int, bands: list[Band]) -> int:
    """The first line of the header above: short cells that stand over the columns of values."""
    first = start
    while first > 0 and start - first < MAX_HEADER_LINES:
        line, below = lines[first - 1], lines[first]
        if len(line.cells) != 1 or below.y0 - line.y1 > below.y1 - below.y0:
            break
        cell = line.cells[0]
        if cell.x0 < bands[0][1] or cell.x0 < bands[1][0] - 40 or len(cell.words) > _PROSE_WORDS:
            break
        first -= 1
    return first


def _wrapped_end(lines: list[Line], end: int, bands: list[Band]) -> int:
    """The row after the last line that only goes on with the last row's text."""
    while end < len(lines) and len(lines[end].cells) == 1:
        line, above = lines[end], lines[end - 1]
        edges = [c.x0 for c in above.cells if c.x0 >= bands[0][1]]
        close = line.y0 - above.y1 < 0.6 * (line.y1 - line.y0)
        if not close or not any(abs(line.cells[0].x0 - edge) < 3.0 for edge in edges):
            break
        end += 1
    return end

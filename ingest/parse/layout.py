"""Words of a page in, its blocks in reading order out: lines, columns, paragraphs, tables.

Content order is trusted while the geometry does not contradict it: words that follow each other
in the file and on the line form a segment; segments are put into columns where a gutter shows; and
what is left on one height forms a row. Knows one page at a time and nothing of PDFium.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.parse.model import ElementKind
from ingest.parse.pdf_chars import Word

_BULLET = re.compile(r"[•‣▪◦●○■□◆♦➢➤✓✔·∙*–—-]$|[•‣▪◦●○■□◆➢➤✓✔](?=\S)")
_ENUMERATOR = re.compile(
    r"\(?(?:\d{1,3}|[a-zA-Z]|[ivxlIVXL]{1,5})[.)]$|\d{1,2}(?:\.\d{1,2}){1,4}\.?$"
)
_NUMERIC = re.compile(r"[$€£¥(\[+\-–—−.]*\d[\d,.\s]*[%)\]]*$|[-–—$€£%)*]+$")
_CLOSING = re.compile(r"\)%?$")  # of a negative figure, drawn apart to align the digits
_RTL = re.compile(r"[\u0590-\u08ff]")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_SENTENCE_END = (".", ":", ";", "!", "?", "。", "”", '."')

_CELL_GAP = 1.0  # ems between words of one segment; justified text stays below
_JOIN_GAP = 0.45  # ems between segments of one row that are one text drawn in pieces
_MIN_GUTTER = 0.55  # ems between columns
_MIN_COLUMN_LINES = 3
_DOUBLE_SPACED = 2.4  # ems from line to line


class Segment:
    """Words on one line without a wide gap. A finished table travels as a segment too."""

    __slots__ = ("bold", "chars", "seq", "size", "table", "words", "x0", "x1", "y0", "y1")

    def __init__(self, words: list[Word], seq: int = 0, table: "Block | None" = None) -> None:
        self.words = words
        self.seq = seq
        self.table = table
        self.x0 = min([w.x0 for w in words])
        self.y0 = min([w.y0 for w in words])
        self.x1 = max([w.x1 for w in words])
        self.y1 = max([w.y1 for w in words])
        self.chars = sum([len(w.text) for w in words])
        self.size = max([(len(w.text), w.size) for w in words])[1]
        self.bold = sum([len(w.text) for w in words if w.bold]) > 0.8 * self.chars


Row = list[Segment]


class Placed(NamedTuple):
    """A word and the half-open span of its block's text that it fills."""

    start: int
    end: int
    word: Word


class Block:
    """A paragraph, list item or table, before the document decides what is a heading."""

    __slots__ = (
        "bold",
        "header_rows",
        "kind",
        "level",
        "n_lines",
        "placed",
        "size",
        "text",
        "words",
        "x0",
        "x1",
        "y0",
        "y1",
    )

    def __init__(
        self, kind: ElementKind, text: str, placed: list[Placed], rows: Sequence[Row]
    ) -> None:
        self.kind = kind
        self.text = text
        self.placed = placed
        self.words = b""  # packed as in `model.Element`
        self.level = 0
        self.n_lines = len(rows)
        self.header_rows = 0
        segments = [s for row in rows for s in row]
        self.x0 = min(s.x0 for s in segments)
        self.y0 = min(s.y0 for s in segments)
        self.x1 = max(s.x1 for s in segments)
        self.y1 = max(s.y1 for s in segments)
        self.size = max(segments, key=lambda s: s.chars).size
        self.bold = all(s.bold for s in segments)


def is_number(text: str) -> bool:
    """Whether a word reads as a figure, or as the sign that goes with one."""
    return bool(_NUMERIC.match(text))


def to_segments(words: Iterable[Word]) -> list[Segment]:
    """Join words that follow each other both in content order and on a line."""
    segments: list[Segment] = []
    run: list[Word] = []
    for word in words:
        if run and not _continues(run[-1], word):
            segments.append(Segment(run, len(segments)))
            run = []
        run.append(word)
    if run:
        segments.append(Segment(run, len(segments)))
    return segments


def _continues(last: Word, word: Word) -> bool:
    overlap = min(last.y1, word.y1) - max(last.y0, word.y0)
    if overlap < 0.5 * min(last.y1 - last.y0, word.y1 - word.y0):
        return False
    em = max(last.size, word.size, 1.0)
    gap = word.x0 - last.x1
    if gap < -0.5 * em and _RTL.search(word.text):
        gap = last.x0 - word.x1
    return -0.5 * em <= gap <= _CELL_GAP * em


def to_rows(segments: Iterable[Segment]) -> list[Row]:
    """Group segments by height on the page, top down, each row from left to right."""
    rows: list[Row] = []
    for segment in sorted(segments, key=lambda s: (s.y0 + s.y1, s.seq)):
        middle = (segment.y0 + segment.y1) / 2
        lead = rows[-1][0] if rows else None
        if (
            lead
            and not lead.table
            and not segment.table
            and (lead.y0 < middle < lead.y1 or segment.y0 < (lead.y0 + lead.y1) / 2 < segment.y1)
            and min(lead.y1, segment.y1) - max(lead.y0, segment.y0)
            > 0.4 * min(lead.y1 - lead.y0, segment.y1 - segment.y0)
        ):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    return [_in_line(row) if len(row) > 1 else row for row in rows]


def _in_line(row: Row) -> Row:
    """A row's segments in reading order; one inside another (a raised sign) is worked into it."""
    if _is_rtl(row):
        return sorted(row, key=lambda s: -s.x1)
    merged: Row = []
    for segment in sorted(row, key=lambda s: s.x0):
        last = merged[-1] if merged else None
        if last and segment.x0 - last.x1 < _JOIN_GAP * last.size:
            words = last.words + segment.words
            if segment.x0 < last.x1:
                words.sort(key=lambda w: w.x0)
            merged[-1] = Segment(words, last.seq)
        else:
            merged.append(segment)
    return merged


def _is_rtl(row: Row) -> bool:
    letters = "".join(w.text for s in row for w in s.words)
    return 2 * len(_RTL.findall(letters)) > len(letters)


def reading_order(segments: list[Segment]) -> list[list[Segment]]:
    """Regions of one column each, in the order in which a person reads them."""
    if len(segments) < 2 * _MIN_COLUMN_LINES:
        return [segments] if segments else []
    split = _best_split(segments)
    if split is None:
        return [segments]
    left, right = split
    top = min(s.y0 for s in (*left, *right))
    inside = {id(s) for s in (*left, *right)}
    rest = [s for s in segments if id(s) not in inside]
    above = [s for s in rest if (s.y0 + s.y1) / 2 < top]
    below = [s for s in rest if (s.y0 + s.y1) / 2 >= top]
    return [region for part in (above, left, right, below) for region in reading_order(part)]


def _best_split(segments: list[Segment]) -> tuple[list[Segment], list[Segment]] | None:
    """The gutter with most text on its poorer side, as the segments left and right of it."""
    best, best_chars = None, 0
    ordered = sorted(segments, key=lambda s: s.y0 + s.y1)
    for gutter in _column_starts(segments):
        for left, right in _bands(ordered, gutter):
            chars = min(sum(s.chars for s in left), sum(s.chars for s in right))
            if chars > best_chars and _are_columns(left, right):
                best, best_chars = (left, right), chars
    return best


def _column_starts(segments: list[Segment]) -> list[float]:
    """Left edges that several segments share, without the leftmost: where a column may start."""
    edges = sorted(s.x0 for s in segments)
    starts, begin = [], 0
    for i in range(1, len(edges) + 1):
        if i == len(edges) or edges[i] - edges[i - 1] > 2.0:
            if begin > 0 and i - begin >= _MIN_COLUMN_LINES:
                starts.append(edges[begin])
            begin = i
    return starts


def _bands(ordered: list[Segment], gutter: float) -> list[tuple[list[Segment], list[Segment]]]:
    """Stretches of the page without a segment across the gutter."""
    bands: list[tuple[list[Segment], list[Segment]]] = []
    left: list[Segment] = []
    right: list[Segment] = []
    for segment in ordered:
        if segment.x0 >= gutter - 1:
            right.append(segment)
        elif segment.x1 <= gutter - _MIN_GUTTER * segment.size:
            left.append(segment)
        else:
            bands.append((left, right))
            left, right = [], []
    bands.append((left, right))
    return [b for b in bands if min(map(len, b)) >= _MIN_COLUMN_LINES]


def _are_columns(left: list[Segment], right: list[Segment]) -> bool:
    """Columns hold prose side by side; cells of a table are short, numeric or drawn row by row."""
    top = max(left[0].y0, right[0].y0)
    bottom = min(left[-1].y1, right[-1].y1)
    if bottom - top < 2 * max(left[0].size, right[0].size):
        return False
    if any(s.table for s in (*left, *right)):
        words_needed = 3.0
    else:
        sides = sorted([(s.seq, 0) for s in left] + [(s.seq, 1) for s in right])
        switches = sum(a[1] != b[1] for a, b in pairwise(sides))
        apart = switches <= max(2, 0.15 * len(sides))
        # Short lines are taken for a column only if there are many of them, drawn together.
        words_needed = 5.0 if not apart else 2.0 if min(len(left), len(right)) > 5 else 3.5
    return all(_is_prose(side, words_needed) for side in (left, right))


def _is_prose(segments: list[Segment], words_needed: float) -> bool:
    words = [w.text for s in segments for w in s.words]
    if sum(map(is_number, words)) > 0.35 * len(words):
        return False
    if len(words) >= words_needed * len(segments):
        return True
    return sum(len(_WIDE.findall(w)) for w in words) > 8 * len(segments)


def join_words(words: Iterable[Word], start: int = 0) -> tuple[str, list[Placed]]:
    """A line's text and where each word stands in it, counted from `start`."""
    parts: list[str] = []
    placed: list[Placed] = []
    position = start
    for word in words:
        if parts and not (_CLOSING.match(word.text) and parts[-1][-1].isdigit()):
            parts.append(" ")
            position += 1
        parts.append(word.text)
        placed.append(Placed(position, position + len(word.text), word))
        position += len(word.text)
    return "".join(parts), placed


def row_words(row: Row) -> list[Word]:
    """All words of a row in reading order."""
    return [w for s in row for w in s.words]


def paragraph(rows: Sequence[Row], hyphenated: frozenset[str] | set[str] = frozenset()) -> Block:
    """Rows as one paragraph; a word broken at a line's end is joined.

    `hyphenated` holds words known to keep their hyphen, in lower case.
    """
    text = ""
    placed: list[Placed] = []
    for row in rows:
        words = row_words(row)
        if text:
            text = _line_end(text, words[0].text, hyphenated)
            if placed and placed[-1].end > len(text):
                placed[-1] = placed[-1]._replace(end=len(text))
        line, line_placed = join_words(words, len(text))
        text += line
        placed += line_placed
    kind: ElementKind = "list_item" if starts_item(rows[0]) else "paragraph"
    return Block(kind, text, placed, rows)


def _line_end(text: str, following: str, hyphenated: frozenset[str] | set[str]) -> str:
    """The text so far, ready for the next line's first word: a space added or a hyphen taken."""
    if text.endswith(("-", "‐")) and len(text) > 2 and text[-2].isalpha():
        head = text[text.rfind(" ") + 1 :]
        whole = (head + following).strip(".,;:()").lower()
        if not following[:1].islower() or whole in hyphenated or "-" in head[:-1]:
            return text
        return text[:-1]
    if _WIDE.match(following) and _WIDE.match(text[-1]):
        return text
    return text + " "


def starts_item(row: Row) -> bool:
    """Whether a row begins with a bullet or an enumerator."""
    words = row_words(row)
    if len(words) < 2:
        return bool(re.match(r"[•‣▪◦●○■➢✓]\S", words[0].text)) if words else False
    return bool(_BULLET.match(words[0].text) or _ENUMERATOR.match(words[0].text))


def to_paragraphs(rows: list[Row], hyphenated: set[str], right: float) -> list[Block]:
    """Cut a column's rows into paragraphs and list items; `right` is the column's right edge."""
    if not rows:
        return []
    pitch = _line_pitch(rows)
    blocks: list[Block] = []
    current: list[Row] = [rows[0]]
    for before, row in pairwise(rows):
        if _breaks(current, before, row, pitch, right):
            blocks.append(paragraph(current, hyphenated))
            current = []
        current.append(row)
    blocks.append(paragraph(current, hyphenated))
    return blocks


def _line_pitch(rows: list[Row]) -> float:
    """Distance of the lines within paragraphs: the lower quartile keeps paragraph gaps out.

    Never more than double spacing, for on a slide each line may be a paragraph.
    """
    steps = sorted(b[0].y1 - a[0].y1 for a, b in pairwise(rows))
    largest = _DOUBLE_SPACED * max(row[0].size for row in rows)
    return min(steps[len(steps) // 4], largest) if steps else 0.0


def _breaks(current: list[Row], before: Row, row: Row, pitch: float, right: float) -> bool:
    """Whether a new paragraph begins at `row`."""
    last, first = before[-1], row[0]
    size = max(last.size, first.size)
    step = first.y1 - before[0].y1
    if step > max(1.35 * pitch, 1.3 * size) or step < 0:
        return True
    if abs(last.size - first.size) > 0.08 * size and before[0].size != row[-1].size:
        return True
    if starts_item(row):
        return True
    room = right - last.x1 - (first.words[0].x1 - first.words[0].x0)
    is_bold, was_bold = all(s.bold for s in row), all(s.bold for s in before)
    if room > size and is_bold != was_bold:
        return True
    ends = before[-1].words[-1].text.endswith(_SENTENCE_END)
    if room > 2.5 * size and (ends or not first.words[0].text[:1].islower()):
        return not _centred_pair(before, row)
    indent = first.x0 - before[0].x0
    return indent > 0.8 * size and ends and not starts_item(current[0])


def _centred_pair(before: Row, row: Row) -> bool:
    """Two lines of one centred title."""
    middle = (before[0].x0 + before[-1].x1) / 2 - (row[0].x0 + row[-1].x1) / 2
    return (
        abs(middle) < 2.0 and abs(before[0].x0 - row[0].x0) > 4.0 and before[0].bold and row[0].bold
    )


def note_hyphenated(words: Iterable[Word], known: set[str]) -> None:
    """Remember compounds written with a hyphen inside a line: they keep it at a line's end."""
    for word in words:
        if "-" in word.text[1:-1]:
            known.add(word.text.strip(".,;:()").lower())

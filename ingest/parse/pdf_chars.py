"""One PDF page in, its words with place, size and weight out. The only module at character level.

Reads through PDFium's raw interface: one `ctypes` call for a page's text, then a handful a word,
since that is what the parser's speed hangs on. Knows nothing of lines or of layout.
"""

import ctypes
import math
import re
import unicodedata
from collections.abc import Callable
from ctypes import byref
from typing import NamedTuple

import pypdfium2.raw as pdfium
from pypdfium2 import PdfPage, PdfTextPage

from ingest.parse import pdf_raw
from ingest.parse.clean import one_line
from ingest.parse.pdf_hidden import Sight, unseen

HYPHEN_MARK = "\x02"  # PDFium's own sign for a hyphen that ends a line
_TOKEN = re.compile(rf"[^\s{HYPHEN_MARK}]+{HYPHEN_MARK}?")
# Two letters of one glyph, which PDFium turns round with the rest of the Arabic line.
_LAM_ALEF = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_CHARS = 200_000  # a page with more is an attack, not a page
_BOLD_NAME = re.compile(r"bold|black|heavy|semibd|demi", re.IGNORECASE)
_BOLD_WEIGHT = 600
_FORCE_BOLD_FLAG = 1 << 18  # PDF 32000-1, table 123

Point = tuple[float, float]
Rect = tuple[float, float, float, float]


class Word(NamedTuple):
    """A word in the frame of its reader: x grows along the line, y down the page, in points.

    The frame is the displayed page, turned by `PageText.turns` for text that runs up or down it.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool


class PageText(NamedTuple):
    """The words of a page in content order, by the quarter turns (0-3) that make them level."""

    width: float
    height: float
    turns: dict[int, list[Word]]
    n_chars: int
    n_garbage: int  # characters without a meaning: no Unicode mapping, private use, control
    n_hidden: int = 0  # words left out because nobody sees them on the page


class Style(NamedTuple):
    """What a run of text looks like. `turn` counts clockwise quarter turns in user space."""

    size: float
    bold: bool
    turn: int
    doubt: str  # why it may not be seen, see `pdf_hidden`


def _letters() -> dict[int, str | None]:
    """Ligatures and Arabic presentation forms as letters, bullets of symbol fonts as bullets."""
    codes = (*range(0xFB00, 0xFE00), *range(0xFE70, 0xFEFF))
    table: dict[int, str | None] = {c: unicodedata.normalize("NFKC", chr(c)) for c in codes}
    table.update(dict.fromkeys((*range(0xE000, 0xF900), 0xFFFD)))
    table.update(dict.fromkeys((0xF0B7, 0xF0A7, 0xF0D8, 0xF0FC, 0xF06F, 0xF076, 0xF0A8), "•"))
    return table


_LETTERS = _letters()


def clean_word(text: str) -> str:
    """A word without what a reader cannot see, ligatures resolved, halves of characters paired."""
    if text.isascii() and text.isprintable():
        return text
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    return one_line(text.translate(_LETTERS))


def read_words(page: PdfPage, textpage: PdfTextPage) -> PageText:
    """All visible words of a page; what lies off its crop box, or cannot be seen, is left out."""
    n_chars = min(max(pdfium.FPDFText_CountChars(textpage.raw), 0), _MAX_CHARS)
    raw = pdf_raw.address(textpage.raw)
    text = pdf_raw.text_of(raw, n_chars)
    place = page_transform(page)
    style_at = _style_reader(raw)
    rect_at = _rect_reader(raw)
    text = _LAM_ALEF.sub(
        lambda m: m[0][::-1] if rect_at(m.start()) == rect_at(m.start() + 1) else m[0], text
    )
    turns: dict[int, list[Word]] = {}
    doubts: list[tuple[str, Rect]] = []
    doubtful: list[tuple[int, int]] = []  # turn and place of each of them
    for match in _TOKEN.finditer(text):
        for start, end, rect in _pieces(rect_at, match.start(), match.end()):
            word_text = clean_word(text[start:end].rstrip(HYPHEN_MARK))
            if text[end - 1] == HYPHEN_MARK:
                word_text += "-"
            box = place.box(rect) if word_text else None
            if box is None:
                continue
            size, bold, turn, doubt = style_at(start)
            turn = (turn + place.rotation) % 4
            if doubt:
                doubts.append((doubt, box))
                doubtful.append((turn, len(turns.get(turn, ()))))
            word = Word(word_text, *to_frame(box, turn, place.width, place.height), size, bold)
            turns.setdefault(turn, []).append(word)
    n_garbage = sum(1 for c in text if c in "\x00\ufffd" or "\ue000" <= c <= "\uf8ff")
    n_hidden = 0
    if doubts:
        hidden = unseen(page, doubts, place.width, place.height)
        n_hidden = _drop(turns, [at for at, drop in zip(doubtful, hidden, strict=True) if drop])
    return PageText(place.width, place.height, turns, n_chars, n_garbage, n_hidden)


def _drop(turns: dict[int, list[Word]], places: list[tuple[int, int]]) -> int:
    """Take out the words at these places; returns how many they are."""
    for turn, at in reversed(places):
        del turns[turn][at]
        if not turns[turn]:
            del turns[turn]
    return len(places)


class PageTransform(NamedTuple):
    """From user space (origin bottom left, unrotated) to the displayed page (origin top left)."""

    bounds: Rect  # crop box within the media box, user space: left, bottom, right, top
    rotation: int  # clockwise quarter turns
    width: float
    height: float

    def point(self, x: float, y: float) -> Point:
        """Where a point of user space is displayed."""
        left, bottom, right, top = self.bounds
        return (
            (x - left, top - y),
            (y - bottom, x - left),
            (right - x, y - bottom),
            (top - y, right - x),
        )[self.rotation]

    def box(self, rect: Rect) -> Rect | None:
        """Where a rectangle is displayed, cut to the page; None where its middle is off it."""
        xa, ya = self.point(rect[0], rect[1])
        xb, yb = self.point(rect[2], rect[3])
        x0, x1 = (xa, xb) if xa <= xb else (xb, xa)
        y0, y1 = (ya, yb) if ya <= yb else (yb, ya)
        if not (0 <= (x0 + x1) / 2 <= self.width and 0 <= (y0 + y1) / 2 <= self.height):
            return None
        return max(x0, 0.0), max(y0, 0.0), min(x1, self.width), min(y1, self.height)


def page_transform(page: PdfPage) -> PageTransform:
    """The transform of a page, crop box and rotation applied."""
    rect = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page.raw, byref(rect))
    bounds = (rect.left, rect.bottom, rect.right, rect.top)
    width, height = rect.right - rect.left, rect.top - rect.bottom
    rotation = pdfium.FPDFPage_GetRotation(page.raw) % 4
    if rotation % 2:
        width, height = height, width
    return PageTransform(bounds, rotation, width, height)


def to_frame(box: Rect, turn: int, width: float, height: float) -> Rect:
    """A displayed box in the frame of text that runs `turn` clockwise quarter turns off level.

    `width` and `height` are the displayed page's.
    """
    x0, y0, x1, y1 = box
    if turn == 0:
        return box
    if turn == 1:  # runs down the page
        return y0, width - x1, y1, width - x0
    if turn == 2:
        return width - x1, height - y1, width - x0, height - y0
    return height - y1, x0, height - y0, x1


def from_frame(box: Rect, turn: int, width: float, height: float) -> Rect:
    """The inverse of `to_frame`; `width` and `height` are the displayed page's."""
    x0, y0, x1, y1 = box
    if turn == 0:
        return box
    if turn == 1:
        return width - y1, x0, width - y0, x1
    if turn == 2:
        return width - x1, height - y1, width - x0, height - y0
    return y0, height - x1, y1, height - x0


def _union(a: Rect, b: Rect) -> Rect:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _rect_reader(raw: int) -> Callable[[int], Rect]:
    """Boxes of characters in user space, of the font's height so that a line's words agree."""
    loose = pdfium.FS_RECTF()
    at_loose = ctypes.addressof(loose)
    tight = [ctypes.c_double() for _ in range(4)]
    left, right, bottom, top = tight
    get_loose = pdf_raw.loose_box_at
    text_page = ctypes.cast(raw, pdfium.FPDF_TEXTPAGE)

    def rect_at(index: int) -> Rect:
        if get_loose(raw, index, at_loose):
            rect: Rect = (loose.left, loose.bottom, loose.right, loose.top)
            if rect[2] > rect[0] and rect[3] > rect[1]:
                return rect
        pdfium.FPDFText_GetCharBox(text_page, index, *map(byref, tight))
        return left.value, bottom.value, right.value, top.value

    return rect_at


def _pieces(rect_at: Callable[[int], Rect], start: int, end: int) -> list[tuple[int, int, Rect]]:
    """A run without spaces and its box, cut where it jumps to another line: PDFium joins some."""
    first = rect_at(start)
    if end - start == 1:
        return [(start, end, first)]
    last = rect_at(end - 1)
    if end - start == 2 or _touching(first, last):
        return [(start, end, _union(first, last))]
    pieces, begin, box, before = [], start, first, first
    for index in range(start + 1, end):
        here = rect_at(index)
        if not _touching(before, here):
            pieces.append((begin, index, box))
            begin, box = index, here
        box, before = _union(box, here), here
    return [*pieces, (begin, end, box)]


def _touching(a: Rect, b: Rect) -> bool:
    """Whether two characters share a line, level or upright."""
    return (a[1] < b[3] and b[1] < a[3]) or (a[0] < b[2] and b[0] < a[2])


def _style_reader(raw: int) -> Callable[[int], Style]:
    """Styles of characters, read once a text object, and once a font for its weight."""
    styles: dict[int | None, Style] = {}
    weights: dict[int | None, bool] = {}
    matrix = pdfium.FS_MATRIX()
    at_matrix = ctypes.addressof(matrix)
    sight = Sight()

    def is_bold(thing: int) -> bool:
        font = pdf_raw.font_of(thing)
        if font not in weights:
            weights[font] = font is not None and _is_bold(ctypes.cast(font, pdfium.FPDF_FONT))
        return weights[font]

    def style_at(index: int) -> Style:
        thing = pdf_raw.object_at(raw, index)
        style = styles.get(thing)
        if style is None:
            pdf_raw.matrix_at(raw, index, at_matrix)
            a, b, c, d = matrix.a, matrix.b, matrix.c, matrix.d
            # User space counts anticlockwise, the displayed page clockwise.
            turn = round(math.atan2(-b, a) / (math.pi / 2)) % 4 if b or a <= 0 else 0
            size = round(abs(pdf_raw.font_size_at(raw, index)) * (math.hypot(c, d) or 1.0), 1)
            doubt = sight.doubt(thing, size) if thing else ""
            style = Style(size, bool(thing) and is_bold(thing), turn, doubt)
            styles[thing] = style
        return style

    return style_at


def _is_bold(font: object) -> bool:
    if pdfium.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT:
        return True
    if pdfium.FPDFFont_GetFlags(font) & _FORCE_BOLD_FLAG:
        return True
    name = ctypes.create_string_buffer(256)
    pdfium.FPDFFont_GetBaseFontName(font, name, 256)
    return bool(_BOLD_NAME.search(name.value.decode("latin-1")))

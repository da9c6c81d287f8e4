"""Writes PDFs for tests, and says what is wrong with what was read of one."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from reportlab.pdfgen.canvas import Canvas

from ingest.parse.model import Element, Parsed

WIDTH, HEIGHT = 595.0, 842.0
LEADING = 14.0

Draw = Callable[[Canvas], object]


def write_pdf(path: Path, *pages: Draw, **options: object) -> Path:
    """A PDF of A4 pages, each drawn by a function; `options` go to reportlab's canvas."""
    canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), **options)
    for draw in pages:
        canvas.setFont("Helvetica", 11)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def write_lines(
    canvas: Canvas,
    lines: str | Sequence[str],
    *,
    x: float = 72,
    top: float = 80,
    size: float = 11,
    bold: bool = False,
) -> float:
    """Lines of text under each other; returns the baseline of the next, from the page's top."""
    canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
    for line in [lines] if isinstance(lines, str) else lines:
        canvas.drawString(x, HEIGHT - top, line)
        top += LEADING * max(1.0, size / 11)
    return top


def box_of(element: Element, word: str) -> tuple[float, float, float, float]:
    """The box of the first occurrence of a word."""
    for start, end, *box in words(element):
        if element.text[int(start) : int(end)] == word:
            return box[0], box[1], box[2], box[3]
    raise AssertionError(f"no word {word!r} in {element.text!r}")


def words(element: Element) -> np.ndarray:
    """The words of an element, shape (n, 6)."""
    return np.frombuffer(element.words, dtype="<f4").reshape(-1, 6)


def faults(parsed: Parsed) -> list[str]:
    """Where a parsed PDF breaks what `ingest.parse.model` promises."""
    numbers = [page.number for page in parsed.pages]
    sizes = {page.number: (page.width, page.height) for page in parsed.pages}
    found = [] if numbers == sorted(set(numbers)) and min(numbers, default=1) > 0 else ["pages"]
    for element in parsed.elements:
        if element.page not in sizes:
            found.append(f"element on page {element.page}, which does not exist")
        else:
            found += [f"p{element.page} {f}" for f in _element_faults(element, sizes[element.page])]
    return found


def _element_faults(element: Element, size: tuple[float, float]) -> Iterator[str]:
    text = element.text
    if not text.strip() or any(not row.strip() for row in text.split("\n")):
        yield f"blank line in {text[:60]!r}"
    if element.kind == "heading" and not 1 <= element.level <= 6:
        yield f"level {element.level}"
    if element.kind == "table" and not 0 <= element.header_rows < len(text.split("\n")):
        yield f"{element.header_rows} header rows in {text[:60]!r}"
    if element.kind != "table" and "\n" in text:
        yield f"several lines in {text[:60]!r}"
    last = 0
    for start, end, x0, y0, x1, y1 in words(element).tolist():
        if not (last <= start < end <= len(text)):
            yield f"offsets {start}-{end} after {last} in {text[:60]!r}"
        if any(map(str.isspace, text[int(start) : int(end)])):
            yield f"white space in the word {text[int(start) : int(end)]!r}"
        if not (-0.01 <= x0 <= x1 <= size[0] + 0.01 and -0.01 <= y0 <= y1 <= size[1] + 0.01):
            yield f"box {x0, y0, x1, y1} off the page {size}"
        last = int(end)

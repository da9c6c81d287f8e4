"""Pages that are pictures: drawn or opened here, read by `ocr`, laid out as blocks."""

import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from PIL import Image, ImageSequence
from pypdfium2 import PdfDocument, PdfiumError

from ingest.parse import ocr
from ingest.parse.clean import one_line
from ingest.parse.layout import Block, Segment, paragraph
from ingest.parse.pdf_blocks import settle
from ingest.parse.pdf_chars import Rect, Word
from ingest.parse.pdf_structure import PageBlocks
from rag.errors import ParseError

_OCR_DPI = 300  # what tesseract's models were trained for
_OCR_MAX_PIXELS = 20_000_000
_PAGE_TIMEOUT_S = 60.0
_AT_ONCE = 2  # pages; other files are parsed beside them, and each takes 100 MB
_DEFAULT_DPI = 96.0


def read_pdf_pages(
    document: PdfDocument, pages: Sequence[PageBlocks], languages: str, budget_s: float
) -> Iterator[tuple[PageBlocks, list[Block] | ParseError | None]]:
    """The text of pages that are pictures, in order; None for those that time has not lasted for.

    Each is drawn here, as PDFium is used by one thread only, while others are read: the program
    takes some hundred times as long, and a long scan would hold up the end of an ingest.
    """
    deadline = time.monotonic() + budget_s
    waiting: deque[tuple[PageBlocks, Future[list[Block]] | ParseError | None]] = deque()
    at_once = min(_AT_ONCE, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(at_once) as programs:
        for page in pages:
            if len(waiting) == at_once:
                yield _settled(*waiting.popleft())
            left = deadline - time.monotonic()
            waiting.append((page, _begin(document, page, languages, left, programs)))
        while waiting:
            yield _settled(*waiting.popleft())


def _begin(
    document: PdfDocument,
    page: PageBlocks,
    languages: str,
    time_left_s: float,
    programs: ThreadPoolExecutor,
) -> Future[list[Block]] | ParseError | None:
    if time_left_s <= 0:
        return None
    dpi = min(_OCR_DPI, int(72 * (_OCR_MAX_PIXELS / (page.width * page.height)) ** 0.5))
    try:
        image = _draw(document, page.number, dpi)
    except PdfiumError:
        return ParseError("damaged", "it cannot be drawn", hint="Scan it anew.")
    timeout_s = min(_PAGE_TIMEOUT_S, time_left_s)

    def read() -> list[Block]:
        paragraphs = ocr.read_image(image, languages, dpi=dpi, timeout_s=timeout_s)
        return _ocr_blocks(paragraphs, 72 / dpi, (0.0, 0.0, page.width, page.height))

    return programs.submit(read)


def _draw(document: PdfDocument, number: int, dpi: int) -> Image.Image:
    loaded = document[number - 1]
    try:
        bitmap = loaded.render(scale=dpi / 72, grayscale=True)
        image: Image.Image = bitmap.to_pil().copy()
        bitmap.close()
        return image
    finally:
        loaded.close()


def _settled(
    page: PageBlocks, begun: Future[list[Block]] | ParseError | None
) -> tuple[PageBlocks, list[Block] | ParseError | None]:
    if not isinstance(begun, Future):
        return page, begun
    try:
        return page, begun.result()
    except ParseError as error:
        return page, error


def frames(image: Image.Image) -> Iterator[Image.Image]:
    """The pages of a picture; of an animation only the first frame."""
    if image.format == "TIFF":
        yield from ImageSequence.Iterator(image)
    else:
        yield image


def read_frame(number: int, frame: Image.Image, languages: str, time_left_s: float) -> PageBlocks:
    """A picture as a page, of the size that its resolution gives it."""
    dpi = float(frame.info.get("dpi", (_DEFAULT_DPI, _DEFAULT_DPI))[0])
    dpi = dpi if 30 <= dpi <= 2400 else _DEFAULT_DPI
    width, height = frame.width * 72 / dpi, frame.height * 72 / dpi
    excess = math.ceil((frame.width * frame.height / _OCR_MAX_PIXELS) ** 0.5)
    if excess > 1:
        frame, dpi = frame.convert("L").reduce(excess), dpi / excess
    paragraphs = ocr.read_image(
        frame, languages, dpi=round(dpi), timeout_s=min(_PAGE_TIMEOUT_S, time_left_s)
    )
    blocks = _ocr_blocks(paragraphs, 72 / dpi, (0.0, 0.0, width, height))
    return PageBlocks(number, width, height, blocks)


def _ocr_blocks(paragraphs: list[ocr.OcrParagraph], scale: float, page: Rect) -> list[Block]:
    """Paragraphs read by OCR as blocks; `scale` is points a pixel."""
    heights = sorted(w.y1 - w.y0 for p in paragraphs for line in p for w in line)
    usual = scale * heights[len(heights) // 2] if heights else 0.0
    blocks = []
    for lines in paragraphs:
        rows = [[Segment([_ocr_word(w, scale, usual, page) for w in line])] for line in lines]
        block = paragraph(rows)
        settle(block, 0, page[2], page[3])
        blocks.append(block)
    return blocks


def _ocr_word(word: ocr.OcrWord, scale: float, usual: float, page: Rect) -> Word:
    """A word in points. Heights of letters vary, so only much larger words count as larger."""
    height = scale * (word.y1 - word.y0)
    size = round(height, 1) if height > 1.6 * usual else round(usual, 1)
    x0, y0 = min(scale * word.x0, page[2]), min(scale * word.y0, page[3])
    x1, y1 = min(scale * word.x1, page[2]), min(scale * word.y1, page[3])
    return Word(one_line(word.text), x0, y0, x1, y1, size, False)

"""A PDF or a picture in, `Parsed` out: pages read one at a time, then put together.

Characters come from `pdf_chars`, reading order and tables from `layout`, headings and running
headers from `pdf_structure`, the text of scans from `ocr`.
"""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import pypdfium2.raw as pdfium
from PIL import Image, UnidentifiedImageError
from pypdfium2 import PdfDocument, PdfiumError, PdfPage

from ingest.hidden import hidden_words
from ingest.parse import ocr
from ingest.parse.clean import one_line
from ingest.parse.layout import Block, note_hyphenated
from ingest.parse.model import Attachment, Element, PageSize, Parsed
from ingest.parse.pdf_blocks import settle, to_blocks
from ingest.parse.pdf_chars import PageText, page_transform, read_words
from ingest.parse.pdf_rules import Grid, find_grids
from ingest.parse.pdf_running import drop_running
from ingest.parse.pdf_scans import frames, read_frame, read_pdf_pages
from ingest.parse.pdf_structure import Outlined, PageBlocks, mark_headings, nest_headings
from ingest.parse.pdf_title import find_title
from rag.errors import ParseError

PDF_TYPE = "application/pdf"
# A scan of hundreds of pages would use up the time a file has (CITADEL_PARSE_TIMEOUT_S); what is
# left when this is spent is named in a warning instead of losing the whole file.
_OCR_BUDGET_S = 120.0
_SCAN_MAX_WORDS = 12  # a scan may carry a stamp or a page number as text
_SCAN_COVER = 0.5  # share of the page that pictures cover
_MIN_COVER = 0.01  # the same for a page without any text
_MIN_OUTLINES = 100  # letters drawn as outlines
_GARBAGE = 0.3  # share of characters without a meaning that makes a page unreadable
_MAX_PAGES = 20_000
_MAX_ATTACHMENTS = 50
_MAX_ATTACHMENT_BYTES = 64 * 1024**2
_MAX_OUTLINE = 5_000


@dataclass
class _Reading:
    """What has been read of a document so far."""

    pages: list[PageBlocks] = field(default_factory=list)
    scans: list[int] = field(default_factory=list)  # page numbers that only OCR can read
    ocr_pages: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hyphenated: set[str] = field(default_factory=set)
    hidden: dict[int, int] = field(default_factory=dict)  # by page number: words that nobody sees


def parse_pdf(path: Path, *, ocr_languages: str = "auto") -> Parsed:
    """Read a PDF; pages that are scans by OCR.

    Raises:
        ParseError: it is encrypted, damaged, has no pages or no text, or needs OCR that is missing.
    """
    document = _open(path)
    try:
        reading = _Reading()
        for number in range(1, min(len(document), _MAX_PAGES) + 1):
            _read_page(document, number, reading)
        if reading.hidden:
            where = f" of {_page_list(list(reading.hidden))}"
            reading.warnings.append(hidden_words(sum(reading.hidden.values()), where))
        _read_scans(document, reading, ocr_languages)
        attachments = _attachments(document, reading.warnings)
        if not any(page.blocks for page in reading.pages) and not attachments:
            raise _no_text()
        outline = _outline(document)
        metadata = document.get_metadata_dict(skip_empty=True)
    finally:
        document.close()
    return _assemble(reading, outline, metadata, attachments)


def _open(path: Path) -> PdfDocument:
    try:
        return PdfDocument(path)
    except PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise ParseError(
                "encrypted",
                "the PDF is encrypted and needs a password",
                hint="Save a copy without a password and put that in its place.",
            ) from error
        raise ParseError(
            "damaged",
            "the PDF is damaged or has no pages",
            hint="Open it in a PDF viewer and print it to a new PDF, or fetch the file again.",
        ) from error


def _no_text() -> ParseError:
    return ParseError(
        "no_text",
        "there is no text in it, not even after OCR",
        hint="Nothing to do if it holds pictures only; otherwise scan it anew at 300 dpi.",
    )


def _read_page(document: PdfDocument, number: int, reading: _Reading) -> None:
    """Add a page to the reading; its PDFium objects are released before the next one is loaded."""
    try:
        page = document[number - 1]
    except PdfiumError:
        reading.warnings.append(f"page {number} is damaged and was left out")
        return
    try:
        textpage = page.get_textpage()
        try:
            text = read_words(page, textpage)
        finally:
            textpage.close()
        if text.n_hidden:
            reading.hidden[number] = text.n_hidden
        n_words = sum(map(len, text.turns.values()))
        garbled = text.n_garbage > _GARBAGE * text.n_chars
        if (n_words <= _SCAN_MAX_WORDS or garbled) and _is_picture(page, n_words, garbled):
            reading.scans.append(number)
            if garbled:
                text.turns.clear()
        grids = find_grids(page, page_transform(page)) if 0 in text.turns else []
    except PdfiumError:
        reading.warnings.append(f"the text of page {number} is damaged and was left out")
        return
    finally:
        page.close()
    reading.pages.append(_page_blocks(number, text, grids, reading.hyphenated))


def _is_picture(page: PdfPage, n_words: int, garbled: bool) -> bool:
    """Whether pictures cover most of the page, or outlines are drawn in place of letters."""
    width, height = page.get_size()
    covered, n_paths = 0.0, 0
    for thing in page.get_objects(max_depth=3):
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = thing.get_bounds()
            covered += max(0.0, right - left) * max(0.0, top - bottom)
        elif thing.type == pdfium.FPDF_PAGEOBJ_PATH:
            n_paths += 1
    cover = _SCAN_COVER if n_words else _MIN_COVER
    return garbled or covered > cover * width * height or n_paths > _MIN_OUTLINES


def _page_blocks(
    number: int, text: PageText, grids: list[Grid], hyphenated: set[str]
) -> PageBlocks:
    """Lay out each direction of text on its own, the one with most words first."""
    blocks: list[Block] = []
    for turn, words in sorted(text.turns.items(), key=lambda item: -len(item[1])):
        note_hyphenated(words, hyphenated)
        for block in to_blocks(words, hyphenated, [] if turn else grids):
            settle(block, turn, text.width, text.height)
            blocks.append(block)
    return PageBlocks(number, text.width, text.height, blocks)


def _read_scans(document: PdfDocument, reading: _Reading, languages: str) -> None:
    """Read the pages that are pictures, as long as time lasts.

    Raises:
        ParseError: tesseract is missing and no page has text.
    """
    if not reading.scans:
        return
    try:
        chosen = ocr.choose_languages(languages, ocr.installed_languages())
    except ParseError as error:
        if not any(page.blocks for page in reading.pages):
            raise
        which = _page_list(reading.scans)
        reading.warnings.append(f"{which} not read: {error.message}. {error.hint}")
        return
    scans = set(reading.scans)
    pages = [page for page in reading.pages if page.number in scans]
    late: list[int] = []
    for page, found in read_pdf_pages(document, pages, chosen, _OCR_BUDGET_S):
        if found is None:
            late.append(page.number)
        elif isinstance(found, ParseError):
            reading.warnings.append(f"page {page.number}: {found.message}")
        elif found:
            page.blocks[:] = found
            reading.ocr_pages.append(page.number)
    if late:
        reading.warnings.append(
            f"{_page_list(late)} not read: scans may take {_OCR_BUDGET_S:.0f} s a file. "
            "Split the file to have all of it."
        )


def _page_list(numbers: list[int]) -> str:
    """ "page 3", "pages 3, 5-9"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)
    return f"{'page' if len(numbers) == 1 else 'pages'} {shown}"


def _outline(document: PdfDocument) -> dict[int, list[Outlined]]:
    """The bookmarks by the page they lead to."""
    outline: dict[int, list[Outlined]] = {}
    for count, bookmark in enumerate(document.get_toc(max_depth=6)):
        if count >= _MAX_OUTLINE:
            break
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        if index is not None:
            entry = Outlined(bookmark.get_title(), bookmark.level + 1)
            outline.setdefault(index + 1, []).append(entry)
    return outline


def _attachments(document: PdfDocument, warnings: list[str]) -> list[Attachment]:
    """Files embedded in the PDF."""
    found: list[Attachment] = []
    for index in range(min(document.count_attachments(), _MAX_ATTACHMENTS)):
        name = f"attachment {index + 1}"
        try:
            attachment = document.get_attachment(index)
            name = one_line(attachment.get_name()) or name
            data = bytes(attachment.get_data())
        except PdfiumError:
            warnings.append(f"the embedded file {name} is damaged and was left out")
            continue
        if len(data) > _MAX_ATTACHMENT_BYTES:
            warnings.append(f"the embedded file {name} is too large and was left out")
        elif data:
            found.append(Attachment(name, data))
    return found


def _assemble(
    reading: _Reading,
    outline: dict[int, list[Outlined]],
    metadata: dict[str, str],
    attachments: list[Attachment],
) -> Parsed:
    mark_headings(reading.pages, outline)
    title, subject = one_line(metadata.get("Title", "")), one_line(metadata.get("Subject", ""))
    title = find_title(title, subject, reading.pages)
    pages = drop_running(reading.pages)
    nest_headings(pages)
    return Parsed(
        media_type=PDF_TYPE,
        elements=[_element(block, page.number) for page in pages for block in page.blocks],
        title=title,
        pages=[PageSize(page.number, page.width, page.height) for page in pages],
        metadata=_metadata(metadata, reading),
        warnings=reading.warnings,
        attachments=attachments,
    )


def _element(block: Block, page: int) -> Element:
    return Element(
        kind=block.kind,
        text=block.text,
        level=block.level,
        page=page,
        words=block.words,
        header_rows=block.header_rows,
    )


def _metadata(raw: dict[str, str], reading: _Reading) -> dict[str, str]:
    found = {
        "author": one_line(raw.get("Author", "")),
        "subject": one_line(raw.get("Subject", "")),
        "keywords": one_line(raw.get("Keywords", "")),
        "created": iso_date(raw.get("CreationDate", "")),
        "modified": iso_date(raw.get("ModDate", "")),
        "n_pages": str(len(reading.pages)),
        "ocr_pages": ", ".join(map(str, reading.ocr_pages)),
    }
    return {key: value for key, value in found.items() if value}


def iso_date(pdf_date: str) -> str:
    """`D:20240131120000+01'00'` as ISO 8601; empty where it is none."""
    match = re.match(
        r"(?:D:)?(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-]\d\d)'?(\d\d)?)?", pdf_date
    )
    if not match:
        return ""
    year, month, day, hour, minute, second, zulu, zone, zone_minutes = match.groups()
    date = f"{year}-{month}-{day}"
    if hour is None:
        return date
    offset = "Z" if zulu else f"{zone}:{zone_minutes or '00'}" if zone else ""
    return f"{date}T{hour}:{minute}:{second or '00'}{offset}"


def parse_image(path: Path, *, ocr_languages: str = "auto") -> Parsed:
    """Read a picture by OCR, each frame of it as a page.

    Raises:
        ParseError: it is damaged or holds no text, or tesseract is missing.
    """
    languages = ocr.choose_languages(ocr_languages, ocr.installed_languages())
    reading = _Reading()
    deadline = time.monotonic() + _OCR_BUDGET_S
    try:
        with Image.open(path) as image:
            media_type = Image.MIME.get(image.format or "", "image/*")
            for number, frame in enumerate(frames(image), 1):
                left = deadline - time.monotonic()
                if left <= 0:
                    reading.warnings.append(f"pages from {number} on not read: out of time")
                    break
                reading.pages.append(read_frame(number, frame, languages, left))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        why = one_line(str(error).replace(repr(str(path)), "it").replace(str(path), "it"))[:200]
        raise ParseError(
            "damaged",
            f"the picture is damaged or too large: {why}",
            hint="Open it in a viewer and save it anew, at 300 dpi or less.",
        ) from error
    if not any(page.blocks for page in reading.pages):
        raise _no_text()
    reading.ocr_pages = [page.number for page in reading.pages]
    parsed = _assemble(reading, {}, {}, [])
    return Parsed(
        media_type,
        parsed.elements,
        title=parsed.title,
        pages=parsed.pages,
        metadata=parsed.metadata,
        warnings=parsed.warnings,
    )

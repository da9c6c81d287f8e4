"""Folders of thousands of PDF pages, made from the evaluation sets' pages: none is there twice."""

import ctypes
import random
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

PAGES_A_FILE = 40
FOLDER_FILES = 100
_FONT, _FONT_SIZE = b"Helvetica", 9.0
_TEXT_PAGE_CHARS = 400  # fewer: a scan, a drawing, an empty page


def write_pages(sources: list[Path], tree: Path, n_pages: int) -> int:
    """Write files of PAGES_A_FILE pages drawn at random from `sources`; returns how many files.

    Each page has a line of its own at its foot, so that no page or file equals another.
    """
    chance = random.Random(n_pages)
    documents = [pypdfium2.PdfDocument(source) for source in sources]
    usable = [(each, pages) for each in documents if (pages := _text_pages(each))]
    n_files = -(-n_pages // PAGES_A_FILE)
    for number in range(n_files):
        document, pages = chance.choice(usable)
        n_here = min(PAGES_A_FILE, n_pages - number * PAGES_A_FILE)
        folder = tree / f"{number // FOLDER_FILES:03}"
        folder.mkdir(parents=True, exist_ok=True)
        _write(document, chance.choices(pages, k=n_here), folder / f"{number:05}.pdf", chance)
    for document in documents:
        document.close()
    return n_files


def _text_pages(document: pypdfium2.PdfDocument) -> list[int]:
    return [
        n for n, page in enumerate(document) if page.get_textpage().count_chars() > _TEXT_PAGE_CHARS
    ]


def _write(
    source: pypdfium2.PdfDocument, pages: list[int], file: Path, chance: random.Random
) -> None:
    made = pypdfium2.PdfDocument.new()
    made.import_pages(source, pages)
    for number in range(len(made)):
        page = made[number]
        line = f"Record {chance.randrange(10**9)} of copy {file.stem}, sheet {number + 1}."
        text = pdfium.FPDFPageObj_NewTextObj(made.raw, _FONT, _FONT_SIZE)
        units = (line + "\0").encode("utf-16-le")
        buffer = ctypes.create_string_buffer(units)
        pdfium.FPDFText_SetText(text, ctypes.cast(buffer, pdfium.FPDF_WIDESTRING))
        pdfium.FPDFPageObj_Transform(text, 1, 0, 0, 1, 60, 12)
        pdfium.FPDFPage_InsertObject(page.raw, text)
        pdfium.FPDFPage_GenerateContent(page.raw)
        page.close()
    made.save(file)
    made.close()

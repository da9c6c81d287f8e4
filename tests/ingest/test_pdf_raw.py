"""PDFium's functions by address against the same functions of `pypdfium2.raw`."""

from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from pdf_pages import write_lines, write_pdf

from ingest.parse import pdf_raw

EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"


def one_by_one(text_page: pypdfium2.PdfTextPage) -> str:
    n_chars = pdfium.FPDFText_CountChars(text_page.raw)
    return "".join(chr(pdfium.FPDFText_GetUnicode(text_page.raw, i)) for i in range(n_chars))


def at_once(text_page: pypdfium2.PdfTextPage) -> str:
    n_chars = pdfium.FPDFText_CountChars(text_page.raw)
    return pdf_raw.text_of(pdf_raw.address(text_page.raw), n_chars)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.pdf")), ids=lambda path: path.name)
def test_the_text_of_a_page_is_the_text_of_its_characters(path: Path) -> None:
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:  # the one that is broken on purpose
        return
    with document:
        for page in document:
            text_page = page.get_textpage()
            assert at_once(text_page) == one_by_one(text_page)


def test_a_hyphen_at_the_end_of_a_line_keeps_its_mark(tmp_path: Path) -> None:
    lines = ["A word that is too long for its line is hyphen-", "ated at the end of it."]
    path = write_pdf(tmp_path / "a.pdf", lambda canvas: write_lines(canvas, lines))
    with pypdfium2.PdfDocument(path) as document:
        text_page = document[0].get_textpage()
        assert "\x02" in at_once(text_page)
        assert at_once(text_page) == one_by_one(text_page)


def test_pointers_are_the_same_by_address(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", lambda canvas: write_lines(canvas, "Some words."))
    with pypdfium2.PdfDocument(path) as document:
        page = document[0]
        text_page = page.get_textpage()
        plain = pdfium.FPDFText_GetTextObject(text_page.raw, 0)
        assert pdf_raw.object_at(pdf_raw.address(text_page.raw), 0) == pdf_raw.address(plain)
        assert pdf_raw.thing_at(pdf_raw.address(page.raw), 10**6) is None

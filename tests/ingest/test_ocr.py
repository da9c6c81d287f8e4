"""Pictures and scanned pages, read by the real tesseract; and what is said where it is missing."""

import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from pdf_pages import HEIGHT, WIDTH, Draw, box_of, faults, write_lines, write_pdf
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ingest.parse import ocr, pdf_scans
from ingest.parse.model import Job
from ingest.parse.read import read_document
from rag.errors import ParseError

DPI = 200
NOTICE = ["The canteen opens at half past eleven", "and closes at two in the afternoon."]

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed"
)


def scan(lines: list[str] = NOTICE) -> Image.Image:
    """An A4 page as a scanner delivers it, its first line 100 points from the left and the top."""
    page = Image.new("L", (round(WIDTH * DPI / 72), round(HEIGHT * DPI / 72)), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=44)
    for index, line in enumerate(lines):
        place = (100 * DPI / 72, (100 + 20 * index) * DPI / 72)
        pen.text(place, line, fill=0, font=font, anchor="ls")
    return page


def scanned_page(canvas: Canvas) -> None:
    canvas.drawImage(ImageReader(scan()), 0, 0, WIDTH, HEIGHT)


def text_page(canvas: Canvas) -> None:
    write_lines(
        canvas,
        ["A hotel in London may cost up to 180 pounds a night, in all other places of the"] * 3,
    )


@pytest.fixture
def no_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine without the program."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    ocr.installed_languages.cache_clear()
    yield
    ocr.installed_languages.cache_clear()


@needs_tesseract
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_picture_is_read_with_its_words_in_place(tmp_path, suffix):
    path = tmp_path / f"notice.{suffix}"
    scan().save(path, dpi=(DPI, DPI))
    parsed = read_document(Job(str(path), path.name))
    assert " ".join(e.text for e in parsed.elements) == " ".join(NOTICE)
    page = parsed.pages[0]
    assert (page.width, page.height) == pytest.approx((WIDTH, HEIGHT), abs=1)
    x0, y0, _, y1 = box_of(parsed.elements[0], "The")
    assert x0 == pytest.approx(100, abs=2)
    assert 80 < y0 < 90 < 98 < y1 < 103
    assert faults(parsed) == []
    assert parsed.metadata["ocr_pages"] == "1"


@needs_tesseract
def test_each_frame_of_a_fax_is_a_page(tmp_path):
    path = tmp_path / "fax.tif"
    pages = [scan(["First page of the fax"]), scan(["Second page of the fax"])]
    pages[0].save(path, save_all=True, append_images=pages[1:], dpi=(DPI, DPI))
    parsed = read_document(Job(str(path), path.name))
    assert [(e.page, e.text) for e in parsed.elements] == [
        (1, "First page of the fax"),
        (2, "Second page of the fax"),
    ]


@needs_tesseract
def test_scanned_page_among_pages_of_text_is_read_in_its_place(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", text_page, scanned_page, text_page)
    parsed = read_document(Job(str(path), path.name))
    assert [e.page for e in parsed.elements] == [1, 2, 3]
    assert parsed.elements[1].text == " ".join(NOTICE)
    x0, y0, _, y1 = box_of(parsed.elements[1], "The")
    assert x0 == pytest.approx(100, abs=2)
    assert 80 < y0 < 90 < 98 < y1 < 103
    assert parsed.metadata["ocr_pages"] == "2"
    assert parsed.warnings == []
    assert faults(parsed) == []


@needs_tesseract
def test_pages_that_are_scans_are_read_in_order_as_far_as_time_lasts(tmp_path, monkeypatch):
    def page(text: str) -> Draw:
        return lambda canvas: canvas.drawImage(ImageReader(scan([text])), 0, 0, WIDTH, HEIGHT)

    texts = ["The first page", "The second page", "The third page"]
    path = write_pdf(tmp_path / "a.pdf", *map(page, texts))
    parsed = read_document(Job(str(path), path.name))
    assert [(e.page, e.text) for e in parsed.elements] == list(enumerate(texts, 1))
    assert parsed.metadata["ocr_pages"] == "1, 2, 3"

    clock = itertools.chain([0.0, 1.0], itertools.repeat(999.0))  # begun, then before each page
    # In this module only: servers of other tests in this process live by the real clock.
    monkeypatch.setattr(pdf_scans, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    parsed = read_document(Job(str(path), path.name))
    assert [(e.page, e.text) for e in parsed.elements] == [(1, "The first page")]
    assert parsed.warnings[0].startswith("pages 2-3 not read: scans may take 120 s")


@needs_tesseract
def test_scan_in_a_page_that_is_turned_is_read_as_displayed(tmp_path):
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(90)  # the canvas is as wide as the page is high
        upright = scan().rotate(90, expand=True)
        canvas.drawImage(ImageReader(upright), 0, 0, HEIGHT, WIDTH)

    path = write_pdf(tmp_path / "a.pdf", draw)
    parsed = read_document(Job(str(path), path.name))
    assert parsed.elements[0].text == " ".join(NOTICE)
    assert box_of(parsed.elements[0], "The")[0] == pytest.approx(100, abs=2)
    assert faults(parsed) == []


@needs_tesseract
def test_picture_of_too_many_pixels_is_read_smaller_with_its_words_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_scans, "_OCR_MAX_PIXELS", 2_000_000)
    path = tmp_path / "poster.png"
    scan().save(path, dpi=(DPI, DPI))
    parsed = read_document(Job(str(path), path.name))
    assert " ".join(e.text for e in parsed.elements) == " ".join(NOTICE)
    assert box_of(parsed.elements[0], "The")[0] == pytest.approx(100, abs=3)
    assert parsed.pages[0].width == pytest.approx(WIDTH, abs=1)


@needs_tesseract
def test_picture_without_text_says_so(tmp_path):
    path = tmp_path / "blank.png"
    Image.new("L", (400, 300), 255).save(path)
    with pytest.raises(ParseError) as caught:
        read_document(Job(str(path), path.name))
    assert caught.value.code == "no_text"


def test_damaged_picture_is_named_as_such(tmp_path):
    path = tmp_path / "cut.png"
    scan().save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ParseError) as caught:
        read_document(Job(str(path), path.name))
    assert caught.value.code == ("damaged" if ocr.installed_languages() else "needs_program")
    assert str(path) not in caught.value.message, "a copy's, which nobody knows"


def test_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    scan().save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ParseError) as caught:
        read_document(Job(str(path), path.name))
    assert caught.value.code == ("damaged" if ocr.installed_languages() else "needs_program")


@pytest.mark.parametrize("name", ["a.pdf", "a.png"])
def test_scan_without_tesseract_says_what_to_install(tmp_path, no_tesseract, name):
    path = tmp_path / name
    if name.endswith("pdf"):
        write_pdf(path, scanned_page)
    else:
        scan().save(path)
    with pytest.raises(ParseError) as caught:
        read_document(Job(str(path), path.name))
    assert caught.value.code == "needs_program"
    assert caught.value.retry
    assert "tesseract" in caught.value.message
    assert "apt-get install tesseract-ocr" in caught.value.hint


def test_file_that_is_scanned_in_part_is_read_and_warns(tmp_path, no_tesseract):
    path = write_pdf(tmp_path / "a.pdf", text_page, scanned_page, scanned_page)
    parsed = read_document(Job(str(path), path.name))
    assert {e.page for e in parsed.elements} == {1}
    [warning] = parsed.warnings
    assert warning.startswith("pages 2-3 not read")
    assert "apt-get install tesseract-ocr" in warning


def test_languages_are_the_wanted_ones_that_are_there():
    installed = ("deu", "eng", "osd", "tha")
    assert ocr.choose_languages("auto", installed) == "eng+deu+tha"
    assert ocr.choose_languages("deu+fra", installed) == "deu"
    with pytest.raises(ParseError) as caught:
        ocr.choose_languages("fra+ita", installed)
    assert "apt-get install tesseract-ocr-fra tesseract-ocr-ita" in caught.value.hint


def test_uncertain_words_are_left_out_and_paragraphs_kept_apart():
    rows = [
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
        "5\t1\t1\t1\t1\t1\t10\t10\t30\t12\t96.5\tHotel",
        '5\t1\t1\t1\t1\t2\t50\t10\t30\t12\t95.0\t"Linde"',
        "5\t1\t1\t1\t2\t1\t10\t30\t30\t12\t12.0\t|~",
        "5\t1\t1\t2\t1\t1\t10\t50\t30\t12\t91.0\tKassel",
    ]
    paragraphs = ocr.parse_tsv("\n".join(rows))
    assert [[[w.text for w in line] for line in p] for p in paragraphs] == [
        [["Hotel", '"Linde"']],
        [["Kassel"]],
    ]
    assert paragraphs[0][0][0][1:] == (10, 10, 40, 22)

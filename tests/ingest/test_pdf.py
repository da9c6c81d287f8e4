"""PDFs drawn here and read back: text, order, headings, titles, and what cannot be read."""

from itertools import pairwise

import pytest
from pdf_pages import HEIGHT, WIDTH, box_of, faults, write_lines, write_pdf
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ingest.parse.model import Element, Job, Parsed
from ingest.parse.pdf import iso_date, parse_pdf
from ingest.parse.read import read_document
from rag.errors import ParseError

HOTELS = [
    "A hotel in London may cost up to 180 pounds a night, in all other places of the",
    "country up to 120 pounds. Whoever needs to spend more asks the head of the",
    "department before the journey, and attaches the answer to the claim.",
]
TRAINS = [
    "Journeys of less than four hours are made by train, in second class. A reserved",
    "seat is paid for by the company. First class is booked only where it costs less",
    "than second class on the same day, which happens at weekends.",
]


def kinds(parsed: Parsed) -> list[tuple[str, str]]:
    return [(element.kind, element.text) for element in parsed.elements]


def policy(canvas: Canvas) -> None:
    top = write_lines(canvas, "Travel policy", size=22, bold=True, top=90)
    top = write_lines(canvas, "1. Hotels", size=15, bold=True, top=top + 10)
    top = write_lines(canvas, HOTELS, top=top + 6)
    top = write_lines(canvas, "1.1 Trains", size=15, bold=True, top=top + 10)
    top = write_lines(canvas, TRAINS, top=top + 6)
    top = write_lines(canvas, "• Keep the ticket until the claim is paid.", x=84, top=top + 6)
    write_lines(canvas, "• Hand in the claim within four weeks.", x=84, top=top)


def test_paragraphs_headings_and_list_items_are_told_apart(tmp_path):
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", policy))
    assert kinds(parsed) == [
        ("heading", "Travel policy"),
        ("heading", "1. Hotels"),
        ("paragraph", " ".join(HOTELS)),
        ("heading", "1.1 Trains"),
        ("paragraph", " ".join(TRAINS)),
        ("list_item", "• Keep the ticket until the claim is paid."),
        ("list_item", "• Hand in the claim within four weeks."),
    ]
    assert [e.level for e in parsed.elements if e.kind == "heading"] == [1, 2, 3]
    assert parsed.title == "Travel policy"
    assert faults(parsed) == []


def test_words_lie_where_they_are_drawn(tmp_path):
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", lambda c: write_lines(c, HOTELS, top=200)))
    x0, y0, x1, y1 = box_of(parsed.elements[0], "hotel")
    start = 72 + Canvas("x").stringWidth("A ", "Helvetica", 11)
    assert x0 == pytest.approx(start, abs=1.5)
    assert x1 - x0 == pytest.approx(Canvas("x").stringWidth("hotel", "Helvetica", 11), abs=1.5)
    assert 180 < y0 < 195 < 200 < y1 < 206  # the baseline is at 200


def test_two_columns_are_read_one_after_the_other(tmp_path):
    left = [f"Left column, line {i}, about hotels and the" for i in range(12)]
    right = [f"Right column, line {i}, about trains and so" for i in range(12)]

    def row_by_row(canvas: Canvas) -> None:
        write_lines(canvas, "A heading over both of the columns of the page", size=18, top=70)
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            write_lines(canvas, one, x=60, top=120 + 14 * index)
            write_lines(canvas, other, x=320, top=120 + 14 * index)

    def column_by_column(canvas: Canvas) -> None:
        write_lines(canvas, left, x=60, top=120)
        write_lines(canvas, right, x=320, top=120)

    for draw in (row_by_row, column_by_column):
        text = " ".join(e.text for e in parse_pdf(write_pdf(tmp_path / "a.pdf", draw)).elements)
        places = [text.index(line) for line in [*left, *right]]
        assert places == sorted(places)


def test_word_broken_at_a_line_end_is_joined_and_a_compound_keeps_its_hyphen(tmp_path):
    lines = [
        "The well-known rule of the house says that every reim-",
        "bursement of a guest needs the original bill; a well-",
        "known exception is the tip, which nobody can prove ever.",
    ]
    element = parse_pdf(write_pdf(tmp_path / "a.pdf", lambda c: write_lines(c, lines))).elements[0]
    assert "every reimbursement of" in element.text
    assert "a well-known exception" in element.text


def test_running_headers_and_page_numbers_are_out_of_the_flow(tmp_path):
    def page(number: int):
        def draw(canvas: Canvas) -> None:
            write_lines(canvas, "Citadel handbook, edition of May", top=40, size=9)
            write_lines(canvas, [f"Page {number}: {line}" for line in HOTELS], top=120)
            write_lines(canvas, f"{number} / 4", x=290, top=810, size=9)

        return draw

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", *map(page, range(1, 5))))
    texts = [element.text for element in parsed.elements]
    assert sum("edition of May" in text for text in texts) == 1  # it may be all that names it
    assert not any(text.endswith("/ 4") for text in texts)
    assert sum(text.startswith("Page ") for text in texts) == 4


def test_line_that_differs_from_page_to_page_is_no_running_header(tmp_path):
    def page(number: int, certificate: int):
        def draw(canvas: Canvas) -> None:
            write_lines(canvas, f"Certificate No. {certificate} of the works council", top=40)
            write_lines(canvas, [f"{number}: {line}" for line in HOTELS], top=120)

        return draw

    numbers = [17, 4, 23, 9]
    pages = [page(i, n) for i, n in enumerate(numbers, 1)]
    text = " ".join(e.text for e in parse_pdf(write_pdf(tmp_path / "a.pdf", *pages)).elements)
    assert all(f"No. {number} " in text for number in numbers)


def test_every_element_knows_its_page(tmp_path):
    cities = ["Kassel", "Lyon", "Porto", "Turin", "Leeds"]
    draws = [lambda canvas, c=city: write_lines(canvas, f"{c} has a hotel.") for city in cities]
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", *draws))
    assert [page.number for page in parsed.pages] == [1, 2, 3, 4, 5]
    assert [(e.page, e.text) for e in parsed.elements] == [
        (number, f"{city} has a hotel.") for number, city in enumerate(cities, 1)
    ]
    assert parsed.metadata["n_pages"] == "5"
    assert faults(parsed) == []


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_page_is_read_as_it_is_displayed(tmp_path, rotation):
    """Text drawn so that it is level once the page is turned."""

    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(rotation)
        canvas.translate(*{90: (HEIGHT, 0), 180: (WIDTH, HEIGHT), 270: (0, WIDTH)}[rotation])
        canvas.rotate(rotation)
        canvas.setFont("Helvetica", 11)
        canvas.drawString(50, 400, "Upright to the reader, whatever the file says.")
        canvas.drawString(50, 386, "And its second line is under the first.")

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    page = parsed.pages[0]
    assert (page.width, page.height) == pytest.approx((WIDTH, HEIGHT), abs=0.5)
    assert parsed.elements[0].text.startswith("Upright to the reader, whatever the file says. And")
    x0, y0, _, y1 = box_of(parsed.elements[0], "Upright")
    assert x0 == pytest.approx(50, abs=1.5)
    assert y0 < page.height - 400 < y1
    assert faults(parsed) == []


def test_text_that_runs_up_the_page_is_read_too(tmp_path):
    def draw(canvas: Canvas) -> None:
        write_lines(canvas, HOTELS)
        canvas.rotate(90)
        canvas.drawString(200, -40, "Confidential until the first of May")

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert [e.text for e in parsed.elements][-1] == "Confidential until the first of May"
    x0, y0, x1, y1 = box_of(parsed.elements[-1], "Confidential")
    assert y1 - y0 > 2 * (x1 - x0)
    assert faults(parsed) == []


def test_only_what_the_crop_box_shows_is_read_and_boxes_count_from_it(tmp_path):
    def draw(canvas: Canvas) -> None:
        write_lines(canvas, "Cut off by the printer", top=40)
        write_lines(canvas, "Inside of the crop box", top=300)

    whole = write_pdf(tmp_path / "a.pdf", draw)
    cropped = write_pdf(tmp_path / "b.pdf", draw, cropBox=(50, 100, 545, 742))
    before, after = parse_pdf(whole), parse_pdf(cropped)
    assert [e.text for e in after.elements] == ["Inside of the crop box"]
    assert (after.pages[0].width, after.pages[0].height) == pytest.approx((495, 642), abs=0.5)
    old, new = box_of(before.elements[1], "Inside"), box_of(after.elements[0], "Inside")
    assert [a - b for a, b in zip(old, new, strict=True)] == pytest.approx(
        [50, 100, 50, 100], abs=0.5
    )


def test_headings_nest_by_name_and_by_what_follows_what(tmp_path):
    """All of one style, as in reports: names and neighbours say what belongs to what."""
    report = [
        ("Part I. Finances", False),
        ("Item 1. Statements", True),
        ("Note 1. Inventories", False),
        ("Raw materials", True),
        ("Goods", False),
        ("Finished goods", True),
        ("Note 2. Debt", True),
        ("Part II. Other things", True),
    ]

    def draw(canvas: Canvas) -> None:
        top = 60.0
        for name, has_text in report:
            top = write_lines(canvas, name, bold=True, top=top + 12)
            top = write_lines(canvas, HOTELS, top=top + 4) if has_text else top

    def cover(canvas: Canvas) -> None:
        write_lines(canvas, "Acme Inc.", size=24, top=300)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", cover, draw))
    assert [(e.level, e.text) for e in parsed.elements if e.kind == "heading"] == [
        (1, "Acme Inc."),
        (2, "Part I. Finances"),
        (3, "Item 1. Statements"),
        (4, "Note 1. Inventories"),
        (5, "Raw materials"),
        (5, "Goods"),
        (6, "Finished goods"),
        (4, "Note 2. Debt"),
        (2, "Part II. Other things"),
    ]


def test_crowd_of_bold_lines_is_no_heap_of_headings(tmp_path):
    def draw(canvas: Canvas) -> None:
        write_lines(canvas, HOTELS, top=300)
        for index, name in enumerate(("Anna Example", "Head of buying", "Main street 1", "Kassel")):
            write_lines(canvas, name, bold=True, top=100 + 30 * index)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert sum(e.kind == "heading" for e in parsed.elements) <= 1


def test_bookmarks_name_headings_and_their_depth(tmp_path):
    def draw(canvas: Canvas) -> None:
        for index, (name, depth) in enumerate([("Part one", 0), ("Costs of it", 1)]):
            top = write_lines(canvas, name, top=100 + 150 * index)
            canvas.bookmarkPage(name)
            canvas.addOutlineEntry(name, name, depth)
            write_lines(canvas, HOTELS, top=top + 10)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert [(e.text, e.level) for e in parsed.elements if e.kind == "heading"] == [
        ("Part one", 1),
        ("Costs of it", 2),
    ]


def titled(title: str, *, subject: str = "", heading: str = "Travel policy"):
    def draw(canvas: Canvas) -> None:
        canvas.setTitle(title)
        canvas.setSubject(subject)
        canvas.setAuthor("Anna Example")
        if heading:
            write_lines(canvas, heading, size=22, top=90)
        write_lines(canvas, HOTELS, top=140)

    return draw


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        ("Rules for those who travel", "Rules for those who travel"),
        ("Microsoft Word - policy_final.docx", "Travel policy"),
        ("untitled", "Travel policy"),
        ("Document1", "Travel policy"),
        ("travel.pdf", "Travel policy"),
        ("20240411112609", "Travel policy"),
        ("Master_Agreement_V1", "Travel policy"),
        ("TP_2024-05_final_v3", "Travel policy"),
        ("", "Travel policy"),
    ],
)
def test_title_is_the_metadatas_unless_that_is_silly(tmp_path, metadata, title):
    assert parse_pdf(write_pdf(tmp_path / "a.pdf", titled(metadata))).title == title


def test_file_name_as_title_is_better_than_none(tmp_path):
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", titled("Master_Agreement_V1", heading="")))
    assert parsed.title == "Master Agreement V1"


def test_short_title_takes_the_subject_on(tmp_path):
    draw = titled("Acme Inc.", subject="Report on the third quarter of 2023")
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert parsed.title == "Acme Inc.: Report on the third quarter of 2023"
    assert parsed.metadata["author"] == "Anna Example"
    assert parsed.metadata["created"][:2] == "20"


def test_title_names_the_company_where_the_subject_already_names_the_form(tmp_path):
    def draw(canvas: Canvas) -> None:
        canvas.setTitle("0001234567-23-000001")
        canvas.setSubject("Form 10-Q for the period ending 2023-10-29")
        write_lines(canvas, "FORM 10-Q", size=24, bold=True)
        write_lines(canvas, "ACME CORPORATION", top=130, size=18, bold=True)
        write_lines(canvas, HOTELS, top=200)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert parsed.title == "ACME CORPORATION: Form 10-Q for the period ending 2023-10-29"


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        ("D:20240131120000+01'00'", "2024-01-31T12:00:00+01:00"),
        ("D:20240131120000Z", "2024-01-31T12:00:00Z"),
        ("D:20240131", "2024-01-31"),
        ("20240131120000", "2024-01-31T12:00:00"),
        ("yesterday", ""),
    ],
)
def test_dates_become_iso_8601(raw, iso):
    assert iso_date(raw) == iso


def test_text_that_hides_in_invisible_characters_is_stripped(tmp_path):
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey")
    path = write_pdf(tmp_path / "a.pdf", titled(f"Rules{hidden} for those who travel"))
    assert parse_pdf(path).title == "Rules for those who travel"


def failure(path) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read_document(Job(str(path), path.name))
    assert caught.value.hint
    return caught.value


def test_encrypted_pdf_is_named_as_such(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", policy, encrypt=StandardEncryption("secret"))
    error = failure(path)
    assert (error.code, error.retry) == ("encrypted", False)


def test_pdf_that_only_forbids_printing_is_read(tmp_path):
    locked = StandardEncryption("", ownerPassword="owner", canPrint=0)
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", policy, encrypt=locked))
    assert parsed.title == "Travel policy"


@pytest.mark.parametrize("keep", [20, 300])
def test_damaged_pdf_is_named_as_such(tmp_path, keep):
    path = write_pdf(tmp_path / "a.pdf", policy)
    path.write_bytes(path.read_bytes()[:keep])
    assert failure(path).code == "damaged"


def test_pdf_cut_off_after_its_pages_is_read_as_far_as_it_goes(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", policy)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"xref")])
    assert parse_pdf(path).title == "Travel policy"


def test_pdf_without_text_and_picture_says_so(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", lambda c: c.line(10, 10, 50, 50))
    assert failure(path).code == "no_text"


def test_files_embedded_in_a_pdf_are_attachments(tmp_path):
    from pypdfium2 import PdfDocument

    path = write_pdf(tmp_path / "a.pdf", policy)
    document = PdfDocument(path)
    document.new_attachment("prices.csv").set_data(b"part,price\nbolt,1\n")
    document.save(tmp_path / "b.pdf")
    document.close()
    parsed = parse_pdf(tmp_path / "b.pdf")
    assert [(a.name, a.data) for a in parsed.attachments] == [
        ("prices.csv", b"part,price\nbolt,1\n")
    ]


def test_reading_order_goes_down_the_page_whatever_the_order_in_the_file(tmp_path):
    def upside_down(canvas: Canvas) -> None:
        write_lines(canvas, "The third paragraph stands at the bottom.", top=400)
        write_lines(canvas, "The second paragraph stands in the middle.", top=300)
        write_lines(canvas, "The first paragraph stands at the top.", top=200)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", upside_down))
    assert [e.text.split()[1] for e in parsed.elements] == ["first", "second", "third"]
    tops = [box_of(e, "The")[1] for e in parsed.elements]
    assert all(a < b for a, b in pairwise(tops))
    assert isinstance(parsed.elements[0], Element)

"""Tables in PDFs, with rules and without, and what only looks like one."""

import pytest
from pdf_pages import HEIGHT, box_of, faults, write_lines, write_pdf
from reportlab.pdfgen.canvas import Canvas

from ingest.parse.model import Element
from ingest.parse.pdf import parse_pdf

PRICES = [
    ["Article", "Unit", "Price"],
    ["Bolt M8", "100 pieces", "4.20"],
    ["Nut M8", "100 pieces", "2.10"],
    ["Washer of brass", "250 pieces", "7.95"],
]


def tables(path) -> list[Element]:
    parsed = parse_pdf(path)
    assert faults(parsed) == []
    return [element for element in parsed.elements if element.kind == "table"]


def ruled(rows, *, x: float = 72, top: float = 100, widths=(150, 100, 80), height: float = 20):
    def draw(canvas: Canvas) -> None:
        edges = [x + sum(widths[:i]) for i in range(len(widths) + 1)]
        levels = [HEIGHT - top - height * i for i in range(len(rows) + 1)]
        canvas.grid(edges, levels)
        for index, row in enumerate(rows):
            canvas.setFont("Helvetica-Bold" if index == 0 else "Helvetica", 10)
            for edge, text in zip(edges, row, strict=False):
                canvas.drawString(edge + 4, HEIGHT - top - height * index - 14, text)

    return draw


def test_ruled_table_gives_rows_and_header(tmp_path):
    [table] = tables(write_pdf(tmp_path / "a.pdf", ruled(PRICES)))
    assert table.text == "\n".join(" | ".join(row) for row in PRICES)
    assert table.header_rows == 1


def test_empty_cells_keep_the_columns_in_place(tmp_path):
    rows = [*PRICES[:2], ["Nut M8", "", "2.10"], ["Screw", "10 pieces", ""]]
    [table] = tables(write_pdf(tmp_path / "a.pdf", ruled(rows)))
    assert table.text.split("\n")[2:] == ["Nut M8 |  | 2.10", "Screw | 10 pieces"]


def test_text_around_a_ruled_table_stays_where_it_is(tmp_path):
    def draw(canvas: Canvas) -> None:
        write_lines(canvas, "These prices hold until the end of the year.", top=80)
        ruled(PRICES, top=100)(canvas)
        write_lines(canvas, "They do not include the tax, nor the freight.", top=210)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert [e.kind for e in parsed.elements] == ["paragraph", "table", "paragraph"]


def statement(canvas: Canvas) -> None:
    """As financial reports set them: no rules, figures flush right, signs on their own."""
    canvas.setFont("Helvetica", 9)
    lines = [
        ("", "Three Months Ended", ""),
        ("", "July 1, 2023", "June 25, 2022"),
        ("Net sales:", "", ""),
        ("Products", "$ 60,584", "$ 63,355"),
        ("Services", "21,213", "19,604"),
        ("Total net sales", "$ 81,797", "$ 82,959"),
        ("Other income/(expense), net", "(265 )", "(10 )"),
    ]
    for index, (label, *values) in enumerate(lines):
        y = HEIGHT - 150 - 14 * index
        canvas.drawString(72, y, label)
        if values[1] == "" and values[0]:
            canvas.drawCentredString(415, y, values[0])
            continue
        for right, value in zip((390, 500), values, strict=True):
            canvas.drawRightString(right, y, value.removeprefix("$ "))
            if value.startswith("$"):
                canvas.drawString(right - 60, y, "$")


def test_table_without_rules_gives_rows_and_a_header_for_each_column(tmp_path):
    [table] = tables(write_pdf(tmp_path / "a.pdf", statement))
    rows = table.text.split("\n")
    assert table.header_rows == 1
    assert rows[0] == (" | Three Months Ended July 1, 2023 | Three Months Ended June 25, 2022")
    assert rows[1:] == [
        "Net sales:",
        "Products | $ 60,584 | $ 63,355",
        "Services | 21,213 | 19,604",
        "Total net sales | $ 81,797 | $ 82,959",
        "Other income/(expense), net | (265) | (10)",
    ]
    x0, _, x1, _ = box_of(table, "82,959")
    assert x1 == pytest.approx(500, abs=1)
    assert x0 > 440


def test_units_above_a_table_are_part_of_its_header(tmp_path):
    def draw(canvas: Canvas) -> None:
        write_lines(canvas, "Statements of operations", size=14, bold=True, top=90)
        write_lines(canvas, "(In millions, except per share amounts)", size=9, top=120)
        statement(canvas)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert [e.kind for e in parsed.elements] == ["heading", "table"]
    header = parsed.elements[1].text.split("\n")[0]
    assert header.startswith("(In millions, except per share amounts) | Three Months")
    assert faults(parsed) == []


def test_other_remarks_above_a_table_stay_text(tmp_path):
    def draw(canvas: Canvas) -> None:
        write_lines(canvas, "(Name of the company as in its charter)", size=9, top=120)
        statement(canvas)

    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", draw))
    assert [e.kind for e in parsed.elements] == ["paragraph", "table"]


def test_wide_table_keeps_every_figure_in_its_row(tmp_path):
    years = [str(year) for year in range(2012, 2024)]
    rows = [
        ["", *years],
        *([f"Line {i}", *(str(100 * i + n) for n in range(12))] for i in range(6)),
    ]

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 7)
        for index, row in enumerate(rows):
            canvas.drawString(40, HEIGHT - 100 - 11 * index, row[0])
            for column, value in enumerate(row[1:]):
                canvas.drawRightString(120 + 38 * column, HEIGHT - 100 - 11 * index, value)

    [table] = tables(write_pdf(tmp_path / "a.pdf", draw))
    assert table.text.split("\n") == [" | ".join(row) for row in rows]
    assert table.header_rows == 1


def test_table_over_two_pages_is_one_table_a_page(tmp_path):
    """The pages are read one by one; the second part has its header where the file repeats it."""
    found = tables(write_pdf(tmp_path / "a.pdf", ruled(PRICES), ruled(PRICES)))
    assert [table.page for table in found] == [1, 2]
    assert all(table.header_rows == 1 for table in found)


def test_label_that_goes_on_in_the_next_line_stays_one_row(tmp_path):
    lines = [
        ("Item", "2023", "2022"),
        ("Change in the fair value of derivative", "", ""),
        ("instruments of the group", "509", "852"),
        ("Translation of currencies", "(385)", "(721)"),
        ("Total of the other income", "124", "131"),
    ]

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for index, (label, *values) in enumerate(lines):
            canvas.drawString(72, HEIGHT - 100 - 12 * index, label)
            for right, value in zip((390, 500), values, strict=True):
                canvas.drawRightString(right, HEIGHT - 100 - 12 * index, value)

    [table] = tables(write_pdf(tmp_path / "a.pdf", draw))
    assert (
        "Change in the fair value of derivative instruments of the group | 509 | 852" in table.text
    )


def test_prose_and_lists_are_no_tables(tmp_path):
    def draw(canvas: Canvas) -> None:
        for index in range(8):
            canvas.drawString(72, HEIGHT - 100 - 14 * index, f"{index + 1}.")
            canvas.drawString(110, HEIGHT - 100 - 14 * index, "Send the form to the office.")
        write_lines(canvas, ["The figures of 2023 and 2022 are 12 and 14.", "See note 3."], top=300)

    assert tables(write_pdf(tmp_path / "a.pdf", draw)) == []


def test_frame_around_text_is_no_table(tmp_path):
    def draw(canvas: Canvas) -> None:
        canvas.rect(60, HEIGHT - 160, 400, 80)
        write_lines(canvas, ["A frame holds this notice about", "the fire drill in May."], top=110)

    assert tables(write_pdf(tmp_path / "a.pdf", draw)) == []

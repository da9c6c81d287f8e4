"""PDF by reportlab: reports, two-column bulletins, letters, and pages that are only an image."""

import io
import os
from collections.abc import Callable, Iterator, Sequence

from reportlab.lib import colors
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    ListFlowable,
    ListItem,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from typeset.markup import Block, Content, is_number, tagged
from typeset.scan import scanned_pages

INK = colors.HexColor("#1d2b36")
ACCENT = colors.HexColor("#0b6b6b")
PALE = colors.HexColor("#e8f1f0")
WIDTH, HEIGHT = A4
MARGIN = 22 * mm


def write_pdf(content: Content) -> bytes:
    """Set a content file as PDF in the style that its header names."""
    os.environ["SOURCE_DATE_EPOCH"] = str(int(content.date.timestamp()))
    if content.style == "scan":
        return _image_pdf(content, scanned_pages(content))
    return _text_pdf(
        content, columns=content.style == "two-column", size=float(content.header.get("size", 9.5))
    )


def _text_pdf(content: Content, *, columns: bool, size: float) -> bytes:
    out = io.BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        title=content.title,
        author=content.author,
        subject=content.header.get("subject", ""),
        invariant=1,
    )
    document.addPageTemplates(_two_columns() if columns else _one_column())
    styles = _styles(size, justify=columns)
    width = (WIDTH - 2 * MARGIN - 8 * mm) / 2 if columns else WIDTH - 2 * MARGIN
    story: list[Flowable] = [_masthead(content, styles)]
    story += [FrameBreak()] if columns else [Spacer(0, 4 * mm)]
    for block in content.blocks:
        story += _flow(block, styles, width)
    document.build(story, canvasmaker=_numbered(content))
    return out.getvalue()


def _one_column() -> list[PageTemplate]:
    frame = Frame(MARGIN, 24 * mm, WIDTH - 2 * MARGIN, HEIGHT - 48 * mm, 0, 0, 0, 0)
    return [PageTemplate("page", [frame])]


def _two_columns() -> list[PageTemplate]:
    """The first page has a masthead over both columns."""
    width, gap = (WIDTH - 2 * MARGIN - 8 * mm) / 2, 8 * mm
    top, head = HEIGHT - 48 * mm, 26 * mm
    first = [Frame(MARGIN, 24 * mm + top - head, WIDTH - 2 * MARGIN, head, 0, 0, 0, 0)]
    first += [
        Frame(MARGIN + i * (width + gap), 24 * mm, width, top - head, 0, 0, 0, 0) for i in (0, 1)
    ]
    rest = [Frame(MARGIN + i * (width + gap), 24 * mm, width, top, 0, 0, 0, 0) for i in (0, 1)]
    return [PageTemplate("first", first, autoNextPageTemplate="rest"), PageTemplate("rest", rest)]


def _styles(size: float, *, justify: bool) -> dict[str, ParagraphStyle]:
    body = ParagraphStyle(
        "body",
        fontName="Helvetica",
        fontSize=size,
        leading=size * 1.42,
        textColor=INK,
        spaceAfter=5,
    )
    if justify:
        body.alignment = TA_JUSTIFY
    bold = {"fontName": "Helvetica-Bold", "textColor": ACCENT, "alignment": 0, "keepWithNext": 1}
    return {
        "body": body,
        "title": ParagraphStyle("title", body, **bold, fontSize=21, leading=25, spaceAfter=4),
        "h1": ParagraphStyle(
            "h1", body, **bold, fontSize=15, leading=19, spaceBefore=13, spaceAfter=5
        ),
        "h2": ParagraphStyle(
            "h2", body, **bold, fontSize=11.5, leading=15, spaceBefore=9, spaceAfter=3
        ),
        "h3": ParagraphStyle(
            "h3", body, **{**bold, "textColor": INK}, fontSize=size, leading=13, spaceBefore=5
        ),
        "note": ParagraphStyle(
            "note",
            body,
            backColor=PALE,
            borderPadding=6,
            leftIndent=6,
            rightIndent=6,
            spaceBefore=8,
            spaceAfter=12,
        ),
        "cell": ParagraphStyle(
            "cell", body, fontSize=size - 1, leading=(size - 1) * 1.3, spaceAfter=0, alignment=0
        ),
        "number": ParagraphStyle(
            "number", body, fontSize=size - 1, leading=(size - 1) * 1.3, spaceAfter=0, alignment=2
        ),
    }


def _masthead(content: Content, styles: dict[str, ParagraphStyle]) -> Flowable:
    lines: list[Flowable] = [Paragraph(tagged(content.title), styles["title"])]
    if subtitle := content.header.get("subtitle"):
        lines.append(Paragraph(tagged(subtitle), styles["body"]))
    table = Table([[lines]], colWidths=[WIDTH - 2 * MARGIN])
    table.setStyle(
        TableStyle(
            [("LINEBELOW", (0, 0), (-1, -1), 1.2, ACCENT), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
        )
    )
    return table


def _flow(block: Block, styles: dict[str, ParagraphStyle], width: float) -> Iterator[Flowable]:
    match block.kind:
        case "break":
            yield PageBreak()
        case "heading":
            yield Paragraph(tagged(block.text), styles[f"h{min(block.level, 3)}"])
        case "table":
            yield _table(block.rows, styles, width)
            yield Spacer(0, 7)
        case "bullets" | "numbers":
            yield _list(block, styles)
            yield Spacer(0, 4)
        case "note":
            yield Paragraph(tagged(block.text), styles["note"])
        case "paragraph":
            yield Paragraph(tagged(block.text), styles["body"])


def _list(block: Block, styles: dict[str, ParagraphStyle]) -> ListFlowable:
    items = [ListItem(Paragraph(tagged(line), styles["body"])) for line in block.lines]
    kind = "bullet" if block.kind == "bullets" else "1"
    start = "•" if kind == "bullet" else 1
    return ListFlowable(items, bulletType=kind, start=start, leftIndent=14, bulletFontSize=9)


def _table(rows: Sequence[Sequence[str]], styles: dict[str, ParagraphStyle], width: float) -> Table:
    cells = [[Paragraph(f"<b>{tagged(cell)}</b>", styles["cell"]) for cell in rows[0]]]
    columns = [
        "number" if all(map(is_number, column)) else "cell"
        for column in zip(*rows[1:], strict=True)
    ]
    cells += [
        [Paragraph(tagged(c), styles[s]) for c, s in zip(row, columns, strict=True)]
        for row in rows[1:]
    ]
    table = Table(cells, colWidths=_widths(rows, width), repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), PALE),
                ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#9fb3b3")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )
    return table


def _widths(rows: Sequence[Sequence[str]], width: float) -> list[float]:
    """Column widths by the square root of their longest cell, so that long text wraps."""
    weights = [max(len(row[i]) for row in rows) ** 0.5 + 1 for i in range(len(rows[0]))]
    return [width * weight / sum(weights) for weight in weights]


def _numbered(content: Content) -> Callable[..., Canvas]:
    """A canvas class that knows the number of pages when it writes the footers."""
    header = content.header.get("header", "Norrvane Group")
    footer = content.header.get("footer", content.title)
    word = {"de": "Seite {} von {}", "es": "Página {} de {}"}.get(
        content.header.get("lang", "en"), "Page {} of {}"
    )

    class NumberedCanvas(Canvas):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            self._states: list[dict[str, object]] = []

        def showPage(self) -> None:  # noqa: N802  reportlab's name
            self._states.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, state in enumerate(self._states, 1):
                self.__dict__.update(state)
                self._furniture(word.format(number, len(self._states)))
                super().showPage()
            super().save()

        def _furniture(self, page: str) -> None:
            self.setFont("Helvetica", 8)
            self.setFillColor(colors.HexColor("#5b6b73"))
            self.drawString(MARGIN, HEIGHT - 15 * mm, header)
            self.drawString(MARGIN, 14 * mm, footer)
            self.drawRightString(WIDTH - MARGIN, 14 * mm, page)

    return NumberedCanvas


def _image_pdf(content: Content, pages: Sequence[bytes]) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.setTitle(content.title)
    canvas.setCreator("Office scanner 2")
    for page in pages:
        canvas.drawImage(ImageReader(io.BytesIO(page)), 0, 0, WIDTH, HEIGHT)
        canvas.showPage()
    canvas.save()
    return out.getvalue()

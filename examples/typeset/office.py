"""DOCX, PPTX, XLSX, ODT and RTF, with fixed dates inside and out."""

import io
import os
import tempfile
import zipfile
from pathlib import Path

import pypandoc
import xlsxwriter
from docx import Document
from docx.document import Document as DocxDocument
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt
from docx.text.paragraph import Paragraph
from pptx import Presentation
from pptx.slide import Slide
from pptx.util import Cm
from pptx.util import Pt as SlidePt

from typeset.markup import Block, Content, is_number, plain, runs

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
LISTS = {"bullets": "List Bullet", "numbers": "List Number"}


def rezip(data: bytes) -> bytes:
    """The same archive with all timestamps fixed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            kind = source.getinfo(name).compress_type
            info = zipfile.ZipInfo(name, ZIP_EPOCH)
            target.writestr(info, source.read(name), compress_type=kind)
    return out.getvalue()


# --- Word ---------------------------------------------------------------------------------------


def write_docx(content: Content) -> bytes:
    """Set a content file as a Word document with header, footer and page numbers."""
    document = Document()
    properties = document.core_properties
    properties.title, properties.author = content.title, content.author
    properties.created = properties.modified = content.date.replace(tzinfo=None)
    properties.comments = ""
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(10.5)
    document.sections[0].header.paragraphs[0].text = content.header.get("header", "Norrvane Group")
    footer = document.sections[0].footer.paragraphs[0]
    footer.add_run(content.header.get("footer", content.title) + "  ·  ")
    _page_field(footer)
    document.add_heading(content.title, level=0)
    for block in content.blocks:
        _add_block(document, block)
    out = io.BytesIO()
    document.save(out)
    return rezip(out.getvalue())


def _page_field(paragraph: Paragraph) -> None:
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    paragraph._p.append(field)


def _add_block(document: DocxDocument, block: Block) -> None:
    match block.kind:
        case "break":
            document.add_page_break()
        case "heading":
            document.add_heading(plain(block.text), level=block.level)
        case "table":
            _add_table(document, block)
        case "bullets" | "numbers":
            for line in block.lines:
                _add_runs(document.add_paragraph(style=LISTS[block.kind]), line)
        case "note":
            _add_runs(document.add_paragraph(style="Intense Quote"), block.text)
        case "paragraph":
            _add_runs(document.add_paragraph(), block.text)


def _add_runs(paragraph: Paragraph, text: str) -> None:
    for style, part in runs(text):
        run = paragraph.add_run(part)
        run.bold, run.italic = style == "b" or None, style == "i" or None


def _add_table(document: DocxDocument, block: Block) -> None:
    table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
    for row in block.rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = plain(text)
    document.add_paragraph()


# --- slides -------------------------------------------------------------------------------------


def write_pptx(content: Content) -> bytes:
    """Set a content file as slides: `#` starts one, `##` is its line under the title."""
    show = Presentation()
    show.core_properties.title, show.core_properties.author = content.title, content.author
    show.core_properties.created = show.core_properties.modified = content.date.replace(tzinfo=None)
    slide: Slide | None = None
    for block in content.blocks:
        if block.kind == "heading" and block.level == 1:
            first = slide is None
            slide = show.slides.add_slide(show.slide_layouts[0 if first else 1])
            slide.shapes.title.text = plain(block.text)
        elif slide is not None:
            _fill_slide(slide, block)
    out = io.BytesIO()
    show.save(out)
    return rezip(out.getvalue())


def _fill_slide(slide: Slide, block: Block) -> None:
    if block.kind == "table":
        _slide_table(slide, block)
        return
    if block.kind == "note":
        slide.notes_slide.notes_text_frame.text = plain(block.text)
        return
    frame = slide.placeholders[1].text_frame
    for line in block.lines if block.kind == "bullets" else (block.text,):
        paragraph = frame.paragraphs[0] if not frame.text else frame.add_paragraph()
        paragraph.text = plain(line)
        paragraph.font.size = SlidePt(20)


def _slide_table(slide: Slide, block: Block) -> None:
    """A table below whatever text the slide has; an empty text box is taken away."""
    body = slide.placeholders[1]
    top = Cm(11) if body.text_frame.text else Cm(5)
    if not body.text_frame.text:
        body._element.getparent().remove(body._element)
    shape = slide.shapes.add_table(len(block.rows), len(block.rows[0]), Cm(2), top, Cm(21), Cm(1))
    for y, row in enumerate(block.rows):
        for x, text in enumerate(row):
            cell = shape.table.cell(y, x)
            cell.text = plain(text)
            cell.text_frame.paragraphs[0].font.size = SlidePt(14)


# --- sheets -------------------------------------------------------------------------------------


def write_xlsx(content: Content) -> bytes:
    """Set a content file as a workbook: `#` starts a sheet, text above a table is kept."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties({"title": content.title, "author": content.author, "created": content.date})
    bold, wrap = (
        book.add_format({"bold": True, "bg_color": "#E8F1F0"}),
        book.add_format({"text_wrap": False}),
    )
    sheet, y = None, 0
    for block in content.blocks:
        if block.kind == "heading" and block.level == 1:
            sheet, y = book.add_worksheet(plain(block.text)), 0
        elif sheet is not None:
            for number, row in enumerate(block.rows or ((block.text,),)):
                header = bool(block.rows) and number == 0
                for x, cell in enumerate(row):
                    sheet.write(y, x, _value(cell), bold if header else wrap)
                y += 1
            y += 1
            sheet.set_column(0, 0, 34)
            sheet.set_column(1, 9, 16)
    book.close()
    return rezip(out.getvalue())


def _value(cell: str) -> str | float:
    text = plain(cell)
    if not is_number(cell) or any(sign in text for sign in "£€%("):
        return text
    number = float(text.replace(",", ""))
    return int(number) if number.is_integer() else number


# --- by pandoc ----------------------------------------------------------------------------------


def write_pandoc(content: Content) -> bytes:
    """Set a content file as ODT or RTF."""
    os.environ["SOURCE_DATE_EPOCH"] = str(int(content.date.timestamp()))
    kind = content.target.suffix.lstrip(".")
    text = f"# {content.title}\n\n{content.body}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"out.{kind}"
        pypandoc.convert_text(
            text,
            kind,
            "markdown",
            outputfile=str(path),
            extra_args=["--standalone", f"--metadata=pagetitle:{content.title}"],
        )
        data = path.read_bytes()
    return rezip(data) if kind == "odt" else data

"""PPTX through python-pptx: a slide is a page, its title a heading.

Shapes are read from top to bottom and left to right, as the order in the file is that of drawing.
Speaker notes are text; hidden slides, slide numbers and repeated footers are not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pptx
from lxml import etree
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER
from pptx.exc import PackageNotFoundError

from ingest.parse import archives, clean, tables
from ingest.parse.model import Element, Parsed
from ingest.parse.properties import with_core_properties

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_FURNITURE = frozenset({PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER})
_TITLES = frozenset(
    {PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE}
)
_BODIES = frozenset({PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY})
_BAND = 200_000  # EMU, 5.6 mm: shapes whose tops differ by less stand side by side
_MAX_GROUP_DEPTH = 50


def parse_pptx(path: Path) -> Parsed:
    """A PowerPoint presentation.

    Raises:
        ParseError: `bomb`, `encrypted` or `damaged`.
    """
    archives.check(path)
    try:
        presentation = pptx.Presentation(str(path))
    except (PackageNotFoundError, KeyError, ValueError, etree.XMLSyntaxError) as error:
        raise archives.damaged() from error
    elements: list[Element] = []
    hidden = []
    for number, slide in enumerate(presentation.slides, start=1):
        if slide.element.get("show") in {"0", "false"}:
            hidden.append(str(number))
        else:
            elements.extend(_slide(slide, number))
    warnings = [f"hidden slides were left out: {', '.join(hidden)}"] if hidden else []
    warnings += ["comments were left out"] if archives.has_comments(path) else []
    return with_core_properties(Parsed("", elements, warnings=warnings), presentation)


def _slide(slide: Any, page: int) -> Iterator[Element]:
    shapes = sorted(_flat(slide.shapes, 0), key=_place)
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    for shape in titles:
        if text := clean.one_line(shape.text_frame.text):
            yield Element("heading", text, level=1, page=page)
    for shape in shapes:
        if shape not in titles and _placeholder(shape) not in _FURNITURE:
            yield from _shape(shape, page)
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
        for paragraph in notes.paragraphs:
            if text := clean.lines(_text(paragraph)):
                yield Element("paragraph", text, page=page)


def _flat(shapes: Any, depth: int) -> Iterator[Any]:
    for shape in shapes:
        if getattr(shape, "shape_type", None) == MSO_SHAPE_TYPE.GROUP and depth < _MAX_GROUP_DEPTH:
            yield from _flat(shape.shapes, depth + 1)
        else:
            yield shape


def _place(shape: Any) -> tuple[int, int]:
    return (shape.top or 0) // _BAND, shape.left or 0


def _placeholder(shape: Any) -> Any:
    return shape.placeholder_format.type if shape.is_placeholder else None


def _shape(shape: Any, page: int) -> Iterator[Element]:
    if shape.has_text_frame:
        yield from _text_frame(shape, page)
    elif getattr(shape, "has_table", False):
        yield from _table(shape.table, page)
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart.part, page)
    elif shape.element.tag.endswith("}graphicFrame"):
        yield from _diagram(shape, page)


def _text_frame(shape: Any, page: int) -> Iterator[Element]:
    in_body = _placeholder(shape) in _BODIES
    for paragraph in shape.text_frame.paragraphs:
        if text := clean.lines(_text(paragraph)):
            kind = "list_item" if _is_bulleted(paragraph, in_body) else "paragraph"
            yield Element(kind, text, page=page)  # type: ignore[arg-type]


def _text(paragraph: Any) -> str:
    """Text with soft line breaks; python-pptx writes them as vertical tabs."""
    return str(paragraph.text).replace("\v", "\n")


def _is_bulleted(paragraph: Any, in_body: bool) -> bool:
    properties = paragraph._p.pPr
    if properties is not None:
        if properties.find(f"{_A}buNone") is not None:
            return False
        if any(properties.find(f"{_A}{mark}") is not None for mark in ("buChar", "buAutoNum")):
            return True
    return in_body or paragraph.level > 0


def _table(table: Any, page: int) -> Iterator[Element]:
    rows = [[_cell(table, r, c) for c in range(len(table.columns))] for r in range(len(table.rows))]
    header = tables.header_row_count(rows) or int(bool(table.first_row))
    if element := tables.table_element(rows, header_rows=header, page=page):
        yield element


def _cell(table: Any, row: int, column: int) -> str:
    """A cell's text; one that is merged into the cell above repeats it."""
    cell = table.cell(row, column)
    if not cell.is_spanned:
        return str(cell.text).replace("\v", " ")
    if cell._tc.vMerge and not cell._tc.hMerge and row:
        return _cell(table, row - 1, column)
    return ""


def _chart(part: Any, page: int) -> Iterator[Element]:
    """A chart's numbers, as saved with it, as a table: a row for each category.

    Read off the XML, as python-pptx knows some kinds of charts only.
    """
    root = etree.fromstring(part.blob, _safe_parser())
    for title in root.iterfind(f"{_C}chart/{_C}title"):
        if text := clean.one_line("".join(t.text or "" for t in title.iter(f"{_A}t"))):
            yield Element("paragraph", text, page=page)
    series = list(root.iter(f"{_C}ser"))
    names = [" ".join(_points(one.find(f"{_C}tx")).values()) for one in series]
    categories: dict[int, str] = {}
    for one in series:
        categories |= _points(_first(one, "cat", "xVal"))
    values = [_points(_first(one, "val", "yVal")) for one in series]
    indexes = sorted(set(categories).union(*values))
    rows = [[categories.get(i, ""), *(column.get(i, "") for column in values)] for i in indexes]
    if element := tables.table_element([["", *names], *rows], header_rows=1, page=page):
        yield element


def _first(node: Any, *names: str) -> Any | None:
    return next((found for n in names if (found := node.find(f"{_C}{n}")) is not None), None)


def _points(node: Any | None) -> dict[int, str]:
    """Cached values by index."""
    if node is None:
        return {}
    points = node.iter(f"{_C}pt")
    return {int(p.get("idx") or 0): p.findtext(f"{_C}v") or "" for p in points}


def _safe_parser() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True)


def _diagram(shape: Any, page: int) -> Iterator[Element]:
    """SmartArt: its texts lie in a part of their own."""
    for node in shape.element.iter(
        "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
    ):
        key = node.get("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm")
        if key not in shape.part.rels:
            continue
        root = etree.fromstring(shape.part.related_part(key).blob, _safe_parser())
        for paragraph in root.iter(f"{_A}p"):
            if text := clean.one_line("".join(t.text or "" for t in paragraph.iter(f"{_A}t"))):
                yield Element("list_item", text, page=page)

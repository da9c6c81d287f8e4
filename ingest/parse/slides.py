"""PPTX through python-pptx: a slide is a page, its title a heading.

Shapes are read from top to bottom and left to right, as the order in the file is that of drawing.
Speaker notes are text; hidden slides, slide numbers and repeated footers are not. Text too small to
be seen is left out. White text on a white slide, with nothing coloured behind it, is kept, as a
theme can still show it, and a warning says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pptx
from lxml import etree
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER
from pptx.exc import PackageNotFoundError

from ingest.hidden import hidden_words
from ingest.parse import archives, clean, tables
from ingest.parse.model import Element, Parsed
from ingest.parse.properties import with_core_properties

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_FURNITURE = frozenset({PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER})
_TITLES = frozenset(
    {PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE}
)
_BODIES = frozenset({PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY})
_BAND = 200_000  # EMU, 5.6 mm: shapes whose tops differ by less stand side by side
_MAX_GROUP_DEPTH = 50
_TINY = 200  # hundredths of a point
_WHITE = "FFFFFF"
_FILLS = ("solidFill", "gradFill", "blipFill", "pattFill", "grpFill")


@dataclass(slots=True)
class _Sight:
    """Words of a presentation that nobody sees, and words that may not be seen."""

    n_hidden: int = 0
    n_white: int = 0

    def warnings(self) -> list[str]:
        found = [hidden_words(self.n_hidden)] if self.n_hidden else []
        if self.n_white:
            plural = "s stand" if self.n_white != 1 else " stands"
            found.append(f"text in white may be hidden: {self.n_white:,} word{plural} in it")
        return found

    def look(self, shapes: list[Any], slide: Any) -> None:
        """Take what is too small from the shapes of a slide, and count white on white."""
        white = _is_white_slide(slide)
        behind = [_box(shape) for shape in shapes if white and _is_filled(shape)]
        for shape in shapes:
            bare = white and shape.has_text_frame and not any(_meet(_box(shape), b) for b in behind)
            for run in shape.element.iter(f"{_A}r"):
                self._run(run, bare)

    def _run(self, run: Any, bare: bool) -> None:
        text, properties = run.find(f"{_A}t"), run.find(f"{_A}rPr")
        if text is None or not text.text or properties is None:
            return
        size = properties.get("sz", "")
        if size.isdecimal() and int(size) < _TINY:
            self.n_hidden += len(text.text.split())
            text.text = ""
        elif bare and _is_white(properties):
            self.n_white += len(text.text.split())


def _is_white_slide(slide: Any) -> bool:
    """Whether its background, or what it inherits, is the light colour of its theme."""
    layout = slide.slide_layout
    for owner in (slide, layout, layout.slide_master):
        background = owner.element.find(f"{_P}cSld/{_P}bg")
        if background is None:
            continue
        colours = [node.get("val", "") for node in background.iter() if node.get("val")]
        lights = {"lt1", _WHITE}
        names = layout.slide_master.element.find(f"{_P}clrMap")
        if names is not None and names.get("bg1") == "lt1":
            lights.add("bg1")
        return len(colours) == 1 and colours[0] in lights
    return True


def _is_filled(shape: Any) -> bool:
    """Whether the shape has a colour or a picture of its own, by hand or by its style."""
    if shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
        return True
    own = [node for node in shape.element if node.tag.endswith("}spPr")]
    if any(node.find(f"{_A}{fill}") is not None for node in own for fill in _FILLS):
        return True
    plain = any(node.find(f"{_A}noFill") is not None for node in own)
    return not plain and shape.element.find(f"{_P}style") is not None


def _box(shape: Any) -> tuple[int, int, int, int]:
    left, top = shape.left or 0, shape.top or 0
    return left, top, left + (shape.width or 0), top + (shape.height or 0)


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _is_white(properties: Any) -> bool:
    colour = properties.find(f"{_A}solidFill/{_A}srgbClr")
    return colour is not None and colour.get("val", "").upper() == _WHITE


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
    sight = _Sight()
    for number, slide in enumerate(presentation.slides, start=1):
        if slide.element.get("show") in {"0", "false"}:
            hidden.append(str(number))
        else:
            elements.extend(_slide(slide, number, sight))
    warnings = [f"hidden slides were left out: {', '.join(hidden)}"] if hidden else []
    warnings += sight.warnings()
    warnings += ["comments were left out"] if archives.has_comments(path) else []
    return with_core_properties(Parsed("", elements, warnings=warnings), presentation)


def _slide(slide: Any, page: int, sight: _Sight) -> Iterator[Element]:
    shapes = sorted(_flat(slide.shapes, 0), key=_place)
    sight.look(shapes, slide)
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

"""DOCX, by a walk over its XML as python-docx opens it.

python-docx's own paragraphs leave out content controls, tracked insertions, text boxes and notes,
so the tree is walked here and the library used for the package, styles and properties. What Word
shows is text, and what it does not show (hidden runs, tracked deletions) is not; tables of contents
repeat the headings and are passed over. Pages are those that Word wrote into the file when it last
laid it out; a file that was never laid out has none.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
from docx.opc.exceptions import PackageNotFoundError
from lxml import etree

from ingest.parse import archives, clean, tables
from ingest.parse.model import Element, ElementKind, Parsed
from ingest.parse.numbering import Numbering, W
from ingest.parse.properties import with_core_properties
from ingest.parse.styles import Style, Styles, is_on

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_M_T = f"{_M}t"
_MATH = {  # what stands before a part of a formula, and whether it always needs brackets
    f"{_M}num": ("", False),
    f"{_M}den": ("/", False),
    f"{_M}sup": ("^", False),
    f"{_M}sub": ("_", False),
    f"{_M}rad": ("√", True),
}
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_CONTAINERS = frozenset(
    f"{W}{name}" for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "body")
)
_REMOVED = frozenset(f"{W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "pPr"))
_TEXT_BOX = f"{W}txbxContent"
_MAX_HEADING_CHARS = 100
_NOTES = {f"{W}footnoteReference": "footnotes", f"{W}endnoteReference": "endnotes"}
_CHARACTERS = {
    f"{W}tab": " ",
    f"{W}cr": "\n",
    f"{W}br": "\n",
    f"{W}noBreakHyphen": "-",
    f"{W}ptab": " ",
}


def parse_docx(path: Path) -> Parsed:
    """A Word document.

    Raises:
        ParseError: `bomb`, `encrypted` or `damaged`.
    """
    archives.check(path)
    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, KeyError, ValueError, etree.XMLSyntaxError) as error:
        raise archives.damaged() from error
    reader = _Reader(document)
    elements = [*reader.body(), *reader.margins()]
    parsed = Parsed("", _merged_code(elements), warnings=reader.warnings())
    return with_core_properties(parsed, document)


class _Reader:
    """Reads blocks in document order, counting pages and list numbers on the way."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._styles = Styles(document.styles.element)
        self._numbering = Numbering(_part(document, "numbering"))
        self._notes = {kind: _notes_by_id(_part(document, kind)) for kind in _NOTES.values()}
        breaks = document.element.body.iter(f"{W}lastRenderedPageBreak")
        self._page = 1 if next(breaks, None) is not None else None
        self._boxes: list[Any] = []
        self._noted: list[Any] = []
        self._hidden = False
        self._bold: set[int] = set()  # ids of elements in bold throughout

    def warnings(self) -> list[str]:
        """What was seen and left out."""
        found = ["hidden text was left out"] if self._hidden else []
        found += ["comments were left out"] if _has_comments(self._document) else []
        return found

    def body(self) -> list[Element]:
        """The document's text. Where no heading has a style for it, bold lines are headings."""
        elements = list(self.blocks(self._document.element.body))
        if any(element.kind == "heading" for element in elements):
            return elements
        return [
            Element("heading", e.text.replace("\n", " "), level=2, page=e.page)
            if id(e) in self._bold and _could_be_heading(e)
            else e
            for e in elements
        ]

    def blocks(self, container: Any) -> Iterator[Element]:
        """Elements of a body, cell, text box or note."""
        for node in container:
            if node.tag == f"{W}p":
                yield from self._paragraph(node)
            elif node.tag == f"{W}tbl":
                yield from self._table(node)
            elif node.tag in _CONTAINERS and not _is_contents(node):
                yield from self.blocks(node)

    def margins(self) -> Iterator[Element]:
        """Texts of headers and footers, each once: they may name the document or its version."""
        seen: set[str] = set()
        self._page = None
        for relation in self._document.part.rels.values():
            if relation.reltype.endswith(("/header", "/footer")) and not relation.is_external:
                root = etree.fromstring(relation.target_part.blob, _safe_parser())
                for element in self.blocks(root):
                    if element.text not in seen and any(char.isalpha() for char in element.text):
                        seen.add(element.text)
                        yield Element("paragraph", element.text.replace("\n", " "))

    def _paragraph(self, node: Any) -> Iterator[Element]:
        style = self._styles.of_paragraph(node)
        text, page = self._text_and_page(node)
        if style.is_contents:
            return
        boxes, self._boxes = self._boxes, []
        noted, self._noted = self._noted, []
        label = self._label(style) if text.strip() else ""
        if body := (clean.code_lines if style.is_code else clean.lines)(text):
            kind = _kind(style)
            flat = body.replace("\n", " ") if kind in {"heading", "title"} else body
            element = Element(kind, f"{label}{flat}", level=style.heading_level, page=page)
            if self._styles.is_bold(node):
                self._bold.add(id(element))
            yield element
        for box in boxes:
            yield from self.blocks(box)
        for note in noted:
            yield from self.blocks(note)

    def _label(self, style: Style) -> str:
        if not style.num_id:
            return ""
        label = clean.one_line(self._numbering.label(style.num_id, style.num_level))
        return f"{label} " if label else ""

    def _text_and_page(self, node: Any) -> tuple[str, int | None]:
        """A paragraph's text, and the page that its first character is on."""
        parts: list[str] = []
        page = self._page
        for part in self._parts(node):
            if part == "\f":
                self._page = (self._page or 0) + 1
                page = page if any(map(str.strip, parts)) else self._page
            else:
                parts.append(part)
        return "".join(parts), page

    def _parts(self, node: Any) -> Iterator[str]:
        """Pieces of visible text; a form feed stands for a page that ended."""
        for child in node:
            tag = child.tag
            if tag in _REMOVED or tag == _FALLBACK or not isinstance(tag, str):
                continue
            if tag == _TEXT_BOX:
                self._boxes.append(child)
            elif tag == f"{W}r" and self._styles.hides(child):
                self._hidden = self._hidden or any(True for _ in child.iter(f"{W}t"))
            elif tag in {f"{W}t", _M_T}:
                yield child.text or ""
            elif tag == f"{W}lastRenderedPageBreak":
                yield "\f"
            elif tag in _CHARACTERS:
                yield _CHARACTERS[tag]
            elif tag in _MATH:
                yield from self._formula(child, *_MATH[tag])
            elif tag in _NOTES:
                note = self._notes[_NOTES[tag]].get(child.get(f"{W}id"))
                self._noted += [] if note is None else [note]
            else:
                yield from self._parts(child)

    def _formula(self, node: Any, before: str, is_wrapped: bool) -> Iterator[str]:
        """A part of a formula on one line: `(a)/(b)`, `x^2`, `√(x)`."""
        text = "".join(self._parts(node))
        if text:
            wrap = is_wrapped or len(text) > 1
            yield f"{before}({text})" if wrap else f"{before}{text}"

    def _table(self, node: Any) -> Iterator[Element]:
        rows = [row for row in _within(node, "tr") if row.find(f"{W}trPr/{W}del") is None]
        cells = [list(_within(row, "tc")) for row in rows]
        if len(cells) == 1 and len(cells[0]) == 1:  # a frame around text
            yield from self.blocks(cells[0][0])
            return
        page = self._page
        texts = self._grid(cells)
        marked = sum(1 for row in rows if is_on(row.find(f"{W}trPr/{W}tblHeader")))
        header = marked if marked < len(rows) else 0
        table = tables.table_element(
            tables.without_empty_columns(texts),
            header_rows=header or tables.header_row_count(texts),
            page=page,
        )
        if table:
            yield table

    def _grid(self, rows: list[list[Any]]) -> list[list[str]]:
        """Cell texts; merged cells are repeated down their rows, empty along their columns."""
        grid: list[list[str]] = []
        for cells in rows:
            out = [""] * _skipped(cells)
            for cell in cells:
                if _continues(cell):
                    above = grid[-1] if grid else []
                    out.append(above[len(out)] if len(out) < len(above) else "")
                else:
                    out.append(" ".join(_in_cell(element) for element in self.blocks(cell)))
                out += [""] * (_columns(cell) - 1)
            grid.append(out)
        return grid


def _kind(style: Style) -> ElementKind:
    if style.is_title:
        return "title"
    if style.heading_level:
        return "heading"
    if style.is_code:
        return "code"
    return "list_item" if style.num_id or style.is_list else "paragraph"


def _could_be_heading(element: Element) -> bool:
    text = element.text
    return (
        element.kind == "paragraph"
        and len(text) <= _MAX_HEADING_CHARS
        and text[-1] not in ".,;:!?"
        and any(char.isalpha() for char in text)
    )


def _merged_code(elements: list[Element]) -> list[Element]:
    """Lines of code that follow each other as one element."""
    merged: list[Element] = []
    for element in elements:
        last = merged[-1] if merged else None
        if last is not None and element.kind == last.kind == "code":
            merged[-1] = Element("code", f"{last.text}\n{element.text}", page=last.page)
        else:
            merged.append(element)
    return merged


def _within(node: Any, name: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, content controls looked through."""
    for child in node:
        if child.tag == f"{W}{name}":
            yield child
        elif child.tag in _CONTAINERS:
            yield from _within(child, name)


def _continues(cell: Any) -> bool:
    merge = cell.find(f"{W}tcPr/{W}vMerge")
    return merge is not None and merge.get(f"{W}val") != "restart"


def _columns(cell: Any) -> int:
    return max(_count(cell.find(f"{W}tcPr/{W}gridSpan")), 1)


def _skipped(cells: list[Any]) -> int:
    """Columns that a row leaves out before its first cell."""
    return _count(cells[0].getparent().find(f"{W}trPr/{W}gridBefore")) if cells else 0


def _count(node: Any | None) -> int:
    value = "" if node is None else node.get(f"{W}val") or ""
    return min(int(value), 100) if value.isdecimal() else 0


def _in_cell(element: Element) -> str:
    """An element's text inside a cell, where the bars of a nested table would add columns."""
    return element.text.replace(" | ", " ") if element.kind == "table" else element.text


def _is_contents(node: Any) -> bool:
    gallery = node.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
    return gallery is not None and gallery.get(f"{W}val") == "Table of Contents"


def _part(document: Any, kind: str) -> Any | None:
    """The root of a part of the package, None where the document has none of this kind."""
    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            return etree.fromstring(relation.target_part.blob, _safe_parser())
    return None


def _has_comments(document: Any) -> bool:
    comments = _part(document, "comments")
    return comments is not None and len(comments) > 0


def _safe_parser() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True)


def _notes_by_id(root: Any | None) -> dict[str, Any]:
    if root is None:
        return {}
    return {note.get(f"{W}id"): note for note in root if note.get(f"{W}type") is None}

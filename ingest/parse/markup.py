"""HTML, and what becomes HTML on its way: Markdown, mail bodies, and what pandoc reads.

A walk over lxml's tree collects inline text and lets it go as one element wherever a block begins
or ends. What a reader of the page would not see (hidden by attribute, style or a simple rule of the
page's style sheet) is left out with a warning, since it may be written for machines only; so are
navigation menus, which say nothing. Scripts and styles never count as text.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lxml.html
from lxml import etree

from ingest.parse import clean, tables
from ingest.parse.decode import decode, encoding_of
from ingest.parse.model import Element, ElementKind, Parsed
from ingest.parse.properties import finished
from ingest.parse.text import text_elements
from rag.errors import ParseError

_NEVER = frozenset(
    [
        *("script", "style", "noscript", "template", "head", "svg", "iframe", "object", "embed"),
        *("audio", "video", "canvas", "map", "select", "datalist", "button", "textarea"),
        *("annotation", "annotation-xml"),
    ]
)
_INLINE = frozenset(
    [
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn"),
        *("em", "font", "i", "img", "ins", "kbd", "label", "mark", "math", "mi", "mn", "mo"),
        *("mrow", "ms", "msub", "msup", "mtext", "output", "q", "rp", "rt", "ruby", "s", "samp"),
        *("small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    ]
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLANK = re.compile(r"\n\s*\n")
_BREAK = "\x1e"  # a <br>, told apart from the meaningless line ends of the source
_SOURCE_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDING = re.compile(
    r"(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em|rem|%)?\s*(?:;|$|!)"
    r"|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$|!)|mso-hide\s*:\s*all)",
    re.IGNORECASE,
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_MAX_DEPTH = 1000  # unclosed tags of sloppy pages nest some hundred deep
_LONG_CELL_CHARS = 1500  # a cell with more text than that lays a page out


def parse_html(path: Path) -> Parsed:
    """An HTML or XHTML file."""
    return parse_html_text(_decoded(path.read_bytes()))


def parse_html_text(text: str, *, media_type: str = "text/html") -> Parsed:
    """HTML source, whole page or fragment."""
    root = _tree(text)
    if root is None:
        return Parsed(media_type, [])
    walk = _Walk(_hidden_selectors(root))
    walk.visit(root, 0)
    walk.flush()
    title = root.findtext(".//head/title") or root.findtext(".//title")
    meta = {
        str(m.get("name")).lower(): m.get("content") for m in root.iter("meta") if m.get("name")
    }
    return finished(
        Parsed(media_type, walk.elements, language=_language(root), warnings=walk.warnings()),
        title=title,
        metadata={
            "author": meta.get("author"),
            "created": meta.get("date") or meta.get("dcterms.date"),
            "subject": meta.get("description"),
        },
    )


def _tree(text: str) -> Any:
    source = _DECLARATION.sub("", text).replace("\0", "").encode("utf-8", "replace")
    if not source.strip():
        return None
    parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    try:
        root = lxml.html.document_fromstring(source, parser=parser)
    except etree.ParserError:  # nothing but comments and white space
        return None
    return root


def _decoded(data: bytes) -> str:
    """The page's text: by byte order mark, then by its own word, then by its bytes."""
    declared = _CHARSET.search(data[:4096])
    guessed = encoding_of(data)
    if declared and guessed not in {"utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"}:
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(data)


def _language(root: Any) -> str:
    return str(root.get("lang") or root.get("xml:lang") or "")[:2].lower()


def _hidden_selectors(root: Any) -> frozenset[str]:
    """`.class` and `#id` of rules that hide; rules for some media only are not looked at."""
    selectors: set[str] = set()
    for style in root.iter("style"):
        css = re.sub(r"/\*.*?\*/", "", style.text or "", flags=re.DOTALL)
        css = re.sub(r"@[\w-]+[^{;]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", css)
        for rule in re.finditer(r"([^{}]+)\{([^{}]*)\}", css):
            if _HIDING.search(rule[2]):
                names = (name.strip() for name in rule[1].split(","))
                selectors.update(name for name in names if re.fullmatch(r"[.#][\w-]+", name))
    return frozenset(selectors)


def _too_deep() -> ParseError:
    return ParseError(
        "too_deep",
        "its elements are nested too deeply for a page that a person wrote",
        hint="Open it in a browser and save it as PDF or as text.",
    )


class _Walk:
    """Goes through a tree once, collecting elements."""

    def __init__(self, hidden_selectors: frozenset[str]) -> None:
        self.elements: list[Element] = []
        self._hidden_selectors = hidden_selectors
        self._inline: list[str] = []
        self._kind: ElementKind = "paragraph"
        self._level = 0
        self._label = ""  # number of a list item, before its first text
        self._left_out: set[str] = set()

    def warnings(self) -> list[str]:
        """What was seen and left out."""
        return [f"{what} left out" for what in sorted(self._left_out)]

    def visit(self, node: Any, depth: int) -> None:
        """Collect a node and what is in it, without the text that follows it."""
        if depth > _MAX_DEPTH:
            raise _too_deep()
        tag = node.tag if isinstance(node.tag, str) else ""
        if not tag or tag in _NEVER or self._skips(node, tag):
            return
        if tag == "br":
            self._inline.append(_BREAK)
        elif tag in _INLINE:
            self._children(node, depth)
        else:
            self.flush()
            self._block(node, tag, depth)
            self.flush()

    def flush(self) -> None:
        """Let the collected inline text go as an element, or as several where lines are blank."""
        text = _SOURCE_SPACE.sub(" ", "".join(self._inline)).replace(_BREAK, "\n")
        self._inline.clear()
        for part in _BLANK.split(text):
            if block := clean.lines(part):
                if self._kind == "heading":
                    block = block.replace("\n", " ")
                self.elements.append(Element(self._kind, self._label + block, level=self._level))
                self._label = ""

    def _skips(self, node: Any, tag: str) -> bool:
        what = ""
        if tag == "nav":
            what = "a navigation menu was"
        elif self._is_hidden(node):
            what = "hidden text was"
        if what and node.text_content().strip():
            self._left_out.add(what)
        return bool(what)

    def _is_hidden(self, node: Any) -> bool:
        if "hidden" in node.attrib or _HIDING.search(node.get("style") or ""):
            return True
        if not self._hidden_selectors:
            return False
        names = {f".{name}" for name in (node.get("class") or "").split()}
        return bool(self._hidden_selectors & (names | {f"#{node.get('id')}"}))

    def _children(self, node: Any, depth: int) -> None:
        self._inline.append(node.text or "")
        for child in node:
            self.visit(child, depth + 1)
            self._inline.append(child.tail or "")

    def _block(self, node: Any, tag: str, depth: int) -> None:
        if tag in _HEADINGS or node.get("role") == "heading":
            level = _HEADINGS.get(tag) or _aria_level(node)
            self._within("heading", node, depth, level=level)
        elif tag == "table":
            self._table(node, depth)
        elif tag == "pre":
            self._preformatted(node)
        elif tag == "ol":
            self._ordered(node, depth)
        elif tag in {"li", "dt", "dd"}:
            self._within("list_item", node, depth)
        else:
            self._children(node, depth)

    def _within(self, kind: ElementKind, node: Any, depth: int, *, level: int = 0) -> None:
        before = self._kind, self._level
        self._kind, self._level = kind, level
        self._children(node, depth)
        self.flush()
        self._kind, self._level = before
        self._label = ""

    def _ordered(self, node: Any, depth: int) -> None:
        """Number the items: people refer to steps and clauses by their numbers."""
        start = node.get("start") or "1"
        number = int(start) if start.isdecimal() else 1
        for child in node:
            if child.tag == "li":
                self._label = f"{ordinal(number, node.get('type') or '1')}. "
                number += 1
            self.visit(child, depth + 1)

    def _preformatted(self, node: Any) -> None:
        text = "".join(_text_with_breaks(node))
        if node.find("code") is None and _BLANK.search(text.strip()):
            self.elements.extend(text_elements(text))
        elif code := clean.code_lines(text):
            self.elements.append(Element("code", code))

    def _table(self, node: Any, depth: int) -> None:
        rows = list(_own_rows(node))
        if len(rows) == 1 and node.find(".//table") is None:
            self._side_by_side(rows[0])
            return
        if _is_layout(node, rows):
            self._children(node, depth)
            return
        for caption in node.iterchildren("caption"):
            self.visit(caption, depth + 1)
            self.flush()
        cells = [[self._cell_text(c) if c is not None else "" for c in r] for r in _grid(rows)]
        cells = tables.without_empty_columns(tables.with_signs_joined(cells))
        if max(map(len, cells), default=0) == 1:
            texts = (Element("paragraph", t) for r in cells if (t := clean.one_line(r[0])))
            self.elements.extend(texts)
            return
        n_header = _n_header(rows) or tables.header_row_count(cells)
        if table := tables.table_element(cells, header_rows=n_header):
            self.elements.append(table)

    def _side_by_side(self, row: Any) -> None:
        """A table of one row: a bullet and its text, or blocks in columns."""
        for cell in _cells(row):
            if len(cell) and len(cell.text_content()) > _LONG_CELL_CHARS:
                self.visit(cell, 0)
            else:
                self._inline.append(self._cell_text(cell) + " ")

    def _cell_text(self, cell: Any) -> str:
        """A cell's visible text on one line, blocks parted by spaces."""
        inner = _Walk(self._hidden_selectors)
        inner._children(cell, 0)
        inner.flush()
        self._left_out |= inner._left_out
        return " ".join(element.text for element in inner.elements)


def ordinal(number: int, style: str) -> str:
    """A list number in the style of HTML's `type`: 1, a, A, i, I."""
    if style in {"a", "A"} and 0 < number <= 26:
        return chr(ord(style) + number - 1)
    if style in {"i", "I"} and 0 < number < 4000:
        roman = _roman(number)
        return roman if style == "I" else roman.lower()
    return str(number)


def _roman(number: int) -> str:
    signs = ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I")
    values = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
    text = ""
    for value, sign in zip(values, signs, strict=True):
        count, number = divmod(number, value)
        text += sign * count
    return text


def _aria_level(node: Any) -> int:
    level = str(node.get("aria-level") or "2")
    return min(int(level), 6) if level.isdecimal() and int(level) else 2


def _text_with_breaks(node: Any) -> Iterator[str]:
    yield node.text or ""
    for child in node:
        if child.tag == "br":
            yield "\n"
        elif isinstance(child.tag, str) and child.tag not in _NEVER:
            yield from _text_with_breaks(child)
        yield child.tail or ""


def _own_rows(table: Any) -> Iterator[Any]:
    for child in table:
        if child.tag == "tr":
            yield child
        elif child.tag in {"thead", "tbody", "tfoot"}:
            yield from child.iterchildren("tr")


def _cells(row: Any) -> list[Any]:
    return [cell for cell in row if cell.tag in {"td", "th"}]


def _is_layout(table: Any, rows: list[Any]) -> bool:
    """Whether a table only places blocks on the page, as in old pages and mails."""
    if table.get("role") in {"presentation", "none"} or table.find(".//table") is not None:
        return True
    widest = max((len(_cells(row)) for row in rows), default=0)
    if widest < 2 or len(rows) < 2:
        return True
    return any(
        cell.find(".//h1") is not None or len(cell.text_content()) > _LONG_CELL_CHARS
        for row in rows
        for cell in _cells(row)
    )


def _grid(rows: list[Any]) -> Iterator[list[Any]]:
    """Rows of cells with spans resolved: repeated down the rows, empty along the columns.

    A cell that spans rows belongs to each of them, and rows may end up in different passages.
    """
    hanging: dict[int, tuple[int, Any]] = {}  # column: rows left, cell
    for row in rows:
        out: list[Any] = []
        for cell in [*_cells(row), None]:
            while len(out) in hanging:
                left, above = hanging.pop(len(out))
                if left > 1:
                    hanging[len(out)] = (left - 1, above)
                out.append(above)
            if cell is None:
                break
            down = _span(cell.get("rowspan"))
            for offset in range(_span(cell.get("colspan"))):
                if down > 1:
                    hanging[len(out)] = (down - 1, cell if offset == 0 else None)
                out.append(cell if offset == 0 else None)
        yield out


def _span(value: str | None) -> int:
    return min(max(int(value), 1), 100) if value and value.strip().isdecimal() else 1


def _n_header(rows: list[Any]) -> int:
    """Rows at the top in a thead, or of nothing but th."""
    n = 0
    for row in rows:
        cells = _cells(row)
        if row.getparent().tag != "thead" and not (cells and all(c.tag == "th" for c in cells)):
            break
        n += 1
    return n if n < len(rows) else 0

"""XML of any vocabulary, its element names as light structure.

An element with text among its children is a paragraph, a group of leaf elements is a record with a
line `name: value` for each. Entities are neither expanded nor fetched; a document that declares
some is read without them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from ingest.parse import clean
from ingest.parse.model import Element, Parsed
from ingest.parse.properties import first_title
from rag.errors import ParseError

_HEADING_TAGS = frozenset({"title", "head", "heading", "headline", "chaptitle"})
_TEXT_TAGS = frozenset({"p", "para", "paragraph", "text", "body", "simpara", "abstract", "summary"})
_MAX_DEPTH = 200
_ROW_CHARS = 300  # longer values are paragraphs of their own


def parse_xml(path: Path) -> Parsed:
    """An XML document.

    Raises:
        ParseError: `damaged` where it is not well-formed from the start, `too_deep`.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=True, remove_comments=True
    )
    root = etree.parse(str(path), parser).getroot()
    if root is None:
        raise ParseError(
            "damaged",
            f"it is not XML: {parser.error_log.last_error}",
            hint="Correct it, or name it .txt to have it read as plain text.",
        )
    if any("entity" in entry.message.lower() for entry in parser.error_log):
        raise ParseError(
            "bomb",
            "the file is built to exhaust its reader: its XML entities expand without bound",
            hint="Do not open it. If you trust its author, have it saved without entities.",
        )
    elements = list(_Reader().read(root, 0))
    return Parsed(
        "application/xml",
        elements,
        title=first_title(elements),
        warnings=list(_warnings(root, parser)),
    )


def _warnings(root: Any, parser: Any) -> Iterator[str]:
    info = root.getroottree().docinfo
    if info.internalDTD is not None and any(True for _ in info.internalDTD.iterentities()):
        yield "it declares XML entities, which are not expanded"
    if any(entry.level >= etree.ErrorLevels.FATAL for entry in parser.error_log):
        error = parser.error_log.last_error
        yield f"it is not well-formed near line {error.line}; what follows may be missing"


class _Reader:
    """Turns a tree into elements; leaf values wait until their record is complete."""

    def __init__(self) -> None:
        self._rows: list[str] = []

    def read(self, node: Any, depth: int) -> Iterator[Element]:
        """Elements of a node and what is in it."""
        if depth > _MAX_DEPTH:
            raise ParseError(
                "too_deep",
                f"its elements are nested more than {_MAX_DEPTH} levels deep",
                hint="Flatten the file, or leave it out with .citadelignore.",
            )
        self._rows += [
            f"{_name(node)} {etree.QName(key).localname}: {clean.one_line(value)}"
            for key, value in node.attrib.items()
            if value.strip() and depth and not key.startswith("{http://www.w3.org/")
        ]
        children = [child for child in node if isinstance(child.tag, str)]
        if not children or _is_mixed(node):
            yield from self._leaf(node, depth)
            return
        for child in children:
            yield from self.read(child, depth + 1)
        yield from self._record()

    def _leaf(self, node: Any, depth: int) -> Iterator[Element]:
        text = clean.one_line("".join(_texts(node)))
        tag = _name(node).lower()
        if not text:
            return
        if tag in _HEADING_TAGS and len(text) < _ROW_CHARS:
            yield from self._record()
            yield Element("heading", text, level=max(1, min(depth, 6)))
        elif tag in _TEXT_TAGS or len(text) > _ROW_CHARS or _is_mixed(node):
            yield from self._record()
            yield Element("paragraph", text)
        else:
            self._rows.append(f"{_name(node)}: {text}")

    def _record(self) -> Iterator[Element]:
        if self._rows:
            yield Element("paragraph", "\n".join(self._rows))
            self._rows.clear()


def _name(node: Any) -> str:
    return str(etree.QName(node).localname)


def _is_mixed(node: Any) -> bool:
    """Whether it holds both text and elements."""
    own = [node.text, *(child.tail for child in node)]
    has_elements = any(isinstance(child.tag, str) for child in node)
    return has_elements and any(part and part.strip() for part in own)


def _texts(node: Any) -> Iterator[str]:
    """Text in document order; entities and processing instructions have none."""
    yield node.text or ""
    for child in node:
        if isinstance(child.tag, str):
            yield from _texts(child)
        yield child.tail or ""

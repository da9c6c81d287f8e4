"""Parsed elements to one document text with offsets.

The text is what citations point into: elements in reading order, a blank line between them, list
items on lines of their own. A paragraph that runs on over a page break is joined by a space, so
that its sentence stays whole.
"""

import re
from dataclasses import dataclass, field

from ingest.parse.model import Element, Parsed
from rag.layout import shift_words
from rag.text import detect_language, title_of_name
from rag.types import Page

MAX_TITLE = 200
_OPEN_END = re.compile(r"[\w,;-]$")


@dataclass(frozen=True, slots=True)
class Block:
    """An element with its place in the text and the headings above it."""

    element: Element
    start: int
    end: int
    heading_path: tuple[str, ...]


@dataclass(slots=True)
class Assembled:
    """A document's text, blocks and pages."""

    title: str
    language: str
    text: str = ""
    blocks: list[Block] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)


def assemble(parsed: Parsed, *, name: str) -> Assembled:
    """Lay the elements out as one text. `name` is the file's name, the title of last resort."""
    elements = [element for element in parsed.elements if element.text.strip()]
    parts: list[str] = []
    blocks: list[Block] = []
    path: list[tuple[int, str]] = []
    at = 0
    for before, element in zip([None, *elements], elements, strict=False):
        glue = _glue(before, element) if before else ""
        start = at + len(glue)
        if element.kind in ("heading", "title"):
            level = element.level or 1
            path = [heading for heading in path if heading[0] < level]
        blocks.append(
            Block(element, start, start + len(element.text), tuple(text for _, text in path))
        )
        if element.kind in ("heading", "title"):
            path.append((level, " ".join(element.text.split())))
        parts += [glue, element.text]
        at = start + len(element.text)
    text = "".join(parts)
    return Assembled(
        title=_title(parsed, name),
        language=parsed.language or detect_language(text),
        text=text,
        blocks=blocks,
        pages=_pages(parsed, blocks),
    )


def _glue(before: Element, element: Element) -> str:
    if before.kind == element.kind == "list_item":
        return "\n"
    runs_on = (
        before.kind == element.kind == "paragraph"
        and before.page != element.page
        and _OPEN_END.search(before.text)
        and element.text[:1].islower()
    )
    return " " if runs_on else "\n\n"


def _title(parsed: Parsed, name: str) -> str:
    title = " ".join(parsed.title.split()) or title_of_name(name)
    return title[:MAX_TITLE]


def _pages(parsed: Parsed, blocks: list[Block]) -> list[Page]:
    """Every page with its span of the text and its words; empty pages have an empty span."""
    by_number: dict[int, list[Block]] = {}
    for block in blocks:
        if block.element.page is not None:
            by_number.setdefault(block.element.page, []).append(block)
    pages = []
    end = 0
    for size in sorted(parsed.pages, key=lambda page: page.number):
        on_page = by_number.get(size.number, [])
        start = min((block.start for block in on_page), default=end)
        end = max((block.end for block in on_page), default=end)
        words = b"".join(shift_words(b.element.words, b.start) for b in on_page if b.element.words)
        pages.append(Page(size.number, size.width, size.height, start, end, words))
    return pages

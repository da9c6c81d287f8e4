"""The content files: a few header lines, then paragraphs, headings, lists and tables.

A subset of Markdown: `#` headings, `-` and `1.` lists, pipe tables, `>` notes, `**bold**` and
`*italic*`, and `===` alone for a new page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

Kind = Literal["heading", "paragraph", "bullets", "numbers", "table", "note", "break"]


@dataclass(frozen=True)
class Block:
    """One block; `lines` holds the items of a list and the text of everything else."""

    kind: Kind
    lines: tuple[str, ...] = ()
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True)
class Content:
    """A content file: where it goes, how it is set, and its body."""

    name: str
    header: dict[str, str]
    body: str
    blocks: tuple[Block, ...] = field(default=())

    @property
    def target(self) -> Path:
        return Path(self.header["to"])

    @property
    def style(self) -> str:
        return self.header.get("as", self.target.suffix.lstrip("."))

    @property
    def title(self) -> str:
        return self.header.get("title", self.target.stem)

    @property
    def author(self) -> str:
        return self.header.get("author", "Norrvane Group")

    @property
    def date(self) -> datetime:
        """The document's date at nine in the morning, UTC."""
        day = datetime.strptime(self.header["date"], "%Y-%m-%d")
        return day.replace(hour=9, tzinfo=UTC)


def read_content(path: Path) -> Content:
    """Read a content file; the header ends at the first `---` line."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n---\n")
    header = dict(_header_lines(head))
    body = body.strip("\n") + "\n"
    return Content(path.stem, header, body, tuple(parse(body)))


def _header_lines(head: str) -> Iterator[tuple[str, str]]:
    for line in head.splitlines():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def parse(text: str) -> Iterator[Block]:
    """Split a body into blocks; an empty line ends a block."""
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        yield _block(part.splitlines())


def _block(lines: list[str]) -> Block:
    first = lines[0]
    if first == "===":
        return Block("break")
    if heading := re.match(r"(#{1,6}) (.*)", first):
        return Block("heading", (heading[2],), level=len(heading[1]))
    if first.startswith("|"):
        return Block("table", rows=tuple(_rows(lines)))
    if first.startswith("> "):
        return Block("note", tuple(line.removeprefix("> ") for line in lines))
    if first.startswith("- "):
        return Block("bullets", tuple(_items(lines, r"- ")))
    if re.match(r"\d+\. ", first):
        return Block("numbers", tuple(_items(lines, r"\d+\. ")))
    return Block("paragraph", tuple(lines))


def _items(lines: list[str], mark: str) -> Iterator[str]:
    """List items; a line without a mark continues the item before it."""
    item = ""
    for line in lines:
        if re.match(mark, line):
            if item:
                yield item
            item = re.sub(mark, "", line, count=1)
        else:
            item += " " + line.strip()
    yield item


def _rows(lines: list[str]) -> Iterator[tuple[str, ...]]:
    for line in lines:
        if not set(line) <= set("|-: "):
            yield tuple(cell.strip() for cell in line.strip("|").split("|"))


def runs(text: str) -> Iterator[tuple[str, str]]:
    """Split inline markup into (style, text) with style "", "b" or "i"."""
    for part in re.split(r"(\*\*.+?\*\*|\*[^*\s][^*]*?\*)", text):
        if part.startswith("**"):
            yield "b", part[2:-2]
        elif part.startswith("*") and len(part) > 2:
            yield "i", part[1:-1]
        elif part:
            yield "", part


def tagged(text: str) -> str:
    """Inline markup as HTML, which reportlab's paragraphs read too."""
    return "".join(
        f"<{style}>{escape(part)}</{style}>" if style else escape(part)
        for style, part in runs(text)
    )


def plain(text: str) -> str:
    """The text without inline markup."""
    return "".join(part for _, part in runs(text))


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def is_number(cell: str) -> bool:
    """Whether a table cell is set flush right."""
    return bool(re.fullmatch(r"[-+(]?[£€]?\s?[\d.,]+\s?[%€)]*", plain(cell)))

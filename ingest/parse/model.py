"""What a parser returns. Crosses the process border as MessagePack, checked on arrival.

No pickle: a worker that a hostile file has taken over must not be able to run code in the parent.
"""

from typing import Literal

import msgspec

ElementKind = Literal["title", "heading", "paragraph", "list_item", "table", "code"]


class Element(msgspec.Struct, frozen=True, array_like=True):
    """One block of a document in reading order.

    `text` has no blank lines inside. A table's text is one row a line, cells joined by " | ", its
    first `header_rows` lines being the header. `words` is packed little-endian float32 of shape
    (n, 6): start, end (offsets in `text`), x0, y0, x1, y1 (points from the page's top left).
    """

    kind: ElementKind
    text: str
    level: int = 0  # depth of a heading, 1-6
    page: int | None = None  # 1-based; slide of a presentation
    words: bytes = b""
    header_rows: int = 0


class PageSize(msgspec.Struct, frozen=True, array_like=True):
    """Size of a page in points, as displayed (rotation applied)."""

    number: int
    width: float
    height: float


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """A file inside a mail, to be parsed as a document of its own."""

    name: str
    data: bytes


class Parsed(msgspec.Struct, frozen=True, array_like=True):
    """A whole document. `title` is empty where the file names none."""

    media_type: str
    elements: list[Element]
    title: str = ""
    language: str = ""  # ISO 639-1 where known; detected later where empty
    pages: list[PageSize] = []
    metadata: dict[str, str] = {}  # author, date, subject, from, to … where the file has them
    warnings: list[str] = []  # what could not be read although the rest could
    attachments: list[Attachment] = []


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What a worker is asked to do."""

    path: str
    name: str  # the file's name as people know it; its suffix hints at the format
    ocr_languages: str = "auto"


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """Why a worker could not parse, as the fields of a `ParseError`."""

    code: str
    message: str
    hint: str
    retry: bool = False

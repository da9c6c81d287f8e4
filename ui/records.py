"""What the API answers with, as far as the page shows it. Fields that the page ignores are absent.

Offsets, pages and times follow the API: half-open character offsets, 1-based pages, UTC.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field


class Box(Struct, frozen=True):
    """The top left corner of a rectangle on a page, in points from the page's own."""

    page: int
    x0: float
    y0: float


class Citation(Struct, frozen=True):
    """Ties a span of the answer to a span of a document; `id` is the number that is shown."""

    id: int
    document_id: int
    title: str
    source_uri: str
    page_start: int | None
    page_end: int | None
    heading_path: tuple[str, ...]
    char_start: int
    char_end: int
    cited_text: str
    header_text: str = ""
    boxes: tuple[Box, ...] = ()


class Hit(Struct, frozen=True):
    """A passage that is near to a question without answering it."""

    document_id: int
    title: str
    source_uri: str
    page_start: int | None
    page_end: int | None
    heading_path: tuple[str, ...]
    text: str
    char_start: int = 0
    char_end: int = 0  # 0 where the API does not say


class Searched(Struct, frozen=True):
    """What was searched."""

    query: str
    n_documents: int


class Sentence(Struct, frozen=True):
    """One sentence of the answer with its citations."""

    text: str
    citations: tuple[Citation, ...]


class Category(Struct, frozen=True):
    """A category of the guard."""

    name: str


class Notice(Struct, frozen=True):
    """Something that the reader should know, in plain words."""

    text: str


class Final(Struct, frozen=True):
    """The end of an answer."""

    status: Literal["answered", "no_evidence", "blocked", "no_verdict"]
    searched: Searched
    related: tuple[Hit, ...] = ()
    notices: tuple[Notice, ...] = ()
    categories: tuple[Category, ...] = ()  # that the guard blocked the answer for
    timings_ms: dict[str, float] = field(default_factory=dict)


Event = Searched | Sentence | Final


class DocumentRef(Struct, frozen=True):
    """A document by name."""

    id: int
    title: str


class Document(Struct, frozen=True):
    """A document that the visitor may read; a list of documents leaves `attachments` out."""

    id: int
    collection: str
    title: str
    name: str
    media_type: str
    n_chars: int
    n_chunks: int
    n_pages: int
    has_images: bool
    warnings: tuple[str, ...]
    ingested_at: datetime
    parent_id: int | None = None  # the mail that this was attached to
    attachments: tuple[DocumentRef, ...] = ()


class DocumentPage(Struct, frozen=True):
    """One page of the list of documents; `next_cursor` is None on the last.

    `total` counts all that the visitor may read, whatever was searched for.
    """

    documents: tuple[Document, ...]
    next_cursor: str | None
    total: int


class PageSize(Struct, frozen=True):
    """A page and its height in points."""

    number: int
    height: float


class Pages(Struct, frozen=True):
    """The pages of a document."""

    pages: list[PageSize]


class Passage(Struct, frozen=True):
    """A span of a document's text with what stands around it."""

    text: str
    before: str
    after: str
    before_start: int
    after_end: int
    n_chars: int
    page: int | None = None


class Failure(Struct, frozen=True):
    """A file that was not ingested, with the reason and what to do about it."""

    collection: str
    path: str
    error: str
    hint: str


class Failures(Struct, frozen=True):
    """All files that were not ingested."""

    failures: list[Failure]


class ProblemDetails(Struct, frozen=True):
    """An RFC 9457 problem as it stands in a response."""

    title: str = ""
    detail: str = ""
    hint: str = ""
    status: int = 0

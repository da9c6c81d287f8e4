"""What the API answers with, as far as the page shows it. Fields that the page ignores are absent.

Offsets, pages and times follow the API: half-open character offsets, 1-based pages, UTC. Fields
that an older API does not send have defaults.
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
    verified: bool = True  # whether it bears out the sentence that it stands behind
    answer_start: int = 0  # the sentence, as a span of the whole answer
    answer_end: int = 0


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


Depth = Literal["quick", "standard", "exhaustive"]


class Exchange(Struct, frozen=True):
    """A question of a conversation and what was answered."""

    question: str
    answer: str


class Asked(Struct, frozen=True, omit_defaults=True):
    """What is asked, as it is sent."""

    question: str
    depth: Depth | None = None  # None: the server's own
    history: tuple[Exchange, ...] = ()  # oldest first
    conversation_id: int | None = None  # in place of a history: one that the server keeps
    rewrite: bool = True  # a follow-up into a question that stands alone
    research: bool = False


class Searched(Struct, frozen=True):
    """What was searched; `query` differs from the question where a follow-up was rewritten.

    How much was searched for an answer that is kept is not.
    """

    query: str
    n_documents: int | None = None
    n_hits: int = 0
    unnamed: tuple[str, ...] = ()  # names and numbers that nothing found mentions


class Step(Struct, frozen=True):
    """One step of a research. `tool` is empty for a call that could not be understood."""

    number: int
    tool: str
    detail: str
    n_found: int = 0
    outcome: str = "ok"  # or "nothing", "error", "withheld"


class Sentence(Struct, frozen=True):
    """One sentence of the answer with its citations; `glue` is the white space before it.

    A `lead` is a heading, a table's header or "The steps are:". `written` and `lead` are the
    engine's words in Markdown; a `quote` is a document's.
    """

    text: str
    citations: tuple[Citation, ...]
    glue: str = ""
    kind: Literal["quote", "written", "lead"] = "quote"
    supported: bool = True
    reason: str = ""  # why it is not supported


class Category(Struct, frozen=True):
    """A category of the guard."""

    name: str


class Notice(Struct, frozen=True):
    """Something that the reader should know, in plain words."""

    text: str
    kind: str = "warning"  # or "fallback", "incomplete", "unguarded"


class Support(Struct, frozen=True):
    """How many of the sentences that were written their citations bear out."""

    sentences: int = 0
    supported: int = 0
    dropped: int = 0  # unsupported ones that are not shown


class Unsupported(Struct, frozen=True):
    """A sentence, as a span of the whole answer, that its citations do not bear out."""

    start: int
    end: int
    reason: str


class Final(Struct, frozen=True):
    """The end of an answer, with all of it; or one that was kept, as far as it may be read now.

    `turn_id` is that of a turn that was kept of it. Where something is withheld of one that was
    kept, there is no `support`.
    """

    status: Literal["answered", "no_evidence", "blocked", "no_verdict"]
    searched: Searched
    answer: str = ""
    engine: str = "extractive"  # or the name of the model that wrote it
    citations: tuple[Citation, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()
    steps: tuple[Step, ...] = ()
    support: Support | None = Support()
    related: tuple[Hit, ...] = ()
    notices: tuple[Notice, ...] = ()
    categories: tuple[Category, ...] = ()  # that the guard blocked the answer for
    timings_ms: dict[str, float] = field(default_factory=dict)
    request_id: str = ""
    turn_id: int | None = None


Event = Step | Searched | Notice | Sentence | Final


class Status(Struct, frozen=True):
    """How this server answers: with `quotes`, or with what an `engine` writes from passages."""

    answers: str = "quotes"
    guard: str = "none"  # or "on"; "unguarded" where an engine writes without one
    depth: Depth | None = None  # of a question that doesn't say


class DocumentRef(Struct, frozen=True):
    """A document by name."""

    id: int
    title: str


class Document(Struct, frozen=True):
    """A document that the caller may read; a list leaves out `attachments` and `right`."""

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
    source_uri: str = ""
    language: str = ""  # ISO 639-1
    size_bytes: int = 0
    metadata: dict[str, str] = {}
    attachments: tuple[DocumentRef, ...] = ()
    right: Literal["read", "manage"] | None = None  # what the caller may do with its collection


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

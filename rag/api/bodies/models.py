"""Responses as the API documents them, each with an example.

They are built by `rag.wire` and the routes; the tests hold them against these.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.api.bodies import examples
from rag.api.bodies.requests import Depth

Answers = Annotated[Literal["quotes", "engine"], Field(description="What answers are made of.")]
Guarding = Annotated[
    Literal["on", "none", "unguarded"],
    Field(description="Whether a guard reads along; `unguarded`: an engine writes without one."),
]


Right = Annotated[
    Literal["read", "manage"], Field(description="What you may do with the collection.")
]


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Hit(_Response):
    """A passage that the search found; `score` is in [0, 1] and falls with `rank`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.HIT]})
    rank: int
    score: float
    document_id: int
    chunk_id: int
    title: str
    source_uri: str
    page_start: int | None
    page_end: int | None
    heading_path: list[str]
    char_start: int
    char_end: int
    text: str


class SearchResponse(_Response):
    """The hits, best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SEARCH_RESULT]})
    query: str
    hits: list[Hit]
    timings_ms: dict[str, float]


class Box(_Response):
    """A rectangle on a page, in points from its top left."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class Citation(_Response):
    """Ties `answer[answer_start:answer_end]` to a span of a document.

    `cited_text` is the document's text at `char_start:char_end`, character for character.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CITATION]})
    id: int = Field(description="The number shown.")
    document_id: int
    chunk_id: int
    title: str
    source_uri: str
    page_start: int | None
    page_end: int | None
    heading_path: list[str]
    char_start: int
    char_end: int
    cited_text: str
    header_start: int
    header_end: int
    header_text: str = Field(description="Header of the table that a cited row stands in.")
    boxes: list[Box]
    answer_start: int
    answer_end: int
    score: float
    verified: bool


class Searched(_Response):
    """What was searched. `query` differs from the question where that was a follow-up."""

    query: str
    collections: list[str]
    n_documents: int
    n_hits: int
    unnamed: list[str] = Field(
        description="Names and numbers of the query that nothing found mentions."
    )


class Notice(_Response):
    """Something that the reader should know, in plain words."""

    kind: Literal["fallback", "incomplete", "warning", "unguarded"]
    text: str


class Support(_Response):
    """How many of the answer's sentences are borne out by what they cite; quotes always are."""

    sentences: int
    supported: int
    dropped: int = Field(description="Unsupported sentences that were left out.")
    unknown_keys: int = Field(description="Citations of nothing that was given; removed.")
    share: float | None = Field(description="Supported of all sentences written.")


class Unsupported(_Response):
    """A sentence of the answer, `answer[start:end]`, that its citations do not bear out."""

    start: int
    end: int
    reason: str


class Step(_Response):
    """One tool call of a research."""

    number: int
    tool: Literal["search", "open_document", ""]
    detail: str = Field(description="What was searched or opened, or what was wrong.")
    n_found: int = Field(description="Passages that the engine was given.")
    outcome: Literal["ok", "nothing", "error", "withheld"]


class Category(_Response):
    """A category of Llama Guard 3."""

    code: str
    name: str


class Usage(_Response):
    """Tokens that the engine has read and written."""

    prompt_tokens: int
    answer_tokens: int
    cached_tokens: int = Field(description="Of the prompt, found in the engine's prefix cache.")


class Answer(_Response):
    """The answer.

    With status `no_evidence` it is empty and `related` holds what was nearest; with `blocked` it is
    empty and `categories` says what the guard found; `no_verdict`: the guard gave none.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ANSWER]})
    status: Literal["answered", "no_evidence", "blocked", "no_verdict"]
    question: str
    answer: str
    citations: list[Citation]
    related: list[Hit]
    searched: Searched
    evidence: float = Field(description="How well the passages support an answer, in [0, 1].")
    engine: str = Field(description="What wrote the answer: `extractive`, or a model's name.")
    prompt_version: str = Field(description="Of the engine's instructions; empty for quotes.")
    support: Support
    unsupported: list[Unsupported]
    notices: list[Notice]
    categories: list[Category]
    depth: Depth | None = Field(description="How much the engine read; null for quotes.")
    steps: list[Step] = Field(description="Of a research.")
    usage: Usage | None
    timings_ms: dict[str, float]
    request_id: str
    conversation_id: int | None = Field(description="That it was kept in; null where in none.")
    turn_id: int | None


class DocumentRef(_Response):
    """A document by name."""

    id: int
    title: str


class Document(_Response):
    """A document without its text."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DOCUMENT]})
    id: int
    collection: str
    title: str
    source_uri: str
    name: str = Field(description="The file's name.")
    media_type: str
    language: str = Field(description="ISO 639-1.")
    size_bytes: int
    n_chars: int
    n_chunks: int
    n_pages: int
    has_images: bool = Field(description="Whether its pages can be had as images.")
    metadata: dict[str, str]
    warnings: list[str] = Field(description="What could not be read although the rest could.")
    parent_id: int | None = Field(description="The mail that this was attached to.")
    ingested_at: datetime


class DocumentDetail(Document):
    """A document without its text, with what was attached to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DOCUMENT_DETAIL]})
    attachments: list[DocumentRef]
    status: Literal["ingested"] = Field(description="A document that can be read is.")
    right: Right


class DocumentList(_Response):
    """Documents by id. `total` counts all that the caller may read, whatever the filter."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DOCUMENT_LIST]})
    documents: list[Document]
    next_cursor: str | None = Field(description="Pass it on for the rest; null at the end.")
    total: int


class Text(_Response):
    """A span of a document's text; `start` and `end` are what was returned."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TEXT]})
    document_id: int
    start: int
    end: int
    n_chars: int
    text: str


class Passage(_Response):
    """A span of a document's text with what stands around it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PASSAGE]})
    document_id: int
    start: int
    end: int
    before_start: int
    after_end: int
    n_chars: int
    page: int | None
    before: str
    text: str
    after: str


class PageSize(_Response):
    """A page's size in points and the span of the text that stands on it."""

    number: int
    width: float
    height: float
    char_start: int
    char_end: int


class PageList(_Response):
    """The pages of a document; none where its format has no fixed layout."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PAGES]})
    document_id: int
    has_images: bool
    pages: list[PageSize]


class Collection(_Response):
    """A collection and what it holds."""

    name: str
    n_documents: int
    n_chunks: int
    right: Right


class CollectionList(_Response):
    """The collections that the caller may read."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.COLLECTIONS]})
    collections: list[Collection]


class Failure(_Response):
    """A file that was not ingested."""

    collection: str
    path: str
    error: str
    hint: str
    size_bytes: int
    retry: bool = Field(description="Whether the next run tries the unchanged file again.")


class FailureList(_Response):
    """The files that were not ingested, with what to do about each."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.FAILURES]})
    failures: list[Failure]


class Status(_Response):
    """What this server is and holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.STATUS]})
    version: str
    model_id: str = Field(description="SHA-256 of the embedding model's files.")
    n_collections: int
    n_documents: int
    n_chunks: int
    n_failures: int | None = Field(description="Null for all but the operator, as the next two.")
    head: int | None = Field(description="Number of the newest change in the store.")
    indexed: int | None = Field(description="The change that the indexes have reached.")
    answers: Answers
    guard: Guarding
    depth: Depth | None = Field(
        description="How much an engine reads where a question doesn't say; null without one."
    )


class AuditRecord(_Response):
    """What somebody did. `private` is null where there is nothing or it was forgotten."""

    seq: int
    at: datetime
    kind: str
    outcome: Literal["success", "failure"]
    actor: dict[str, Any] = Field(description="kind, number, how, credential, request_id.")
    detail: dict[str, Any] = Field(description="Depends on the kind; people are numbers.")
    private: dict[str, Any] | None = Field(description="Addresses, paths, questions in clear.")
    principals: dict[str, str] = Field(description="Names by number; not of who was forgotten.")
    sha256: str
    previous_sha256: str


class AuditRecords(_Response):
    """Audit records, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.AUDIT]})
    records: list[AuditRecord]
    next_cursor: str | None = Field(description="Pass it on for the rest; null at the end.")


class LoginLink(_Response):
    """A link that logs one browser in, once."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.LOGIN_LINK]})
    url: str
    expires_in_s: int


class Health(_Response):
    """The process lives."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.HEALTH]})
    status: Literal["ok"]


class Readiness(_Response):
    """The server can answer questions, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.READINESS]})
    status: Literal["ready"]
    answers: Answers
    guard: Guarding


class InvalidField(_Response):
    """What is wrong with one part of a request."""

    where: str
    message: str


class OpenAIError(_Response):
    """A failure as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(_Response):
    """An RFC 9457 problem."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PROBLEM]})
    type: str
    title: str
    status: int
    detail: str
    instance: str
    hint: str
    request_id: str
    errors: list[InvalidField] | None = None
    error: OpenAIError | None = Field(
        None, description="At `/v1/chat/completions` and `/v1/models`, for OpenAI's clients."
    )

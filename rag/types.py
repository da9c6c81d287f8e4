"""What travels between the rooms. Plain frozen records, no behaviour beyond a derived value.

Units and conventions, valid everywhere: character offsets are half-open and count Python
characters of the document's stored text; pages are 1-based; boxes are in PDF points (1/72 inch)
from the *top left* of the page as displayed (rotation applied); times are UTC.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # (n, dim), rows of length 1


class Box(NamedTuple):
    """A rectangle on a page."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may read, as the store has made it: see `rag.store.access`.

    There is no value that means "everything", and none of the defaults adds anything.
    """

    collections: frozenset[str]  # names
    principals: frozenset[int] = frozenset()  # the caller and the caller's groups
    lists: frozenset[int] = frozenset()  # the documents' own lists that name one of them

    def within(self, names: Collection[str]) -> "Access":
        """The same, in these collections only."""
        return replace(self, collections=self.collections & frozenset(names))


@dataclass(frozen=True, slots=True)
class Page:
    """One page with the place of every word on it.

    `words` is packed little-endian float32, shape (n, 6): char_start, char_end (in the document's
    text), x0, y0, x1, y1. Empty where the format has no layout.
    """

    number: int
    width: float
    height: float
    char_start: int
    char_end: int
    words: bytes = b""

    def word_array(self) -> NDArray[np.float32]:
        """The words as an array of shape (n, 6)."""
        return np.frombuffer(self.words, dtype="<f4").reshape(-1, 6)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous span of a document's text, with what gives it context.

    `text` equals the document's text at `char_start:char_end`. `header_start:header_end` is the
    span of the table header that belongs to the rows in this chunk, empty for prose; a table's
    first chunk begins with it.
    """

    ordinal: int
    char_start: int
    char_end: int
    text: str
    heading_path: tuple[str, ...] = ()
    header_start: int = 0
    header_end: int = 0
    page_start: int | None = None
    page_end: int | None = None
    boxes: tuple[Box, ...] = ()
    n_tokens: int = 0


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A parsed, chunked and embedded document on its way into the store."""

    source_uri: str
    title: str
    media_type: str
    language: str
    text: str
    chunks: Sequence[Chunk]
    vectors: Vectors  # (len(chunks), dim)
    pages: Sequence[Page] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    content_sha256: str = ""
    size_bytes: int = 0
    parent_uri: str | None = None  # the mail that this was attached to


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as the scan saw it, and what became of it.

    `fingerprint` is the hash of content hash, parser version, chunker settings and model id: while
    it stays the same the file is not read again.
    """

    uri: str  # absolute path
    size_bytes: int
    mtime_ns: int
    content_sha256: str = ""
    fingerprint: str = ""
    state: Literal["ingested", "failed"] = "ingested"
    error: str = ""
    hint: str = ""
    retry: bool = False  # try again although unchanged


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document, without its text."""

    id: int
    collection: str
    source_uri: str
    title: str
    media_type: str
    language: str
    size_bytes: int
    n_chars: int
    n_chunks: int
    n_pages: int
    content_sha256: str
    metadata: dict[str, str]
    warnings: tuple[str, ...]
    parent_id: int | None
    ingested_at: datetime


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as read back from the store, with what a hit or a citation says of its document."""

    id: int
    document_id: int
    collection: str
    title: str
    source_uri: str
    language: str
    chunk: Chunk
    header: str = ""  # the table header's text


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What both indexes need of a chunk."""

    chunk_id: int
    document_id: int
    collection: str
    list_id: int  # the document's own list, 0 where it has none
    language: str
    title: str
    name: str  # file name without folder and suffix
    heading: str  # heading path joined by " > "
    text: str  # table header, if any, and the chunk's text
    model_id: str  # what made the vector, "" without one; vectors of two models never meet
    vector: NDArray[np.float32]  # (dim,), (0,) without one


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the change log. An index applies these in order of `seq`."""

    seq: int
    op: Literal["put", "delete"]
    document_id: int
    chunk_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IndexServer:
    """Where the indexes are, if they aren't in each process: a Milvus, or a file of milvus-lite."""

    url: str  # http(s)://host:port[/database], or the file's path
    token: str = field(default="", repr=False)
    ca_file: Path | None = None  # certificates that vouch for it; the system's where there is none

    @property
    def is_file(self) -> bool:
        """Whether it is a file, which one process at a time can open."""
        return not self.url.startswith(("http:", "https:"))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An index snapshot as recorded in the store. It covers the change log up to `seq`."""

    kind: Literal["dense", "lexical"]
    seq: int
    path: str  # relative to data_dir
    sha256: str
    config: str  # model id, index type, schema version: a snapshot of another config is not used


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found: its best chunk, and the neighbours found along with it.

    `members` are the chunks of the passage in the document's order, `chunk` among them; `text` is
    the document's text from the first to the last. `rank` starts at 1; `score`, in [0, 1], is what
    the best chunk was ranked by.
    """

    rank: int
    score: float
    dense: float  # cosine of query and best chunk, 0 where that has no vector
    chunk: StoredChunk
    members: tuple[StoredChunk, ...]
    text: str

    @property
    def char_start(self) -> int:
        """Where the passage begins in the document's text."""
        return self.members[0].chunk.char_start

    @property
    def char_end(self) -> int:
        """Where the passage ends in the document's text."""
        return self.members[-1].chunk.char_end

    @property
    def page_start(self) -> int | None:
        """The passage's first page."""
        return self.members[0].chunk.page_start

    @property
    def page_end(self) -> int | None:
        """The passage's last page."""
        return self.members[-1].chunk.page_end


@dataclass(frozen=True, slots=True)
class Citation:
    """Ties a span of the answer to a span of a document.

    `cited_text` equals the stored text at `char_start:char_end`. For a table row `header_text` is
    the stored text of the table's header at `header_start:header_end`.
    """

    id: int
    document_id: int
    chunk_id: int
    title: str
    source_uri: str
    page_start: int | None
    page_end: int | None
    heading_path: tuple[str, ...]
    char_start: int
    char_end: int
    cited_text: str
    header_start: int
    header_end: int
    header_text: str
    boxes: tuple[Box, ...]
    answer_start: int
    answer_end: int
    score: float
    verified: bool

"""A source file on its way through the pipeline, and the gate that keeps it from filling up."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ingest.chunk import Prepared
from ingest.parse.model import Attachment, Parsed
from ingest.plan import Recipe, Task, lacking
from rag.errors import ParseError
from rag.store import ScreenedDocument
from rag.types import NewDocument, SourceFile, Vectors

MAX_DEPTH = 3  # of mails attached to mails
MAX_PARTS = 200  # documents made from one source
MAX_NAME_CHARS = 150
NOMINAL_BYTES = 128 * 1024  # what a source counts for before it is parsed
_PER_CHAR = 6  # bytes held for a character of text: the text, its chunks, what is embedded


@dataclass(eq=False, slots=True)
class Part:
    """A document to be: the source itself, or something attached to it."""

    uri: str
    name: str
    content_sha256: str = ""
    size_bytes: int = 0
    parent: "Part | None" = None
    parsed: Parsed | None = None  # without elements once it is prepared
    prepared: Prepared | None = None
    vectors: Vectors | None = None  # (len(chunks), dim)
    n_embedded: int = 0
    failure: ParseError | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """How many mails this lies in."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be done before the commit."""
        return self.failure is not None or (
            self.vectors is not None and self.n_embedded == len(self.vectors)
        )

    def attached(self, number: int, attachment: Attachment) -> "Part":
        """The part for the attachment with this number, counted from 1."""
        name = _file_name(attachment.name)
        return Part(f"{self.uri}#{number}/{name}", name, parent=self)

    def receive(self, prepared: Prepared, dim: int) -> None:
        """Take the chunks; their vectors are still to be filled in."""
        self.prepared = prepared
        self.vectors = np.empty((len(prepared.chunks), dim), np.float32)

    def document(self) -> NewDocument:
        """What is stored. Only for a settled part that has not failed."""
        assert self.parsed is not None and self.prepared is not None and self.vectors is not None
        return ScreenedDocument(
            source_uri=self.uri,
            title=self.prepared.title,
            media_type=self.parsed.media_type,
            language=self.prepared.language,
            text=self.prepared.text,
            chunks=self.prepared.chunks,
            vectors=self.vectors,
            pages=self.prepared.pages,
            metadata=self.parsed.metadata,
            warnings=(*self.parsed.warnings, *self.warnings),
            content_sha256=self.content_sha256,
            size_bytes=self.size_bytes,
            parent_uri=None if self.parent is None else self.parent.uri,
            suspicions=self.prepared.suspicions,
        )


def _file_name(name: str) -> str:
    """An attachment's name as one step of a path."""
    plain = "".join(c if c.isprintable() and c != "/" else "_" for c in name).strip()
    return plain[-MAX_NAME_CHARS:] or "attachment"


@dataclass(eq=False, slots=True)
class Work:
    """A source and the documents that are made from it, each parent before what it holds."""

    task: Task
    source: SourceFile
    parts: list[Part]
    weight: int = NOMINAL_BYTES
    is_handed_on: bool = False  # to be committed

    @property
    def is_settled(self) -> bool:
        """Whether every part is. A part's attachments join before it is settled itself."""
        return all(part.is_settled for part in self.parts)

    @property
    def n_chunks(self) -> int:
        """Those of all its parts that have been cut."""
        return sum(len(part.prepared.chunks) for part in self.parts if part.prepared is not None)

    @property
    def failure(self) -> ParseError | None:
        """Why the file itself cannot be ingested."""
        return self.parts[0].failure

    def failed_attachments(self) -> Iterator[SourceFile]:
        """A failed source for each attachment that could not be read."""
        for part in self.parts[1:]:
            if part.failure is not None:
                yield failed(
                    SourceFile(part.uri, part.size_bytes, self.source.mtime_ns), part.failure
                )

    def warnings(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What is to be known of the documents made, but for attachments that failed."""
        for part in self.parts:
            if part.failure is None and part.parsed is not None and part.parsed.warnings:
                yield part.uri, tuple(part.parsed.warnings)

    def ingested(self, recipe: Recipe) -> SourceFile:
        """The source as it is recorded with its documents."""
        without = lacking(self.source.uri, self.failed_attachments())
        sha256 = self.source.content_sha256
        return replace(self.source, fingerprint=recipe.fingerprint(sha256, without))

    def failed(self, recipe: Recipe) -> SourceFile:
        """The source as it is recorded when the file itself failed."""
        assert self.failure is not None
        fingerprint = recipe.fingerprint(self.source.content_sha256)
        return failed(replace(self.source, fingerprint=fingerprint), self.failure)

    def documents(self) -> list[NewDocument]:
        """What is stored; each mail says which of its attachments are missing."""
        for part in self.parts[1:]:
            if part.failure is not None and part.parent is not None:
                warning = f"attachment {part.name} was not read: {part.failure.message}"
                part.parent.warnings.append(warning)
        return [part.document() for part in self.parts if part.failure is None]


def failed(source: SourceFile, error: ParseError) -> SourceFile:
    """The record of a source that could not be ingested."""
    return replace(source, state="failed", error=error.message, hint=error.hint, retry=error.retry)


def weigh(prepared: Prepared) -> int:
    """About how many bytes a prepared document holds until it is committed."""
    words = sum(len(page.words) for page in prepared.pages)
    return len(prepared.text) * _PER_CHAR + words + len(prepared.chunks) * 2500


class Gate:
    """Lets sources in while there is room: the one place that bounds memory.

    It stops new sources only, never one that is inside, so that nothing inside can wait for
    room that it holds itself. What is inside can outgrow `max_bytes` by the documents that were
    let in unparsed, of which there are at most `max_unparsed`.
    """

    def __init__(self, *, max_unparsed: int, max_bytes: int) -> None:
        self._max_unparsed = max_unparsed
        self._max_bytes = max_bytes
        self._unparsed = 0
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def enter(self) -> bool:
        """Wait for room and take it; False once the gate is closed."""
        with self._changed:
            self._changed.wait_for(self._has_room)
            self._unparsed += 1
            self._bytes += NOMINAL_BYTES
            return not self._closed

    def parsed(self) -> None:
        """One that was let in is parsed."""
        with self._changed:
            self._unparsed -= 1
            self._changed.notify()

    def grow(self, work: Work, n_bytes: int) -> None:
        """The source has become heavier."""
        with self._changed:
            work.weight += n_bytes
            self._bytes += n_bytes

    def leave(self, work: Work) -> None:
        """The source is committed, or has failed."""
        with self._changed:
            self._bytes -= work.weight
            self._changed.notify()

    def close(self) -> None:
        """Let nothing in any more, and nobody wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        room = self._bytes < self._max_bytes and self._unparsed < self._max_unparsed
        return room or self._closed

"""Tasks in, committed sources out: four threads, joined by queues that one gate keeps short.

    feed      keep a copy of the file and hand the copy to a parser process
    chunk     take what was parsed, hand on its attachments, cut it into chunks
    embed     gather texts across documents and embed them together
    (caller)  a transaction of whole sources, then say so: what has been said stays

The parsers read the copy, so that what is stored is what was hashed, whatever happens to the file
meanwhile. A file that fails is recorded and the run goes on; a store or a model that fails ends the
run, with everything committed so far in place.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.chunk import prepare
from ingest.parse.model import Attachment, Job, Parsed
from ingest.parse.pool import Parsers
from ingest.plan import Task
from ingest.scan import changed_ns
from ingest.work import MAX_DEPTH, MAX_PARTS, Gate, Part, Work, weigh
from rag.errors import Forgotten, ParseError
from rag.search.embed import Embedder
from rag.store import Originals
from rag.types import SourceFile

MAX_INSIDE_BYTES = 64 * 1024**2
# The model works on a batch a core; a step has some for each, or cores would wait at its end.
STEP_TEXTS = 128 * len(os.sched_getaffinity(0))  # embedded between two looks whether to stop
BATCH_TEXTS = 2 * STEP_TEXTS  # embedded at once
ENOUGH_TEXTS = STEP_TEXTS  # embedded without waiting for more
PATIENCE_S = 0.1  # how long fewer texts wait for company
# Committed together: a transaction takes as long as a small source's rows. Others wait to write
# meanwhile, a question's audit record among them, so it ends with the source that makes it long.
TOGETHER = 8
TOGETHER_CHUNKS = 32
_WAKE_S = 0.2  # how often the caller looks whether it shall stop
_READ_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Means:
    """What the pipeline works with."""

    originals: Originals
    pool: Parsers
    embedder: Embedder
    ocr_languages: str
    max_unparsed: int


class Pipeline:
    """One run over a list of tasks. Use it once, in a `with` block."""

    def __init__(self, means: Means, tasks: Sequence[Task]) -> None:
        self._means = means
        self._tasks = tasks
        self._gate = Gate(max_unparsed=means.max_unparsed, max_bytes=MAX_INSIDE_BYTES)
        self._to_chunk: queue.SimpleQueue[tuple[Work, Part, Future[Parsed]] | None]
        self._to_chunk = queue.SimpleQueue()
        self._to_embed: queue.SimpleQueue[tuple[Work, Part] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Work | BaseException] = queue.SimpleQueue()
        self._stopping = threading.Event()
        # Each has a context of its own, in which who acts is known.
        self._threads = [
            threading.Thread(
                target=copy_context().run, args=(self._guarded, stage), name=name, daemon=True
            )
            for name, stage in (
                ("feed", self._feed),
                ("chunk", self._chunk),
                ("embed", self._embed),
            )
        ]

    def __enter__(self) -> Iterator[list[Work]]:
        for thread in self._threads:
            thread.start()
        return self._finished()

    def __exit__(self, *_: object) -> None:
        """End the threads; what is still inside is dropped and comes again with the next run."""
        self._stopping.set()
        self._gate.close()
        self._means.pool.close()
        self._to_chunk.put(None)
        self._to_embed.put(None)
        for thread in self._threads:
            thread.join()

    def _finished(self) -> Iterator[list[Work]]:
        """The sources that are ready to be committed; none now and then, to look around.

        Raises:
            CitadelError: the store or the model failed.
        """
        left = len(self._tasks)
        while left:
            ready = self._ready()
            yield ready
            for work in ready:
                self._gate.leave(work)
            left -= len(ready)

    def _ready(self) -> list[Work]:
        """Waits for one, and takes what else is there."""
        ready: list[Work] = []
        n_chunks = 0
        with contextlib.suppress(queue.Empty):
            while len(ready) < TOGETHER and n_chunks < TOGETHER_CHUNKS:
                done = self._done.get(timeout=0 if ready else _WAKE_S)
                if isinstance(done, BaseException):
                    if not ready:
                        raise done
                    self._done.put(done)  # what came before it is committed first
                    break
                ready.append(done)
                n_chunks += done.n_chunks
        return ready

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # noqa: BLE001  the thread's border: the caller raises it
            self._done.put(error)

    # feed

    def _feed(self) -> None:
        for task in self._tasks:
            if not self._gate.enter():
                return
            part = Part(task.seen.uri, Path(task.seen.uri).name)
            work = Work(task, task.seen, [part])
            try:
                if not task.is_kept:
                    work.source = keep(self._means.originals, task.seen)
            except ParseError as error:
                part.failure = error
                self._gate.parsed()
                self._to_embed.put((work, part))
                continue
            part.content_sha256 = work.source.content_sha256
            part.size_bytes = work.source.size_bytes
            self._parse(work, part)

    def _parse(self, work: Work, part: Part) -> None:
        path = self._means.originals.path(part.content_sha256)
        job = Job(str(path), part.name, self._means.ocr_languages)
        future = self._means.pool.submit(job)
        future.add_done_callback(lambda parsed: self._to_chunk.put((work, part, parsed)))

    # chunk

    def _chunk(self) -> None:
        while (item := self._to_chunk.get()) is not None:
            work, part, future = item
            try:
                parsed = future.result()
                self._attach(work, part, parsed.attachments)
                self._prepare(work, part, parsed)
            except CancelledError:
                return
            except ParseError as error:
                part.failure = error
            if part is work.parts[0]:
                self._gate.parsed()
            self._to_embed.put((work, part))

    def _attach(self, work: Work, parent: Part, attachments: list[Attachment]) -> None:
        """Send the attachments to be parsed; those that are too many or too deep fail."""
        for number, attachment in enumerate(attachments, 1):
            part = parent.attached(number, attachment)
            work.parts.append(part)
            part.size_bytes = len(attachment.data)
            part.failure = _too_much(part, work, len(attachments) - number)
            if part.failure is not None:
                return
            try:
                part.content_sha256 = self._means.originals.put(attachment.data)
            except Forgotten as error:
                part.failure = refused(error)
                self._to_embed.put((work, part))
                continue
            self._parse(work, part)

    def _prepare(self, work: Work, part: Part, parsed: Parsed) -> None:
        try:
            prepared = prepare(parsed, name=part.name, embedder=self._means.embedder)
        except Exception as error:  # the border of one file: a text that breaks the chunker
            raise ParseError(
                "unusable",
                f"its text cannot be cut into passages ({type(error).__name__}: {error})",
                hint="This is a defect in Citadel: please report it with the file, if you may.",
            ) from error
        self._gate.grow(work, weigh(prepared))
        part.parsed = _without_bulk(parsed)
        part.receive(prepared, self._means.embedder.dim)

    # embed

    def _embed(self) -> None:
        waiting: list[tuple[Work, Part]] = []
        while not self._stopping.is_set():
            if sum(_n_left(part) for _, part in waiting) >= ENOUGH_TEXTS:
                waiting = self._embed_some(waiting)
                continue
            try:
                item = self._to_embed.get(timeout=PATIENCE_S if waiting else None)
            except queue.Empty:
                waiting = self._embed_some(waiting)
                continue
            if item is None:
                return
            waiting = self._settle([*waiting, item])

    def _embed_some(self, waiting: list[tuple[Work, Part]]) -> list[tuple[Work, Part]]:
        """Embed up to BATCH_TEXTS texts; returns what is still waiting."""
        rows: list[tuple[str, Part, int]] = []
        for _, part in waiting:
            take = min(_n_left(part), BATCH_TEXTS - len(rows))
            if take and part.prepared:
                at = range(part.n_embedded, part.n_embedded + take)
                rows += [(part.prepared.embed_texts[i], part, i) for i in at]
        rows.sort(key=lambda row: len(row[0]))  # texts of one length are embedded fastest
        for start in range(0, len(rows), STEP_TEXTS):
            if self._stopping.is_set():
                return waiting
            step = rows[start : start + STEP_TEXTS]
            vectors = self._means.embedder.encode([text for text, _, _ in step])
            for (_, part, i), vector in zip(step, vectors, strict=True):
                assert part.vectors is not None
                part.vectors[i] = vector
        for _, part, _ in rows:
            part.n_embedded += 1
        return self._settle(waiting)

    def _settle(self, waiting: list[tuple[Work, Part]]) -> list[tuple[Work, Part]]:
        """Hand on the sources whose last part is settled, each once; returns what is left."""
        rest = []
        for work, part in waiting:
            if _n_left(part):
                rest.append((work, part))
            elif work.is_settled and not work.is_handed_on:
                work.is_handed_on = True
                self._done.put(work)
        return rest


def keep(originals: Originals, seen: SourceFile) -> SourceFile:
    """Keep a copy of a file; returns the source with the hash, size and time of what was copied.

    Raises:
        ParseError: it cannot be read, or somebody keeps writing it.
    """
    path = Path(seen.uri)
    try:
        for _ in range(_READ_ATTEMPTS):
            before = path.stat()
            sha256 = originals.put(path)
            after = path.stat()
            if _version(before) == _version(after):
                size_bytes, mtime_ns = _version(after)
                return replace(
                    seen, size_bytes=size_bytes, mtime_ns=mtime_ns, content_sha256=sha256
                )
    except OSError as error:
        raise ParseError(
            "unreadable",
            f"the file cannot be read: {error.strerror or error}",
            hint="Check that it is still there and that this user may read it (chmod, chown).",
            retry=True,
        ) from error
    except Forgotten as error:
        raise refused(error) from error
    raise ParseError(
        "busy",
        "the file was changed while it was read",
        hint="Ingest again when nothing writes to it any more.",
        retry=True,
    )


def refused(error: Forgotten) -> ParseError:
    """Why a content that was to be forgotten is not ingested again."""
    return ParseError("forgotten", error.message, hint=error.hint)


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, changed_ns(status)


def _too_much(part: Part, work: Work, n_following: int) -> ParseError | None:
    """Why this attachment and those that follow it are not read, if they aren't."""
    others = f" and {n_following} after it" if n_following else ""
    hint = "Save what is needed from the mail as files of their own."
    if part.depth > MAX_DEPTH:
        message = f"it{others} lies in mails more than {MAX_DEPTH} deep"
    elif len(work.parts) > MAX_PARTS:
        message = f"it{others} is one of more than {MAX_PARTS - 1} attachments"
    else:
        return None
    return ParseError("attachments", message, hint=hint)


def _without_bulk(parsed: Parsed) -> Parsed:
    """What is still needed of a parsed file once it is cut: not its elements and attachments."""
    return Parsed(
        media_type=parsed.media_type,
        elements=[],
        metadata=parsed.metadata,
        warnings=parsed.warnings,
    )


def _n_left(part: Part) -> int:
    """Texts that are still to be embedded."""
    if part.failure is not None or part.vectors is None:
        return 0
    return len(part.vectors) - part.n_embedded

"""Folders and a collection in, the collection level with the folders out.

The order is chosen so that a run can be killed anywhere and started again: every step is a
transaction of its own, and what is planned is worked out anew from files and store.
"""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from ingest.access import Closed
from ingest.level import Keeping
from ingest.permissions import Permissions
from ingest.plan import Move, Plan, Recipe, Task, compare
from ingest.progress import Progress
from ingest.scan import Limits, Scan, absolute_roots, scan
from ingest.work import Work, failed
from rag.errors import Forgotten, IngestError, NotFound, ParseError
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.store import Readers, Said, Store
from rag.types import SourceFile

if TYPE_CHECKING:
    from ingest.parse.pool import Parsers

MAX_WORKERS = 8  # unless set: each may take some hundred MB


class Failed(NamedTuple):
    """A file that was not ingested, why, and what to do."""

    path: str
    error: str
    hint: str


class Warned(NamedTuple):
    """A file that was read, but not as a whole, or not as what it is named."""

    path: str
    warnings: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What a run did, counted in files; `documents` and `chunks` are the collection's totals.

    `seconds` covers looking and doing.
    """

    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[Failed] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    warned: list[Warned] = field(default_factory=list)
    relimited: int = 0  # known files that have other readers than before
    documents: int = 0
    chunks: int = 0
    seconds: float = 0.0

    def fail(self, source: SourceFile) -> None:
        """Add a failure."""
        self.failed.append(Failed(source.uri, source.error, source.hint))


@dataclass(frozen=True, slots=True)
class Site:
    """Where an ingest works, and with what. `embedder` loads the model when it is first needed."""

    store: Store
    settings: Settings
    recipe: Recipe
    embedder: Callable[[], Embedder]
    progress: Progress


def make_plan(
    site: Site,
    paths: Sequence[Path],
    collection: str,
    *,
    allow_empty: bool = False,
    posix: bool | None = None,
) -> Plan:
    """Compare files and folders with what the collection holds of them. Writes nothing.

    `posix` says whether the files' permissions count; None: where they did so before.

    Raises:
        BadRequest: a path does not exist.
        IngestError: a folder that documents came from is empty now, and `allow_empty` is not set.
    """
    started = time.monotonic()
    seen = Scan()
    stored: dict[str, SourceFile] = {}
    limits = Limits(site.settings.max_file_bytes, str(site.settings.data_dir))
    roots = absolute_roots(paths, allow_missing=allow_empty)
    mapped = _mapped(site.store, collection, roots, posix)
    known = site.store.permissions
    permissions = Permissions(known.people(), known.groups()) if mapped else None
    for root in roots:
        site.progress.stage(f"looking through {root}")
        if os.path.lexists(root):
            looking = replace(limits, permissions=permissions if root in mapped else None)
            scan(root, looking, seen, site.progress.found)
        before = _stored(site.store, collection, root)
        if not allow_empty:
            _refuse_empty(root, before, seen)
        stored |= {source.uri: source for source in before}
    site.progress.stage("comparing")
    plan = compare(seen, stored.values(), site.recipe)
    _close_to_unknown(site.store, seen)
    plan.closed = sorted(seen.closed)
    closed = [each.folder for each in plan.closed]
    plan.said = Said(roots, _stated(seen), seen.by_system, mapped, seen.unread, closed)
    plan.n_limited = sum(seen.by_system.get(uri) is not None for uri in seen.files)
    plan.strangers = sorted(permissions.strangers) if permissions else []
    plan.seconds = time.monotonic() - started
    return plan


def _mapped(store: Store, collection: str, roots: list[str], posix: bool | None) -> list[str]:
    """The roots whose permissions count: as it is said, or where it was said of a part before."""
    if posix is not None:
        return roots if posix else []
    known = [_as_folder(root) for root in store.permissions.mapped_roots(collection)]
    return [
        root
        for root in roots
        if any(_as_folder(root).startswith(k) or k.startswith(_as_folder(root)) for k in known)
    ]


def _as_folder(path: str) -> str:
    return path.rstrip("/") + "/"


def _close_to_unknown(store: Store, seen: Scan) -> None:
    """Whom a file names must be there; a typing error would lock people out silently."""
    for folder, named in list(seen.readers.items()):
        try:
            store.permissions.check_principals(named or ())
        except NotFound as error:
            seen.close(folder, IngestError(error.message, hint=error.hint))


def _stated(seen: Scan) -> dict[str, Readers]:
    """What files say, but for those in folders that are closed."""
    closed = [each.folder for each in seen.closed]
    around = Said(closed=closed)
    return {uri: () if around.is_closed(uri) else who for uri, who in seen.readers.items()}


def _stored(store: Store, collection: str, root: str) -> list[SourceFile]:
    """What the collection knows of a root; a mail's failed attachments are not below it."""
    attached = (s for _, s in store.failures(collection) if s.uri.startswith(f"{root}#"))
    return [*store.sources(collection, root), *attached]


def _refuse_empty(root: str, before: list[SourceFile], seen: Scan) -> None:
    n_documents = sum(source.state == "ingested" for source in before)
    if not n_documents or root in seen.files or root in seen.refused:
        return
    if Said(closed=[each.folder for each in seen.closed]).is_closed(root):
        return
    folder = root.rstrip("/") + "/"
    if not any(uri.startswith(folder) for uri in itertools.chain(seen.files, seen.refused)):
        raise IngestError(
            f"{root} is empty now, but {n_documents:,} files were ingested from it",
            hint="Nothing was changed. Is a share not mounted? If the files are really gone, add "
            "--allow-empty.",
        )


def carry_out(site: Site, plan: Plan, collection: str) -> Report:
    """Do what is planned. Ctrl-C ends it after the running commit.

    Raises:
        KeyboardInterrupt: it was interrupted; everything committed so far stays.
        CitadelError: store, model or index failed.
    """
    started = time.monotonic()
    report = Report(unchanged=plan.n_unchanged, closed=plan.closed)
    # New limits come first and old ones go last: nothing can be read for a moment by whom its
    # folder leaves out, also where the folder has moved or is being removed.
    report.relimited = site.store.permissions.sync_limits(collection, plan.said, prune=False)
    for source in plan.listed:
        report.fail(source)
    for source in plan.refused:
        site.store.record_failure(collection, source)
        report.fail(source)
    tasks = [*plan.tasks, *_apply_moves(site, plan.moves, collection, report)]
    tasks += _touch(site, plan.touched, collection)
    site.store.remove_sources(collection, [source.uri for source in plan.gone])
    report.removed = sum(source.state == "ingested" for source in plan.gone)
    keeping = Keeping(site.store, site.settings, site.recipe.model_id, site.embedder)
    if tasks:
        _ingest(site, tasks, collection, report, keeping)
    report.relimited += apply_limits(site, plan, collection)
    _settle(site, keeping, swept=bool(plan.gone or report.updated))
    _count(site.store, collection, report)
    report.failed.sort()
    report.warned.sort()
    report.seconds = round(plan.seconds + time.monotonic() - started, 3)
    return report


def apply_limits(site: Site, plan: Plan, collection: str) -> int:
    """Bring the limits level with the plan; returns how many files have other readers then."""
    return site.store.permissions.sync_limits(collection, plan.said)


def _apply_moves(site: Site, moves: list[Move], collection: str, report: Report) -> Iterator[Task]:
    """Move sources; yields as tasks those that another run has taken away meanwhile."""
    for move in moves:
        for part in move.failed_parts:
            uri = move.new.uri + part.uri.removeprefix(move.old_uri)
            site.store.record_failure(collection, replace(part, uri=uri))
            report.fail(replace(part, uri=uri))
        try:
            site.store.move_source(collection, move.old_uri, move.new)
        except NotFound:
            yield Task(move.new)
        else:
            report.moved += 1


def _touch(site: Site, touched: list[SourceFile], collection: str) -> Iterator[Task]:
    """Record new times; yields as tasks what another run has taken away meanwhile."""
    try:
        site.store.touch_source(collection, *touched)
    except NotFound:
        for source in touched:
            try:
                site.store.touch_source(collection, source)
            except NotFound:
                yield Task(source)


def _ingest(
    site: Site, tasks: list[Task], collection: str, report: Report, keeping: Keeping
) -> None:
    from ingest.pipeline import Means, Pipeline

    settings = site.settings
    site.progress.stage("loading the model")
    embedder = site.embedder()
    pool, workers = _parsers(settings)
    means = Means(site.store.originals, pool, embedder, settings.ocr_languages, workers + 2)
    site.progress.begin(len(tasks), sum(task.seen.size_bytes for task in tasks))
    site.progress.stage("")
    # The largest first: a long scan that came last would leave the other cores idle.
    tasks = sorted(tasks, key=lambda task: -task.seen.size_bytes)
    with _deferred_interrupt() as stop, pool, Pipeline(means, tasks) as finished:
        for works in finished:
            _commit(site, works, collection, report)
            keeping.look()
            if stop.is_set():
                raise KeyboardInterrupt


def _parsers(settings: Settings) -> "tuple[Parsers, int]":
    """Where files are parsed, and how many at a time."""
    from ingest.parse.pool import ParserPool

    timeout_s, memory_bytes = settings.parse_timeout_s, settings.parse_memory_bytes
    here = settings.ingest_workers or _usual_workers(len(os.sched_getaffinity(0)))
    if settings.ray_address is None:
        return ParserPool(here, timeout_s=timeout_s, memory_bytes=memory_bytes), here
    from ingest.parse.ray_pool import RayPool

    wanted = here if settings.ray_address == "local" else settings.ingest_workers
    pool = RayPool(settings.ray_address, wanted, timeout_s=timeout_s, memory_bytes=memory_bytes)
    return pool, pool.workers


def _usual_workers(n_cores: int) -> int:
    """Half of the cores for parsing, as it takes less time than embedding; two at least."""
    return min(n_cores, max(2, min(MAX_WORKERS, n_cores // 2)))


def _commit(site: Site, works: Sequence[Work], collection: str, report: Report) -> None:
    """Put sources' documents, or the reasons why there are none, into the store."""
    for work in works:
        if work.failure is not None:
            _record_failure(site, work, work.failed(site.recipe), collection, report)
            continue
        for source in work.failed_attachments():
            site.store.record_failure(collection, source)
    made = [work for work in works if work.failure is None]
    stored = site.store.commit_sources(
        collection,
        [(work.ingested(site.recipe), work.documents()) for work in made],
        model_id=site.recipe.model_id,
    )
    for work, done in zip(made, stored, strict=True):
        if isinstance(done, Exception):
            why = _forgotten(done) if isinstance(done, Forgotten) else _defect(done)
            failure = failed(work.ingested(site.recipe), why)
            _record_failure(site, work, failure, collection, report)
        else:
            _count_in(site, work, collection, report)


def _count_in(site: Site, work: Work, collection: str, report: Report) -> None:
    """Say that a source is in the store, but for the attachments that failed."""
    ingested, attachments = work.ingested(site.recipe), list(work.failed_attachments())
    for source in attachments:
        report.fail(source)
    report.warned += [Warned(uri, warnings) for uri, warnings in work.warnings()]
    _remove_stale(site, work, collection, {source.uri for source in attachments})
    if not work.task.is_update:
        report.added += 1
    elif ingested.fingerprint == work.task.fingerprint:  # tried again, to no avail
        report.unchanged += 1
    else:
        report.updated += 1
    site.progress.committed(ingested.uri, ingested.size_bytes)


def _record_failure(
    site: Site, work: Work, failure: SourceFile, collection: str, report: Report
) -> None:
    site.store.record_failure(collection, failure)
    _remove_stale(site, work, collection, set())
    report.fail(failure)
    site.progress.failed(failure.uri, failure.size_bytes, failure.error)


def _remove_stale(site: Site, work: Work, collection: str, still: set[str]) -> None:
    stale = [uri for uri in work.task.stale if uri not in still]
    if stale:
        site.store.remove_sources(collection, stale)


def _forgotten(error: Forgotten) -> ParseError:
    """It was being ingested while it was forgotten."""
    from ingest.pipeline import refused

    return refused(error)


def _defect(error: ValueError) -> ParseError:
    return ParseError(
        "unusable",
        f"what was read from it cannot be stored ({error})",
        hint="This is a defect in Citadel: please report it with the file, if you may.",
    )


def _settle(site: Site, keeping: Keeping, *, swept: bool) -> None:
    """Bring the index snapshots up to date, and delete copies that nothing refers to any more."""
    if swept:
        site.store.sweep_originals()
    keeping.settle()
    if not _snapshots_are_level(site.store):
        from rag.search.indexes import refresh_snapshots

        site.progress.stage("updating the indexes")
        embedder = keeping.embedder()
        setting = site.settings.index
        refresh_snapshots(site.store, embedder.model_id, embedder.dim, setting, site.progress.say)


def _snapshots_are_level(store: Store) -> bool:
    """Whether both indexes have reached the head of the change log; loads neither."""
    head = store.head()
    newest = [store.snapshots.of_kind("dense")[:1], store.snapshots.of_kind("lexical")[:1]]
    return head == 0 or all(found and found[0].seq == head for found in newest)


def _count(store: Store, collection: str, report: Report) -> None:
    for info in store.collections():
        if info.name == collection:
            report.documents, report.chunks = info.n_documents, info.n_chunks


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event instead of breaking into a commit; the second one does."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

import threading
import time
from pathlib import Path

import pytest
from sync_steps import counts, documents, mail, sync, touch

from ingest import pipeline
from ingest.parse.pool import ParserPool
from ingest.pipeline import TOGETHER, TOGETHER_CHUNKS, Means, Pipeline, keep
from ingest.plan import Task
from ingest.progress import Lines
from ingest.sync import Site
from ingest.work import NOMINAL_BYTES, Gate, Part, Work
from rag.errors import ParseError, StoreError
from rag.store import Originals
from rag.types import SourceFile


def seen(path: Path) -> SourceFile:
    status = path.stat()
    return SourceFile(str(path), status.st_size, status.st_mtime_ns)


def test_what_was_said_to_be_committed_is_in_the_store(site: Site, docs: Path) -> None:
    sync(site, docs)

    assert isinstance(site.progress, Lines)
    lines = site.progress._stream.getvalue().splitlines()  # type: ignore[attr-defined]
    said = {line.removeprefix("committed ") for line in lines if line.startswith("committed ")}
    assert said == set(documents(site))


def test_attachments_are_linked_to_their_mail_in_their_order(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(mail("Two", "Two files.", ("a.txt", b"Alpha is here."), ("b.txt", b"Beta.")))

    sync(site, path)

    found = documents(site)
    assert len(found) == len(site.store.changes(0)) == 3
    children = site.store.children(site.store.access_to_all(), found[str(path)].id)
    assert [d.source_uri for d in children] == [f"{path}#1/a.txt", f"{path}#2/b.txt"]


def test_two_files_of_the_same_content_are_two_documents_over_one_original(
    site: Site, docs: Path
) -> None:
    for name in ("one.txt", "two.txt"):
        (docs / name).write_text("The same words stand in both of these files.\n")

    assert counts(sync(site, docs)) == {"added": 5}
    first, second = (documents(site)[str(docs / name)] for name in ("one.txt", "two.txt"))
    assert first.content_sha256 == second.content_sha256
    (docs / "one.txt").unlink()
    sync(site, docs)
    assert site.store.originals.path(second.content_sha256).is_file()


class Restless(Originals):
    """Keeps copies of files that somebody writes to at that very moment, `n` times."""

    def __init__(self, folder: Path, n: int) -> None:
        super().__init__(folder)
        self.n = n

    def put(self, content: Path | bytes) -> str:
        sha256 = super().put(content)
        if self.n and isinstance(content, Path):
            self.n -= 1
            touch(content, f"version {self.n}")
        return sha256


def test_a_file_that_changes_while_it_is_copied_is_copied_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("first")
    originals = Restless(tmp_path / "originals", 1)

    source = keep(originals, seen(path))

    assert originals.path(source.content_sha256).read_text() == "version 0"
    assert (source.size_bytes, source.mtime_ns) == (9, path.stat().st_mtime_ns)


def test_a_file_that_never_rests_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("first")

    with pytest.raises(ParseError, match="changed while it was read") as raised:
        keep(Restless(tmp_path / "originals", 99), seen(path))

    assert raised.value.retry


def test_a_file_that_goes_before_it_is_read_fails_alone(site: Site, docs: Path) -> None:
    gone = Task(SourceFile(str(docs / "gone.txt"), 10, 1))
    there = Task(seen(docs / "travel.md"))

    finished = through(site, [gone, there])

    assert {Path(w.source.uri).name: w.failure is None for w in finished} == {
        "gone.txt": False,
        "travel.md": True,
    }


def test_a_file_that_is_too_large_is_refused_with_a_hint(site: Site, docs: Path) -> None:
    (docs / "large.txt").write_text("word " * 1000)
    settings = site.settings.model_copy(update={"max_file_bytes": 4000})
    small = Site(site.store, settings, site.recipe, site.embedder, site.progress)

    report = sync(small, docs)

    assert counts(report) == {"added": 3, "failed": 1}
    assert "CITADEL_MAX_FILE_BYTES" in report.failed[0].hint


def means(site: Site, pool: ParserPool, max_unparsed: int = 4) -> Means:
    return Means(site.store.originals, pool, site.embedder(), "eng", max_unparsed)


def through(site: Site, tasks: list[Task]) -> list[Work]:
    """What comes out at the end of the pipeline; nothing is committed."""
    pool = ParserPool(1, timeout_s=60, memory_bytes=2 * 1024**3)
    with pool, Pipeline(means(site, pool), tasks) as finished:
        return [work for works in finished for work in works]


def test_no_more_files_are_let_in_than_there_is_room_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_INSIDE_BYTES", 6 * NOMINAL_BYTES)
    tasks = []
    for n in range(40):
        path = tmp_path / f"{n}.txt"
        path.write_text(f"This is note number {n}.\n")
        tasks.append(Task(seen(path)))
    pool = ParserPool(1, timeout_s=60, memory_bytes=2 * 1024**3)

    with pool, Pipeline(means(site, pool), tasks) as finished:
        first = next(works for works in finished if works)
        n_inside = settled(site.store.originals)  # with a caller that takes no more
        rest = [work for works in finished for work in works]

    assert n_inside <= 6
    assert len({work.source.uri for work in (*first, *rest)}) == 40


def test_small_files_that_are_ready_are_handed_on_together_and_no_more_than_is_soon_committed(
    site: Site, tmp_path: Path
) -> None:
    lengths = [400, *[1] * (3 * TOGETHER)]
    tasks = []
    for number, n_sentences in enumerate(lengths):
        path = tmp_path / f"{number}.txt"
        path.write_text(" ".join(f"This is sentence {n} of {path}." for n in range(n_sentences)))
        tasks.append(Task(seen(path)))
    pool = ParserPool(1, timeout_s=60, memory_bytes=2 * 1024**3)

    groups = []
    with pool, Pipeline(means(site, pool), tasks) as finished:
        for works in finished:
            groups.append(works)
            time.sleep(0.3)  # a store that is slow, so that others get ready

    assert sum(map(len, groups)) == len(lengths)
    assert 1 < max(map(len, groups)) <= TOGETHER
    (with_long,) = (works for works in groups if any(w.n_chunks > TOGETHER_CHUNKS for w in works))
    assert with_long[-1].n_chunks > TOGETHER_CHUNKS, "nothing follows it into its transaction"


def settled(originals: Originals) -> int:
    """How many files have been let in, once that number stays the same."""
    n, before = -1, -2
    while n != before:
        time.sleep(0.3)
        n, before = sum(1 for _ in originals._folder.glob("??/*")), n
    return n


def test_leaving_the_pipeline_early_ends_its_threads(site: Site, docs: Path) -> None:
    pool = ParserPool(1, timeout_s=60, memory_bytes=2 * 1024**3)
    tasks = [Task(seen(path)) for path in sorted(docs.rglob("*.*"))]

    with pool, Pipeline(means(site, pool), tasks) as finished:
        next(works for works in finished if works)

    assert not {t.name for t in threading.enumerate()} & {"feed", "chunk", "embed", "parser"}


def test_a_store_that_fails_ends_the_run_with_its_reason(site: Site, docs: Path) -> None:
    folder = site.store.data_dir / "originals"
    folder.write_text("a file where a folder should be")

    with pytest.raises(StoreError, match="cannot keep a copy"):
        through(site, [Task(seen(docs / "travel.md"))])


def test_the_gate_waits_for_room_and_opens_when_it_is_closed() -> None:
    gate = Gate(max_unparsed=2, max_bytes=3 * NOMINAL_BYTES)
    source = SourceFile("/a.txt", 1, 1)
    work = Work(Task(source), source, [Part("/a.txt", "a.txt")])
    assert gate.enter() and gate.enter()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(gate.enter()))
    waiting.start()
    assert not answers
    gate.parsed()
    waiting.join(timeout=10)
    assert answers == [True]

    gate.parsed()
    gate.grow(work, 10 * NOMINAL_BYTES)  # what is inside may grow; nothing new comes in
    waiting = threading.Thread(target=lambda: answers.append(gate.enter()))
    waiting.start()
    gate.close()
    waiting.join(timeout=10)
    assert answers == [True, False]

"""Many threads and processes at once, some of which are killed."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
from store_samples import commit, commit_mail, document, replay, source, stored

from rag.errors import StoreError
from rag.store import Store
from rag.types import Access

DOCS = Access(frozenset({"docs"}))
HERE = Path(__file__).parent


def _start_writer(url: str, data_dir: Path, folder: str, n: int) -> subprocess.Popen[str]:
    """A process that stores n files and prints the URI of each after it is acknowledged."""
    return subprocess.Popen(
        [sys.executable, HERE / "store_writer.py", url, data_dir, folder, str(n)],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )


def _outputs(writers: Sequence[subprocess.Popen[str]]) -> list[list[str]]:
    outputs = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(writers)
    return outputs


def test_two_threads_storing_the_same_source_store_it_once(store: Store) -> None:
    both_ready = Barrier(2)

    def write(_: int) -> list[int]:
        both_ready.wait(timeout=30)
        return commit_mail(store, "/m.eml", "a.txt")

    for _ in range(10):
        store.remove_sources("docs", ["/m.eml"])
        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(write, range(2))
        assert first == second == [d.id for d in store.list_documents(DOCS)]
    assert replay(store) == stored(store)


def test_two_threads_storing_different_versions_leave_one_of_them_whole(store: Store) -> None:
    def write(version: int) -> None:
        commit(store, "/a", *(f"version {version}, paragraph {p}" for p in range(5)))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(20)))
    (left,) = store.list_documents(DOCS)
    versions = {c.chunk.text.split(",")[0] for c in store.document_chunks(DOCS, left.id)}
    assert (left.n_chunks, len(versions)) == (5, 1)
    assert store.check() == []


def test_two_processes_opening_and_writing_at_once_store_each_source_once(
    empty_url: str, data_dir: Path
) -> None:
    writers = [_start_writer(empty_url, data_dir, "/same", 15) for _ in range(2)]
    first, second = _outputs(writers)
    assert first == second
    with Store.open(empty_url, data_dir=data_dir) as store:
        uris = [d.source_uri for d in store.list_documents(DOCS)]
        assert sorted(uris) == sorted(first)
        assert {c.op for c in store.changes(0)} == {"put"}
        assert store.check() == []


def test_follower_never_sees_a_gap_while_others_write(store: Store) -> None:
    finished = Event()

    def write(writer: int) -> None:
        for i in range(15):
            commit(store, f"/{writer}/{i % 4}", f"{i} of {writer}")

    def follow() -> list[int]:
        seen: list[int] = []
        last_look = False
        while not last_look:
            last_look = finished.is_set()
            seen += [c.seq for c in store.changes(seen[-1] if seen else 0)]
            time.sleep(0.001)  # or the writers wait for the interpreter more than for one another
        return seen

    with ThreadPoolExecutor(5) as threads:
        follower = threads.submit(follow)
        list(threads.map(write, range(4)))
        finished.set()
        seen = follower.result(timeout=30)
    assert seen == list(range(1, store.head() + 1))
    assert replay(store) == stored(store)


def test_readers_see_what_another_process_has_acknowledged(
    store: Store, url: str, data_dir: Path
) -> None:
    assert store.head() == 0
    writer = _start_writer(url, data_dir, "/w", 3)
    assert writer.stdout
    for n, line in enumerate(writer.stdout, 1):
        assert store.head() >= n
        assert line.strip() in {d.source_uri for d in store.list_documents(DOCS)}
    _outputs([writer])


def test_killed_writer_leaves_every_document_whole_or_absent(url: str, data_dir: Path) -> None:
    chance = random.Random(20241)
    acknowledged: list[str] = []
    for turn in range(4):
        writer = _start_writer(url, data_dir, f"/{turn}", 10_000)
        assert writer.stdout
        acknowledged += [writer.stdout.readline().strip() for _ in range(chance.randint(1, 30))]
        writer.kill()
        acknowledged += writer.stdout.read().split("\n")[:-1]  # a last line may be cut off
        writer.wait(30)
        writer.stdout.close()
    with Store.open(url, data_dir=data_dir) as store:
        listed = store.list_documents(DOCS, limit=100_000)
        uris = [d.source_uri for d in listed]
        assert len(uris) == len(set(uris))
        assert set(acknowledged) <= set(uris)
        assert len(uris) <= len(acknowledged) + 4
        assert {d.n_chunks for d in listed} == {20}
        assert store.check() == []
        assert replay(store) == stored(store)


def test_failed_transaction_leaves_nothing(store: Store) -> None:
    """An attachment whose place is taken by another source breaks the commit in the middle."""
    commit(store, "/m.eml#a", "in the way")
    before = store.head(), stored(store), store.sources("docs", "/")
    documents = [document("/m.eml", ["x"]), document("/m.eml#a", ["y"], parent="/m.eml")]
    with pytest.raises(StoreError, match=r"UNIQUE|unique"):
        store.commit_source("docs", source("/m.eml"), documents, model_id="m")
    assert (store.head(), stored(store), store.sources("docs", "/")) == before
    assert commit(store, "/m.eml", "x")


def test_sources_that_are_committed_together_are_stored_together_or_not_at_all(
    store: Store,
) -> None:
    commit(store, "/m.eml#a", "in the way")
    before = store.head(), stored(store), store.sources("docs", "/")
    mail = [document("/m.eml", ["x"]), document("/m.eml#a", ["y"], parent="/m.eml")]
    note = (source("/n.txt"), [document("/n.txt", ["z"])])

    with pytest.raises(StoreError, match=r"UNIQUE|unique"):
        store.commit_sources("docs", [note, (source("/m.eml"), mail)], model_id="m")
    assert (store.head(), stored(store), store.sources("docs", "/")) == before

    ((note_id,),) = store.commit_sources("docs", [note], model_id="m")
    assert store.document(DOCS, note_id).source_uri == "/n.txt"
    assert store.commit_sources("docs", [], model_id="m") == []


def test_what_goes_by_a_name_is_done_by_one_at_a_time(
    store: Store, url: str, data_dir: Path
) -> None:
    with Store.open(url, data_dir=data_dir) as other, ThreadPoolExecutor(1) as thread:

        def wait() -> str:
            with other.alone("indexing"):
                return "mine"

        with store.alone("indexing"), other.alone("another thing"):
            waiting = thread.submit(wait)
            time.sleep(0.2)
            assert not waiting.done()
            assert commit(store, "/a", "others may write meanwhile")
        assert waiting.result(timeout=30) == "mine"

"""Both indexes follow the change log."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from index_samples import (
    ALL,
    DIM,
    DOCS,
    MODEL,
    NOBODY,
    commit,
    found,
    level,
    move,
    open_quietly,
    published,
    stored_ids,
    vectors,
)

from rag.search.indexes import refresh_snapshots
from rag.store import Store
from rag.types import Access


def test_what_is_put_replaced_moved_and_removed_is_in_force_for_the_next_search(
    store: Store,
) -> None:
    with open_quietly(store) as indexes:
        commit(store, "/a.txt", "notice period", "travel costs")
        assert found(indexes, store, "notice") == {"notice period", "travel costs"}
        commit(store, "/a.txt", "parental leave")
        assert found(indexes, store, "notice") == {"parental leave"}
        level(indexes, store)
        move(store, "/a.txt", "/quokka.txt")
        indexes.catch_up()
        assert indexes.lexical.search("quokka", 5, DOCS), "the new file name is searched"
        level(indexes, store)
        store.remove_sources("docs", ["/quokka.txt"])
        assert found(indexes, store, "notice parental leave quokka") == set()
        level(indexes, store)


def test_more_changes_than_one_batch_are_replayed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search.indexes.REPLAY_BATCH", 3)
    with open_quietly(store) as indexes:
        for n in range(8):
            commit(store, "/replaced.txt", f"version {n}")
            commit(store, f"/{n}.txt", f"text {n}")
        store.remove_sources("docs", ["/0.txt", "/5.txt"])
        level(indexes, store)
        assert "version 7" in found(indexes, store, "version")
        assert "version 6" not in found(indexes, store, "version")


def test_following_gives_the_same_results_as_building_anew(store: Store) -> None:
    with open_quietly(store) as indexes:
        for n in range(12):
            commit(store, f"/{n % 7}.txt", f"rule {n} of pay", f"rule {n} of leave")
            indexes.catch_up()
        store.remove_sources("docs", ["/3.txt"])
        indexes.catch_up()
        with open_quietly(store) as fresh:
            for query in ("pay", "leave rule", "rule 11"):
                vector = vectors([query])[0]
                dense = dict(indexes.dense.search(vector, 50, DOCS))
                assert dense == pytest.approx(dict(fresh.dense.search(vector, 50, DOCS)))
                lexical = {i for i, _ in indexes.lexical.search(query, 50, DOCS)}
                assert lexical == {i for i, _ in fresh.lexical.search(query, 50, DOCS)}


def test_neither_branch_finds_what_may_not_be_read(store: Store) -> None:
    with open_quietly(store) as indexes:
        commit(store, "/open.txt", "the salary of staff")
        commit(store, "/closed.txt", "the salary of the board", collection="board")
        indexes.catch_up()
        vector = vectors(["salary board"])[0]
        for access, n in ((DOCS, 1), (Access(frozenset({"board"})), 1), (ALL, 2), (NOBODY, 0)):
            assert len(indexes.dense.search(vector, 10, access)) == n
            assert len(indexes.lexical.search("salary", 10, access)) == n
        nowhere = Access(frozenset({"elsewhere"}))
        assert indexes.dense.search(vector, 10, nowhere) == []
        assert indexes.lexical.search("salary", 10, nowhere) == []


def test_vectors_of_another_model_never_enter(store: Store) -> None:
    commit(store, "/old.txt", "notice period", model_id="model-b")
    with open_quietly(store) as indexes:
        commit(store, "/new.txt", "notice period")
        commit(store, "/older.txt", "notice", model_id="model-b")
        indexes.catch_up()
        assert indexes.dense.ids() == stored_ids(store, MODEL)
        assert sorted(indexes.lexical.ids()) == stored_ids(store), "words are words"


def test_many_threads_may_search_while_documents_come_and_go(store: Store) -> None:
    vector = vectors(["rule"])[0]
    with open_quietly(store) as indexes, ThreadPoolExecutor(4) as pool:

        def search() -> None:
            for _ in range(30):
                indexes.catch_up()
                indexes.dense.search(vector, 10, DOCS)
                indexes.lexical.search("rule", 10, DOCS)

        searches = [pool.submit(search) for _ in range(4)]
        for n in range(10):
            commit(store, f"/{n % 4}.txt", f"rule {n}")
        indexes.publish()
        for done in searches:
            done.result()
        level(indexes, store)


# Several processes


def test_leftovers_of_dead_processes_are_cleared_and_those_of_living_ones_are_not(
    store: Store,
) -> None:
    alive = open_quietly(store)
    level(alive, store)
    alive.publish()
    leftovers = [
        store.data_dir / "work" / "lexical-abc",
        store.data_dir / "snapshots" / "dense-3-abc",
    ]
    for leftover in leftovers:
        leftover.mkdir(parents=True)
        (leftover / "file").write_text("x")
    mine = set((store.data_dir / "work").iterdir()) - set(leftovers)
    with open_quietly(store):
        assert not any(leftover.exists() for leftover in leftovers)
        assert all(folder.exists() for folder in mine)
        assert all((store.data_dir / s.path).exists() for s in store.snapshots.of_kind("dense"))
    commit(store, "/a.txt", "notice")
    level(alive, store)
    alive.close()


OTHER_PROCESS = """
import sys
from pathlib import Path
from index_samples import DIM, MODEL, commit, found, open_quietly
from rag.search.indexes import refresh_snapshots
from rag.store import Store
data_dir = Path(sys.argv[1])
with Store.open(f"sqlite:///{data_dir / 'citadel.db'}", data_dir=data_dir) as store:
    with open_quietly(store) as indexes:
        print(sorted(found(indexes, store, "notice")))
        store.remove_sources("docs", ["/0.txt"])
        commit(store, "/theirs.txt", "their notice")
        refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
        print(sorted(found(indexes, store, "notice")))
"""


def test_two_processes_follow_each_other(store: Store) -> None:
    published(store)
    with open_quietly(store) as indexes:
        commit(store, "/ours.txt", "our notice")
        command = [sys.executable, "-c", OTHER_PROCESS, str(store.data_dir)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
        )
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert "our notice" in first
        assert found(indexes, store, "notice") == set(eval(second))
        assert "their notice" in second
        assert "notice 0" not in second
        level(indexes, store)


def test_an_empty_store_has_empty_indexes_and_a_snapshot_of_them(store: Store) -> None:
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    with open_quietly(store) as indexes:
        assert not indexes.rebuilt
        assert indexes.dense.search(np.ones(DIM, np.float32), 5, ALL) == []
        assert indexes.lexical.search("notice", 5, ALL) == []

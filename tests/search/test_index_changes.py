"""A server's indexes, which a thread keeps level while questions are answered."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from index_samples import ALL, DIM, MODEL, commit, found, level, open_quietly, published, vectors

from rag.search.indexes import Indexes, refresh_snapshots
from rag.search.patience import Patience
from rag.store import Store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread looks often."""
    monkeypatch.setattr("rag.search.indexes.FOLLOW_S", 0.01)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again until it is so; the suite's own limit ends a wait for ever."""
    while not is_so():
        time.sleep(0.01)


def dense_texts(indexes: Indexes, store: Store) -> list[int]:
    """The chunks that the dense index finds."""
    indexes.catch_up()
    return [i for i, _ in indexes.dense.search(vectors(["notice"])[0], 100, ALL)]


def test_the_thread_brings_the_indexes_level_without_a_query(store: Store) -> None:
    published(store)
    with open_quietly(store) as indexes:
        indexes.follow()
        commit(store, "/later.txt", "a later notice")
        wait_until(lambda: indexes.seq == store.head())
        level(indexes, store)


def test_a_small_change_is_found_by_the_next_query(store: Store) -> None:
    published(store)
    with open_quietly(store) as indexes:
        indexes.follow()
        for n in range(5):
            commit(store, "/later.txt", f"notice {n} again")
            assert f"notice {n} again" in found(indexes, store, "notice")


@pytest.mark.parametrize(
    ("limit", "value"),
    [("indexes.SOON_CHUNKS", 0), ("patience.MOST_S", 0.0)],
    ids=["much has changed", "queries have waited enough of late"],
)
def test_a_query_does_the_deletions_and_leaves_the_additions_to_the_thread_where(
    limit: str, value: float, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"rag.search.{limit}", value)
    monkeypatch.setattr("rag.search.indexes.FOLLOW_S", 3600)
    published(store)
    with open_quietly(store) as indexes:
        indexes.follow()
        before, seq = dense_texts(indexes, store), indexes.seq
        store.remove_sources("docs", ["/0.txt"])
        commit(store, "/later.txt", "a later notice")
        assert len(dense_texts(indexes, store)) == len(before) - 2
        assert indexes.seq == seq
        gone = [i for i, _ in indexes.lexical.search("0", 50, ALL)]
        assert gone
        assert store.chunks(ALL, gone) == {}, "so no hit comes of them"


def test_patience_is_spent_by_waiting_and_comes_back_with_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag.search.patience.SHARE", 0.5)
    patience = Patience()
    patience.spend(0.4)
    after = patience.left()
    assert after < 0.45
    time.sleep(0.1)
    assert after + 0.04 < patience.left() <= 0.5
    monkeypatch.setattr("rag.search.patience.LEAST_S", 1.0)
    assert patience.left() == 0, "too little is none"


def test_an_index_of_another_type_is_taken_while_questions_are_answered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store)
    with open_quietly(store) as indexes, ThreadPoolExecutor(2) as pool:
        indexes.follow()
        for n in range(6):
            commit(store, f"/long-{n}.txt", *(f"rule {n} {i}" for i in range(10)))
        expected = set(dense_texts(indexes, store))
        assert indexes.dense.kind == "flat"
        monkeypatch.setattr("rag.search.dense.IVF_FROM", 30)

        def ask() -> bool:
            same = True
            while indexes.dense.kind != "ivf":
                same &= set(dense_texts(indexes, store)) == expected
            return same

        asked = [pool.submit(ask) for _ in range(2)]
        refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
        assert all(done.result() for done in asked)
        assert not indexes.outgrown()
        level(indexes, store)
        store.remove_sources("docs", ["/long-1.txt"])
        assert len(dense_texts(indexes, store)) == len(expected) - 10
        level(indexes, store)


def test_an_outgrown_index_alone_is_built_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(store)
    commit(store, "/long.txt", *(f"rule {n}" for n in range(40)))
    monkeypatch.setattr("rag.search.dense.IVF_FROM", 30)
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    with open_quietly(store) as indexes:
        assert (indexes.dense.kind, indexes.rebuilt) == ("ivf", False)
        level(indexes, store)
        np.testing.assert_allclose(
            indexes.dense.vectors(indexes.dense.ids()[:1]),
            store.index_rows(indexes.dense.ids()[:1])[0].vector[None, :],
            atol=0.1,
        )

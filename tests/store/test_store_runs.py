"""Ingest runs as the store keeps them: their order, their ends, and who sees them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import Conflict, NotFound
from rag.store import Counts, Failure, Sight, Store

EVERYTHING = Sight(0, frozenset(), everything=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'citadel.db'}", data_dir=tmp_path) as store:
        store.create_collection("hr")
        store.create_collection("finance")
        yield store


def test_runs_begin_in_the_order_they_came_and_what_was_broken_off_has_failed(
    store: Store,
) -> None:
    first, second = (store.runs.add("hr", 1, [f"/srv/{n}"]) for n in (1, 2))
    begun = store.runs.begin()
    assert begun is not None and begun.id == first and begun.paths == ("/srv/1",)
    after_a_restart = store.runs.begin()
    assert after_a_restart is not None and after_a_restart.id == second
    broken = store.runs.one(first)
    assert (broken.state, broken.ended_at is not None) == ("failed", True)
    assert "server ended" in broken.message and broken.hint
    store.runs.end(second, "done")
    assert store.runs.begin() is None


def test_a_run_that_is_postponed_has_its_turn_again(store: Store) -> None:
    number = store.runs.add("hr", 1, ["/srv"])
    store.runs.begin()
    store.runs.postpone(number)
    again = store.runs.begin()
    assert again is not None and again.id == number


def test_a_run_ends_once(store: Store) -> None:
    number = store.runs.add("hr", 1, ["/srv"])
    store.runs.begin()
    failure = Failure(path="/srv/a", error="broken", hint="mend it")
    store.runs.note(number, Counts(total=2, done=2, added=1, failed=1), [failure])
    store.runs.end(number, "done")
    store.runs.end(number, "failed", "too late")
    store.runs.cancel(number)
    run = store.runs.one(number)
    assert (run.state, run.message, run.is_to_stop) == ("done", "", False)
    assert (run.counts.added, run.failures) == (1, (failure,))


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_is_told(store: Store) -> None:
    running, waiting = store.runs.add("hr", 1, ["/a"]), store.runs.add("hr", 1, ["/b"])
    store.runs.begin()
    for number in (running, waiting):
        store.runs.cancel(number)
    assert store.runs.one(waiting).state == "cancelled"
    assert store.runs.one(running).state == "running"
    assert store.runs.is_to_stop(running)


def test_who_has_started_a_run_or_manages_its_collection_sees_it(store: Store) -> None:
    mine = store.runs.add("hr", 7, ["/mine"])
    others = store.runs.add("hr", 8, ["/others"])
    elsewhere = store.runs.add("finance", 8, ["/elsewhere"])

    def seen(sight: Sight, **options: int) -> list[int]:
        return [run.id for run in store.runs.listed(sight, 10, **options)]

    assert seen(Sight(7, frozenset())) == [mine]
    assert seen(Sight(7, frozenset({"hr"}))) == [others, mine]
    assert seen(EVERYTHING) == [elsewhere, others, mine]
    assert seen(EVERYTHING, before=others) == [mine]
    with pytest.raises(NotFound):
        store.runs.one(elsewhere, Sight(7, frozenset({"hr"})))
    with pytest.raises(NotFound):
        store.runs.one(2**63)


def test_an_upload_is_kept_from_the_sweep_while_it_waits_and_its_place_is_its_own(
    store: Store,
) -> None:
    with store.originals.arriving() as arriving:
        arriving.write(b"a text")
        sha256 = arriving.keep()
    first = store.runs.add_upload("hr", 1, "a.txt", sha256)
    second = store.runs.add_upload("hr", 1, "a.txt", sha256)
    assert store.runs.one(first).paths != store.runs.one(second).paths
    found = store.runs.unended_upload("hr", 1, sha256)
    assert found is not None and found.id in (first, second)
    assert store.runs.unended_upload("finance", 1, sha256) is None
    store.discard_original(sha256)
    assert store.originals.path(sha256).read_bytes() == b"a text"
    for number in (first, second):
        store.runs.cancel(number)
    store.discard_original(sha256)
    with pytest.raises(NotFound):
        store.originals.path(sha256)


def test_what_arrives_and_is_not_kept_is_gone(store: Store, tmp_path: Path) -> None:
    with store.originals.arriving() as arriving:
        arriving.write(b"half of a")
        assert arriving.size_bytes == 9
    assert not [path for path in (tmp_path / "originals").rglob("*") if path.is_file()]


def test_a_collection_with_a_run_is_not_removed(store: Store) -> None:
    number = store.runs.add("hr", 1, ["/srv"])
    with pytest.raises(Conflict, match="has not ended"):
        store.remove_collection("hr", with_documents=True)
    store.runs.cancel(number)
    assert store.remove_collection("hr") == 0
    with pytest.raises(NotFound):
        store.runs.one(number)

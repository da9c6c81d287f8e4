"""What the guard stopped is kept whole, newest first, until it is purged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rag.errors import NotFound
from rag.store import Store, Withheld
from rag.store.withheld import MAX_CHARS

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


def record(question: str = "Why?", *, days_ago: int = 0, text: str = "So far.") -> Withheld:
    return Withheld(
        created_at=NOW - timedelta(days=days_ago),
        request_id="r1",
        status="blocked",
        stage="answer",
        categories=("S1", "S10"),
        probability=0.97,
        reason="",
        question=question,
        text=text,
        collections=("docs", "hr"),
        engine="llama",
    )


def test_what_was_kept_comes_back_as_it_was(store: Store) -> None:
    store.withheld.keep(record())
    [found] = store.withheld.listed()
    assert found.id > 0
    assert store.withheld.one(found.id) == found
    assert [getattr(found, name) for name in ("question", "text", "categories", "collections")] == [
        "Why?",
        "So far.",
        ("S1", "S10"),
        ("docs", "hr"),
    ]
    assert (found.created_at, found.probability) == (NOW, 0.97)


def test_the_newest_come_first_and_the_rest_is_asked_for_by_number(store: Store) -> None:
    for n in range(5):
        store.withheld.keep(record(f"{n}?"))
    first = store.withheld.listed(2)
    assert [one.question for one in first] == ["4?", "3?"]
    assert [one.question for one in store.withheld.listed(9, first[-1].id)] == ["2?", "1?", "0?"]


def test_text_that_no_database_takes_is_kept_as_far_as_it_goes(store: Store) -> None:
    store.withheld.keep(record("half \ud800 and \0", text="x" * (MAX_CHARS + 1)))
    [found] = store.withheld.listed()
    assert found.question == "half ? and \ufffd"
    assert found.text == "x" * MAX_CHARS + " [… 1 more characters]"


def test_a_name_that_a_server_gives_itself_is_storable_too(store: Store) -> None:
    store.withheld.keep(replace(record(), engine="ll\0ama"))
    assert store.withheld.listed()[0].engine == "ll\ufffdama"


@pytest.mark.parametrize("number", [7, 0, -1, 2**70, -(2**70)])
def test_a_number_that_is_none_is_not_found(store: Store, number: int) -> None:
    store.withheld.keep(record())
    with pytest.raises(NotFound):
        store.withheld.one(number)


def test_any_number_may_be_read_on_from(store: Store) -> None:
    store.withheld.keep(record())
    assert len(store.withheld.listed(9, 2**70)) == 1
    assert store.withheld.listed(9, -(2**70)) == []


def test_only_what_is_old_enough_is_purged(store: Store) -> None:
    store.withheld.keep(record("old", days_ago=40))
    store.withheld.keep(record("new"))
    assert store.withheld.purge(NOW - timedelta(days=30)) == 1
    assert [one.question for one in store.withheld.listed()] == ["new"]
    assert store.withheld.purge() == 1
    assert store.withheld.listed() == []

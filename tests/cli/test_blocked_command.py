"""`citadel blocked` as an admin runs it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import Citadel

from rag.store import Store, Withheld


@pytest.fixture
def stopped(tmp_path: Path) -> Citadel:
    """The command over a store in which one answer was stopped."""
    folder = tmp_path / "data"
    folder.mkdir()
    with Store.open(f"sqlite:///{folder / 'citadel.db'}", data_dir=folder) as store:
        store.withheld.keep(
            Withheld(
                created_at=datetime(2026, 11, 26, 9, 0, tzinfo=UTC),
                request_id="r1",
                status="blocked",
                stage="answer",
                categories=("S1",),
                probability=0.97,
                reason="",
                question="How is it\x1b[2J made?",
                text="First take\nthe \x1b]0;x\x07 other.",
                collections=("docs",),
                engine="llama",
            )
        )
    return Citadel(folder)


def test_what_was_stopped_is_listed_without_a_word_of_the_answer(stopped: Citadel) -> None:
    said = stopped("blocked", "list").out
    assert "2026-11-26 09:00 UTC  blocked: S1 violent crimes (answer)" in said
    assert "First take" not in said
    assert "\x1b" not in said


def test_one_is_shown_whole_and_nothing_in_it_acts_on_the_terminal(stopped: Citadel) -> None:
    said = stopped("blocked", "show", "1").out
    assert "First take" in said and "other." in said
    assert "\x1b" not in said and "\x07" not in said
    assert "blocked: S1 violent crimes (probability 0.97), in the answer, written by llama" in said
    assert stopped("blocked", "show", "1", "--json").json["stage"] == "answer"


@pytest.mark.parametrize("number", ["9", "9" * 30])
def test_a_number_that_is_none_is_said_with_what_to_do(stopped: Citadel, number: str) -> None:
    ended = stopped("blocked", "show", number)
    assert ended.code == 2
    assert "citadel blocked list" in ended.err


def test_an_age_that_is_none_is_refused(stopped: Citadel) -> None:
    assert stopped("blocked", "purge", "--older-than", "9" * 30).code == 2
    assert stopped("blocked", "purge", "--older-than", "-1").code == 2
    assert "S1" in stopped("blocked", "list").out


def test_what_is_purged_is_gone(stopped: Citadel) -> None:
    assert stopped("blocked", "purge", "--older-than", "100000").out == "deleted 0\n"
    assert stopped("blocked", "purge", "--json").json == {"purged": 1}
    assert "stopped nothing" in stopped("blocked", "list").out

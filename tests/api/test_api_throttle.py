"""How guessing is slowed."""

import pytest

from rag.api.border import throttle
from rag.api.border.throttle import Attempts
from rag.errors import TooManyRequests

HOME, AWAY = "192.0.2.1", "203.0.113.9"


class Guessed:
    """Attempts by a clock that the tests set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.attempts = Attempts(lambda: self.now)

    def fail(self, name: str = "ann", address: str = AWAY, times: int = 1) -> None:
        for _ in range(times):
            self.attempts.begin(name, address)

    def wait(self, name: str = "ann", address: str = AWAY) -> int:
        """How long the next attempt has to wait; it is none if it need not."""
        try:
            self.attempts.begin(name, address)
        except TooManyRequests as refused:
            return refused.retry_after_s
        self.attempts.succeeded(name, address)
        return 0


@pytest.fixture
def guessed() -> Guessed:
    return Guessed()


def test_each_failure_doubles_the_time_to_the_next_attempt(guessed: Guessed) -> None:
    guessed.fail(times=4)
    waits = []
    for _ in range(8):
        waits.append(guessed.wait())
        guessed.now += waits[-1]
        guessed.fail()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_good_attempt_and_a_quarter_of_an_hour_begin_anew(guessed: Guessed) -> None:
    guessed.fail(times=3)
    assert guessed.wait() == 0
    guessed.fail(times=4)
    assert guessed.wait() == 1
    guessed.now += throttle.FORGET_S
    guessed.fail(times=4)


def test_who_guesses_a_name_elsewhere_does_not_lock_out_who_works_from_here(
    guessed: Guessed,
) -> None:
    assert guessed.wait("ann", HOME) == 0
    for number in range(20):
        guessed.fail("ann", f"203.0.113.{number}")
    assert guessed.wait("ann", "198.51.100.7") > 0, "another new address has to wait"
    assert guessed.wait("ann", HOME) == 0
    assert guessed.wait("bob", "198.51.100.7") == 0


def test_who_tries_many_names_has_to_wait_and_those_known_there_have_not(
    guessed: Guessed,
) -> None:
    assert guessed.wait("ann", AWAY) == 0
    for number in range(50):
        guessed.fail(f"name{number}")
    assert guessed.wait("bob", AWAY) > 0
    assert guessed.wait("ann", AWAY) == 0
    assert guessed.wait("bob", HOME) == 0


def test_attempts_at_once_count_before_any_of_them_has_failed(guessed: Guessed) -> None:
    guessed.fail(times=4)
    with pytest.raises(TooManyRequests, match="too many attempts") as refused:
        guessed.fail()
    assert "login link" in refused.value.hint


def test_a_name_is_one_however_it_is_written(guessed: Guessed) -> None:
    for name in ("ann", "ANN", "Ann", "\uff41\uff4e\uff4e"):
        guessed.fail(name)
    assert guessed.wait("aNn") > 0


def test_a_network_of_addresses_is_one(guessed: Guessed) -> None:
    for number in range(50):
        guessed.fail(f"name{number}", f"2001:db8::{number:x}:1")
    assert guessed.wait("bob", "2001:db8::ffff") > 0
    assert guessed.wait("bob", "2001:db8:0:1::1") == 0
    guessed.fail("carl", "192.0.2.7", times=4)
    assert guessed.wait("carl", "::ffff:192.0.2.7") > 0


def test_what_is_kept_is_bounded(guessed: Guessed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST", 3)
    guessed.fail(times=4)
    for number in range(3):
        guessed.fail(f"name{number}")
        assert guessed.wait(f"known{number}", HOME) == 0
    assert guessed.wait("ann") == 0, "the oldest has made room"
    kept = vars(guessed.attempts)
    assert len(kept["_known"]) == 3
    for counted in ("_pairs", "_names", "_addresses"):
        assert len(kept[counted]._counts) <= 3

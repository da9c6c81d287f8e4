"""A server that keeps failing is left alone for a while."""

import pytest

from rag.answer.breaker import CircuitBreaker
from rag.errors import EngineUnavailable


class Clock:
    """A clock that a test moves."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(threshold=3, open_s=15, clock=clock)


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.check()
        breaker.failed()


def test_it_stays_closed_below_the_threshold(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.check()


def test_failures_in_a_row_open_it_and_it_says_for_how_long(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now_s += 4.5
    with pytest.raises(EngineUnavailable, match="3 times in a row") as raised:
        breaker.check()
    assert "in 11 s" in raised.value.hint


def test_a_success_between_failures_starts_the_count_again(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    breaker.check()


def test_half_open_it_lets_one_through(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now_s += 15
    breaker.check()
    with pytest.raises(EngineUnavailable):
        breaker.check()


def test_the_one_let_through_closes_it_by_success(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now_s += 15
    breaker.check()
    breaker.succeeded()
    fail(breaker, 2)
    breaker.check()


def test_the_one_let_through_opens_it_again_by_failing(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now_s += 15
    fail(breaker, 1)
    clock.now_s += 14.9
    with pytest.raises(EngineUnavailable):
        breaker.check()
    clock.now_s += 0.1
    breaker.check()


def test_a_sign_of_life_closes_it_but_one_more_failure_opens_it_again(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now_s += 15
    breaker.check()
    breaker.began()
    breaker.check()
    breaker.failed()
    with pytest.raises(EngineUnavailable):
        breaker.check()


def test_a_sign_of_life_is_no_success(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        breaker.check()
        breaker.began()
        breaker.failed()
    with pytest.raises(EngineUnavailable):
        breaker.check()


def test_one_that_never_reports_back_does_not_keep_it_open(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now_s += 15
    breaker.check()
    clock.now_s += 15
    breaker.check()


def test_it_names_what_it_guards() -> None:
    breaker = CircuitBreaker(threshold=1, name="the guard at http://10.0.0.6:8001")
    breaker.failed()
    with pytest.raises(EngineUnavailable, match="the guard at"):
        breaker.check()

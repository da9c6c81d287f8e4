"""Answers received beside the page's runs, from a real HTTP server."""

import json
import threading
from collections.abc import Iterator
from itertools import islice

import pytest
from canned_api import Canned, canned_api

from rag.client import Client, Problem
from rag.client.records import Asked, Event, Final, Searched, Sentence
from ui.receiving import Receiving
from ui.turn import Turn

SSE = "text/event-stream"
SEARCHED = {"query": "hotel", "n_documents": 2}
FINAL = {"status": "answered", "searched": SEARCHED, "answer": "One. Two."}
WAIT_S = 10


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _sentence(text: str) -> bytes:
    return _event("sentence", {"text": text, "citations": []})


class Slow:
    """An answer whose second sentence waits until the test lets it come."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.left = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield _event("searched", SEARCHED) + _sentence("One.")
            while not self.go_on.wait(0.05):
                yield b": ping\n\n"
            yield _sentence("Two.") + _event("final", FINAL)
        except GeneratorExit:
            self.left.set()
            raise


@pytest.fixture
def api() -> Iterator[Canned]:
    with canned_api({}) as canned:
        yield canned


@pytest.fixture
def slow(api: Canned) -> Iterator[Slow]:
    slow = Slow()
    api.routes["POST /v1/query"] = (200, SSE, slow)
    yield slow
    slow.go_on.set()


def _begin(receiving: Receiving, n_events: int) -> list[Event]:
    """What a run sees that is cut short after so many events."""
    events = receiving.follow()
    seen = list(islice((event for event in events if event is not None), n_events))
    events.close()
    return seen


def _rest(receiving: Receiving) -> list[type[Event]]:
    return [type(event) for event in receiving.follow() if event is not None]


def test_a_run_that_is_cut_short_is_followed_by_one_that_sees_the_whole_answer(
    api: Canned, slow: Slow
) -> None:
    receiving = Receiving(Client(api.url, session="s"), Asked("hotel?"))
    assert [type(event) for event in _begin(receiving, 2)] == [Searched, Sentence]
    slow.go_on.set()
    assert _rest(receiving) == [Searched, Sentence, Sentence, Final]
    assert _rest(receiving) == [Searched, Sentence, Sentence, Final]
    assert len(api.seen) == 1


def test_a_run_that_waits_looks_up_so_that_it_can_be_ended(api: Canned, slow: Slow) -> None:
    receiving = Receiving(Client(api.url, session="s"), Asked("hotel?"))
    events = receiving.follow()
    assert next(event for event in events if not isinstance(event, Searched | Sentence)) is None
    events.close()


def test_an_answer_that_is_stopped_hangs_up_and_keeps_what_has_come(
    api: Canned, slow: Slow
) -> None:
    receiving = Receiving(Client(api.url, session="s"), Asked("hotel?"))
    _begin(receiving, 2)
    receiving.stop()
    assert slow.left.wait(WAIT_S)
    assert receiving.given_up
    assert _rest(receiving) == [Searched, Sentence]


def test_an_answer_that_nobody_follows_is_given_up(api: Canned, slow: Slow) -> None:
    receiving = Receiving(Client(api.url, session="s"), Asked("hotel?"), alone_s=0)
    _begin(receiving, 2)
    assert slow.left.wait(WAIT_S)
    assert receiving.given_up


def test_a_run_that_came_back_starts_the_wait_anew(api: Canned, slow: Slow) -> None:
    receiving = Receiving(Client(api.url, session="s"), Asked("hotel?"), alone_s=0.5)
    for _ in range(4):
        _begin(receiving, 2)
        assert not slow.left.wait(0.3)
    assert not receiving.given_up
    assert slow.left.wait(WAIT_S)


def test_a_turn_that_is_stopped_keeps_what_came_and_can_be_asked_again(
    api: Canned, slow: Slow
) -> None:
    client = Client(api.url, session="s")
    turn = Turn(1, Asked("hotel?"))
    for event in turn.follow(client):
        if isinstance(event, Sentence):
            turn.sentences.append(event)
            turn.stop()
    assert turn.settled
    assert [sentence.text for sentence in turn.sentences] == ["One."]
    assert slow.left.wait(WAIT_S)
    slow.go_on.set()
    turn.begin_again()
    assert not turn.settled
    assert [type(e) for e in turn.follow(client) if e] == [Searched, Sentence, Sentence, Final]


def test_a_failure_is_told_to_every_run_after_what_has_come(api: Canned) -> None:
    broken = _event("searched", SEARCHED) + _event("error", {"title": "Gone.", "status": 503})
    api.routes["POST /v1/query"] = (200, SSE, [broken])
    receiving = Receiving(Client(api.url, session="s"), Asked("hotel?"))
    for _ in range(2):
        seen: list[Event | None] = []
        with pytest.raises(Problem, match=r"Gone\."):
            seen.extend(receiving.follow())
        assert not receiving.given_up

"""What a visit sends along with a question: the conversation so far, and what was chosen."""

import json
from collections.abc import Iterator

import pytest
from canned_api import Canned, canned_api

from rag.client import Client, Problem
from rag.client.records import Asked, Final, Notice, Searched, Status, Step
from ui.session import Turn, Visit

SSE = "text/event-stream"
FINAL = {"status": "answered", "searched": {"query": "q", "n_documents": 1}, "answer": "Yes."}


@pytest.fixture
def api() -> Iterator[Canned]:
    with canned_api({}) as canned:
        yield canned


@pytest.fixture
def visit(api: Canned) -> Visit:
    return Visit("secret", Client(api.url, session="secret"))


def answered(visit: Visit, question: str, answer: str = "Yes.", status: str = "answered") -> Turn:
    visit.ask(question)
    assert visit.turn is not None
    visit.turn.final = Final(status, Searched(question, 1), answer=answer)
    return visit.turn


def sent(visit: Visit) -> Asked:
    assert visit.turn is not None
    return visit.turn.asked


def test_only_what_was_answered_goes_along_and_long_answers_are_cut(visit: Visit) -> None:
    answered(visit, "Who signs?", "x" * 5_000)
    answered(visit, "Blocked?", "", status="blocked")
    answered(visit, "Nothing?", "", status="no_evidence")
    visit.ask("Broken?")
    assert visit.turn is not None
    visit.turn.problem = Problem("The index is damaged.")
    visit.ask("And then?")
    assert [(turn.question, len(turn.answer)) for turn in sent(visit).history] == [
        ("Who signs?", 4_000)
    ]


def test_the_last_ten_turns_go_along_oldest_first(visit: Visit) -> None:
    for number in range(12):
        answered(visit, f"Question {number}?")
    visit.ask("And then?")
    assert [turn.question for turn in sent(visit).history] == [
        f"Question {number}?" for number in range(2, 12)
    ]


def test_a_new_conversation_begins_without_the_old_and_that_can_be_gone_back_to(
    visit: Visit,
) -> None:
    first = answered(visit, "Who signs?")
    visit.begin_conversation()
    answered(visit, "What is the allowance?")
    visit.ask("And in winter?")
    assert [turn.question for turn in sent(visit).history] == ["What is the allowance?"]
    visit.show(first)
    visit.ask("And who else?")
    assert [turn.question for turn in sent(visit).history] == ["Who signs?"]
    visit.begin_conversation()
    visit.ask("Anything?")
    assert sent(visit).history == ()


def test_depth_and_research_are_asked_for_only_where_an_engine_writes(visit: Visit) -> None:
    visit.options.depth, visit.options.research, visit.options.rewrite = "quick", True, False
    visit.ask("Who signs?")
    assert sent(visit) == Asked("Who signs?", rewrite=False)
    visit.status = Status(answers="engine")
    visit.ask("Who signs?")
    assert sent(visit) == Asked("Who signs?", depth="quick", research=True, rewrite=False)


def test_the_conversation_is_sent_and_every_event_comes_back(api: Canned, visit: Visit) -> None:
    events = (
        ("step", {"number": 1, "tool": "search", "detail": "x", "n_found": 2, "outcome": "ok"}),
        ("searched", {"query": "Who signs in winter?", "n_documents": 1}),
        ("notice", {"kind": "fallback", "text": "these are quotes"}),
        ("final", FINAL),
    )
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    api.routes["POST /v1/query"] = (200, SSE, body.encode())
    answered(visit, "Who signs?")
    visit.ask("And in winter?")
    kinds = [type(event) for event in visit.client.ask(sent(visit))]
    assert kinds == [Step, Searched, Notice, Final]
    assert json.loads(api.seen[0][2]) == {
        "question": "And in winter?",
        "history": [{"question": "Who signs?", "answer": "Yes."}],
        "stream": True,
    }


def test_a_server_that_does_not_say_answers_with_quotes(api: Canned, visit: Visit) -> None:
    api.routes["GET /v1/status"] = (200, "application/json", b'{"version": "0.1.0"}')
    assert visit.client.status() == Status("quotes", "none")

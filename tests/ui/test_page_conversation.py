"""What a visit sends along with a question, and how conversations are begun, opened and left."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from canned_api import Answer, Canned, canned_api

from rag.client import Client, Problem
from rag.client.records import Asked, Final, Notice, Searched, Status, Step
from ui.door import sign_in_url
from ui.session import FRESH_S, Visit
from ui.turn import Turn

SSE = "text/event-stream"
FINAL = {"status": "answered", "searched": {"query": "q", "n_documents": 1}, "answer": "Yes."}
TALK = {
    "id": 12,
    "title": "Who signs?",
    "created_at": "2026-03-02T09:14:31Z",
    "updated_at": "2026-03-02T09:14:31Z",
    "n_turns": 2,
}


def kept(number: int, question: str, reason: str = "") -> dict[str, Any]:
    answer = {
        "status": "answered",
        "searched": {"query": question, "collections": []},
        "answer": "" if reason else "Yes.",
        "support": None,
    }
    return {
        "id": number,
        "request_id": f"request-{number}",
        "question": question,
        "answer": answer,
        "reason": reason,
        "rating": "up",
    }


def read(*turns: dict[str, Any], yours: bool = True, cursor: str | None = None) -> Answer:
    body = TALK | {"yours": yours, "turns": turns, "next_cursor": cursor}
    return 200, "application/json", json.dumps(body).encode()


@pytest.fixture
def api() -> Iterator[Canned]:
    with canned_api({}) as canned:
        canned.routes["POST /v1/conversations"] = (
            201,
            "application/json",
            json.dumps(TALK).encode(),
        )
        yield canned


@pytest.fixture
def visit(api: Canned) -> Visit:
    return Visit("secret", Client(api.url, session="secret"))


def asked(visit: Visit, question: str, turn_id: int | None = None) -> Turn:
    """A question that was answered, and kept where it has a number."""
    visit.ask(question)
    visit.begin_talk()
    assert visit.turn is not None
    final = Final("answered", Searched(question, 1), "Yes.", turn_id=turn_id, request_id="r")
    visit.turn.take(final)
    return visit.turn


def sent(visit: Visit) -> Asked:
    assert visit.turn is not None
    return visit.turn.asked


def test_a_conversation_begins_with_its_first_question_which_names_it(
    api: Canned, visit: Visit
) -> None:
    question = "Who signs " + "very " * 30 + "often?"
    asked(visit, question)
    asked(visit, "And who else?")
    made = [json.loads(body) for route, _, body in api.seen if route == "POST /v1/conversations"]
    assert [talk["title"][:10] for talk in made] == ["Who signs "]
    assert len(made[0]["title"]) == 80
    assert sent(visit) == Asked("And who else?", conversation_id=12)


def test_a_new_conversation_is_not_the_one_before(api: Canned, visit: Visit) -> None:
    asked(visit, "Who signs?")
    visit.begin_conversation()
    assert (visit.talk.id, visit.turn, visit.talk.turns) == (None, None, [])
    asked(visit, "What is the allowance?")
    assert [route for route, _, _ in api.seen] == ["POST /v1/conversations"] * 2


def test_where_no_conversation_can_be_begun_the_question_fails_and_can_be_asked_again(
    api: Canned, visit: Visit
) -> None:
    begun = api.routes.pop("POST /v1/conversations")
    visit.ask("Who signs?")
    assert visit.turn is not None
    with pytest.raises(Problem):
        visit.follow(visit.turn)
    api.routes["POST /v1/conversations"] = begun
    visit.follow(visit.turn).close()
    assert sent(visit).conversation_id == 12


def test_a_conversation_is_opened_at_its_last_turn_or_at_the_one_that_is_meant(
    api: Canned, visit: Visit
) -> None:
    api.routes["GET /v1/conversations/12"] = read(kept(1, "Who signs?"), kept(2, "And then?"))
    visit.want(12)
    visit.open_wanted()
    assert visit.turn is not None
    assert (visit.turn.question, visit.turn.rating, visit.wanted) == ("And then?", "up", None)
    visit.show(visit.talk.turns[0])
    visit.open_wanted()
    assert visit.turn.question == "Who signs?"
    visit.ask("And who else?")
    assert sent(visit).conversation_id == 12
    assert [turn.number for turn in visit.talk.turns] == [1, 2, 3]


def test_an_earlier_turn_is_shown_as_it_may_be_read_now(api: Canned, visit: Visit) -> None:
    first = asked(visit, "Who signs?", turn_id=1)
    asked(visit, "And then?", turn_id=2)
    turns = kept(1, "Who signs?", reason="You may not read it now."), kept(2, "And then?")
    api.routes["GET /v1/conversations/12"] = read(*turns)
    visit.show(first)
    visit.open_wanted()
    assert visit.turn is not None
    assert (visit.turn.missing, visit.turn.sentences) == ("You may not read it now.", [])


def test_what_is_shown_is_read_again_after_a_while(api: Canned, visit: Visit) -> None:
    turn = asked(visit, "Who signs?", turn_id=1)
    turn.comment = "Well said."
    api.routes["GET /v1/conversations/12"] = read(kept(1, "Who signs?", reason="Closed."))
    visit.look_again()
    assert visit.turn is not None
    assert (visit.turn.missing, visit.turn.sentences) == ("Closed.", [])
    assert visit.turn.comment == "Well said."
    del api.routes["GET /v1/conversations/12"]
    visit.look_again()
    assert visit.turn is not None, "it was read a moment ago"
    visit._read_at -= FRESH_S
    visit.look_again()
    assert (visit.turn, visit.lost) == (None, True)


def test_while_the_api_is_silent_an_answer_stays(api: Canned, visit: Visit) -> None:
    turn = asked(visit, "Who signs?", turn_id=1)
    api.routes["GET /v1/conversations/12"] = (503, "text/plain", b"")
    visit.look_again()
    assert visit.turn is turn


def test_what_the_api_does_not_keep_is_there_when_the_conversation_is_opened_again(
    api: Canned, visit: Visit
) -> None:
    asked(visit, "Who signs?", turn_id=1)
    visit.ask("And then?")
    visit.begin_conversation()
    api.routes["GET /v1/conversations/12"] = read(kept(1, "Who signs?"))
    visit.want(12)
    visit.open_wanted()
    assert [(turn.question, turn.stopped) for turn in visit.talk.turns] == [
        ("Who signs?", False),
        ("And then?", True),
    ]


@pytest.mark.parametrize("foreign", [True, False])
def test_another_s_conversation_looks_like_one_that_never_was(
    api: Canned, visit: Visit, foreign: bool
) -> None:
    if foreign:  # as admins get it where the settings let them read it
        api.routes["GET /v1/conversations/12"] = read(kept(1, "Secret?"), yours=False)
    visit.want(12)
    visit.open_wanted()
    assert (visit.lost, visit.talk.id, visit.turn) == (True, None, None)
    visit.ask("Who signs?")
    assert not visit.lost


def test_while_the_api_is_silent_the_conversation_stays_wanted(api: Canned, visit: Visit) -> None:
    api.routes["GET /v1/conversations/12"] = (503, "text/plain", b"")
    visit.want(12)
    with pytest.raises(Problem):
        visit.open_wanted()
    assert visit.wanted == (12, None)


def test_conversations_are_listed_as_far_as_wanted_and_no_more_at_once_than_the_api_gives(
    api: Canned, visit: Visit
) -> None:
    page = {"conversations": [TALK] * 150, "next_cursor": "c"}
    api.routes["GET /v1/conversations"] = (200, "application/json", json.dumps(page).encode())
    visit.n_talks = 220
    rows, more = visit.talks()
    assert (len(rows), more) == (300, True)
    assert [route.partition("?")[2] for route, _, _ in api.seen] == [
        "limit=200",
        "limit=70&cursor=c",
    ]


def test_depth_and_research_are_asked_for_only_where_an_engine_writes(visit: Visit) -> None:
    visit.options.depth, visit.options.research, visit.options.rewrite = "quick", True, False
    visit.ask("Who signs?")
    assert sent(visit) == Asked("Who signs?", rewrite=False)
    visit.status = Status(answers="engine")
    visit.ask("Who signs?")
    assert sent(visit) == Asked("Who signs?", depth="quick", research=True, rewrite=False)


def test_the_conversation_is_named_and_every_event_comes_back(api: Canned, visit: Visit) -> None:
    events = (
        ("step", {"number": 1, "tool": "search", "detail": "x", "n_found": 2, "outcome": "ok"}),
        ("searched", {"query": "Who signs in winter?", "n_documents": 1}),
        ("notice", {"kind": "fallback", "text": "these are quotes"}),
        ("final", FINAL),
    )
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    api.routes["POST /v1/query"] = (200, SSE, body.encode())
    visit.ask("And in winter?")
    visit.begin_talk()
    kinds = [type(event) for event in visit.client.ask(sent(visit))]
    assert kinds == [Step, Searched, Notice, Final]
    assert json.loads(api.seen[-1][2]) == {
        "question": "And in winter?",
        "conversation_id": 12,
        "stream": True,
    }


def test_a_server_that_does_not_say_answers_with_quotes(api: Canned, visit: Visit) -> None:
    api.routes["GET /v1/status"] = (200, "application/json", b'{"version": "0.1.0"}')
    assert visit.client.status() == Status("quotes", "none")


@pytest.mark.parametrize(
    ("api_url", "public_url", "page_url", "sign_in"),
    [
        ("http://127.0.0.1:8000", "", "http://127.0.0.1:8501/", "http://127.0.0.1:8000/login"),
        ("http://127.0.0.1:8000", "", "http://citadel:8501/ask", "http://citadel:8000/login"),
        ("http://127.0.0.1:8000", "", "", "http://127.0.0.1:8000/login"),
        ("http://[::1]:8000", "", "http://[fd00::7]:8501/", "http://[fd00::7]:8000/login"),
        (
            "http://api:8000",
            "https://citadel.example",
            "http://x/",
            "https://citadel.example/login",
        ),
    ],
)
def test_a_browser_signs_in_where_it_reaches_the_api(
    api_url: str, public_url: str, page_url: str, sign_in: str
) -> None:
    assert sign_in_url(api_url, public_url, page_url) == sign_in

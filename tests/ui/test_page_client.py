"""The page's client against a real HTTP server."""

import json
import socket
from collections.abc import Iterator

import pytest
from canned_api import Canned, canned_api

from rag.client import Client, Problem
from rag.client.documents import Filter
from rag.client.records import Asked, Final, Searched, Sentence

JSON = "application/json"
SSE = "text/event-stream"
SEARCHED = {"query": "hotel", "collections": ["default"], "n_documents": 2, "n_hits": 9}
FINAL = {
    "status": "answered",
    "question": "hotel?",
    "answer": "240.",
    "citations": [],
    "related": [],
    "searched": SEARCHED,
    "evidence": 0.9,
    "engine": "extractive",
    "timings_ms": {"total": 12.5},
    "request_id": "r1",
}
SENTENCE = {"text": "240.", "start": 0, "end": 4, "citations": []}


def _sse(*events: tuple[str, object]) -> bytes:
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events).encode()


@pytest.fixture
def api() -> Iterator[Canned]:
    with canned_api({}) as canned:
        yield canned


@pytest.fixture
def client(api: Canned) -> Client:
    return Client(api.url, session="the-session")


def test_answer_arrives_as_records_in_order(api: Canned, client: Client) -> None:
    events = _sse(("searched", SEARCHED), ("sentence", SENTENCE), ("final", FINAL))
    api.routes["POST /v1/query"] = (200, SSE, events)
    kinds = [type(event) for event in client.ask(Asked("hotel?"))]
    assert kinds == [Searched, Sentence, Final]
    assert json.loads(api.seen[0][2]) == {"question": "hotel?", "stream": True}


def test_comments_and_unknown_events_are_passed_over(api: Canned, client: Client) -> None:
    events = b": ping\n\n" + _sse(("thinking", {}), ("final", FINAL))
    api.routes["POST /v1/query"] = (200, SSE, events)
    assert [type(event) for event in client.ask(Asked("hotel?"))] == [Final]


def test_error_event_ends_the_answer_in_words(api: Canned, client: Client) -> None:
    error = {"title": "The index is damaged.", "hint": "Run `citadel reindex`.", "status": 503}
    events = _sse(("searched", SEARCHED), ("error", error))
    api.routes["POST /v1/query"] = (200, SSE, events)
    with pytest.raises(Problem, match=r"The index is damaged\.") as caught:
        list(client.ask(Asked("hotel?")))
    assert caught.value.hint == "Run `citadel reindex`."
    assert caught.value.passing


def test_stream_without_an_end_is_a_problem(api: Canned, client: Client) -> None:
    api.routes["POST /v1/query"] = (200, SSE, _sse(("searched", SEARCHED)))
    with pytest.raises(Problem, match="broke off"):
        list(client.ask(Asked("hotel?")))


def test_refusal_of_a_question_is_told_in_the_words_of_the_api(api: Canned, client: Client) -> None:
    body = {"title": "Bad request", "detail": "must not be empty", "hint": "h", "status": 422}
    api.routes["POST /v1/query"] = (422, "application/problem+json", json.dumps(body).encode())
    with pytest.raises(Problem) as caught:
        list(client.ask(Asked(" ")))
    assert (caught.value.status, caught.value.detail) == (422, "must not be empty")
    assert not caught.value.passing


def test_every_call_carries_the_visitors_session_and_no_other_credential(
    api: Canned, client: Client
) -> None:
    api.routes["GET /v1/failures"] = (200, JSON, b'{"failures": []}')
    assert client.failures() == []
    _, headers, _ = api.seen[0]
    assert headers["Cookie"] == "citadel_session=the-session"
    assert "Authorization" not in headers


@pytest.mark.parametrize("session", ["", "a b", "a;b", "a\r\nX: y", 'a"b', "ä"])
def test_unusable_session_never_reaches_the_api(api: Canned, session: str) -> None:
    with pytest.raises(Problem) as caught:
        Client(api.url, session=session)
    assert caught.value.status == 401
    assert api.seen == []


def test_proxy_of_the_environment_is_not_used(api: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    api.routes["GET /v1/failures"] = (200, JSON, b'{"failures": []}')
    assert Client(api.url, session="s").failures() == []


def test_silent_api_is_a_problem_that_passes() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(Problem, match="cannot be reached") as caught:
            Client(url, session="s").failures()
    assert caught.value.passing


def test_answer_that_is_not_json_is_a_problem(api: Canned, client: Client) -> None:
    api.routes["GET /v1/failures"] = (200, JSON, b"<html>")
    with pytest.raises(Problem, match="could not be understood"):
        client.failures()


def test_failure_without_a_problem_body_names_its_status(api: Canned, client: Client) -> None:
    api.routes["GET /v1/failures"] = (502, "text/plain", b"bad gateway")
    with pytest.raises(Problem, match="502") as caught:
        client.failures()
    assert caught.value.passing


def test_documents_are_asked_for_by_title_and_cursor(api: Canned, client: Client) -> None:
    page: dict[str, object] = {"documents": [], "next_cursor": None, "total": 3}
    api.routes["GET /v1/documents"] = (200, JSON, json.dumps(page).encode())
    assert client.documents.list(Filter("a&b"), cursor="7", limit=5).total == 3
    assert api.seen[0][0] == "GET /v1/documents?limit=5&cursor=7&title=a%26b"


def test_page_image_is_asked_for_with_its_highlight(api: Canned, client: Client) -> None:
    api.routes["GET /v1/documents/7/pages/2.png"] = (200, "image/png", b"png")
    assert client.documents.page_image(7, 2, (10, 20), 900) == b"png"
    assert client.documents.page_image(7, 2, None, 900) == b"png"
    asked = [request.split("?")[1] for request, _, _ in api.seen]
    assert asked == ["width=900&start=10&end=20", "width=900"]

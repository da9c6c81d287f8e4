"""Searching and answering over HTTP, whole and as a stream."""

import asyncio
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
from api_live import Live, serving, wait_for
from api_samples import LEAVE, NOTES
from fastapi import FastAPI, Request
from httpx_sse import ServerSentEvent, connect_sse

from rag.answer.events import Event, Final, Searched
from rag.api.bodies import models
from rag.api.streams import EventStream, while_connected
from rag.errors import StoreError

QUESTION = "How many days of paid annual leave does every employee receive per calendar year?"
UNANSWERABLE = "Which telescope photographed the moons of Neptune?"


def stream(client: httpx.Client, question: str) -> list[ServerSentEvent]:
    """All events of an answer."""
    body = {"question": question, "stream": True}
    with connect_sse(client, "POST", "/v1/query", json=body) as source:
        assert source.response.headers["cache-control"] == "no-store"
        return list(source.iter_sse())


def test_search_ranks_passages(client: httpx.Client) -> None:
    response = client.post("/v1/search", json={"query": "annual leave days", "k": 2})
    found = models.SearchResponse.model_validate(response.json())
    assert [hit.rank for hit in found.hits] == [1, 2]
    assert LEAVE in found.hits[0].text
    assert found.timings_ms


def test_search_within_a_collection_finds_nothing_else(live: Live, client: httpx.Client) -> None:
    for collection in ("finance", ["finance"]):
        body = {"query": "annual leave", "collection": collection, "k": 100}
        hits = client.post("/v1/search", json=body).json()["hits"]
        finance = {live.ids[name] for name in ("html", "mail", "attached")}
        assert hits
        assert {hit["document_id"] for hit in hits} <= finance


def test_an_answer_cites_the_stored_text(client: httpx.Client) -> None:
    response = client.post("/v1/query", json={"question": f"  {QUESTION}\n"})
    answer = models.Answer.model_validate(response.json())
    assert answer.status == "answered"
    assert answer.question == QUESTION
    assert answer.request_id == response.headers["x-request-id"]
    assert LEAVE in answer.answer
    for citation in answer.citations:
        span = f"start={citation.char_start}&end={citation.char_end}"
        stored = client.get(f"/v1/documents/{citation.document_id}/text?{span}").json()["text"]
        assert stored == citation.cited_text


def test_what_the_documents_do_not_answer_is_said(client: httpx.Client) -> None:
    response = client.post("/v1/query", json={"question": UNANSWERABLE})
    answer = models.Answer.model_validate(response.json())
    assert answer.status == "no_evidence"
    assert answer.answer == ""
    assert answer.citations == []
    assert answer.searched.collections == ["finance", "hr"]


def test_a_stream_ends_with_what_the_whole_answer_is(client: httpx.Client) -> None:
    events = stream(client, QUESTION)
    names = [event.event for event in events]
    assert names[0] == "searched"
    assert set(names[1:-1]) == {"sentence"}
    assert names[-1] == "final"
    final = models.Answer.model_validate(events[-1].json())
    for event in events[1:-1]:
        sentence = event.json()
        assert final.answer[sentence["start"] : sentence["end"]] == sentence["text"]
    whole = client.post("/v1/query", json={"question": QUESTION}).json()
    for changing in ("request_id", "timings_ms"):
        del whole[changing]
    assert whole.items() <= events[-1].json().items()


def test_a_stream_without_evidence_has_no_sentence(client: httpx.Client) -> None:
    events = stream(client, UNANSWERABLE)
    assert [event.event for event in events] == ["searched", "final"]
    assert events[-1].json()["status"] == "no_evidence"


def test_a_failure_before_the_stream_begins_has_a_status(client: httpx.Client) -> None:
    body = {"question": QUESTION, "stream": True, "collection": "secret"}
    response = client.post("/v1/query", json=body)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_many_callers_at_once_get_their_own_answers(live: Live, client: httpx.Client) -> None:
    texts = {QUESTION: LEAVE, "When does the office in Lisbon open?": NOTES.split("\n\n")[1]}
    wrong: list[str] = []

    def ask(question: str) -> None:
        for _ in range(5):
            answer = client.post("/v1/query", json={"question": question}).json()
            if texts[question] not in answer["answer"]:
                wrong.append(question)

    threads = [threading.Thread(target=ask, args=[question]) for question in list(texts) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


SEARCHED = Searched("slow", (), 0, 0)


class Slow:
    """An answer that goes on until its caller leaves."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    async def events(self, failure: Exception | None = None) -> AsyncIterator[Event]:
        try:
            yield SEARCHED
            if failure is not None:
                raise failure
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def whole(self) -> Final:
        async for event in self.events():
            if isinstance(event, Final):
                return event
        raise AssertionError

    def app(self, _port: int) -> FastAPI:
        app = FastAPI()

        @app.post("/stream")
        async def stream(failing: str = "") -> EventStream:
            failures = {
                "store": StoreError("the database is gone", hint="Start it."),
                "bug": KeyError("secret"),
            }
            events = self.events(failures.get(failing))
            return EventStream(await anext(events), events, request_id="r-12345678")

        @app.post("/whole")
        async def whole(request: Request) -> str:
            return (await while_connected(request.receive, self.whole())).answer

        return app


@pytest.mark.parametrize("path", ["/stream", "/whole"])
def test_a_caller_that_leaves_ends_the_answer(path: str) -> None:
    slow = Slow()
    with serving(slow.app) as (_, port):
        timeout = httpx.Timeout(5, read=0.3)
        with (
            httpx.Client(trust_env=False, verify=False, timeout=timeout) as client,
            pytest.raises(httpx.ReadTimeout),
        ):
            client.post(f"http://127.0.0.1:{port}{path}")
        assert slow.begun.is_set()
        wait_for(slow.ended.is_set)


@pytest.mark.parametrize(
    ("failing", "name", "status"),
    [
        ("store", "urn:citadel:problem:store-error", 503),
        ("bug", "urn:citadel:problem:internal-server-error", 500),
    ],
)
def test_a_failure_in_a_stream_is_its_last_event(failing: str, name: str, status: int) -> None:
    slow = Slow()
    with (
        serving(slow.app) as (_, port),
        httpx.Client(trust_env=False, verify=False) as client,
        connect_sse(client, "POST", f"http://127.0.0.1:{port}/stream?failing={failing}") as source,
    ):
        searched, error = source.iter_sse()
    assert searched.event == "searched"
    assert error.event == "error"
    found = models.Problem.model_validate(error.json())
    assert (found.type, found.status, found.request_id) == (name, status, "r-12345678")
    assert "secret" not in error.data

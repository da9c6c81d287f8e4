"""Answers of an engine over HTTP: the same whole and streamed, and what a full house says."""

import json
import math
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api_live import TOKEN, Live, running, wait_for
from api_samples import LEAVE
from httpx_sse import connect_sse

from rag.api.bodies import models
from rag.appliance import Appliance
from rag.settings import Settings
from tests.fakes.vllm import Call, FakeVLLM, fake_vllm

QUESTION = "How many days of paid annual leave does every employee receive per calendar year?"


def write(body: dict[str, Any]) -> Any:
    """The sentence of the handbook, with the key that its passage has in the prompt."""
    prompt = body["messages"][-1]["content"]
    if body.get("tools") and not any(m["role"] == "tool" for m in body["messages"]):
        return [Call("search", json.dumps({"query": "annual leave"}))]
    if body.get("tools"):
        return "DONE"
    keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
    return f"{LEAVE} [{keys[-1]}]"


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeVLLM]:
    with fake_vllm(answer=write) as fake:
        yield fake


@pytest.fixture(scope="module")
def written(settings: Settings, ids: dict[str, int], engine: FakeVLLM) -> Iterator[Live]:
    """A server with an engine that writes one answer at a time, and one waiting place."""
    changes = {
        "engine_url": engine.url,
        "allow_unguarded": True,
        "engine_concurrency": 1,
        "engine_waiting": 1,
    }
    with running(lambda: Appliance(settings.model_copy(update=changes)), ids) as live:
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


@pytest.fixture
def client(written: Live, engine: FakeVLLM) -> Iterator[httpx.Client]:
    engine.tokens_per_s = math.inf
    with written.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def streamed(client: httpx.Client, **more: Any) -> list[tuple[str, Any]]:
    body = {"question": QUESTION, "stream": True, **more}
    with connect_sse(client, "POST", "/v1/query", json=body) as source:
        return [(event.event, event.json()) for event in source.iter_sse()]


def test_an_answer_says_what_wrote_it_and_how_well_it_is_borne_out(
    client: httpx.Client, engine: FakeVLLM
) -> None:
    response = client.post("/v1/query", json={"question": QUESTION, "depth": "quick"})
    answer = models.Answer.model_validate(response.json())
    assert (answer.answer, answer.engine, answer.depth) == (LEAVE, engine.model, "quick")
    assert answer.support.share == 1
    assert answer.usage is not None
    assert [notice.kind for notice in answer.notices] == ["unguarded"]


def test_the_stream_tells_the_same_sentence_by_sentence(client: httpx.Client) -> None:
    events = streamed(client)
    assert [name for name, _ in events] == ["searched", "notice", "sentence", "final"]
    sentence, final = events[-2][1], events[-1][1]
    assert (sentence["kind"], sentence["supported"]) == ("written", True)
    assert sentence["glue"] + sentence["text"] == final["answer"] == LEAVE
    assert sentence["citations"] == final["citations"]


def test_the_steps_of_a_research_come_first(client: httpx.Client) -> None:
    events = streamed(client, research=True)
    assert [name for name, _ in events] == ["step", "searched", "notice", "sentence", "final"]
    assert events[0][1]["detail"] == "annual leave"
    assert events[-1][1]["steps"] == [events[0][1]]


def test_a_conversation_is_taken_along(client: httpx.Client, engine: FakeVLLM) -> None:
    history = [{"question": "What is the handbook about?", "answer": "About working here."}]
    client.post("/v1/query", json={"question": QUESTION, "history": history, "rewrite": False})
    assert "About working here." in engine.received[-1].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": "deepest"},
        {"history": [{"question": "", "answer": "x"}]},
        {"history": [{"question": "Why?", "answer": "x" * 20_001}]},
        {"history": [{"question": "Why?", "answer": "x"}] * 51},
        {"research": "perhaps"},
    ],
)
def test_what_makes_no_sense_is_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    response = client.post("/v1/query", json={"question": QUESTION, **wrong})
    assert response.status_code == 422
    assert response.json()["errors"]


def test_the_state_of_guard_and_engine_is_told(client: httpx.Client) -> None:
    ready = models.Readiness.model_validate(client.get("/readyz").json())
    assert (ready.answers, ready.guard) == ("engine", "unguarded")
    status = models.Status.model_validate(client.get("/v1/status").json())
    assert (status.answers, status.guard) == ("engine", "unguarded")


def test_what_was_done_is_counted_without_a_word_of_it(client: httpx.Client) -> None:
    def counted() -> dict[str, float]:
        text = client.get("/metrics").text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    before = counted()
    client.post("/v1/query", json={"question": QUESTION})
    after = counted()
    for name in (
        'citadel_questions_total{by="engine",status="answered"}',
        'citadel_sentences_total{outcome="supported"}',
        "citadel_first_token_seconds_count",
        'citadel_notices_total{kind="unguarded"}',
    ):
        assert after[name] == before.get(name, 0) + 1
    assert after["citadel_engine_kv_tokens"] > 0
    assert "annual leave" not in client.get("/metrics").text


@pytest.mark.parametrize("stream", [False, True])
def test_beyond_the_waiting_places_is_429_with_a_time_to_come_back(
    client: httpx.Client, written: Live, engine: FakeVLLM, stream: bool
) -> None:
    engine.tokens_per_s = 5
    engine.answer = lambda body: "word " * 200
    admission = written.app.state.backing.appliance().writer.admission

    def one() -> None:
        body = {"question": QUESTION, "stream": True}
        with (
            written.client(headers={"Authorization": f"Bearer {TOKEN}"}) as other,
            connect_sse(other, "POST", "/v1/query", json=body) as source,
        ):
            for _ in source.iter_sse():
                if done.wait(0.01):
                    return

    done = threading.Event()
    crowd = [threading.Thread(target=one) for _ in range(2)]
    try:
        for thread in crowd:
            thread.start()
        wait_for(lambda: admission.n_running == 1 and admission.n_waiting == 1)
        response = client.post("/v1/query", json={"question": QUESTION, "stream": stream})
    finally:
        done.set()
        engine.stop()
        for thread in crowd:
            thread.join()
        engine.start()
        engine.answer = write
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["type"] == "urn:citadel:problem:engine-busy"

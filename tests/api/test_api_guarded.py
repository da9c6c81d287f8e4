"""An engine and its guard behind the API: what is told of a blocked answer, and what is not."""

import re
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
from rag.store import Store
from tests.fakes.vllm import FakeVLLM, fake_vllm

QUESTION = "How many days of paid annual leave does every employee receive per calendar year?"
POISON = "Every employee receives poison."


def judge(messages: list[dict[str, Any]]) -> str:
    return "unsafe\nS1" if any("poison" in m["content"] for m in messages) else "safe"


def write(body: dict[str, Any]) -> str:
    """The sentence of the handbook with its passage's key, and one that is not harmless."""
    prompt = body["messages"][-1]["content"]
    keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
    return f"{LEAVE} [{keys[-1]}] {POISON} [{keys[-1]}]"


@pytest.fixture(scope="module")
def guard() -> Iterator[FakeVLLM]:
    with fake_vllm(judge=judge) as fake:
        yield fake


@pytest.fixture(scope="module")
def client(settings: Settings, ids: dict[str, int], guard: FakeVLLM) -> Iterator[httpx.Client]:
    with fake_vllm(answer=write) as engine:
        changes = {"engine_url": engine.url, "guard_url": guard.url}
        changed = settings.model_copy(update=changes)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with running(lambda: Appliance(changed), ids) as live, live.client(headers=headers) as http:
            wait_for(lambda: http.get("/readyz").status_code == 200)
            yield http


def value(client: httpx.Client, name: str) -> float:
    """A sample of `/metrics`, 0 where it has never been counted."""
    lines = [line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines()]
    return next((float(line[1]) for line in lines if line[0] == name), 0.0)


def test_a_guard_that_reads_along_is_told(client: httpx.Client) -> None:
    ready = models.Readiness.model_validate(client.get("/readyz").json())
    assert (ready.answers, ready.guard) == ("engine", "on")


def test_without_an_engine_there_are_quotes_and_no_guard(live: Live) -> None:
    with live.client() as anybody:
        ready = models.Readiness.model_validate(anybody.get("/readyz").json())
    assert (ready.answers, ready.guard) == ("quotes", "none")


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_blocked_answer_only_the_category_is_told_and_admins_have_the_rest(
    client: httpx.Client, settings: Settings, stream: bool
) -> None:
    body = {"question": QUESTION, "stream": stream}
    if stream:
        with connect_sse(client, "POST", "/v1/query", json=body) as source:
            events = list(source.iter_sse())
        told, last = "".join(event.data for event in events), events[-1].json()
    else:
        response = client.post("/v1/query", json=body)
        told, last = response.text, response.json()
    final = models.Answer.model_validate(last)
    assert (final.status, final.answer, final.citations) == ("blocked", "", [])
    assert [category.code for category in final.categories] == ["S1"]
    assert "poison" not in told
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        kept = store.withheld.listed(1)[0]
    assert kept.request_id == final.request_id
    assert POISON in kept.text


def test_verdicts_and_their_time_are_counted(client: httpx.Client) -> None:
    names = (
        'citadel_questions_total{by="engine",status="blocked"}',
        'citadel_guard_categories_total{category="S1"}',
        'citadel_guard_verdicts_total{action="block",label="unsafe",reason=""}',
    )
    before = [value(client, name) for name in names]
    n_verdicts = value(client, "citadel_guard_seconds_count")
    client.post("/v1/query", json={"question": QUESTION})
    assert [value(client, name) for name in names] == [n + 1 for n in before]
    assert value(client, "citadel_guard_seconds_count") >= n_verdicts + 2


def test_a_silent_guard_is_counted_with_its_reason(client: httpx.Client, guard: FakeVLLM) -> None:
    name = 'citadel_guard_verdicts_total{action="block",label="none",reason="down"}'
    before = value(client, name)
    guard.fail("error")
    try:
        final = client.post("/v1/query", json={"question": QUESTION}).json()
    finally:
        guard.heal()
    assert final["status"] == "no_verdict"
    assert value(client, name) > before


def test_metrics_say_what_they_are_and_are_not_kept_by_caches(client: httpx.Client) -> None:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.headers["cache-control"] == "no-store"
    assert response.text.endswith("# EOF\n")


def test_no_route_tells_what_was_blocked(client: httpx.Client) -> None:
    client.post("/v1/query", json={"question": QUESTION})
    paths = client.get("/openapi.json").json()["paths"]
    for path in (path for path, item in paths.items() if "get" in item and "{" not in path):
        assert "poison" not in client.get(path).text, path

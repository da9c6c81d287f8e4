"""Answers that are under way when their caller loses what it takes to have them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_clients import with_mcp_client
from api_house import House, open_house
from api_samples import LEAVE
from httpx_sse import connect_sse

from rag.api.border import standing
from tests.fakes.vllm import fake_vllm

QUESTION = "How many days of paid annual leave does every employee receive per calendar year?"
OPENAI = {"model": "citadel", "messages": [{"role": "user", "content": QUESTION}]}


class Meanwhile:
    """What happens while the engine writes."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None

    def write(self, body: dict[str, Any]) -> str:
        """The sentence of the handbook, and then it has happened."""
        self.act()
        prompt = body["messages"][-1]["content"]
        keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
        return f"{LEAVE} [{keys[-1]}]"


@pytest.fixture(scope="module")
def meanwhile() -> Meanwhile:
    return Meanwhile()


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, models: Path, meanwhile: Meanwhile
) -> Iterator[House]:
    with fake_vllm(answer=meanwhile.write) as engine:
        options = {"engine_url": engine.url, "allow_unguarded": True}
        with open_house(tmp_path_factory.mktemp("standing"), models, **options) as house:
            yield house


@pytest.fixture
def key(house: House, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile) -> Iterator[str]:
    """A key of ann, who reads hr; it is looked at again before every event."""
    monkeypatch.setattr(standing, "CHECK_EVERY_S", 0.0)
    yield house.store.keys.add(house.store.user_number("ann"), "asking", ["query"])[1]
    meanwhile.act = lambda: None
    house.store.permissions.set_disabled("ann", False)
    house.store.permissions.grant("hr", "user:ann", "read")


def losing(house: House, what: str) -> Callable[[], None]:
    store = house.store
    mine = max(each.id for each in store.keys.listed(store.user_number("ann")))
    return {
        "account": lambda: store.permissions.set_disabled("ann", True),
        "key": lambda: store.keys.revoke(mine),
        "grant": lambda: store.permissions.revoke("hr", "user:ann"),
    }[what]


def asking(house: House, key: str) -> httpx.Client:
    return house.live.client(headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize(("what", "status"), [("account", 401), ("key", 401), ("grant", 403)])
def test_a_stream_ends_when_its_caller_may_no_longer_read(
    house: House, key: str, meanwhile: Meanwhile, what: str, status: int
) -> None:
    meanwhile.act = losing(house, what)
    body = {"question": QUESTION, "stream": True}
    with asking(house, key) as client, connect_sse(client, "POST", "/v1/query", json=body) as sent:
        events = list(sent.iter_sse())
    assert [event.event for event in events if event.event != "notice"] == ["searched", "error"]
    assert events[-1].json()["status"] == status
    assert LEAVE not in "".join(event.data for event in events)


def test_answers_in_one_piece_and_in_openais_form_are_not_given_either(
    house: House, key: str, meanwhile: Meanwhile
) -> None:
    meanwhile.act = losing(house, "grant")
    for path, body in (
        ("/v1/query", {"question": QUESTION}),
        ("/v1/chat/completions", OPENAI),
        ("/v1/chat/completions", OPENAI | {"stream": True}),
    ):
        with asking(house, key) as client:
            answer = client.post(path, json=body)
        assert LEAVE not in answer.text
        assert "may read has changed" in answer.text
        house.store.permissions.grant("hr", "user:ann", "read")


def test_a_tool_does_not_answer_either(house: House, key: str, meanwhile: Meanwhile) -> None:
    meanwhile.act = losing(house, "account")
    headers = {"Authorization": f"Bearer {key}"}
    result = with_mcp_client(
        house.live.url, lambda client: client.call_tool("ask", {"question": QUESTION}), headers
    )
    assert result.is_error
    assert LEAVE not in str(result.content)


def test_who_keeps_what_it_takes_gets_the_answer(house: House, key: str) -> None:
    with asking(house, key) as client:
        answer = client.post("/v1/query", json={"question": QUESTION}).json()
    assert LEAVE in answer["answer"]

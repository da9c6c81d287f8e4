"""The official `openai` client, as it is, against the API."""

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from typing import Any

import httpx
import httpx2
import openai
import pytest
from api_clients import QUESTION, UNANSWERABLE, openai_client, user
from api_live import TOKEN, Live, running, serving, wait_for
from api_samples import LEAVE
from fastapi import FastAPI

from rag.answer.events import Event, Searched
from rag.api.bodies import chat_models, shown
from rag.api.bodies.models import Answer, Problem
from rag.api.routes.chat import Chunks
from rag.api.streams import EventStream
from rag.appliance import Appliance
from rag.errors import StoreError
from rag.settings import Settings
from tests.fakes.vllm import FakeVLLM, fake_vllm

POISON = "Every employee receives poison."
JSON = {"Content-Type": "application/json"}
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def client_of_openai(live: Live) -> Iterator[openai.OpenAI]:
    with openai_client(live.url) as client:
        yield client


def asked(question: str) -> list[Any]:
    return [{"role": "user", "content": question}]


def final_of(completion: Any) -> dict[str, Any]:
    """Our answer in an extra field, but for what is another each time."""
    final = Answer.model_validate(completion.citadel).model_dump(mode="json")
    return {k: v for k, v in final.items() if k not in ("request_id", "timings_ms")}


def collected(chunks: Any) -> tuple[str, list[Any], Any]:
    """The content of a stream, its annotations and its last chunk with a choice."""
    content, annotations, last = "", [], None
    for chunk in chunks:
        if chunk.choices:
            last = chunk
            delta = chunk.choices[0].delta
            content += delta.content or ""
            annotations += getattr(delta, "annotations", None) or []
    return content, annotations, last


def test_an_answer_has_its_citations_as_annotations_and_in_full(
    client_of_openai: openai.OpenAI, client: httpx.Client
) -> None:
    completion = client_of_openai.chat.completions.create(model="citadel", messages=ASKED)
    chat_models.ChatCompletion.model_validate(completion.model_dump(exclude_unset=True))
    choice = completion.choices[0]
    final = completion.citadel  # type: ignore[attr-defined]
    assert completion.id == f"chatcmpl-{final['request_id']}"
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    content, annotations = choice.message.content, choice.message.annotations
    assert content is not None and annotations is not None
    assert content.startswith(f"{LEAVE} [1]")
    assert len(annotations) == len(final["citations"]) > 0
    for annotation, citation in zip(annotations, final["citations"], strict=True):
        shown_as = annotation.url_citation
        span = slice(citation["answer_start"], citation["answer_end"])
        assert content[shown_as.start_index : shown_as.end_index] == final["answer"][span]
        assert citation["cited_text"] == client.get(shown_as.url).json()["text"]
        assert f"[{citation['id']}] [{shown_as.title}]({shown_as.url})" in content
    assert annotations[0].url_citation.title == "Handbook, pages 1-2"


def test_without_markers_the_content_is_the_answer(client_of_openai: openai.OpenAI) -> None:
    completion = client_of_openai.chat.completions.create(
        model="citadel", messages=ASKED, extra_body={"citadel": {"markers": False}}
    )
    message, final = completion.choices[0].message, final_of(completion)
    assert message.content == final["answer"]
    assert message.annotations is not None
    spans = [(a.url_citation.start_index, a.url_citation.end_index) for a in message.annotations]
    assert spans == [(c["answer_start"], c["answer_end"]) for c in final["citations"]]


@pytest.mark.parametrize("question", [QUESTION, UNANSWERABLE])
def test_a_stream_says_the_same_piece_by_piece(
    client_of_openai: openai.OpenAI, question: str
) -> None:
    completions = client_of_openai.chat.completions
    whole = completions.create(model="citadel", messages=asked(question))
    chunks = completions.create(model="citadel", messages=asked(question), stream=True)
    content, annotations, last = collected(chunks)
    message = whole.choices[0].message
    assert content == message.content
    assert annotations == [a.model_dump() for a in message.annotations or ()]
    assert last.choices[0].finish_reason == "stop"
    assert final_of(last) == final_of(whole)


def test_the_asynchronous_client_gets_the_same(live: Live, client_of_openai: openai.OpenAI) -> None:
    async def ask() -> tuple[str, list[Any]]:
        http = httpx2.AsyncClient(trust_env=False, verify=False)
        url = f"{live.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=TOKEN, http_client=http) as client:
            names = [model.id async for model in await client.models.list()]
            chunks = await client.chat.completions.create(
                model="citadel", messages=ASKED, stream=True
            )
            return collected([chunk async for chunk in chunks])[0], names

    whole = client_of_openai.chat.completions.create(model="citadel", messages=ASKED)
    assert asyncio.run(ask()) == (whole.choices[0].message.content, ["citadel"])


def test_usage_comes_where_it_is_asked_for(client_of_openai: openai.OpenAI) -> None:
    chunks = list(
        client_of_openai.chat.completions.create(
            model="citadel", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 0, "quotes cost none"


def test_what_the_documents_do_not_say_is_said(client_of_openai: openai.OpenAI) -> None:
    completion = client_of_openai.chat.completions.create(
        model="citadel", messages=asked(UNANSWERABLE)
    )
    choice = completion.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("stop", shown.NOT_FOUND)
    assert choice.message.annotations == []
    assert final_of(completion)["status"] == "no_evidence"


def test_what_common_programs_send_along_is_taken(client_of_openai: openai.OpenAI) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "assistant", "content": "What can I do for you?"},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    completion = client_of_openai.chat.completions.create(
        model="citadel",
        messages=messages,
        temperature=0.2,
        max_tokens=5,
        stop=["28"],
        n=1,
        tools=[],
        user="ann",
        response_format={"type": "text"},
    )
    assert LEAVE in str(completion.choices[0].message.content)


REFUSED: dict[str, dict[str, Any]] = {
    "n": {"n": 2},
    "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "response_format": {"response_format": {"type": "json_object"}},
    "logprobs": {"logprobs": True},
    "modalities": {"modalities": ["text", "audio"]},
    "messages.0.content": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]
    },
    "messages.0.role": {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
    "citadel.colection": {"extra_body": {"citadel": {"colection": "hr"}}},
    "body": {"messages": [*ASKED, {"role": "assistant", "content": "It is"}]},
    "messages": {"messages": []},
}


@pytest.mark.parametrize("param", REFUSED)
def test_what_cannot_be_done_is_refused_in_the_words_of_openai(
    client_of_openai: openai.OpenAI, param: str
) -> None:
    arguments = {"model": "citadel", "messages": ASKED} | REFUSED[param]
    with pytest.raises(openai.BadRequestError) as caught:
        client_of_openai.chat.completions.create(**arguments)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")
    assert "examples at /docs" in caught.value.message


def test_failures_are_raised_as_what_they_are(live: Live) -> None:
    with openai_client(live.url) as client:
        with pytest.raises(openai.NotFoundError, match="GET /v1/models"):
            client.chat.completions.create(model="gpt-5", messages=ASKED)
        with pytest.raises(openai.NotFoundError, match="no model"):
            client.models.retrieve("citadel-quick")
        with pytest.raises(openai.NotFoundError, match="no collection 'secret'"):
            client.chat.completions.create(
                model="citadel",
                messages=ASKED,
                stream=True,
                extra_body={"citadel": {"collection": "secret"}},
            )
    with (
        openai_client(live.url, api_key="wrong") as stranger,
        pytest.raises(openai.AuthenticationError, match="citadel token") as caught,
    ):
        stranger.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_failure_is_a_problem_all_the_same(client: httpx.Client) -> None:
    response = client.post("/v1/chat/completions", content=b"{", headers=JSON)
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(response.json())
    assert (problem.status, response.status_code) == (400, 400)
    assert problem.error is not None and "not JSON" in problem.error.message


def test_a_user_is_answered_from_what_is_granted(live: Live) -> None:
    def answered(name: str, collection: str | None) -> str:
        with user(live, name, collection) as session, openai_client(live.url) as client:
            headers = {**session, "Authorization": openai.Omit()}
            completion = client.chat.completions.create(
                model="citadel", messages=ASKED, extra_headers=headers
            )
        return str(completion.choices[0].message.content)

    assert LEAVE in answered("rita", "hr")
    assert answered("fritz", "finance") == answered("nemo", None) == shown.NOT_FOUND


# With an engine


def write(body: dict[str, Any]) -> str:
    """The sentence of the handbook with its passage's key, and poison where that is asked for."""
    prompt = body["messages"][-1]["content"]
    keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
    more = f" {POISON} [{keys[-1]}]" if "harmful" in prompt else ""
    return f"{LEAVE} [{keys[-1]}]{more}"


def judge(messages: list[dict[str, Any]]) -> str:
    return "unsafe\nS1" if any("poison" in m["content"] for m in messages) else "safe"


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeVLLM]:
    with fake_vllm(answer=write) as fake:
        yield fake


@pytest.fixture(scope="module")
def written(
    settings: Settings, ids: dict[str, int], engine: FakeVLLM
) -> Iterator[tuple[openai.OpenAI, FakeVLLM]]:
    """A client of a server with an engine, and the server's guard."""
    with fake_vllm(judge=judge) as guard:
        changes = {"engine_url": engine.url, "guard_url": guard.url}
        changed = settings.model_copy(update=changes)
        with running(lambda: Appliance(changed), ids) as live, openai_client(live.url) as client:
            with live.client() as http:
                wait_for(lambda: http.get("/readyz").status_code == 200)
            yield client, guard


def test_with_an_engine_depths_are_models_and_tokens_are_counted(
    written: tuple[openai.OpenAI, FakeVLLM],
) -> None:
    client, _ = written
    names = [model.id for model in client.models.list()]
    assert names == ["citadel", "citadel-quick", "citadel-standard", "citadel-exhaustive"]
    assert client.models.retrieve("citadel-quick").owned_by == "citadel"
    completion = client.chat.completions.create(model="citadel-quick", messages=ASKED)
    assert final_of(completion)["depth"] == "quick"
    assert completion.usage is not None
    assert completion.usage.total_tokens > completion.usage.completion_tokens > 0


def test_the_conversation_is_taken_along_without_what_was_added_for_reading(
    written: tuple[openai.OpenAI, FakeVLLM], engine: FakeVLLM
) -> None:
    client, _ = written
    source = "\n\nSources:\n\n- [1] [Handbook, page 1](http://x/v1/documents/1/passage)"
    said = f"About working here. [1][2]{source}"
    client.chat.completions.create(
        model="citadel",
        messages=[
            {"role": "user", "content": "What is the handbook about?"},
            {"role": "assistant", "content": said},
            {"role": "user", "content": QUESTION},
        ],
        extra_body={"citadel": {"rewrite": False}},
    )
    prompt = engine.received[-1].body["messages"][-1]["content"]
    assert "What is the handbook about?" in prompt
    assert "About working here.\n" in prompt
    assert "Sources:" not in prompt and "http:" not in prompt


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_guard_stops_is_a_content_filter_and_its_category(
    written: tuple[openai.OpenAI, FakeVLLM], stream: bool
) -> None:
    client, _ = written
    messages = asked(f"{QUESTION} Be harmful.")
    answer: Any = client.chat.completions.create(model="citadel", messages=messages, stream=stream)
    if stream:
        content, annotations, last = collected(answer)
    else:
        content, last = answer.choices[0].message.content, answer
        annotations = answer.choices[0].message.annotations
    assert last.choices[0].finish_reason == "content_filter"
    blocked = "Blocked by the guard: violent crimes."
    if content != blocked:  # what the guard let pass before has been sent, and is withdrawn
        assert stream and content == f"{LEAVE} [1]\n\n{shown.WITHDRAWN} {blocked}"
    assert annotations == []
    assert final_of(last)["status"] == "blocked"
    assert "poison" not in str(last.model_dump())


def test_without_a_verdict_there_is_a_content_filter_too(
    written: tuple[openai.OpenAI, FakeVLLM],
) -> None:
    client, guard = written
    guard.fail("error")
    try:
        completion = client.chat.completions.create(model="citadel", messages=ASKED)
    finally:
        guard.heal()
    choice = completion.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("content_filter", shown.NO_VERDICT)


# In the middle of a stream


class Breaking:
    """An answer that fails after its first event, or goes on until its caller leaves."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    async def events(self, fails: bool) -> AsyncGenerator[Event, None]:
        try:
            yield Searched("slow", (), 0, 0)
            if fails:
                raise StoreError("the database is gone", hint="Start it.")
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    def app(self, _port: int) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def stream(body: dict[str, Any]) -> EventStream:
            events = self.events(body["model"] == "failing")
            grows = shown.Shown("", markers=True)
            form = Chunks({"id": "x", "created": 0, "model": "x"}, grows, with_usage=False)
            return EventStream(await anext(events), events, request_id="r-12345678", form=form)

        return app


def test_a_failure_in_a_stream_is_raised_and_a_caller_that_leaves_ends_it() -> None:
    breaking = Breaking()
    with serving(breaking.app) as (_, port), openai_client(f"http://127.0.0.1:{port}") as client:
        failing = client.chat.completions.create(model="failing", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match=r"the database is gone\. Start it\."):
            collected(failing)
        breaking.ended.clear()
        slow = client.chat.completions.create(model="slow", messages=ASKED, stream=True)
        with closing(slow):
            assert next(iter(slow)).choices[0].delta.role == "assistant"
            wait_for(breaking.begun.is_set)
        wait_for(breaking.ended.is_set)

"""The engine's client against a fake of vLLM, over real HTTP."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, aclosing
from typing import Any, TypeVar

import pytest
from fakes.vllm import Call, FakeVLLM, Fault, fake_vllm
from pydantic import SecretStr

from rag.answer.endpoint import Endpoint
from rag.answer.engine import Delta, Engine, EngineInfo, EngineMetrics, Message, Tool
from rag.answer.openai_engine import OpenAIEngine
from rag.errors import (
    CitadelError,
    ConfigError,
    ContextOverflow,
    EngineError,
    EngineInterrupted,
    EngineOverloaded,
    EngineTimeout,
    EngineUnavailable,
)
from rag.settings import Settings

T = TypeVar("T")

KEY = "sk-do-not-print-me"
QUESTION: list[Message] = [{"role": "user", "content": "How many days of leave are there?"}]
SEARCH = Tool("search", "Search the documents.", {"type": "object", "properties": {}})
SHORT_S = 0.2  # a limit that a test waits for
WAIT_S = 20
PLENTY = {"engine_first_token_timeout_s": WAIT_S, "engine_token_timeout_s": WAIT_S}


@pytest.fixture
def fake() -> Iterator[FakeVLLM]:
    with fake_vllm() as running:
        yield running


def engine(fake: FakeVLLM, **settings: Any) -> OpenAIEngine:
    return OpenAIEngine(Settings(engine_url=fake.url, **{**PLENTY, **settings}))


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def deltas_of(of: Engine, **options: Any) -> list[Delta]:
    return [delta async for delta in of.stream(QUESTION, max_tokens=100, **options)]


def ask(of: Engine, **options: Any) -> list[Delta]:
    return run(deltas_of(of, **options))


def failure(of: Engine) -> tuple[EngineError, str]:
    """The error of a stream, and the text that came before it."""

    async def read() -> tuple[EngineError, str]:
        text = ""
        with pytest.raises(EngineError) as raised:
            async for delta in of.stream(QUESTION, max_tokens=100):
                text += delta.text
        return raised.value, text

    return run(read())


# What it asks and what it gets


def test_text_comes_in_deltas_and_the_last_has_the_reason_and_the_usage(fake: FakeVLLM) -> None:
    *texts, last = ask(engine(fake))
    assert [delta.text for delta in texts] == ["This", " is", " an", " answer", "."]
    assert all(delta.finish_reason is None for delta in texts)
    assert (last.text, last.finish_reason, last.tool_calls) == ("", "stop", ())
    assert last.usage is not None
    assert last.usage.answer_tokens == 6, "the token that ends it counts"
    assert last.usage.prompt_tokens == fake.received[0].n_prompt


def test_the_request_is_greedy_streamed_and_limited(fake: FakeVLLM) -> None:
    ask(engine(fake))
    body = fake.received[0].body
    assert (body["model"], body["messages"], body["max_tokens"]) == (fake.model, QUESTION, 100)
    assert (body["temperature"], body["stream"]) == (0, True)
    assert body["stream_options"] == {"include_usage": True}
    assert body.keys().isdisjoint({"tools", "parallel_tool_calls", "cache_salt"})


def test_an_answer_that_reaches_its_limit_says_so(fake: FakeVLLM) -> None:
    fake.answer = lambda body: "word " * 200
    assert ask(engine(fake))[-1].finish_reason == "length"


def test_an_empty_answer_is_one(fake: FakeVLLM) -> None:
    fake.answer = lambda body: ""
    (only,) = ask(engine(fake))
    assert only.finish_reason == "stop"


def test_complete_is_the_whole_of_a_stream(fake: FakeVLLM) -> None:
    whole = run(engine(fake).complete(QUESTION, max_tokens=100))
    assert (whole.text, whole.finish_reason) == ("This is an answer.", "stop")
    assert whole.usage is not None


def test_tool_calls_are_put_together_and_their_arguments_left_as_written(fake: FakeVLLM) -> None:
    fake.answer = lambda body: [Call("search", '{"query": "annual leave'), Call("open", "{}")]
    (last,) = ask(engine(fake), tools=[SEARCH])
    assert [(call.name, call.arguments) for call in last.tool_calls] == [
        ("search", '{"query": "annual leave'),
        ("open", "{}"),
    ]
    assert len({call.id for call in last.tool_calls}) == 2
    assert last.finish_reason == "tool_calls"
    body = fake.received[0].body
    function = {
        "name": "search",
        "description": "Search the documents.",
        "parameters": {"type": "object", "properties": {}},
    }
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["parallel_tool_calls"] is False, "Llama 3 makes one call at a time"


def test_prompts_with_one_salt_share_the_prefix_cache_and_with_another_none(
    fake: FakeVLLM,
) -> None:
    def cached(salt: str) -> int:
        usage = ask(engine(fake), cache_salt=salt)[-1].usage
        assert usage is not None
        return usage.cached_tokens

    assert [cached("a1"), cached("b2")] == [0, 0]
    assert cached("a1") > 0
    assert [received.body["cache_salt"] for received in fake.received] == ["a1", "b2", "a1"]


def test_the_date_goes_to_vllm_and_to_no_other_server(fake: FakeVLLM) -> None:
    ask(engine(fake))
    fake.owned_by = "somebody"
    ask(engine(fake))
    vllm, other = (received.body for received in fake.received)
    assert vllm["chat_template_kwargs"]["date_string"]
    assert "chat_template_kwargs" not in other


def test_nothing_of_the_environment_changes_a_request(
    fake: FakeVLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:1"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: 1\nAuthorization: Bearer theirs")
    ask(engine(fake, engine_api_key=SecretStr(KEY)))
    ask(engine(fake))
    with_key, without = (received.headers for received in fake.received)
    assert with_key["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in without
    plain = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length"}
    assert without.keys() - plain == {"user-agent"}
    assert without["user-agent"] == "citadel"


# Which model


def test_the_only_model_is_taken_and_asked_for_once(fake: FakeVLLM) -> None:
    of = engine(fake)
    assert [run(of.info()) for _ in range(3)] == [EngineInfo("fake-llama", 131_072)] * 3
    assert fake.calls["/v1/models"] == 1


def test_a_named_model_is_taken_among_several(fake: FakeVLLM) -> None:
    fake.models = ["small", "large"]
    assert run(engine(fake, engine_model="large").info()).model == "large"


@pytest.mark.parametrize(
    ("served", "named", "said"),
    [
        (["small", "large"], None, "small, large"),
        (["small"], "medium", "small, not medium"),
    ],
)
def test_a_model_that_cannot_be_chosen_is_a_wrong_setting(
    fake: FakeVLLM, served: list[str], named: str | None, said: str
) -> None:
    fake.models = served
    with pytest.raises(ConfigError, match=said) as raised:
        run(engine(fake, engine_model=named).info())
    assert "CITADEL_ENGINE_MODEL" in raised.value.hint
    with pytest.raises(ConfigError):
        ask(engine(fake, engine_model=named))


def test_the_setting_can_only_narrow_the_window(fake: FakeVLLM) -> None:
    fake.max_model_len = 8192
    assert run(engine(fake, engine_context_tokens=4096).info()).context_tokens == 4096
    assert run(engine(fake, engine_context_tokens=100_000).info()).context_tokens == 8192


def test_a_server_that_does_not_say_its_window_needs_the_setting(fake: FakeVLLM) -> None:
    fake.max_model_len = None  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="how long its window is") as raised:
        run(engine(fake).info())
    assert "CITADEL_ENGINE_CONTEXT_TOKENS" in raised.value.hint
    assert run(engine(fake, engine_context_tokens=4096).info()).context_tokens == 4096


def test_a_server_that_comes_back_with_another_model_is_asked_again(fake: FakeVLLM) -> None:
    of = engine(fake)
    ask(of)
    fake.model, fake.max_model_len = "newer", 2048
    error, _ = failure(of)
    assert "`fake-llama` does not exist" in error.message
    assert run(of.info()) == EngineInfo("newer", 2048)
    assert ask(of)[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    "url",
    ["10.0.0.5:8001", "ftp://a/v1", "http://", "http://a:b/v1", "http://u:p@a/v1", "http://a/?k=1"],
)
def test_an_address_that_is_none_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match="CITADEL_ENGINE_URL") as raised:
        OpenAIEngine(Settings(engine_url=url))
    assert raised.value.hint


def test_without_an_address_there_is_no_engine() -> None:
    with pytest.raises(ConfigError):
        OpenAIEngine(Settings())


# Beside the API


def test_tokens_are_counted_by_the_server_without_the_one_that_begins_a_text(
    fake: FakeVLLM,
) -> None:
    of = engine(fake)
    assert run(of.count_tokens("thirty days")) == 2
    assert run(of.count_tokens("")) == 0


def test_metrics_are_read(fake: FakeVLLM) -> None:
    fake.kv_tokens = 4096
    of = engine(fake)
    ask(of)
    ask(of)
    n_prompt = fake.received[0].n_prompt
    assert run(of.metrics()) == EngineMetrics(
        kv_tokens=4096,
        kv_usage=0.0,
        running=0,
        waiting=0,
        prefix_hits=fake.received[1].n_cached,
        prefix_queries=2 * n_prompt,
    )


def test_metrics_show_what_runs(fake: FakeVLLM) -> None:
    fake.fail("stall")

    async def look() -> EngineMetrics | None:
        of = engine(fake)
        async with aclosing(of.stream(QUESTION, max_tokens=100)) as deltas:
            await anext(deltas)
            return await of.metrics()

    metrics = run(look())
    assert metrics is not None
    assert (metrics.running, metrics.waiting) == (1, 0)
    assert 0 < metrics.kv_usage < 1


def test_another_server_has_no_token_count_and_no_metrics(fake: FakeVLLM) -> None:
    fake.has_tokenize = fake.has_metrics = False
    assert run(engine(fake).count_tokens("text")) is None
    assert run(engine(fake).metrics()) is None


@pytest.mark.parametrize("fault", ["garbage", "odd"])
def test_nonsense_beside_the_api_counts_as_nothing(fake: FakeVLLM, fault: Fault) -> None:
    fake.fail(fault, path="/tokenize")
    assert run(engine(fake).count_tokens("text")) is None
    fake.fail(fault, path="/metrics")
    assert run(engine(fake).metrics()) is None


def test_what_fails_beside_the_api_does_not_open_the_breaker(fake: FakeVLLM) -> None:
    fake.fail("error", path="/metrics")
    of = engine(fake)
    for _ in range(5):
        with pytest.raises(EngineUnavailable):
            run(of.metrics())
    assert ask(of)[-1].finish_reason == "stop"


# Leaving


def test_closing_the_stream_stops_the_generation(fake: FakeVLLM) -> None:
    fake.answer = lambda body: "word " * 5000
    fake.tokens_per_s = 200

    async def leave() -> None:
        async with aclosing(engine(fake).stream(QUESTION, max_tokens=10_000)) as deltas:
            await anext(deltas)

    run(leave())
    received = fake.next_request()
    assert received.left.wait(WAIT_S)
    assert received.done.wait(WAIT_S)
    assert received.n_sent < 5000


@pytest.mark.parametrize("fault", ["hang", "stall"])
def test_cancelling_the_reader_stops_the_generation(fake: FakeVLLM, fault: Fault) -> None:
    fake.fail(fault)

    async def leave() -> None:
        reader = asyncio.create_task(deltas_of(engine(fake)))
        await asyncio.to_thread(fake.next_request)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    run(leave())
    assert fake.received[0].left.wait(WAIT_S)


# Failing before the first token


@pytest.mark.parametrize(
    ("fault", "kind", "said", "requests"),
    [
        ("close", EngineUnavailable, "cannot be reached", 2),
        ("error", EngineUnavailable, "HTTP 500: Internal server error", 2),
        ("proxy", EngineUnavailable, "HTTP 502: it gave no reason", 2),
        ("busy", EngineOverloaded, "currently busy", 2),
        ("html", EngineInterrupted, "what is no answer", 1),
        ("redirect", EngineError, "HTTP 307", 1),
        ("roles", EngineError, "HTTP 400: Conversation roles must alternate", 1),
        ("overflow", ContextOverflow, "maximum context length is 131072 tokens", 1),
    ],
)
def test_a_refusal_becomes_one_of_our_errors_and_only_some_are_tried_again(
    fake: FakeVLLM, fault: Fault, kind: type[EngineError], said: str, requests: int
) -> None:
    fake.fail(fault)
    error, text = failure(engine(fake))
    assert type(error) is kind
    assert said in error.message
    assert f"http://127.0.0.1:{fake.port}" in error.message, "it says which server"
    assert error.hint
    assert text == ""
    assert fake.calls["/v1/chat/completions"] == requests
    assert fake.calls["/elsewhere"] == 0


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ("drop", EngineUnavailable, 2),
        ("event", EngineUnavailable, 2),
        ("cut", EngineInterrupted, 1),
        ("garbage", EngineInterrupted, 1),
        ("odd", EngineInterrupted, 1),
    ],
)
def test_a_stream_that_breaks_before_the_first_token_has_shown_nothing(
    fake: FakeVLLM, fault: Fault, kind: type[EngineError], requests: int
) -> None:
    fake.fail(fault, after=0)
    error, text = failure(engine(fake))
    assert (type(error), text) == (kind, "")
    assert fake.calls["/v1/chat/completions"] == requests


@pytest.mark.parametrize("fault", ["close", "drop", "error", "busy", "proxy", "event"])
def test_one_retry_before_the_first_token_is_not_noticed(fake: FakeVLLM, fault: Fault) -> None:
    fake.fail(fault, times=1, after=0)
    assert "".join(delta.text for delta in ask(engine(fake))) == "This is an answer."


def test_a_closed_port_is_an_engine_that_cannot_be_reached(fake: FakeVLLM) -> None:
    of = engine(fake)
    fake.stop()
    error, _ = failure(of)
    assert isinstance(error, EngineUnavailable)
    assert "CITADEL_ENGINE_URL" in error.hint
    with pytest.raises(EngineUnavailable):
        run(of.metrics())
    fake.start()
    assert ask(of)[-1].finish_reason == "stop"


def test_an_address_where_nobody_answers_is_given_up_after_the_connect_timeout() -> None:
    with ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):  # its queue is full: a further connection gets no answer
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        settings = Settings(engine_url=url, engine_connect_timeout_s=SHORT_S, **PLENTY)
        error, _ = failure(OpenAIEngine(settings))
    assert type(error) is EngineUnavailable
    assert "could not be reached in 0.2 s" in error.message


def test_a_server_without_tls_cannot_be_reached_by_https(fake: FakeVLLM) -> None:
    url = fake.url.replace("http:", "https:")
    error, _ = failure(OpenAIEngine(Settings(engine_url=url, **PLENTY)))
    assert type(error) is EngineUnavailable


def test_a_short_retry_after_is_waited_for_and_a_long_one_not(fake: FakeVLLM) -> None:
    fake.fail("rate", times=1, retry_after="0")
    assert ask(engine(fake))[-1].finish_reason == "stop"
    assert fake.calls["/v1/chat/completions"] == 2
    for long in ("60", "Wed, 21 Oct 2099 07:28:00 GMT"):
        fake.fail("rate", times=1, retry_after=long)
        error, _ = failure(engine(fake))
        assert type(error) is EngineOverloaded
    assert fake.calls["/v1/chat/completions"] == 4


def test_an_engine_that_is_silent_before_the_first_token_takes_too_long(fake: FakeVLLM) -> None:
    fake.first_token_s = WAIT_S
    error, _ = failure(engine(fake, engine_first_token_timeout_s=SHORT_S))
    assert type(error) is EngineTimeout
    assert "no first token in 0.2 s" in error.message
    assert fake.received[0].left.wait(WAIT_S), "it is told to stop"


def test_an_engine_that_sends_no_byte_takes_too_long(fake: FakeVLLM) -> None:
    fake.fail("hang")
    error, _ = failure(engine(fake, engine_first_token_timeout_s=SHORT_S))
    assert type(error) is EngineTimeout
    assert fake.received[0].left.wait(WAIT_S)


def test_an_engine_that_does_not_list_its_models_in_time_takes_too_long(fake: FakeVLLM) -> None:
    fake.fail("hang", path="/v1/models")
    impatient = {"engine_connect_timeout_s": SHORT_S, "engine_token_timeout_s": SHORT_S}
    with pytest.raises(EngineTimeout, match="list of its models"):
        run(engine(fake, **impatient).info())


@pytest.mark.parametrize("fault", ["garbage", "odd"])
def test_a_list_of_models_that_is_none_is_no_engine(fake: FakeVLLM, fault: Fault) -> None:
    fake.fail(fault, path="/v1/models")
    with pytest.raises(EngineInterrupted):
        run(engine(fake).info())


def test_a_prompt_longer_than_the_window_is_an_overflow(fake: FakeVLLM) -> None:
    fake.max_model_len = 10
    error, _ = failure(engine(fake))
    assert type(error) is ContextOverflow
    assert not error.retryable


# Failing after the first token


@pytest.mark.parametrize("fault", ["drop", "garbage", "odd", "cut", "event"])
def test_what_breaks_off_in_the_middle_is_interrupted_and_never_tried_again(
    fake: FakeVLLM, fault: Fault
) -> None:
    fake.fail(fault)
    error, text = failure(engine(fake))
    assert type(error) is EngineInterrupted
    assert text == "This is an"
    assert error.hint
    assert fake.calls["/v1/chat/completions"] == 1


def test_a_killed_engine_interrupts_its_answer(fake: FakeVLLM) -> None:
    fake.fail("stall")

    async def kill() -> None:
        async with aclosing(engine(fake).stream(QUESTION, max_tokens=100)) as deltas:
            await anext(deltas)
            await asyncio.to_thread(fake.stop)
            with pytest.raises(EngineInterrupted):
                _ = [delta async for delta in deltas]

    run(kill())


def test_silence_in_the_middle_takes_too_long_and_the_server_is_told_to_stop(
    fake: FakeVLLM,
) -> None:
    fake.fail("stall")
    error, text = failure(engine(fake, engine_token_timeout_s=SHORT_S))
    assert type(error) is EngineTimeout
    assert "no further token" in error.message
    assert text == "This is an"
    assert fake.received[0].left.wait(WAIT_S)


def test_a_reader_who_takes_long_does_not_count_as_a_slow_engine(fake: FakeVLLM) -> None:
    async def read() -> str:
        text = ""
        async for delta in engine(fake, engine_token_timeout_s=SHORT_S).stream(
            QUESTION, max_tokens=100
        ):
            text += delta.text
            if delta.text == "This":
                await asyncio.sleep(2 * SHORT_S)
        return text

    assert run(read()) == "This is an answer."


# The breaker


def test_an_engine_that_keeps_failing_is_left_alone(fake: FakeVLLM) -> None:
    of = engine(fake)
    fake.fail("error")
    for _ in range(3):
        failure(of)
    n_before = fake.calls["/v1/chat/completions"]
    fake.heal()
    error, _ = failure(of)
    assert isinstance(error, EngineUnavailable)
    assert "3 times in a row" in error.message
    assert fake.calls["/v1/chat/completions"] == n_before
    with pytest.raises(EngineUnavailable, match="in a row"):
        run(of.info())


def test_an_engine_that_keeps_breaking_off_in_the_middle_is_left_alone_too(fake: FakeVLLM) -> None:
    of = engine(fake)
    fake.fail("drop")
    for _ in range(3):
        failure(of)
    fake.heal()
    error, _ = failure(of)
    assert "3 times in a row" in error.message


def test_a_whole_answer_between_failures_makes_them_forgotten(fake: FakeVLLM) -> None:
    of = engine(fake)
    for _ in range(2):
        fake.fail("drop", times=2)
        failure(of)
        failure(of)
        assert ask(of)[-1].finish_reason == "stop"


@pytest.mark.parametrize("fault", ["overflow", "roles", "busy", "rate"])
def test_an_engine_that_refuses_is_not_taken_for_a_broken_one(fake: FakeVLLM, fault: Fault) -> None:
    of = engine(fake)
    fake.fail(fault, retry_after="60")
    for _ in range(4):
        failure(of)
    fake.heal()
    assert ask(of)[-1].finish_reason == "stop"


# Keys and loops


def secrets_in(error: BaseException | None) -> bool:
    """Whether the key is in an error, its cause or their hints, as text or as repr."""
    while error is not None:
        hint = error.hint if isinstance(error, CitadelError) else ""
        if any(KEY in text for text in (str(error), repr(error), hint)):
            return True
        error = error.__cause__
    return False


def test_the_key_is_in_no_message_and_no_repr(fake: FakeVLLM) -> None:
    fake.api_key = "another"
    of = engine(fake, engine_api_key=SecretStr(KEY))
    error, _ = failure(of)
    assert "HTTP 401: Unauthorized" in error.message
    assert "CITADEL_ENGINE_API_KEY" in error.hint
    assert not secrets_in(error)
    assert KEY not in repr(of)


def test_a_server_that_repeats_the_key_is_not_quoted_with_it(
    fake: FakeVLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fakes.vllm_wire.ROLES", f"no such key: {KEY}\n at all " + "x" * 5000)
    fake.fail("roles")
    error, _ = failure(engine(fake, engine_api_key=SecretStr(KEY)))
    assert "no such key: *** at all" in error.message
    assert KEY not in error.message + error.hint
    assert len(error.message) < 500, "a long reason is cut"


def test_one_engine_serves_event_loops_one_after_the_other_and_at_once(fake: FakeVLLM) -> None:
    of = engine(fake)
    fake.tokens_per_s = 100
    texts: list[str] = []

    def once() -> None:
        texts.append(run(of.complete(QUESTION, max_tokens=100)).text)

    once()
    once()
    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["This is an answer."] * 6


def test_it_can_be_closed_at_any_time_and_used_again(fake: FakeVLLM) -> None:
    async def use() -> None:
        of = engine(fake)
        await of.aclose()
        await of.complete(QUESTION, max_tokens=10)
        await of.aclose()
        await of.complete(QUESTION, max_tokens=10)

    run(use())


def test_many_streams_at_once_do_not_mix(fake: FakeVLLM) -> None:
    fake.answer = lambda body: str(body["messages"][0]["content"])
    of = engine(fake)

    async def all_at_once() -> list[Delta]:
        return await asyncio.gather(
            *(
                of.complete([{"role": "user", "content": f"number {i}"}], max_tokens=9)
                for i in range(50)
            )
        )

    assert [whole.text for whole in run(all_at_once())] == [f"number {i}" for i in range(50)]


def test_an_address_of_the_sixth_version_is_shown_as_one() -> None:
    endpoint = Endpoint("https://[fd00::5]:8001/v1/", None, 3.0, "guard")
    assert endpoint.name == "the guard at https://[fd00::5]:8001"
    assert endpoint.root == "https://[fd00::5]:8001"

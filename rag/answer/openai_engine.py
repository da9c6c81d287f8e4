"""The engine as an OpenAI-compatible server, through the official client.

It is in a module of its own because the client takes half a second to import.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

import httpx2
import msgspec
from openai import omit
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam

from rag.answer.breaker import CircuitBreaker
from rag.answer.endpoint import FAILURES, SLOW, Endpoint
from rag.answer.engine import Delta, EngineInfo, EngineMetrics, Message, Tool
from rag.answer.engine_wire import Model, Models, Reply, TokenCount, read_metrics
from rag.errors import (
    ConfigError,
    EngineError,
    EngineInterrupted,
    EngineTimeout,
    EngineUnavailable,
)
from rag.settings import Settings

MISSING = (404, 405, 501)  # statuses of a server that has no such address
ILL = (EngineUnavailable, EngineTimeout, EngineInterrupted)  # others come from a working server


@dataclass(frozen=True, slots=True)
class _Asked:
    messages: Sequence[Message]
    max_tokens: int
    tools: Sequence[Tool]
    cache_salt: str


@dataclass(frozen=True, slots=True)
class _Served:
    info: EngineInfo
    is_vllm: bool


class OpenAIEngine:
    """An engine behind `engine_url`; see `rag.answer.engine.Engine`. Usable from any event loop."""

    def __init__(self, settings: Settings) -> None:
        """Connects to nothing yet.

        Raises:
            ConfigError: `engine_url` is unset or no address.
        """
        if settings.engine_url is None:
            raise ConfigError("there is no engine", hint="Set CITADEL_ENGINE_URL.")
        self._settings = settings
        self._endpoint = Endpoint(
            settings.engine_url, settings.engine_api_key, settings.engine_connect_timeout_s
        )
        self._breaker = CircuitBreaker(name=self._endpoint.name)
        self._known: _Served | None = None

    def __repr__(self) -> str:
        return f"OpenAIEngine({self._endpoint!r})"

    async def info(self) -> EngineInfo:
        """See `Engine`; asked again after a failure."""
        if self._known is not None:
            return self._known.info
        async with self._counted(), self._translated(self._reply_timeout_s, "list of its models"):
            return (await self._served()).info

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        tools: Sequence[Tool] = (),
        cache_salt: str = "",
    ) -> AsyncGenerator[Delta, None]:
        """See `Engine`. A failure before the first token is tried once more where that may help."""
        reply, delta = await self._begun(_Asked(messages, max_tokens, tools, cache_salt))
        try:
            while delta.finish_reason is None:
                if delta.text:
                    yield delta
                delta = await self._next(reply)
            self._breaker.succeeded()
            yield delta
        finally:
            await reply.aclose()

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, cache_salt: str = ""
    ) -> Delta:
        """See `Engine`."""
        text, last = "", Delta()
        stream = self.stream(messages, max_tokens=max_tokens, cache_salt=cache_salt)
        async with aclosing(stream) as deltas:
            async for last in deltas:
                text += last.text
        return replace(last, text=text)

    async def count_tokens(self, text: str) -> int | None:
        """See `Engine`; without the token that begins a text."""
        asked = {"prompt": text, "add_special_tokens": False}
        said = await self._beside("POST", "/tokenize", "token count", asked)
        try:
            return None if said is None else msgspec.json.decode(said, type=TokenCount).count
        except ValueError:
            return None

    async def metrics(self) -> EngineMetrics | None:
        """See `Engine`."""
        said = await self._beside("GET", "/metrics", "metrics")
        try:
            return None if said is None else read_metrics(said.decode())
        except ValueError:
            return None

    async def aclose(self) -> None:
        """Close what belongs to the running event loop."""
        await self._endpoint.aclose()

    # Asking

    async def _begun(self, asked: _Asked) -> tuple[Reply, Delta]:
        """The answer and its first delta."""
        limit_s = self._settings.engine_first_token_timeout_s
        async with self._counted(), self._translated(limit_s, "first token"):
            try:
                return await self._attempt(asked)
            except FAILURES as error:
                wait_s = self._endpoint.retry_after_s(error)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)
            return await self._attempt(asked)

    async def _attempt(self, asked: _Asked) -> tuple[Reply, Delta]:
        served = await self._served()
        chunks = await self._endpoint.openai().chat.completions.create(
            model=served.info.model,
            messages=cast("list[ChatCompletionMessageParam]", asked.messages),
            max_tokens=asked.max_tokens,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            tools=[_tool(tool) for tool in asked.tools] or omit,
            parallel_tool_calls=False if asked.tools else omit,
            extra_body=_extensions(asked, served),
        )
        reply = Reply(chunks)
        try:
            return reply, await reply.next()
        except BaseException:
            await reply.aclose()
            raise

    async def _next(self, reply: Reply) -> Delta:
        limit_s = self._settings.engine_token_timeout_s
        try:
            async with self._translated(limit_s, "further token", started=True):
                return await reply.next()
        except EngineError:
            self._breaker.failed()
            raise

    async def _served(self) -> _Served:
        if self._known is None:
            response = await self._endpoint.ask("GET", f"{self._endpoint.url}/models")
            models = msgspec.json.decode(response.content, type=Models)
            self._known = self._chosen(models.data)
        return self._known

    async def _beside(self, method: str, path: str, what: str, json: object = None) -> bytes | None:
        """What an address beside the API says, None where there is none."""
        async with self._translated(self._reply_timeout_s, what):
            try:
                return (await self._endpoint.ask(method, self._endpoint.root + path, json)).content
            except httpx2.HTTPStatusError as error:
                if error.response.status_code in MISSING:
                    return None
                raise

    @property
    def _reply_timeout_s(self) -> float:
        return self._settings.engine_connect_timeout_s + self._settings.engine_token_timeout_s

    # Failing

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Let the breaker know how it went, and keep away while it is open."""
        self._breaker.check()
        try:
            yield
        except EngineError as error:
            self._known = None  # it may come back with another model or window
            (self._breaker.failed if isinstance(error, ILL) else self._breaker.began)()
            raise
        self._breaker.began()

    @asynccontextmanager
    async def _translated(
        self, limit_s: float, what: str, *, started: bool = False
    ) -> AsyncIterator[None]:
        """Limit the time to `what`, and raise our errors only."""
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError as error:
            raise EngineTimeout(
                f"{self._endpoint.name} sent no {what} in {limit_s:g} s", hint=SLOW
            ) from error
        except FAILURES as error:
            raise self._endpoint.failure(error, started=started) from error

    # Choosing

    def _chosen(self, models: Sequence[Model]) -> _Served:
        model = self._model(models)
        limit = self._settings.engine_context_tokens
        windows = [tokens for tokens in (model.max_model_len, limit) if tokens is not None]
        if not windows:
            raise ConfigError(
                f"{self._endpoint.name} does not say how long its window is",
                hint="Set CITADEL_ENGINE_CONTEXT_TOKENS to the window that it was started with.",
            )
        return _Served(EngineInfo(model.id, min(windows)), model.owned_by == "vllm")

    def _model(self, models: Sequence[Model]) -> Model:
        name = self._settings.engine_model
        served = ", ".join(model.id for model in models) or "no model"
        for model in models:
            if name == model.id or (name is None and len(models) == 1):
                return model
        wanted = f", not {name}" if name is not None else ""
        raise ConfigError(
            f"{self._endpoint.name} serves {served}{wanted}",
            hint="Set CITADEL_ENGINE_MODEL to the one to use, or start the engine with it.",
        )


def _tool(tool: Tool) -> ChatCompletionFunctionToolParam:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return cast("ChatCompletionFunctionToolParam", {"type": "function", "function": function})


def _extensions(asked: _Asked, served: _Served) -> dict[str, object]:
    """Fields that only vLLM knows.

    Llama's template writes the date at the very beginning of a prompt: sent along, it is the
    appliance's day and the same for a whole day. A server that isn't vLLM might refuse the field.
    The salt is sent to any server: where prompts are to be kept apart, silence would be worse.
    """
    fields: dict[str, object] = {}
    if served.is_vllm:
        today = date.today().strftime("%d %b %Y")
        fields["chat_template_kwargs"] = {"date_string": today}
    if asked.cache_salt:
        fields["cache_salt"] = asked.cache_salt
    return fields

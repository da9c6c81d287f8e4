"""The engine that writes answers: any server that speaks the OpenAI protocol; vLLM is meant."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, Protocol, TypedDict


class FunctionCall(TypedDict):
    """Name and arguments of a call, as the protocol nests them in a message."""

    name: str
    arguments: str


class MessageToolCall(TypedDict):
    """A tool call that an assistant's message of an earlier round made."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class Message(TypedDict):
    """One message of a chat; the server renders them with the model's own template."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: NotRequired[list[MessageToolCall]]  # of an assistant
    tool_call_id: NotRequired[str]  # of a tool's result


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the server counted them."""

    prompt_tokens: int
    answer_tokens: int
    cached_tokens: int = 0  # of the prompt, found in the prefix cache

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.answer_tokens + other.answer_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for."""

    id: str
    name: str
    arguments: str  # the JSON text as the model wrote it, unchecked


@dataclass(frozen=True, slots=True)
class Delta:
    """What a stream yields: a piece of text; at the end the calls, the reason and the usage."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The model that answers, and the tokens that its prompt and answer may have together."""

    model: str
    context_tokens: int


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """What the server says of its load. Counters run from its start."""

    kv_tokens: int | None  # what its KV cache holds
    kv_usage: float  # share in use, in [0, 1]
    running: int
    waiting: int
    prefix_hits: int  # tokens of prompts found in the prefix cache
    prefix_queries: int  # tokens of prompts looked up there


class Engine(Protocol):
    """A server of one model."""

    async def info(self) -> EngineInfo:
        """Model and window; asked once.

        Raises:
            EngineError: the server cannot be asked.
            ConfigError: the model that the settings name is not served, or none can be chosen.
        """
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        tools: Sequence[Tool] = (),
        cache_salt: str = "",
    ) -> AsyncGenerator[Delta, None]:
        """Write at temperature 0. The last delta has `finish_reason`, calls and `usage`, no text.

        `aclose()` of the generator, or cancelling the task that reads it, stops the generation at
        the server. Requests with different `cache_salt` share no prefix cache; vLLM takes at most
        128 characters, none of `@ / \\`. `usage` is None where a server doesn't count.

        Raises:
            EngineError: see its subclasses.
        """
        ...

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, cache_salt: str = ""
    ) -> Delta:
        """The whole of a stream as one delta."""
        ...

    async def count_tokens(self, text: str) -> int | None:
        """Tokens of `text` as the server counts them, None where it doesn't.

        Raises:
            EngineError: the server cannot be asked.
        """
        ...

    async def metrics(self) -> EngineMetrics | None:
        """The server's load, None where it doesn't say.

        Raises:
            EngineError: the server cannot be asked.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        ...

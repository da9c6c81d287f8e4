"""How the fake of vLLM answers a chat: its chunks, whole or broken off in the middle."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from . import vllm_wire as wire
from .vllm_http import JSON, Client
from .vllm_wire import Json


class Call(NamedTuple):
    """A tool call that the model makes."""

    name: str
    arguments: str


Answer = str | Sequence[Call]


@dataclass
class Received:
    """A chat request and what became of it."""

    body: Json
    headers: dict[str, str]
    n_prompt: int = 0
    n_cached: int = 0
    n_sent: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[Json]:
        """The messages of the chat."""
        return self.body["messages"]

    @property
    def max_tokens(self) -> int | None:
        """The longest answer that was asked for."""
        return self.body.get("max_completion_tokens", self.body.get("max_tokens"))


class Reply:
    """One answer in vLLM's two forms."""

    def __init__(self, said: Answer, received: Received, model: str, confidence: float) -> None:
        self._received = received
        self._head: Json = {"id": "chatcmpl-fake", "created": 1, "model": model}
        self._confidence = confidence
        self._text = isinstance(said, str)
        deltas = _text_deltas(said) if isinstance(said, str) else _call_deltas(said)
        limit = received.max_tokens
        self.deltas = deltas if limit is None else deltas[:limit]
        self.finish_reason = "stop" if self._text else "tool_calls"
        if len(self.deltas) < len(deltas):
            self.finish_reason = "length"

    @property
    def n_tokens(self) -> int:
        """Tokens of the answer; the one that ends it counts."""
        return len(self.deltas) + (self.finish_reason != "length")

    def opening(self) -> bytes:
        """The chunk that says whose message this is."""
        return self._chunk({"role": "assistant", "content": ""})

    def token(self, i: int) -> bytes:
        """The chunk of one token."""
        delta = self.deltas[i]
        return self._chunk(delta, tokens=[delta["content"]] if self._text else [])

    def closing(self) -> bytes:
        """The chunks after the last token."""
        end = [wire.EOT] if self.finish_reason == "stop" else []
        chunks = self._chunk({"content": ""}, tokens=end, finish_reason=self.finish_reason)
        if (self._received.body.get("stream_options") or {}).get("include_usage"):
            chunks += wire.event({**self._chunk_head, "choices": [], "usage": self._usage})
        return chunks + b"data: [DONE]\n\n"

    def whole(self) -> Json:
        """The answer in one piece."""
        message: Json = {"role": "assistant", "content": None}
        if self._text:
            tokens = [delta["content"] for delta in self.deltas]
            message["content"] = "".join(tokens)
        else:
            tokens = []
            message["tool_calls"] = _joined(self.deltas)
        choice = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs([*tokens, wire.EOT] if self._text else tokens),
            "finish_reason": self.finish_reason,
            "stop_reason": None,
        }
        head = {**self._head, "object": "chat.completion"}
        return {**head, "choices": [choice], "usage": self._usage}

    @property
    def _chunk_head(self) -> Json:
        return {**self._head, "object": "chat.completion.chunk"}

    @property
    def _usage(self) -> Json:
        return wire.usage(self._received.n_prompt, self.n_tokens, self._received.n_cached)

    def _chunk(self, delta: Json, *, tokens: Sequence[str] = (), finish_reason: str = "") -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": self._logprobs(tokens),
            "finish_reason": finish_reason or None,
        }
        return wire.event({**self._chunk_head, "choices": [choice]})

    def _logprobs(self, tokens: Sequence[str]) -> Json | None:
        body = self._received.body
        if not tokens or not body.get("logprobs"):
            return None
        return wire.logprobs(tokens, self._confidence, body.get("top_logprobs") or 0)


def _text_deltas(text: str) -> list[Json]:
    return [{"content": token} for token in wire.tokens_of(text)]


def _call_deltas(calls: Sequence[Call]) -> list[Json]:
    deltas = []
    for i, call in enumerate(calls):
        head = {"id": f"chatcmpl-tool-{i}", "type": "function", "index": i}
        deltas.append({"tool_calls": [{**head, "function": {"name": call.name}}]})
        pieces = [{"arguments": piece} for piece in wire.tokens_of(call.arguments)]
        deltas += [{"tool_calls": [{"index": i, "function": piece}]} for piece in pieces]
    return deltas


def _joined(deltas: Sequence[Json]) -> list[Json]:
    """The calls that deltas add up to."""
    calls: list[Json] = []
    for part in (delta["tool_calls"][0] for delta in deltas):
        if "id" in part:
            function = {"name": part["function"]["name"], "arguments": ""}
            calls.append({"id": part["id"], "type": "function", "function": function})
        else:
            calls[-1]["function"]["arguments"] += part["function"]["arguments"]
    return calls


async def break_off(fault: str, client: Client, *, streaming: bool) -> None:
    """Carry out a fault in the middle of an answer."""
    if fault == "stall":
        await client.gone(None)
        return
    if fault == "drop":
        await client.cut()
        return
    said = {
        "garbage": b"data: {not json\n\n",
        "odd": wire.event({"choices": "none"}),
        "event": wire.event(wire.error(500, "Internal server error", "InternalServerError"))
        + b"data: [DONE]\n\n",
    }.get(fault, b"")
    if not streaming:
        await client.start(200, JSON, {})
        said = said.removeprefix(b"data: ")
    await client.end(said)

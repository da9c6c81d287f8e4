"""What an engine's server says, read strictly: models, chunks of an answer, counts and metrics.

Everything that has another shape than it should raises ValueError.
"""

from dataclasses import dataclass

import msgspec
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from rag.answer.engine import Delta, EngineMetrics, ToolCall, Usage

END = object()
BROKEN_OFF = ("abort", "error")  # vLLM's reasons for an answer that is none


class Model(msgspec.Struct):
    """A model of `/v1/models`; `max_model_len` is vLLM's."""

    id: str
    owned_by: str = ""
    max_model_len: int | None = None


class Models(msgspec.Struct):
    """`/v1/models`."""

    data: list[Model]


class TokenCount(msgspec.Struct):
    """vLLM's `/tokenize`."""

    count: int


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Part
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice]
    usage: _Counts | None = None


@dataclass
class _OpenCall:
    """A tool call that is still being written."""

    id: str
    name: str = ""
    arguments: str = ""


class Reply:
    """An answer that is being streamed."""

    def __init__(self, chunks: AsyncStream[ChatCompletionChunk]) -> None:
        self._chunks = chunks
        self._calls: dict[int, _OpenCall] = {}
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    async def next(self) -> Delta:
        """The next text, an empty delta for a token of a tool call, or the last delta.

        Raises:
            ValueError: a chunk is none, or the stream ended before the answer did.
        """
        while (raw := await anext(self._chunks, END)) is not END:
            if (text := self._taken(_parsed(raw))) is not None:
                return Delta(text=text)
        if self._finish_reason is None or self._finish_reason in BROKEN_OFF:
            raise ValueError("the answer has no end")
        calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in self._calls.values())
        return Delta(tool_calls=calls, finish_reason=self._finish_reason, usage=self._usage)

    async def aclose(self) -> None:
        """Close the connection; the server stops generating."""
        await self._chunks.close()

    def _taken(self, chunk: _Chunk) -> str | None:
        """The text of a chunk, None where it brings no token."""
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        self._finish_reason = choice.finish_reason or self._finish_reason
        for part in choice.delta.tool_calls or ():
            self._extend(part)
        return choice.delta.content or ("" if choice.delta.tool_calls else None)

    def _extend(self, part: _Call) -> None:
        call = self._calls.setdefault(part.index, _OpenCall(f"call_{part.index}"))
        call.id = part.id or call.id
        if part.function is not None:
            call.name += part.function.name or ""
            call.arguments += part.function.arguments or ""


def read_metrics(text: str) -> EngineMetrics | None:
    """vLLM's `/metrics`, None where it is another server's. Replicas are added up."""
    samples: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    usage = _values(samples, "vllm:kv_cache_usage_perc")
    if not usage:
        return None
    return EngineMetrics(
        kv_tokens=_capacity(samples.get("vllm:cache_config_info", [])),
        kv_usage=sum(usage) / len(usage),
        running=_total(samples, "vllm:num_requests_running"),
        waiting=_total(samples, "vllm:num_requests_waiting"),
        prefix_hits=_total(samples, "vllm:prefix_cache_hits_total"),
        prefix_queries=_total(samples, "vllm:prefix_cache_queries_total"),
    )


def _parsed(raw: object) -> _Chunk:
    """A chunk as it should be; the library hands on whatever JSON came."""
    if not isinstance(raw, ChatCompletionChunk):
        raise ValueError("no chunk of an answer")
    return msgspec.convert(raw.model_dump(warnings=False), _Chunk)


def _usage(counts: _Counts) -> Usage:
    details = counts.prompt_tokens_details
    cached = details.cached_tokens if details is not None else None
    return Usage(counts.prompt_tokens, counts.completion_tokens, cached or 0)


def _capacity(infos: list[Sample]) -> int | None:
    """Tokens that the KV caches of all replicas hold."""
    sizes = [_tokens(sample.labels) for sample in infos]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _tokens(labels: dict[str, str]) -> int | None:
    """Where layers differ, blocks times their size is wrong, and newer versions say the tokens."""
    said = labels.get("kv_cache_size_tokens", "")
    n_blocks, block = labels.get("num_gpu_blocks", ""), labels.get("block_size", "")
    if said.isdecimal() and int(said):
        return int(said)
    return int(n_blocks) * int(block) if n_blocks.isdecimal() and block.isdecimal() else None


def _values(samples: dict[str, list[Sample]], name: str) -> list[float]:
    return [sample.value for sample in samples.get(name, [])]


def _total(samples: dict[str, list[Sample]], name: str) -> int:
    return round(sum(_values(samples, name)))

"""A stand-in for a vLLM server (0.31 and later): its HTTP API on loopback, and its faults.

    with fake_vllm(answer=lambda body: "Thirty days. [k3f9]", tokens_per_s=40) as engine:
        settings = Settings(engine_url=engine.url, …)
    with fake_vllm(judge=lambda messages: "unsafe\\nS1") as guard:
        settings = Settings(guard_url=guard.url, …)

It serves `/v1/models`, `/v1/chat/completions` (whole or streamed, logprobs, tools), `/tokenize`,
`/metrics` and `/health`. Every knob is an argument of `fake_vllm` and an attribute that may be set
at any time; it holds for the requests that come after.

    answer          from a request's body to the text, or to a list of `Call(name, arguments)`
    judge           makes it a Llama Guard: from the messages to "safe" or "unsafe\\nS1,S10"
                    (a blank line comes before it by itself); 400 where roles don't alternate
    confidence      probability of the label that `judge` gave, as the logprobs say it
    first_token_s   time before the first token; tokens_per_s: speed from there on
    model, models   the name of the model, or several; owned_by: what `/v1/models` says
    max_model_len   the window: a longer prompt is refused as vLLM does it
    kv_tokens       capacity of the KV cache; requests that don't fit wait in line
    max_num_seqs    most requests at once; further ones wait in line
    api_key         when set, `/v1/…` asks for it (and nothing else does: so it is with vLLM)
    has_tokenize, has_metrics   False where another server than vLLM is meant: 404

`fail(fault, …)` breaks the requests that follow, `heal()` ends that, `stop()` closes the port and
cuts every connection (a killed process), `start()` opens the same port again. The faults:

    "hang"       no byte comes              "close"      cut off before any byte
    "stall"      falls silent in the middle "drop"       cut off in the middle
    "garbage"    nonsense in the middle     "odd"        JSON of another shape in the middle
    "cut"        ends early as if all was well
    "event"      an error event in the middle, as vLLM sends it
    "html"       200 with a web page        "redirect"   307 to somewhere else
    "rate"       429 with Retry-After       "error"      500
    "busy"       503 as vLLM says it        "proxy"      502 from a proxy in front, in HTML
    "overflow"   400, the prompt is too long "roles"     400, the template refuses the roles

"In the middle" is after `after` tokens (3; with 0 before the first). `received` holds every chat
request: `received[0].body`, `.left` (an event: the client left before the end), `.done` (an event:
the server is done with it), `.n_sent` tokens. `next_request()` waits for the next one to arrive.
`calls` counts the requests by path.
"""

import asyncio
import json
import math
import queue
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.types import Receive, Scope, Send

from . import vllm_wire as wire
from .vllm_chat import Answer, Call, Received, Reply, break_off
from .vllm_http import WAIT_S, Client, Said, Server, body_of
from .vllm_wire import Json

__all__ = ["Answer", "Call", "FakeVLLM", "Fault", "Received", "fake_vllm"]

Fault = Literal[
    "hang", "close", "stall", "drop", "garbage", "odd", "cut", "event", "html", "redirect",
    "rate", "error", "busy", "proxy", "overflow", "roles",
]  # fmt: skip
CHAT = "/v1/chat/completions"
POLL_S = 0.005
PAGE = b"<html><body>502 Bad Gateway</body></html>"
NOT_FOUND = {"detail": "Not Found"}


@dataclass
class _Failing:
    fault: Fault
    times: float
    after: int
    path: str
    retry_after: str


@dataclass
class FakeVLLM:
    """A running fake; the module says what its attributes do."""

    answer: Callable[[Json], Answer] = lambda body: "This is an answer."
    judge: Callable[[list[Json]], str] | None = None
    confidence: float = 0.98
    first_token_s: float = 0.0
    tokens_per_s: float = math.inf
    model: str = "fake-llama"
    models: Sequence[str] = ()
    owned_by: str = "vllm"
    max_model_len: int = 131_072
    kv_tokens: int = 480_000
    max_num_seqs: int = 256
    api_key: str = ""
    has_tokenize: bool = True
    has_metrics: bool = True
    received: list[Received] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    port: int = 0

    def __post_init__(self) -> None:
        self._arrived: queue.Queue[Received] = queue.Queue()
        self._failing: _Failing | None = None
        self._cache: set[bytes] = set()
        self._counters = {"queries": 0, "hits": 0}
        self._line: list[Received] = []  # waiting for a place, in order
        self._running: dict[int, int] = {}  # KV tokens of each running request
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The base URL of its OpenAI API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def fail(
        self,
        fault: Fault,
        *,
        times: float = math.inf,
        after: int = 3,
        path: str = CHAT,
        retry_after: str = "1",
    ) -> None:
        """Break the next `times` requests for `path`; `retry_after` is the header of "rate"."""
        self._failing = _Failing(fault, times, after, path, retry_after)

    def heal(self) -> None:
        """No more faults."""
        self._failing = None

    def next_request(self) -> Received:
        """Wait for the next chat request that nobody has taken from here yet."""
        return self._arrived.get(timeout=WAIT_S)

    def start(self) -> None:
        """Listen; after the first time on the same port again."""
        self._server = Server(self._serve, self.port)
        self.port = self._server.port

    def stop(self) -> None:
        """Close the port and cut every connection."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    # What is asked

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, headers = scope["path"], {k.decode(): v.decode() for k, v in scope["headers"]}
        self.calls[path] += 1
        body = await body_of(receive)
        assert self._server is not None
        client = Client(receive, send, self._server.closing)
        failing = self._taken(path)
        try:
            if failing is not None and failing.fault == "close":
                await client.cut()
            elif failing is not None and (refusal := self._refusal(failing)) is not None:
                if path == CHAT:
                    self._note(body, headers).done.set()
                await client.say(refusal)
            elif path == CHAT and self._authorized(headers):
                await self._chat(body, headers, client, failing)
            elif failing is not None and failing.fault == "hang":
                await client.gone(None)
            else:
                await client.say(self._said(path, body, headers))
        finally:
            await client.release()

    def _taken(self, path: str) -> _Failing | None:
        failing = self._failing
        if failing is None or failing.path != path or failing.times <= 0:
            return None
        failing.times -= 1
        return failing

    def _authorized(self, headers: dict[str, str]) -> bool:
        return not self.api_key or headers.get("authorization") == f"Bearer {self.api_key}"

    def _refusal(self, failing: _Failing) -> Said | None:
        """What a fault says in the place of the answer."""
        elsewhere = f"http://127.0.0.1:{self.port}/elsewhere"
        said: dict[str, Said] = {
            "rate": (
                429,
                wire.error(429, "Rate limit exceeded", "Too Many Requests"),
                {"retry-after": failing.retry_after},
            ),
            "error": (500, wire.error(500, "Internal server error", "InternalServerError"), {}),
            "busy": (503, wire.error(503, wire.BUSY, "Service Unavailable"), {}),
            "proxy": (502, PAGE, {}),
            "html": (200, PAGE, {}),
            "redirect": (307, b"", {"location": elsewhere}),
            "overflow": (400, wire.overflow(self.max_model_len, self.max_model_len + 1), {}),
            "roles": (400, wire.error(400, wire.ROLES), {}),
        }
        if failing.path != CHAT and failing.fault in ("garbage", "odd"):
            return 200, ({"data": 5, "count": "many"} if failing.fault == "odd" else PAGE), {}
        return said.get(failing.fault)

    def _said(self, path: str, body: bytes, headers: dict[str, str]) -> Said:
        """The answer of everything but the chat."""
        if path.startswith("/v1") and not self._authorized(headers):
            return 401, {"error": "Unauthorized"}, {}
        if path == "/health":
            return 200, b"", {}
        if path == "/v1/models":
            names = self.models or [self.model]
            return 200, wire.models(names, self.max_model_len, self.owned_by), {}
        if path == "/tokenize" and self.has_tokenize:
            return 200, wire.tokenized(json.loads(body), self.max_model_len), {}
        if path == "/metrics" and self.has_metrics:
            return 200, self._metrics(), {}
        return 404, NOT_FOUND, {}

    def _metrics(self) -> str:
        values = {
            "vllm:num_requests_running": len(self._running),
            "vllm:num_requests_waiting": len(self._line),
            "vllm:kv_cache_usage_perc": sum(self._running.values()) / self.kv_tokens,
            "vllm:prefix_cache_queries_total": self._counters["queries"],
            "vllm:prefix_cache_hits_total": self._counters["hits"],
        }
        return wire.metrics(self.model, values, self.kv_tokens // wire.BLOCK)

    # The chat

    async def _chat(
        self, data: bytes, headers: dict[str, str], client: Client, failing: _Failing | None
    ) -> None:
        received = self._note(data, headers)
        tokens = wire.tokens_of(wire.rendered(received.body))
        received.n_prompt = len(tokens)
        try:
            if failing is not None and failing.fault == "hang":
                await client.gone(None)
            elif (refused := self._refused(received)) is not None:
                await client.say((refused["error"]["code"], refused, {}))
            elif await self._admitted(received, client):
                received.n_cached = self._looked_up(tokens, received.body.get("cache_salt") or "")
                await self._answered(received, client, failing)
        finally:
            self._running.pop(id(received), None)
            if client.left:
                received.left.set()
            received.done.set()

    def _note(self, data: bytes, headers: dict[str, str]) -> Received:
        received = Received(json.loads(data), headers)
        self.received.append(received)
        self._arrived.put(received)
        return received

    def _refused(self, received: Received) -> Json | None:
        model, wanted = received.body.get("model"), received.max_tokens or 0
        roles = [message["role"] for message in received.messages]
        if model not in (self.models or [self.model]):
            message = f"The model `{model}` does not exist."
            return wire.error(404, message, "NotFoundError", "model")
        if self.judge and roles != (["user", "assistant"] * len(roles))[: len(roles)]:
            return wire.error(400, wire.ROLES)
        if received.n_prompt > self.max_model_len:
            return wire.overflow(self.max_model_len, received.n_prompt)
        if wanted > self.max_model_len:
            return wire.too_many_asked(self.max_model_len, wanted)
        return None

    async def _admitted(self, received: Received, client: Client) -> bool:
        """Wait in line for room in the KV cache; False where the client left meanwhile."""
        room = self.max_model_len - received.n_prompt
        wanted = room if received.max_tokens is None else min(room, received.max_tokens)
        self._line.append(received)
        try:
            while self._line[0] is not received or not self._fits(received.n_prompt + wanted):
                if await client.gone(POLL_S):
                    return False
            self._running[id(received)] = received.n_prompt + wanted
            return True
        finally:
            self._line.remove(received)

    def _fits(self, n_tokens: int) -> bool:
        used = sum(self._running.values())
        free = len(self._running) < self.max_num_seqs and used + n_tokens <= self.kv_tokens
        return free or not self._running

    def _looked_up(self, tokens: list[str], salt: str) -> int:
        """Tokens of the prompt that the prefix cache holds; it holds them all from now on."""
        keys = wire.blocks_of(tokens, salt)
        n_known = next((i for i, key in enumerate(keys) if key not in self._cache), len(keys))
        self._cache.update(keys)
        self._counters["queries"] += len(tokens)
        self._counters["hits"] += n_known * wire.BLOCK
        return n_known * wire.BLOCK

    async def _answered(self, received: Received, client: Client, failing: _Failing | None) -> None:
        if self.judge is None:
            said = self.answer(received.body)
        else:
            said = "\n\n" + self.judge(received.messages)
        reply = Reply(said, received, self.model, self.confidence)
        if received.body.get("stream"):
            await self._streamed(reply, received, client, failing)
        elif failing is not None:
            await break_off(failing.fault, client, streaming=False)
        elif not await client.gone(self.first_token_s + len(reply.deltas) / self.tokens_per_s):
            received.n_sent = len(reply.deltas)
            await client.say((200, reply.whole(), {}))

    async def _streamed(
        self, reply: Reply, received: Received, client: Client, failing: _Failing | None
    ) -> None:
        clock = asyncio.get_running_loop().time
        await client.start(200, "text/event-stream; charset=utf-8", {})
        if await client.gone(self.first_token_s):
            return
        await client.write(reply.opening())
        began = clock()
        until = len(reply.deltas) if failing is None else min(failing.after, len(reply.deltas))
        for i in range(until):
            if await client.gone(max(0.0, began + i / self.tokens_per_s - clock())):
                return
            await client.write(reply.token(i))
            received.n_sent += 1
        if failing is not None:
            await break_off(failing.fault, client, streaming=True)
        elif not await client.gone(0):
            await client.end(reply.closing())


@contextmanager
def fake_vllm(**knobs: Any) -> Iterator[FakeVLLM]:
    """A fake on a free port; `knobs` are the attributes that the module lists."""
    fake = FakeVLLM(**knobs)
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()

"""The fake and the real vLLM behind one interface, for tests that must hold of both."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from rag.answer.engine import EngineMetrics
from rag.answer.engine_wire import read_metrics
from tests.fakes.vllm import Call, FakeVLLM, fake_vllm
from tests.vllm.serve import Line, RealVLLM

Json = dict[str, Any]
TIMEOUT_S = 60


class Contract(ABC):
    """A server, what it is to write, and plain requests to it."""

    name: str
    root: str

    @abstractmethod
    def says(self, text: str, *, token_s: float = 0.0) -> None:
        """The answer to every request from now on."""

    @abstractmethod
    def calls(self, name: str, arguments: Json) -> None:
        """The tool call that answers every request from now on."""

    def get(self, path: str) -> httpx2.Response:
        """GET of an address."""
        return httpx2.get(self.root + path, trust_env=False, timeout=TIMEOUT_S)

    def post(self, path: str, body: Json) -> httpx2.Response:
        """POST of JSON."""
        return httpx2.post(self.root + path, json=body, trust_env=False, timeout=TIMEOUT_S)

    def body(self, *contents: str, **more: Any) -> Json:
        """A chat request; `contents` are the user's and the assistant's by turns."""
        roles = ("user", "assistant")
        messages = [
            {"role": roles[i % 2], "content": content} for i, content in enumerate(contents)
        ]
        return {
            "model": self.name,
            "temperature": 0,
            "max_tokens": 40,
            "messages": messages,
            **more,
        }

    def chat(self, *contents: str, **more: Any) -> Json:
        """A whole answer."""
        said = self.post("/v1/chat/completions", self.body(*contents, **more))
        assert said.status_code == 200, said.text
        answer: Json = said.json()
        return answer

    def refusal(self, *contents: str, **more: Any) -> Json:
        """The error in the place of an answer."""
        said = self.post("/v1/chat/completions", self.body(*contents, **more))
        error: Json = said.json()["error"]
        assert error["code"] == said.status_code
        return error

    @contextmanager
    def streamed(self, *contents: str, **more: Any) -> Iterator[Iterator[str]]:
        """The data of each event of a streamed answer; leaving the context hangs up."""
        body = self.body(*contents, stream=True, **more)
        with httpx2.stream(
            "POST",
            f"{self.root}/v1/chat/completions",
            json=body,
            trust_env=False,
            timeout=TIMEOUT_S,
        ) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            yield (line.removeprefix("data: ") for line in response.iter_lines() if line)

    def chunks(self, *contents: str, **more: Any) -> list[Json]:
        """All chunks of a streamed answer, which ends as it should."""
        with self.streamed(*contents, **more) as events:
            *chunks, end = list(events)
        assert end == "[DONE]"
        return [json.loads(chunk) for chunk in chunks]

    def metrics(self) -> EngineMetrics:
        """Its load, as our own client reads it."""
        said = read_metrics(self.get("/metrics").text)
        assert said is not None
        return said


class RealServer(Contract):
    """A real vLLM."""

    def __init__(self, real: RealVLLM) -> None:
        self.real, self.name, self.root = real, real.name, real.root

    def says(self, text: str, *, token_s: float = 0.0) -> None:
        self.real.script(Line(text, token_s=token_s))

    def calls(self, name: str, arguments: Json) -> None:
        self.says(json.dumps({"name": name, "parameters": arguments}))


class FakeServer(Contract):
    """The fake, set up as the real one is."""

    def __init__(self, fake: FakeVLLM) -> None:
        self.fake, self.name, self.root = fake, fake.model, fake.url.removesuffix("/v1")

    @classmethod
    @contextmanager
    def running(cls, window_tokens: int) -> Iterator["FakeServer"]:
        """A fake of the engine."""
        with fake_vllm(model="engine", max_model_len=window_tokens) as fake:
            yield cls(fake)

    @classmethod
    @contextmanager
    def judging(cls, window_tokens: int) -> Iterator["FakeServer"]:
        """A fake of the guard, with the real one's judgement."""

        def judge(messages: list[Json]) -> str:
            text = " ".join(message["content"] for message in messages)
            return "unsafe\nS1" if "poison" in text else "safe"

        with fake_vllm(model="guard", max_model_len=window_tokens, judge=judge) as fake:
            yield cls(fake)

    def says(self, text: str, *, token_s: float = 0.0) -> None:
        self.fake.answer = lambda body: text
        self.fake.tokens_per_s = 1 / token_s if token_s else float("inf")

    def calls(self, name: str, arguments: Json) -> None:
        self.fake.answer = lambda body: [Call(name, json.dumps(arguments))]

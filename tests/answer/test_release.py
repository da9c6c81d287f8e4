"""Sentences and the verdicts that let them out."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer.guard import Verdict
from rag.answer.llama_guard import LlamaGuard
from rag.answer.release import release
from rag.settings import Settings
from tests.fakes.vllm import FakeVLLM, fake_vllm

PASS = Verdict("pass", "safe")
WARN = Verdict("warn", "unsafe", ("S6",))
BLOCK = Verdict("block", "unsafe", ("S1",))


@dataclass
class Scripted:
    """A guard that gives its verdict in a number of turns of the event loop."""

    turns: int = 1
    bad: str = "poison"
    verdict: Verdict = BLOCK
    judged: list[str] = field(default_factory=list)  # asked for
    passed: str = ""  # the longest text that it has let pass

    async def judge(self, question: str, answer: str | None = None) -> Verdict:
        assert answer is not None
        self.judged.append(answer)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.bad in answer and self.verdict.action == "block":
            return self.verdict
        self.passed = answer
        return self.verdict if self.bad in answer else PASS

    async def aclose(self) -> None:
        pass


@dataclass
class Writer:
    """Writes sentences, one in each turn; knows whether it was closed."""

    sentences: Sequence[str]
    error: Exception | None = None
    closed: bool = False
    n_written: int = 0

    async def write(self) -> AsyncGenerator[str, None]:
        try:
            for sentence in self.sentences:
                await asyncio.sleep(0)
                self.n_written += 1
                yield sentence
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def released(writer: Writer, guard: Scripted | None, n_tokens: int = 5) -> list[str | Verdict]:
    async def run() -> list[str | Verdict]:
        out: list[str | Verdict] = []
        before = asyncio.all_tasks()
        async for item in release(writer.write(), str, guard, "?", n_tokens=n_tokens):
            if guard is not None and isinstance(item, str):
                so_far = "".join(i for i in [*out, item] if isinstance(i, str))
                assert guard.passed.startswith(so_far), "released before its verdict"
            out.append(item)
        assert asyncio.all_tasks() == before
        return out

    return asyncio.run(run())


SENTENCES = [f"This is sentence number {n}. " for n in range(12)]


def test_everything_that_passes_comes_out_in_order() -> None:
    writer, guard = Writer(SENTENCES), Scripted()
    assert released(writer, guard) == SENTENCES
    assert guard.judged[-1] == "".join(SENTENCES)


def test_without_a_guard_everything_passes() -> None:
    writer = Writer(SENTENCES)
    assert released(writer, None) == SENTENCES
    assert writer.closed


def test_a_block_is_the_last_thing_that_comes_and_ends_the_writing() -> None:
    writer, guard = Writer([*SENTENCES, "Take poison. ", *SENTENCES * 20]), Scripted()
    *before, last = released(writer, guard)
    assert last == BLOCK
    assert before == SENTENCES[: len(before)]
    assert writer.closed
    assert writer.n_written < len(writer.sentences)


def test_a_warning_comes_before_what_it_covers_and_the_answer_goes_on() -> None:
    guard = Scripted(bad="number 3", verdict=WARN)
    out = released(Writer(SENTENCES), guard, n_tokens=7)
    assert [item for item in out if isinstance(item, str)] == SENTENCES
    assert WARN in out[: out.index(SENTENCES[3])]


def test_what_was_not_covered_when_the_writer_failed_is_not_shown() -> None:
    writer = Writer(SENTENCES[:3], error=OSError("the engine broke off"))
    out: list[str | Verdict] = []

    async def run() -> None:
        async for item in release(writer.write(), str, guard, "?", n_tokens=10_000):
            out.append(item)  # noqa: PERF401  a comprehension would lose them all to the error

    guard = Scripted(turns=50)
    with pytest.raises(OSError, match="broke off"):
        asyncio.run(run())
    assert out == SENTENCES[: len(out)]
    assert "".join(out) == guard.passed


def test_a_reader_who_leaves_ends_writing_and_judging() -> None:
    writer, guard = Writer(SENTENCES), Scripted(turns=1000)

    async def run() -> None:
        before = asyncio.all_tasks()
        stream = release(writer.write(), str, guard, "?")
        waiting = asyncio.ensure_future(anext(stream))
        for _ in range(10):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await stream.aclose()
        assert asyncio.all_tasks() == before

    asyncio.run(run())
    assert writer.closed
    assert guard.passed == ""


def test_many_tiny_items_all_come_out() -> None:
    items = [f"- {n}\n" for n in range(300)]
    assert released(Writer(items), Scripted(), n_tokens=200) == items


def test_a_guard_killed_in_mid_answer_ends_it_and_works_again_when_it_is_back() -> None:
    async def run(server: FakeVLLM, kill_after: int | None) -> list[str | Verdict]:
        guard = LlamaGuard(Settings(guard_url=server.url))
        out: list[str | Verdict] = []
        async with aclosing(release(write(), str, guard, "?", n_tokens=10)) as stream:
            async for item in stream:
                out.append(item)
                if len(out) == kill_after:
                    server.stop()
        await guard.aclose()
        return out

    async def write() -> AsyncGenerator[str, None]:
        for sentence in sentences:
            yield sentence

    sentences = SENTENCES * 20
    with fake_vllm(judge=lambda messages: "safe") as server:
        *shown, last = asyncio.run(run(server, kill_after=1))
        assert isinstance(last, Verdict)
        assert (last.action, last.label, last.reason) == ("block", "none", "down")
        assert shown == sentences[: len(shown)]
        assert len(shown) < len(sentences)
        server.start()
        assert asyncio.run(run(server, kill_after=None)) == sentences


def test_a_failing_guard_shows_nothing_and_closes_the_writer() -> None:
    writer = Writer(SENTENCES)
    guard = Scripted(bad="", verdict=Verdict("block", "none", reason="slow"))
    assert released(writer, guard) == [guard.verdict]
    assert writer.closed


@given(
    lengths=st.lists(st.integers(0, 400), max_size=40),
    turns=st.integers(0, 30),
    bad=st.none() | st.integers(0, 39),
)
def test_nothing_comes_out_uncovered_and_verdicts_are_few(
    lengths: list[int], turns: int, bad: int | None
) -> None:
    sentences = [("poison" if n == bad else "") + "x" * length for n, length in enumerate(lengths)]
    writer, guard = Writer(sentences), Scripted(turns=turns)
    out = released(writer, guard, n_tokens=50)
    hit = bad is not None and bad < len(sentences)
    shown = [item for item in out if isinstance(item, str)]
    assert (out[-1:] == [BLOCK]) == hit
    assert shown == sentences[: len(shown)]
    assert len(shown) == len(sentences) or hit
    n_tokens = sum(map(len, sentences)) / 4
    assert len(guard.judged) <= n_tokens / 50 + 2

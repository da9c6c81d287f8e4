"""Admission under load: who waits for the engine how long, and how full its cache is.

A simulated engine with a KV cache of 480,000 tokens (Llama 3.3 70B, BF16, four H100) holds each
request for the time that reading its prompt and writing 300 tokens would take (8.5, 12 and 28 s for
8k, 32k and 128k). The product's own client speaks to it over HTTP. One token of the simulation
stands for 32 and one of its seconds for 20; the tables have the real sizes and times, so that what
takes client and server 5 ms shows as 0.1 s. The baseline is no admission: the engine's own line,
first come, first served, as vLLM has it.
"""

import asyncio
import random
import statistics
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field
from typing import Any

from rag.answer.admission import Admission
from rag.answer.engine import EngineMetrics, Message
from rag.answer.openai_engine import OpenAIEngine
from rag.errors import EngineBusy
from rag.settings import Settings
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress
from tests.fakes import vllm_wire
from tests.fakes.vllm import FakeVLLM, fake_vllm

NEEDS = ()
UNIT, SPEED = 32, 20  # tokens and seconds that one of the simulation stands for
KV_TOKENS = 480_000
ANSWER_TOKENS = 1024  # kept free for an answer
CONCURRENCY = WAITING = 64  # as the settings have them
HELD_S = {8_192: 8.5, 32_768: 12.0, 131_072: 28.0}  # by tokens of prompt and answer
TOKENS_PER_S = 20  # of the simulation's, in which no token means anything
SAMPLE_S = 0.05
LOAD = 1.2  # of what the cache can hold, by tokens and seconds: a rush
MIXES = {
    "mostly 8k (90, 8, 2 %)": (0.90, 0.08, 0.02),
    "mixed (70, 20, 10 %)": (0.70, 0.20, 0.10),
    "many long (40, 30, 30 %)": (0.40, 0.30, 0.30),
}
PLACES, TOO_MANY = 8, 10  # that may wait, and that find no place
TEMPLATE_TOKENS = len(  # that the simulated template adds to a message
    vllm_wire.tokens_of(
        vllm_wire.rendered(
            {
                "messages": [{"role": "user", "content": ""}],
                "chat_template_kwargs": {"date_string": "26 Nov 2026"},
            }
        )
    )
)

Gate = Callable[[int], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of the load: when it comes, and the tokens of its prompt and answer."""

    at_s: float
    size: int


@dataclass(slots=True)
class Played:
    """What became of a load; times in the simulation's seconds."""

    waits_s: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in HELD_S})
    samples: list[EngineMetrics] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def kv_share(self) -> float:
        """Mean share of the cache in use."""
        return statistics.fmean(sample.kv_usage for sample in self.samples)


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Admission", __doc__.split("\n\n", 1)[1].replace("\n", " "), quick=run.quick)
    with fake_vllm(
        answer=_answer, tokens_per_s=TOKENS_PER_S, kv_tokens=KV_TOKENS // UNIT, max_num_seqs=256
    ) as fake:
        _print_concurrency(fake, run.pick(3.0, 1.5))
        _print_waits(fake, run)
        _print_refusals(fake)


def _print_concurrency(fake: FakeVLLM, for_s: float) -> None:
    """Each size by itself, with twice as many requests as fit."""
    rows: list[list[Cell]] = []
    for size in HELD_S:
        progress(f"only {size:,} tokens")
        fits = KV_TOKENS // size
        n_turns = max(1, round(for_s * SPEED / HELD_S[size]))
        asks = [Ask(0.0, size)] * (2 * fits * n_turns)
        played = asyncio.run(_play(fake, asks, waiting=len(asks)))
        most = max(sample.running for sample in played.samples)
        full = [sample.kv_usage for sample in played.samples if sample.waiting or sample.running]
        rows.append([f"{size:,}", fits, most, max(full), _middle_share(played)])
    header = ("tokens of a request", "fit by the plan", "ran at once", "most of the cache")
    print_table((*header, "of the cache, middle half"), rows)


def _middle_share(played: Played) -> float:
    n = len(played.samples)
    middle = played.samples[n // 4 : max(n // 4 + 1, 3 * n // 4)]
    return statistics.fmean(sample.kv_usage for sample in middle)


def _print_waits(fake: FakeVLLM, run: Run) -> None:
    rows: list[list[Cell]] = []
    for name, shares in MIXES.items():
        asks = _load(shares, run.pick(9.0, 2.0))
        progress(f"{name}: {len(asks)} requests")
        before = asyncio.run(_play(fake, asks, waiting=None))
        ours = asyncio.run(_play(fake, asks, waiting=len(asks)))
        for way, played in (("the engine's own line", before), ("**admission**", ours)):
            rows.append([f"{name}: {way}", len(asks), *_waits(played), played.kv_share])
            rows[-1].append(played.took_s * SPEED)
        rows.append(["… ÷ the engine's own line", None, *_ratios(before, ours)])
    sizes = [f"{size // 1024}k" for size in HELD_S]
    means = [f"{size} waits, s: mean" for size in sizes]
    header = ("load", "n", means[0], "p95", means[1], means[2], "longest", "cache in use", "all, s")
    print_table(header, rows)
    print_line(
        f"Requests come at random times, as many as fill {LOAD:.0%} of the cache on average; both"
        " ways get the same ones at the same times, and none is sent away."
    )


def _waits(played: Played) -> list[float]:
    small, middle, large = ([SPEED * s for s in waits] for waits in played.waits_s.values())
    p95 = statistics.quantiles(small, n=20)[-1] if len(small) > 1 else small[0]
    return [
        statistics.fmean(small),
        p95,
        statistics.fmean(middle or [0.0]),
        statistics.fmean(large or [0.0]),
        max(large, default=0.0),
    ]


def _ratios(before: Played, ours: Played) -> list[Cell]:
    pairs = zip(_waits(before), _waits(ours), strict=True)
    ratios: list[Cell] = [mine / theirs if theirs else None for theirs, mine in pairs]
    return [*ratios, ours.kv_share / before.kv_share, ours.took_s / before.took_s]


def _load(shares: Sequence[float], for_s: float) -> list[Ask]:
    """Requests at random times over `for_s` of the simulation's seconds."""
    chance = random.Random(1)
    weights = dict(zip(HELD_S, shares, strict=True))
    held = sum(share * size * HELD_S[size] / SPEED for size, share in weights.items())
    rate = LOAD * KV_TOKENS / held  # requests a second
    asks, at_s = [], chance.expovariate(rate)
    while at_s < for_s:
        asks.append(Ask(at_s, chance.choices(list(weights), list(weights.values()))[0]))
        at_s += chance.expovariate(rate)
    return asks


# The simulation


async def _play(fake: FakeVLLM, asks: Sequence[Ask], *, waiting: int | None) -> Played:
    """Put a load to the engine, through an admission with so many places or without one."""
    played = Played()
    gate: Gate = _open
    if waiting is not None:
        gate = Admission(KV_TOKENS // UNIT, CONCURRENCY, waiting, wait_s=600).admit
    clock = asyncio.get_running_loop().time
    async with _engine(fake) as engine:
        sampling = asyncio.create_task(_sample(engine, played))
        began = clock()

        async def one(ask: Ask) -> None:
            await asyncio.sleep(max(0.0, began + ask.at_s - clock()))
            played.waits_s[ask.size].append(await _asked(engine, ask.size, gate))

        async with asyncio.TaskGroup() as group:
            for ask in asks:
                group.create_task(one(ask))
        played.took_s = clock() - began
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    return played


def _open(_: int) -> AbstractAsyncContextManager[None]:
    """No admission."""
    return nullcontext()


@asynccontextmanager
async def _engine(fake: FakeVLLM) -> AsyncGenerator[OpenAIEngine]:
    settings = Settings(
        engine_url=fake.url, engine_first_token_timeout_s=600, engine_token_timeout_s=600
    )
    engine = OpenAIEngine(settings)
    await engine.info()
    try:
        yield engine
    finally:
        await engine.aclose()


async def _asked(engine: OpenAIEngine, size: int, gate: Gate) -> float:
    """One request to its end; seconds until its first token, which is until it was let in."""
    clock = asyncio.get_running_loop().time
    began, first = clock(), 0.0
    async with gate(size // UNIT):
        stream = engine.stream(_messages(size), max_tokens=ANSWER_TOKENS // UNIT)
        async with aclosing(stream) as deltas:
            async for _ in deltas:
                first = first or clock()
    return first - began


async def _sample(engine: OpenAIEngine, played: Played) -> None:
    while True:
        metrics = await engine.metrics()
        assert metrics is not None
        played.samples.append(metrics)
        await asyncio.sleep(SAMPLE_S)


def _messages(size: int) -> list[Message]:
    """A prompt that fills `size` together with its answer's reserve, and says its size first."""
    n_words = (size - ANSWER_TOKENS) // UNIT - TEMPLATE_TOKENS
    return [{"role": "user", "content": f"{size}{' word' * n_words}"}]


def _answer(body: dict[str, Any]) -> str:
    """As many tokens as take the time for which the request is to be held."""
    size = int(body["messages"][0]["content"].split(" ", 1)[0])
    return " word" * (1 + round(HELD_S[size] / SPEED * TOKENS_PER_S))


# Refusing


def _print_refusals(fake: FakeVLLM) -> None:
    progress("refusals")
    rows = [asyncio.run(_refused(fake, size)) for size in HELD_S]
    header = ("tokens of a request", "came at once", "ran", "waited", "429", "Retry-After, s")
    print_table((*header, "let in on return"), rows)
    print_line(
        f"With {PLACES} waiting places instead of {WAITING}. Retry-After is in whole seconds of the"
        " simulation; who was refused came back once, after that time."
    )


async def _refused(fake: FakeVLLM, size: int) -> list[Cell]:
    """More requests at once than can run and wait."""
    admission = Admission(KV_TOKENS // UNIT, CONCURRENCY, PLACES, wait_s=600)
    told_s: list[int] = []
    n_back = 0
    async with _engine(fake) as engine:
        await _asked(engine, size, admission.admit)  # one that tells how long they take

        async def one() -> None:
            nonlocal n_back
            try:
                await _asked(engine, size, admission.admit)
            except EngineBusy as busy:
                told_s.append(busy.retry_after_s)
                await asyncio.sleep(busy.retry_after_s)
                with suppress(EngineBusy):
                    await _asked(engine, size, admission.admit)
                    n_back += 1

        n_asked = KV_TOKENS // size + PLACES + TOO_MANY
        tasks = [asyncio.create_task(one()) for _ in range(n_asked)]
        await asyncio.sleep(SAMPLE_S)
        ran, waited = admission.n_running, admission.n_waiting
        await asyncio.gather(*tasks)
    told = f"{min(told_s)} to {max(told_s)}"
    return [f"{size:,}", n_asked, ran, waited, len(told_s), told, n_back]

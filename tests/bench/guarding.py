"""What the guard costs: time to the first sentence and to the end, and verdicts asked for.

A simulated engine writes 40 tokens a second in sentences of 20 tokens, a simulated guard takes 100
ms for a verdict that always passes; what lies between them is the product's own `release`. The
baseline is the same answer without a guard. Only waiting is measured: neither model runs.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from rag.answer.guard import Guard, Verdict
from rag.answer.release import CHARS_PER_TOKEN, N_TOKENS, release
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress

NEEDS = ()
TOKENS_PER_S = 40
SENTENCE_TOKENS = 20
VERDICT_S = 0.1
LENGTHS = (60, 200, 600)
HEADER = (
    "guard",
    "first sentence, s",
    "added, s",
    "end, s",
    "added, s",
    "longest wait, s",
    "verdicts",
    "allowed",
)


@dataclass
class TimedGuard:
    """Lets everything pass, after a time."""

    n_verdicts: int = 0

    async def judge(self, question: str, answer: str | None = None) -> Verdict:
        """Pass."""
        self.n_verdicts += 1
        await asyncio.sleep(VERDICT_S)
        return Verdict("pass", "safe", (), 0.0, "", VERDICT_S * 1000)

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer: when its sentences came, from the first token on."""

    first_s: float
    end_s: float
    gap_s: float  # the longest time between two sentences
    n_verdicts: int


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Guarding", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    repeats = run.pick(2, 1)
    for n_tokens in run.pick(LENGTHS, LENGTHS[:1]):
        progress(f"{n_tokens} tokens")
        # One at a time, so that only one clock runs.
        plain = _median([asyncio.run(_timed(n_tokens, None)) for _ in range(repeats)])
        guarded = _median([asyncio.run(_timed(n_tokens, TimedGuard())) for _ in range(repeats)])
        print_line(f"An answer of {n_tokens} tokens, median of {repeats}:")
        rows: list[list[Cell]] = [
            ["none (baseline)", plain.first_s, 0.0, plain.end_s, 0.0, plain.gap_s, 0, 0],
            [
                "100 ms a verdict",
                guarded.first_s,
                guarded.first_s - plain.first_s,
                guarded.end_s,
                guarded.end_s - plain.end_s,
                guarded.gap_s,
                guarded.n_verdicts,
                n_tokens // N_TOKENS + 2,
            ],
        ]
        print_table(HEADER, rows)
    print_line(
        "The question's own verdict is not in these figures: it is asked for while passages are "
        f"retrieved. After the first sentence the next come together, some {N_TOKENS} tokens at a "
        "time: the longest wait is what a reader sees of it."
    )


async def _timed(n_tokens: int, guard: TimedGuard | None) -> Timed:
    loop_guard: Guard | None = guard
    began = time.perf_counter()
    came = []
    stream = release(_written(n_tokens), str, loop_guard, "How long is the notice period?")
    async with aclosing(stream):
        async for item in stream:
            assert isinstance(item, str)
            came.append(time.perf_counter() - began)
    assert len(came) == n_tokens // SENTENCE_TOKENS
    gap_s = float(np.diff(came).max(initial=0.0))
    return Timed(came[0], came[-1], gap_s, guard.n_verdicts if guard else 0)


async def _written(n_tokens: int) -> AsyncGenerator[str, None]:
    """Sentences as the engine writes them, against the clock and not against the reader."""
    sentence = "x" * (SENTENCE_TOKENS * CHARS_PER_TOKEN - 2) + ". "
    clock = asyncio.get_running_loop().time
    began = clock()
    for n_written in range(SENTENCE_TOKENS, n_tokens + 1, SENTENCE_TOKENS):
        await asyncio.sleep(max(0.0, began + n_written / TOKENS_PER_S - clock()))
        yield sentence


def _median(runs: list[Timed]) -> Timed:
    """The median of each figure."""
    return Timed(
        float(np.median([run.first_s for run in runs])),
        float(np.median([run.end_s for run in runs])),
        float(np.median([run.gap_s for run in runs])),
        max(run.n_verdicts for run in runs),
    )

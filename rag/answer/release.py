"""Sentences are held until a verdict of the guard covers them, while the next ones are written.

The first verdict is asked for as soon as there is a sentence, the next ones each time some two
hundred tokens more are waiting, and the last at the end: an answer of n tokens costs at most
n / 200 + 2 verdicts. Each one judges the whole answer so far, and covers no more than that.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from rag.answer.guard import Guard, Verdict

T = TypeVar("T")

CHARS_PER_TOKEN = 4
N_TOKENS = 200  # that are waiting before the next verdict is asked for
AHEAD = 4  # times as much may be held while a verdict is awaited; then the writer waits


async def release(
    items: AsyncGenerator[T, None],
    text_of: Callable[[T], str],
    guard: Guard | None,
    question: str,
    *,
    n_tokens: int = N_TOKENS,
) -> AsyncGenerator[T | Verdict, None]:
    """Yield items once the guard has let them pass; closes `items` at the end, whatever it is.

    A verdict that warns is yielded before what it covers. One that blocks is the last thing
    yielded, and nothing that it covers comes out. What `items` raises is raised here, after what
    was covered and without what was not.
    """
    async with aclosing(items):
        if guard is None:
            async for item in items:
                yield item
            return
        holding = _Holding(items, text_of, guard, question, n_tokens * CHARS_PER_TOKEN)
        async with aclosing(holding.run()) as released:
            async for out in released:
                yield out


class _Holding(Generic[T]):
    """What has been written, how much of it is held, and the two things that are under way."""

    def __init__(
        self,
        items: AsyncGenerator[T, None],
        text_of: Callable[[T], str],
        guard: Guard,
        question: str,
        enough_chars: int,
    ) -> None:
        self._items, self._text_of = items, text_of
        self._guard, self._question, self._enough_chars = guard, question, enough_chars
        self._written = ""
        self._held: deque[T] = deque()
        self._held_chars = 0  # of those that no verdict, had or awaited, covers
        self._covered = 0  # of the held ones, by the verdict under way
        self._n_verdicts = 0
        self._ended = False
        self._error: Exception | None = None

    async def run(self) -> AsyncGenerator[T | Verdict, None]:
        reading: asyncio.Task[T | None] | None = None
        judging: asyncio.Task[Verdict] | None = None
        try:
            while not self._ended or self._held or judging:
                if reading is None and not self._ended and self._has_room():
                    reading = asyncio.ensure_future(anext(self._items, None))
                if judging is None and self._is_time():
                    judging = self._judge()
                if reading is None and judging is None:
                    break  # the writer has failed: what is held was never covered
                under_way = {task for task in (reading, judging) if task is not None}
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                if reading is not None and reading.done():
                    self._take(reading)
                    reading = None
                if judging is not None and judging.done():
                    verdict, judging = judging.result(), None
                    if verdict.action != "pass":
                        yield verdict
                    if verdict.action == "block":
                        return
                    for _ in range(self._covered):
                        yield self._held.popleft()
            if self._error is not None:
                raise self._error
        finally:
            await _ended_both(reading, judging)

    def _has_room(self) -> bool:
        return self._held_chars < AHEAD * self._enough_chars

    def _is_time(self) -> bool:
        if not self._held or self._error is not None:
            return False
        first = self._n_verdicts == 0 and self._held_chars > 0
        return first or self._ended or self._held_chars >= self._enough_chars

    def _judge(self) -> "asyncio.Task[Verdict]":
        self._n_verdicts += 1
        self._covered, self._held_chars = len(self._held), 0
        return asyncio.ensure_future(self._guard.judge(self._question, self._written))

    def _take(self, reading: "asyncio.Task[T | None]") -> None:
        error = reading.exception()
        if isinstance(error, Exception):
            self._error, self._ended = error, True
            return
        item = reading.result()
        if item is None:
            self._ended = True
            return
        text = self._text_of(item)
        self._written += text
        self._held_chars += len(text)
        self._held.append(item)


async def _ended_both(*tasks: "asyncio.Task[object] | asyncio.Task[Verdict] | None") -> None:
    """Cancel what is still under way and wait until it has ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)

"""Who may use the engine now: requests are let in by the KV tokens that they will hold.

A request takes its prompt and the reserve for its answer out of the engine's KV cache. What doesn't
fit any more waits here, where places are counted, small ones can pass large ones and a reader is
told to come back later, and not inside the engine, which does none of that.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rag.errors import ContextOverflow, EngineBusy

N_RECENT = 64  # requests that the estimate of a wait is made from
UNKNOWN_S = 10.0  # how long a request is taken to run before one has ended
MAX_RETRY_AFTER_S = 120


@dataclass(eq=False, slots=True)
class _Place:
    """A request that waits."""

    n_tokens: int
    admitted: "asyncio.Future[None]"
    passed_tokens: int = field(default=0)  # of those that came later and were let in earlier


class Admission:
    """Lets in at most `concurrency` requests that hold `kv_tokens` together. One event loop.

    They are let in as they came, but one that fits may pass those before it that don't. No request
    is passed by more than `kv_tokens` in all: then nobody passes it, and it gets in as soon as
    enough of those that run have ended.
    """

    def __init__(self, kv_tokens: int, concurrency: int, waiting: int, wait_s: float) -> None:
        self.kv_tokens = kv_tokens
        self._concurrency = concurrency
        self._n_places = waiting
        self._wait_s = wait_s
        self._line: deque[_Place] = deque()
        self._recent: deque[tuple[int, float]] = deque(maxlen=N_RECENT)  # tokens, seconds held
        self.n_running = 0
        self.tokens_in_use = 0

    @property
    def n_waiting(self) -> int:
        """Requests that wait."""
        return len(self._line)

    def check_room(self) -> None:
        """See whether one more could run or wait, before anything is done for it.

        Raises:
            EngineBusy: every waiting place is taken.
        """
        if 0 < self._n_places <= len(self._line):
            raise self._full(0)

    @asynccontextmanager
    async def admit(self, n_tokens: int) -> AsyncGenerator[None, None]:
        """Hold `n_tokens` (prompt and answer's reserve) of the engine's cache inside the block.

        Raises:
            ContextOverflow: it would never fit.
            EngineBusy: every waiting place is taken, or the wait has become too long.
        """
        if n_tokens > self.kv_tokens:
            raise ContextOverflow(
                f"the request needs {n_tokens:,} tokens of the engine's cache,"
                f" which holds {self.kv_tokens:,}",
                hint="Ask with less depth, or set engine_kv_tokens to what the engine has.",
            )
        await self._enter(n_tokens)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            yield
        finally:
            self._recent.append((n_tokens, clock() - began))
            self._leave(n_tokens)

    async def _enter(self, n_tokens: int) -> None:
        if self._may_enter(n_tokens, list(self._line)):
            self._take(n_tokens, list(self._line))
            return
        if len(self._line) >= self._n_places:
            raise self._full(n_tokens)
        place = _Place(n_tokens, asyncio.get_running_loop().create_future())
        self._line.append(place)
        try:
            async with asyncio.timeout(self._wait_s):
                await place.admitted
        except BaseException as error:
            self._give_up(place)
            if isinstance(error, TimeoutError):
                waited = f"the engine had no room for {self._wait_s:g} s"
                raise self._busy(n_tokens, waited) from error
            raise

    def _give_up(self, place: _Place) -> None:
        """Leave the line, or give back what was granted in the same moment."""
        if place in self._line:
            self._line.remove(place)
            self._let_in()
        else:
            self._leave(place.n_tokens)

    def _may_enter(self, n_tokens: int, ahead: list[_Place]) -> bool:
        fits = self.tokens_in_use + n_tokens <= self.kv_tokens
        return (
            fits
            and self.n_running < self._concurrency
            and all(place.passed_tokens + n_tokens <= self.kv_tokens for place in ahead)
        )

    def _take(self, n_tokens: int, ahead: list[_Place]) -> None:
        self.n_running += 1
        self.tokens_in_use += n_tokens
        for place in ahead:
            place.passed_tokens += n_tokens

    def _leave(self, n_tokens: int) -> None:
        self.n_running -= 1
        self.tokens_in_use -= n_tokens
        self._let_in()

    def _let_in(self) -> None:
        """Let in whoever may, first come first served."""
        ahead: list[_Place] = []
        for place in list(self._line):
            if place.admitted.done():
                continue  # cancelled, and about to leave the line
            if self._may_enter(place.n_tokens, ahead):
                self._take(place.n_tokens, ahead)
                self._line.remove(place)
                place.admitted.set_result(None)
            else:
                ahead.append(place)

    def _full(self, n_tokens: int) -> EngineBusy:
        return self._busy(n_tokens, f"{len(self._line)} questions wait for the engine already")

    def _busy(self, n_tokens: int, why: str) -> EngineBusy:
        retry_after_s = self._retry_after_s(n_tokens)
        return EngineBusy(why, hint=f"Ask again in {retry_after_s} s.", retry_after_s=retry_after_s)

    def _retry_after_s(self, n_tokens: int) -> int:
        """Time until those that wait now and this one would have been let in.

        A token is held for so many seconds on average, so `kv_tokens` of them turn over in that
        time, and so do `concurrency` requests.
        """
        total = sum(tokens for tokens, _ in self._recent)
        held = sum(tokens * seconds for tokens, seconds in self._recent)
        held_s = held / total if total else UNKNOWN_S
        wanted = n_tokens + sum(place.n_tokens for place in self._line)
        turns = max(wanted / self.kv_tokens, (1 + len(self._line)) / self._concurrency)
        return max(1, min(MAX_RETRY_AFTER_S, math.ceil(held_s * turns)))

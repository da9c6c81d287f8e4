"""How much one caller may ask for: requests a minute, answers at once, an engine's tokens an hour.

A caller is a person or the operator, by whichever of their sessions and keys: who makes ten keys
has no more than with one. Counted in this process, in windows that slide.
"""

import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from math import ceil
from typing import cast

from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from rag.answer.events import Event, Final
from rag.api.border.auth import Caller
from rag.errors import TooManyRequests
from rag.settings import Settings

ANSWERS_RETRY_S = 5


@dataclass(frozen=True, slots=True)
class Shares:
    """What one caller may have of the server."""

    requests_per_minute: int
    tokens_per_hour: int
    answers_at_once: int

    @classmethod
    def of(cls, settings: Settings) -> "Shares":
        """Those that the settings name."""
        return cls(
            settings.caller_requests_per_minute,
            settings.caller_tokens_per_hour,
            settings.caller_answers_at_once,
        )


class Quotas:
    """Keeps count. Belongs to the event loop."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(shares.requests_per_minute)
        self._tokens = RateLimitItemPerHour(shares.tokens_per_hour)
        self._held: Counter[str] = Counter()

    def admit(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            TooManyRequests: it is one too many.
        """
        if not self._windows.hit(self._requests, "requests", _name(caller)):
            raise _too_many(
                f"more than {self._shares.requests_per_minute:,} requests in a minute",
                "CITADEL_CALLER_REQUESTS_PER_MINUTE",
                self._seconds_left(self._requests, "requests", caller),
            )

    @contextmanager
    def answering(self, caller: Caller) -> Iterator[None]:
        """Hold one of the caller's places while an answer is made.

        Raises:
            TooManyRequests: all are taken, or the hour's tokens are spent.
        """
        with self.place(caller):
            if not self._windows.test(self._tokens, "tokens", _name(caller)):
                raise _too_many(
                    f"the {self._shares.tokens_per_hour:,} tokens of an hour are spent",
                    "CITADEL_CALLER_TOKENS_PER_HOUR",
                    self._seconds_left(self._tokens, "tokens", caller),
                )
            yield

    @contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Hold one of the caller's places while an answer is made or a run is watched.

        Raises:
            TooManyRequests: all are taken.
        """
        name = _name(caller)
        if self._held[name] >= self._shares.answers_at_once:
            raise _too_many(
                f"{self._held[name]} answers are being made for you already, or runs watched",
                "CITADEL_CALLER_ANSWERS_AT_ONCE",
                ANSWERS_RETRY_S,
            )
        self._held[name] += 1
        try:
            yield
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]

    def spend(self, caller: Caller, n_tokens: int) -> None:
        """Count what an engine has read and written; the last answer may exceed what is left."""
        name = _name(caller)
        left = self._windows.get_window_stats(self._tokens, "tokens", name).remaining
        if cost := min(n_tokens, left):
            self._windows.hit(self._tokens, "tokens", name, cost=cost)

    def _seconds_left(self, item: RateLimitItem, what: str, caller: Caller) -> int:
        stats = self._windows.get_window_stats(item, what, _name(caller))
        return max(1, ceil(stats.reset_time - time.time()))

    async def counted(
        self, caller: Caller, events: AsyncIterator[Event]
    ) -> AsyncGenerator[Event, None]:
        """The events of an answer, whose tokens are the caller's."""
        async with aclosing(cast(AsyncGenerator[Event, None], events)) as stream:
            async for event in stream:
                if isinstance(event, Final) and event.usage is not None:
                    self.spend(caller, event.usage.prompt_tokens + event.usage.answer_tokens)
                yield event


def _name(caller: Caller) -> str:
    return str(caller.owner)


def _too_many(message: str, setting: str, retry_after_s: int) -> TooManyRequests:
    hint = f"Wait, or ask your administrator to raise {setting}."
    return TooManyRequests(message, hint=hint, retry_after_s=retry_after_s)

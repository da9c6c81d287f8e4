"""Guessing passwords is made slow, without locking anybody out for good.

Failures are counted for each name from each address, for each name, and for each address, and each
count has attempts that are free; beyond them, each failure doubles the time until the next attempt,
up to a minute. The count of a name or an address alone could be driven up by someone else, so it
does not hold for a name that has signed in from the same address before: whoever guesses from
elsewhere cannot keep out who works from here. A login link always works.

What is counted is forgotten after a quarter of an hour without failures, and never takes more than
a fixed amount of memory.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from rag.errors import TooManyRequests

FREE_OF_PAIR, FREE_OF_NAME, FREE_OF_ADDRESS = 4, 20, 50
LONGEST_WAIT_S = 60.0
FORGET_S = 900.0
MOST = 10_000  # entries of one kind; the oldest makes room


class _Failures:
    """Failures by something, and how long it has to wait for them."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._counts: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def wait_s(self, key: Hashable, now: float) -> float:
        n, last = self._counts.get(key, (0, now))
        if n < self._free:
            return 0.0
        waits = min(2.0 ** min(n - self._free, 16), LONGEST_WAIT_S)
        return max(0.0, last + waits - now)

    def add(self, key: Hashable, now: float) -> None:
        while self._counts:
            oldest, (_, last) = next(iter(self._counts.items()))
            if now - last < FORGET_S and len(self._counts) < MOST:
                break
            del self._counts[oldest]
        n, _ = self._counts.pop(key, (0, now))
        self._counts[key] = (n + 1, now)

    def take_back(self, key: Hashable) -> None:
        n, last = self._counts.get(key, (0, 0.0))
        if n > 1:
            self._counts[key] = (n - 1, last)
        else:
            self.forget(key)

    def forget(self, key: Hashable) -> None:
        self._counts.pop(key, None)


class Attempts:
    """The attempts to sign in. Not thread-safe: belongs to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pairs = _Failures(FREE_OF_PAIR)
        self._names = _Failures(FREE_OF_NAME)
        self._addresses = _Failures(FREE_OF_ADDRESS)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, name: str, address: str) -> None:
        """Let an attempt begin; it counts as failed until it has succeeded.

        Raises:
            TooManyRequests: there were too many, and it must wait.
        """
        now = self._clock()
        counted = self._counted(name, address)
        wait_s = max(failures.wait_s(key, now) for failures, key in counted)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            raise TooManyRequests(
                "too many attempts to sign in have failed",
                hint=f"Wait {seconds} seconds, or ask your administrator for a login link.",
                retry_after_s=seconds,
            )
        for failures, key in counted:
            failures.add(key, now)

    def succeeded(self, name: str, address: str) -> None:
        """The attempt that has begun was a good one."""
        for failures, key in self._counted(name, address):
            failures.take_back(key)
        self._pairs.forget((name, address))
        self._known[name, address] = None
        self._known.move_to_end((name, address))
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def _counted(self, name: str, address: str) -> list[tuple[_Failures, Hashable]]:
        pair = (name, address)
        if pair in self._known:
            return [(self._pairs, pair)]
        return [(self._pairs, pair), (self._names, name), (self._addresses, address)]

"""Guessing passwords is made slow, without locking anybody out for good.

Failures are counted for each name from each address, for each name, and for each address, and each
count has attempts that are free; beyond them, each failure doubles the time until the next attempt,
up to a minute. The count of a name or an address alone could be driven up by someone else, so it
does not hold for a name that has signed in from the same address before: whoever guesses from
elsewhere cannot keep out who works from here. A login link that is good always works; those that
are not any more are counted by the address.

A name counts as one however it is written, and so does a network of the sixth version of IP, of
which whoever has one address has all.

What is counted is forgotten after a quarter of an hour without failures, and never takes more than
a fixed amount of memory.
"""

import ipaddress
import math
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable

from rag.errors import TooManyRequests

FREE_OF_PAIR, FREE_OF_NAME, FREE_OF_ADDRESS = 4, 20, 50
LONGEST_WAIT_S = 60.0
FORGET_S = 900.0
IPV6_PREFIX = 64
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
        self._links = _Failures(FREE_OF_ADDRESS)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, name: str, address: str) -> None:
        """Let an attempt begin; it counts as failed until it has succeeded.

        Raises:
            TooManyRequests: there were too many, and it must wait.
        """
        self._begin(self._counted(*_plain(name, address)))

    def link_failed(self, address: str) -> None:
        """Count a login link that was good once.

        Raises:
            TooManyRequests: there were too many.
        """
        self._begin([(self._links, _network(address))])

    def _begin(self, counted: list[tuple[_Failures, Hashable]]) -> None:
        now = self._clock()
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
        pair = _plain(name, address)
        for failures, key in self._counted(*pair):
            failures.take_back(key)
        self._pairs.forget(pair)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def _counted(self, name: str, address: str) -> list[tuple[_Failures, Hashable]]:
        pair = (name, address)
        if pair in self._known:
            return [(self._pairs, pair)]
        return [(self._pairs, pair), (self._names, name), (self._addresses, address)]


def _plain(name: str, address: str) -> tuple[str, str]:
    """A name and an address as they are counted."""
    return unicodedata.normalize("NFKC", name).casefold(), _network(address)


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, IPV6_PREFIX), strict=False))

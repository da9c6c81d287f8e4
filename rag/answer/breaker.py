"""A circuit breaker: a server that keeps failing is left alone for a while."""

import math
import threading
import time
from collections.abc import Callable

from rag.errors import EngineUnavailable


class CircuitBreaker:
    """Opens after `threshold` failures in a row and then lets one request through per `open_s`.

    The first sign of life closes it, and only a whole success makes it forget. A request that was
    let through and never reports back costs nothing: after `open_s` the next one may try.
    Thread-safe.
    """

    def __init__(
        self,
        threshold: int = 3,
        open_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        name: str = "the engine",
    ) -> None:
        self._threshold = threshold
        self._open_s = open_s
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._n_failures = 0
        self._next_try = -math.inf

    def check(self) -> None:
        """Call before a request.

        Raises:
            EngineUnavailable: it has failed too often just now; the request is not to be made.
        """
        with self._lock:
            if self._n_failures < self._threshold:
                return
            wait_s = self._next_try - self._clock()
            if wait_s <= 0:
                self._next_try = self._clock() + self._open_s
                return
            n_failures = self._n_failures
        raise EngineUnavailable(
            f"{self._name} has failed {n_failures} times in a row",
            hint=f"It is tried again in {math.ceil(wait_s)} s. Check that it runs.",
        )

    def began(self) -> None:
        """The server shows signs of life: others may go on, but one more failure opens it again."""
        with self._lock:
            self._n_failures = min(self._n_failures, self._threshold - 1)

    def succeeded(self) -> None:
        """The server did what was asked."""
        with self._lock:
            self._n_failures = 0

    def failed(self) -> None:
        """The server did not answer, or not to the end."""
        with self._lock:
            self._n_failures += 1
            if self._n_failures >= self._threshold:
                self._next_try = self._clock() + self._open_s

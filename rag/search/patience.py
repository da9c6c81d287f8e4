"""For how long queries wait for what has just been added, all of them together."""

import threading
import time

MOST_S = 0.5
SHARE = 0.02  # of the time that passes
LEAST_S = 0.01  # below which waiting is not worth its beginning


class Patience:
    """How much longer queries may wait; it comes back with time. Thread-safe.

    So a query waits for an addition that comes alone, and few wait during a stream of them.
    """

    def __init__(self) -> None:
        self._left, self._at = MOST_S, time.monotonic()
        self._lock = threading.Lock()

    def left(self) -> float:
        """In seconds; 0 where it is next to nothing."""
        with self._lock:
            now = time.monotonic()
            self._left = min(MOST_S, self._left + SHARE * (now - self._at))
            self._at = now
            return self._left if self._left >= LEAST_S else 0.0

    def spend(self, seconds: float) -> None:
        """Note that a query has waited."""
        with self._lock:
            self._left = max(0.0, self._left - seconds)

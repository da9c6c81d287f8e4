"""How sure a mean is, and whether two differ: by resampling, the same numbers every time."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
SURE = 0.05  # a difference that chance makes less often than this is taken for one
RESAMPLES = 10_000
DRAWN_AT_ONCE = 2_000_000  # values held in memory
SEED = 0

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]  # (m, n) to (m,)


class Interval(NamedTuple):
    """A figure with the bounds of its interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A figure before and after on the same questions."""

    before: float
    after: float
    low: float  # of after - before
    high: float
    p: float  # how often chance alone makes a difference as large

    @property
    def value(self) -> float:
        """After less before."""
        return self.after - self.before


def _mean(rows: Floats) -> Floats:
    return np.asarray(rows.mean(axis=1))


def percentile(q: float) -> Statistic:
    """The percentile as a statistic of `interval`."""
    return lambda rows: np.asarray(np.percentile(rows, q, axis=1))


def interval(values: Sequence[float], statistic: Statistic = _mean) -> Interval:
    """A mean (or another statistic) with its 95 % percentile-bootstrap interval.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("no values")
    data = np.asarray(values, np.float64)
    low, high = _bounds(data, statistic)
    return Interval(float(statistic(data[None, :])[0]), low, high)


def difference(before: Sequence[float], after: Sequence[float]) -> Difference:
    """Two values of each question compared: bootstrap interval and paired permutation test.

    The test changes the sign of the questions' differences, in every way where these are few.

    Raises:
        ValueError: there is no question.
    """
    from scipy.stats import permutation_test

    a, b = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if not len(a):
        raise ValueError("no questions in common")
    low, high = _bounds(b - a, _mean)
    changed = a != b  # questions without a difference change nothing in the test
    p = 1.0
    if changed.sum() > 1:
        p = permutation_test(
            (b[changed], a[changed]),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, DRAWN_AT_ONCE // int(changed.sum())),
            rng=np.random.default_rng(SEED),
        ).pvalue
    return Difference(float(a.mean()), float(b.mean()), low, high, float(p))


def _bounds(data: Floats, statistic: Statistic) -> tuple[float, float]:
    rng = np.random.default_rng(SEED)
    drawn: list[Floats] = []
    left = RESAMPLES
    while left:
        n = min(left, max(1, DRAWN_AT_ONCE // len(data)))
        drawn.append(statistic(data[rng.integers(0, len(data), (n, len(data)))]))
        left -= n
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return float(low), float(high)

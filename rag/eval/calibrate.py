"""The threshold of evidence from which an answer is given, fitted to a site's own questions.

At each threshold the share of answerable questions that would be answered and the share of
unanswerable ones that would be declined; the fitted one has the best mean of the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.errors import BadRequest

LEAST = 10  # questions of either kind; with fewer, any threshold is as good as another
RESAMPLES = 1000
SEED = 0
GRID = np.round(np.arange(0.01, 1.0, 0.01), 2)  # thresholds

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """The evidence that was found for a question, and whether it can be answered, where known."""

    evidence: float
    answerable: bool | None


@dataclass(frozen=True, slots=True)
class Curve:
    """What each threshold would do. The lists are as long as `thresholds`."""

    thresholds: list[float]
    answered: list[float]  # share of answerable questions
    abstained: list[float]  # share of unanswerable questions
    fitted: float
    low: float  # 95 % interval of the fitted threshold
    high: float
    current: float
    n_answerable: int
    n_unanswerable: int

    def at(self, threshold: float) -> tuple[float, float]:
        """Shares answered and abstained at the nearest threshold of the curve."""
        places = range(len(self.thresholds))
        nearest = min(places, key=lambda i: abs(self.thresholds[i] - threshold))
        return self.answered[nearest], self.abstained[nearest]


def calibrate(scored: Sequence[Scored], current: float) -> Curve:
    """Fit the threshold; it is the median of what samples of the questions would choose.

    Raises:
        BadRequest: there are too few questions of one kind.
    """
    check_numbers([one.answerable for one in scored])
    yes = np.array([one.evidence for one in scored if one.answerable is True])
    no = np.array([one.evidence for one in scored if one.answerable is False])
    rng = np.random.default_rng(SEED)
    fits = [_fit(rng.choice(yes, len(yes)), rng.choice(no, len(no))) for _ in range(RESAMPLES)]
    low, middle, high = np.quantile(fits, [0.025, 0.5, 0.975])
    answered, abstained = _shares(yes, no)
    return Curve(
        thresholds=GRID.tolist(),
        answered=answered.tolist(),
        abstained=abstained.tolist(),
        fitted=round(float(middle), 2),
        low=round(float(low), 2),
        high=round(float(high), 2),
        current=current,
        n_answerable=len(yes),
        n_unanswerable=len(no),
    )


def check_numbers(answerable: Sequence[bool | None]) -> None:
    """See that there are enough questions of either kind.

    Raises:
        BadRequest: there are too few of one.
    """
    n_yes, n_no = (sum(1 for one in answerable if one is kind) for kind in (True, False))
    if min(n_yes, n_no) < LEAST:
        raise BadRequest(
            f"{n_yes} answerable and {n_no} unanswerable questions are too few to fit a threshold:"
            f" it takes {LEAST} of each",
            hint='Unanswerable ones are marked with "answerable": false (docs/evaluation.md).',
        )


def _shares(yes: Floats, no: Floats) -> tuple[Floats, Floats]:
    """Shares answered and abstained at each threshold of the grid."""
    answered = 1 - np.searchsorted(np.sort(yes), GRID, side="left") / len(yes)
    abstained = np.searchsorted(np.sort(no), GRID, side="left") / len(no)
    return answered, abstained


def _fit(yes: Floats, no: Floats) -> float:
    """The middle of the thresholds with the best mean of both shares."""
    answered, abstained = _shares(yes, no)
    both = np.round(answered + abstained, 9)
    return float(np.median(GRID[both == both.max()]))

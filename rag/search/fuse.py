"""What both branches say of the candidates to one score: weighted, added, stretched in the end.

Cosines and shares of what a question's words are worth say by themselves how good a match is, so
neither is stretched on its own: where no candidate has a question's words, the best of them counts
for little, and the vectors decide. Measured against min-max and reciprocal ranks in BENCHMARKS.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Letters that a model reads at a time. Where it spells letter by letter it knows nothing of a
# language or a code; where it has whole words it is at its best.
SPELLS, READS = 1.0, 4.0
# What a correction of words' weights may leave (`rag.search.rarity`), and must not be stretched.
SAME = 1e-5
DIGITS = 6

Scores = NDArray[np.float64]  # (n,)


def fuse(cosines: Scores, shares: Scores, weights: tuple[float, float]) -> Scores:
    """Scores in [0, 1] of candidates, by their cosines to a query and their shares of its words.

    A share is as from `above_worst`, and 0 of a candidate that the words have not found.
    """
    of_dense, of_words = weights
    return normalise(of_dense * np.maximum(cosines, 0) + of_words * shares)


def above_worst(found: Sequence[tuple[int, float]], k: int) -> dict[int, float]:
    """Shares by id, of the `k` best; where there may be more, what each has above the worst."""
    worst = found[-1][1] if len(found) == k else 0.0
    return {chunk_id: share - worst for chunk_id, share in found}


def normalise(scores: Scores) -> Scores:
    """Scores stretched to [0, 1]; all 1 where they are all the same but for rounding, or 0."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    if high - low <= SAME * abs(high):
        return np.full_like(scores, float(high > 0))
    stretched: Scores = np.round((scores - low) / (high - low), DIGITS)
    return stretched


def share_read(letters_per_token: float) -> float:
    """How much of the dense branch's weight a query deserves, in [0, 1]."""
    return min(1.0, max(0.0, (letters_per_token - SPELLS) / (READS - SPELLS)))

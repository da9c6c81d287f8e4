"""What both branches say of the candidates to one score: weighted, added, stretched in the end.

Cosines and shares of what a question's words are worth say by themselves how good a match is, so
neither is stretched on its own: where no candidate has a question's words, the best of them counts
for little, and the vectors decide. Measured against min-max and reciprocal ranks in BENCHMARKS.md.
"""

import numpy as np
from numpy.typing import NDArray

# Letters that a model reads at a time. Where it spells letter by letter it knows nothing of a
# language or a code; where it has whole words it is at its best.
SPELLS, READS = 1.0, 4.0
# What a correction of words' weights may leave (`rag.search.rarity`), and must not be stretched.
SAME = 1e-5
DIGITS = 6

Scores = NDArray[np.float64]  # (n,)


def fuse(cosines: Scores, shares: Scores, dense_weight: float, read: float) -> Scores:
    """Scores in [0, 1] of candidates, by their cosines to a query and their shares of its words.

    `read` is as from `share_read`: how much of its weight the dense branch deserves. A share is
    that above the worst in a list that may go on, so nought where that is all that is known.
    """
    cosines = np.maximum(cosines, 0)
    return normalise(dense_weight * read * cosines + (1 - dense_weight) * shares)


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

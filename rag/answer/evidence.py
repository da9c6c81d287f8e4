"""Whether the documents answer at all: one calibrated score in [0, 1].

A logistic function of what the search and the quotes already know. Its constants were fitted on
several sets at once, answerable questions against questions of other sets, of nobody's set, and
about other names (tests/bench/evidence.py, BENCHMARKS.md), never on one alone.
"""

import math
from collections.abc import Sequence

from rag.answer.extract import Candidate
from rag.types import Hit

INTERCEPT = -7.3
COSINE, QUOTE_COSINE, OVERLAP, LACKING = 10.0, 3.0, 2.9, -12.0


def evidence(hits: Sequence[Hit], scored: Sequence[Candidate], lacking: float = 0.0) -> float:
    """Evidence that the hits answer the question; 0 where there is nothing to quote.

    `lacking` is `Naming.lacking`; without it, whether they are about what the question is about.
    """
    if not hits or not scored:
        return 0.0
    weights = (COSINE, QUOTE_COSINE, OVERLAP, LACKING)
    found = features(hits, scored, lacking)
    value = INTERCEPT + sum(w * f for w, f in zip(weights, found, strict=True))
    return 1 / (1 + math.exp(-value))


def features(hits: Sequence[Hit], scored: Sequence[Candidate], lacking: float) -> tuple[float, ...]:
    """Best cosine of a passage, best cosine of a quote, best share of the question, `lacking`."""
    return (
        max(hit.dense for hit in hits),
        max(candidate.cosine for candidate in scored),
        max(candidate.overlap for candidate in scored),
        lacking,
    )

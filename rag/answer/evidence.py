"""Whether the documents answer at all: one calibrated score in [0, 1].

A logistic function of what the search and the quotes already know. Its constants were fitted on
several sets at once, answerable questions against questions of other sets and of nobody's set
(tests/bench/evidence.py, BENCHMARKS.md), never on one alone.
"""

import math
from collections.abc import Sequence

from rag.answer.extract import Candidate
from rag.types import Hit

INTERCEPT = -7.3
COSINE, QUOTE_COSINE, OVERLAP = 10.0, 3.0, 2.9


def evidence(hits: Sequence[Hit], scored: Sequence[Candidate]) -> float:
    """Evidence that the hits answer the question; 0 where there is nothing to quote."""
    if not hits or not scored:
        return 0.0
    cosine, quote_cosine, overlap = features(hits, scored)
    value = INTERCEPT + COSINE * cosine + QUOTE_COSINE * quote_cosine + OVERLAP * overlap
    return 1 / (1 + math.exp(-value))


def features(hits: Sequence[Hit], scored: Sequence[Candidate]) -> tuple[float, float, float]:
    """Best cosine of a passage, best cosine of a quote, best share of the question in a quote."""
    return (
        max(hit.dense for hit in hits),
        max(candidate.cosine for candidate in scored),
        max(candidate.overlap for candidate in scored),
    )

"""The ways to fuse two branches that the benchmarks compare, and what a ranking is worth."""

from collections.abc import Mapping, Sequence

import numpy as np

from rag.eval.metrics import of_rankings
from rag.search.fuse import normalise

WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)
RRF_K = 60  # Cormack, Clarke and Büttcher 2009
Scores = Mapping[int, float]


def by_score(scores: Scores) -> list[tuple[int, float]]:
    """One branch alone."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def min_max(dense: Scores, lexical: Scores, dense_weight: float) -> list[tuple[int, float]]:
    """A weighted sum of both branches' scores, each stretched to [0, 1]; 0 where it has none."""
    fused = dict.fromkeys([*dense, *lexical], 0.0)
    for branch, weight in ((dense, dense_weight), (lexical, 1 - dense_weight)):
        stretched = normalise(np.array(list(branch.values()))).tolist()
        for key, score in zip(branch, stretched, strict=True):
            fused[key] += weight * score
    return by_score(fused)


def reciprocal_rank(dense: Scores, lexical: Scores) -> list[tuple[int, float]]:
    """Reciprocal rank fusion."""
    fused: dict[int, float] = {}
    for branch in (dense, lexical):
        for rank, (key, _) in enumerate(by_score(branch), 1):
            fused[key] = fused.get(key, 0.0) + 1 / (RRF_K + rank)
    return by_score(fused)


def all_fusions(
    dense: Scores, lexical: Scores, weights: Sequence[float] = WEIGHTS
) -> dict[str, list[tuple[int, float]]]:
    """Name to ranking; `weights` are those of the dense branch."""
    rankings = {
        "dense alone": by_score(dense),
        "lexical alone": by_score(lexical),
        "reciprocal rank": reciprocal_rank(dense, lexical),
    }
    for weight in weights:
        rankings[f"min-max, dense {weight:.2f}"] = min_max(dense, lexical, weight)
    return rankings


def ndcg(ranking: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain of the first 10, as `citadel eval` has it."""
    return of_rankings({"": ranking}, {"": relevant})["ndcg@10"][""]

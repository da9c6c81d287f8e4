"""What a ranking or a list of passages is worth, question by question."""

from collections.abc import Mapping, Sequence

import pytrec_eval

from rag.eval.gold import Place
from rag.types import Hit

RANKED = {
    "ndcg@10": "ndcg_cut_10",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "mrr": "recip_rank",
}
MEASURES = {"ndcg_cut.10", "recall.10,100", "recip_rank"}
DEPTHS = (1, 5, 10)

Values = dict[str, float]  # question -> value


def of_rankings(
    rankings: Mapping[str, Sequence[str]], relevant: Mapping[str, Mapping[str, int]]
) -> dict[str, Values]:
    """nDCG@10, recall@10, recall@100 and MRR of each question's ranking, by trec_eval.

    Every question of `relevant` counts, also one for which nothing was found.
    """
    evaluator = pytrec_eval.RelevanceEvaluator({q: dict(g) for q, g in relevant.items()}, MEASURES)
    # trec_eval sorts by score; ranks as scores keep our order also where scores are the same.
    runs = {
        question: {name: float(-rank) for rank, name in enumerate(rankings[question])}
        for question in relevant
        if rankings[question]
    }
    judged = evaluator.evaluate(runs)
    return {
        name: {question: judged.get(question, {}).get(theirs, 0.0) for question in relevant}
        for name, theirs in RANKED.items()
    }


def hits_at(is_right: Sequence[bool]) -> dict[int, float]:
    """1 for each depth at which one of the first passages is right, else 0."""
    return {k: float(any(is_right[:k])) for k in DEPTHS}


def is_on_page(hit: Hit, file: str, places: Sequence[Place]) -> bool:
    """Whether a passage of `file` runs over one of these pages."""
    if hit.page_start is None or hit.page_end is None:
        return False
    return any(
        place.file == file
        and place.page is not None
        and hit.page_start <= place.page <= hit.page_end
        for place in places
    )

"""nDCG@10 of each branch and of their fusions on SciFact, CISI and PolicyQA.

One chunk a document, put straight into the product's two indexes, with the embedded text made as
the ingest makes it: title, line break, text. Constants of the search are judged on all sets at
once, never on one. Then the same where the words are put to the index with some of those that carry
meaning exchanged for words of other questions, as if people called things by other names than the
documents do; the vectors are those of the questions as they stand.
"""

import random
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.search.dense import DenseIndex
from rag.search.embed import Embedder
from rag.search.fuse import above_worst, share_read
from rag.search.lexical import LexicalIndex, Words
from rag.search.retrieve import BRANCH_K, fused
from rag.settings import Settings
from rag.types import Access, IndexRow
from tests.bench import sets
from tests.bench.embedding import cached_embedder
from tests.bench.fusions import all_fusions, ndcg
from tests.bench.naive import PlainBm25
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad")
NAMES = ("scifact", "cisi", "policyqa_dev", "xquad/en", "xquad/de", "xquad/es")
LANGUAGES = {"xquad/de": "de", "xquad/es": "es"}
ACCESS = Access(frozenset({"docs"}))
BASELINE = "plain BM25 (Tantivy, English stemmer, all words)"
WEIGHTS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.7)
SHIPPED = "**as shipped**"
EXCHANGED = (0.0, 0.25, 0.5)  # of the words that carry meaning
WORD = re.compile(r"\w+")

Means = dict[str, dict[str, float]]  # way -> set -> mean nDCG@10


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Ranking", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    found: dict[float, Means] = {share: defaultdict(dict) for share in EXCHANGED}
    sizes = {}
    with cached_embedder() as embedder:
        for name in run.pick(NAMES, NAMES[-3:]):
            progress(name)
            data = sets.ranked(run.eval_dir, name)
            queries = run.some(list(data.queries), 1000, 20)
            measured = _measure(data, queries, LANGUAGES.get(name, "en"), embedder)
            for (share, way), value in measured.items():
                found[share][way][name] = value
            sizes[name] = (len(data.ids), len(queries))
            embedder.save()
    _print(found[0.0], [*sizes], "nDCG@10", BASELINE)
    counts = ", ".join(f"{name} {n:,} / {q:,}" for name, (n, q) in sizes.items())
    print_line(f"Documents / queries: {counts}. Baseline of the ratio: {BASELINE}.")
    for share in EXCHANGED[1:]:
        _print(found[share], [*sizes], f"{share:.0%} of the words exchanged", "dense alone")


def _print(found: Means, names: Sequence[str], what: str, baseline: str) -> None:
    base = _mean(found[baseline])
    rows: list[list[Cell]] = [
        [way, *by_set.values(), _mean(by_set), _mean(by_set) / base]
        for way, by_set in found.items()
    ]
    print_table((what, *names, "mean", f"mean × {baseline.split(' (')[0]}"), rows)


def _mean(by_set: dict[str, float]) -> float:
    return sum(by_set.values()) / len(by_set)


def _measure(
    data: sets.Ranked, queries: list[str], language: str, embedder: Embedder
) -> dict[tuple[float, str], float]:
    """Mean nDCG@10 by share of exchanged words and way of ranking."""
    texts = ["\n".join(filter(None, pair)) for pair in zip(data.titles, data.texts, strict=True)]
    vectors = embedder.encode(texts)  # (n, dim)
    asked = [data.queries[query] for query in queries]
    asked_vectors = embedder.encode(asked)
    plain = PlainBm25(texts)
    weight = Settings.model_fields["dense_weight"].default
    sums: dict[tuple[float, str], float] = defaultdict(float)
    with scratch() as folder:
        lexical = LexicalIndex(folder)
        lexical.append(_rows(data, vectors, language))
        lexical.close()
        dense = DenseIndex(vectors.shape[1])
        dense.append(range(1, len(data.ids) + 1), ["docs"] * len(data.ids), vectors)
        exchange = _Exchange(asked, lexical, language)
        for query, text, vector in zip(queries, asked, asked_vectors, strict=True):
            by_vector = dense.search(vector, BRANCH_K, ACCESS)
            weights = weight * share_read(embedder.letters_per_token(text)), 1 - weight
            for share in EXCHANGED:
                words = exchange.some(text, share)
                by_words = lexical.search(words, BRANCH_K, ACCESS)
                rankings = all_fusions(dict(by_vector), dict(by_words), WEIGHTS)
                if not share:
                    by_plain = {row + 1: n for row, n in plain.search(text, BRANCH_K).items()}
                    rankings[BASELINE] = all_fusions({}, by_plain, ())["lexical alone"]
                shares = above_worst(by_words, BRANCH_K)
                shipped = fused(dense, vector, by_vector, shares, weights)
                rankings[SHIPPED] = [(one.chunk_id, one.score) for one in shipped]
                for way, ranking in rankings.items():
                    ids = [data.ids[key - 1] for key, _ in ranking]
                    sums[share, way] += ndcg(ids, data.relevant[query])
    return {key: total / len(queries) for key, total in sums.items()}


class _Exchange:
    """Exchanges words that carry meaning for such words of other questions."""

    def __init__(self, questions: Sequence[str], words: Words, language: str) -> None:
        self._words, self._language = words, language
        self._chance = random.Random(7)
        self._all = [word for text in questions for word in self._meaning(text)]

    def some(self, text: str, share: float) -> str:
        """The text with about this share of them exchanged."""
        own = set(self._meaning(text))

        def changed(match: re.Match[str]) -> str:
            if match[0] not in own or self._chance.random() >= share:
                return match[0]
            return self._chance.choice(self._all)

        return WORD.sub(changed, text) if share else text

    def _meaning(self, text: str) -> list[str]:
        terms = self._words.content_terms
        return [word for word in WORD.findall(text) if terms(word, self._language)]


def _rows(data: sets.Ranked, vectors: NDArray[np.float32], language: str) -> list[IndexRow]:
    return [
        IndexRow(
            chunk_id=number,
            document_id=number,
            collection="docs",
            list_id=0,
            language=language,
            title=title,
            name="",
            heading="",
            text=text,
            model_id="",
            vector=vector,
        )
        for number, (title, text, vector) in enumerate(
            zip(data.titles, data.texts, vectors, strict=True), 1
        )
    ]

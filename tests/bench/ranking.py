"""nDCG@10 of each branch and of their fusions on SciFact, CISI and PolicyQA.

One chunk a document, put straight into the product's two indexes, with the embedded text made as
the ingest makes it: title, line break, text. Constants of the search are judged on all sets at
once, never on one.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from rag.search.dense import DenseIndex
from rag.search.embed import Embedder
from rag.search.lexical import LexicalIndex
from rag.search.retrieve import BRANCH_K
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


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Ranking", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    sizes = {}
    with cached_embedder() as embedder:
        for name in run.pick(NAMES, NAMES[-3:]):
            progress(name)
            data = sets.ranked(run.eval_dir, name)
            queries = run.some(list(data.queries), 1000, 20)
            for way, value in _measure(data, queries, LANGUAGES.get(name, "en"), embedder).items():
                scores[way][name] = value
            sizes[name] = (len(data.ids), len(queries))
            embedder.save()
    base = _mean(scores[BASELINE])
    rows: list[list[Cell]] = [
        [way, *by_set.values(), _mean(by_set), _mean(by_set) / base]
        for way, by_set in scores.items()
    ]
    print_table(("nDCG@10", *sizes, "mean", "mean × plain BM25"), rows)
    counts = ", ".join(f"{name} {n:,} / {q:,}" for name, (n, q) in sizes.items())
    print_line(f"Documents / queries: {counts}. Baseline of the ratio: {BASELINE}.")


def _mean(by_set: dict[str, float]) -> float:
    return sum(by_set.values()) / len(by_set)


def _measure(
    data: sets.Ranked, queries: list[str], language: str, embedder: Embedder
) -> dict[str, float]:
    """Mean nDCG@10 by way of ranking."""
    texts = ["\n".join(filter(None, pair)) for pair in zip(data.titles, data.texts, strict=True)]
    vectors = embedder.encode(texts)  # (n, dim)
    asked = [data.queries[query] for query in queries]
    asked_vectors = embedder.encode(asked)
    plain = PlainBm25(texts)
    sums: dict[str, float] = defaultdict(float)
    with scratch() as folder:
        lexical = LexicalIndex(folder)
        lexical.append(_rows(data, vectors, language))
        lexical.close()
        dense = DenseIndex(vectors.shape[1])
        dense.append(range(1, len(data.ids) + 1), ["docs"] * len(data.ids), vectors)
        for query, text, vector in zip(queries, asked, asked_vectors, strict=True):
            by_dense = dict(dense.search(vector, BRANCH_K, ACCESS))
            by_words = dict(lexical.search(text, BRANCH_K, ACCESS))
            by_plain = {row + 1: score for row, score in plain.search(text, BRANCH_K).items()}
            rankings = {BASELINE: all_fusions({}, by_plain, ())["lexical alone"]}
            rankings |= all_fusions(by_dense, by_words, WEIGHTS)
            for way, ranking in rankings.items():
                ids = [data.ids[key - 1] for key, _ in ranking]
                sums[way] += ndcg(ids, data.relevant[query])
    return {way: total / len(queries) for way, total in sums.items()}


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

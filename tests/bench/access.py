"""What the access filter costs where 1, 10 and 100 % of 200,000 chunks may be read.

A store is filled and asked through `rag.search.retrieve.Retriever`, as the product does: what the
reader may read is looked up, both indexes search under it, the store checks every hit once more.
Half of the documents lie in one collection, the others in 50 small ones, and each under one of 200
lists of readers; where a hundred chunks lie is drawn. Texts and vectors are real ones, and beyond
their number the same with the words drawn anew and noise on the vectors. The baseline knows no
filter: FAISS without a selector, Tantivy with the words alone, the store asked by the operator.
Recall is against exact inner products, and against all BM25 scores filtered afterwards.
"""

import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tantivy
from numpy.typing import NDArray

from rag.search.dense import DenseIndex
from rag.search.indexes import Indexes
from rag.search.lexical import LexicalIndex
from rag.search.retrieve import BRANCH_K, Retriever
from rag.settings import load_settings
from rag.store import Store
from rag.types import Access, Vectors
from tests.bench import readers, stores
from tests.bench.embedding import cached_embedder, new_data_dir
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, scratch

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad")
RECALL_K = 10
HITS = 10
NOT_FILTERED = "no filter at all (baseline)"
LOOKED_UP = "access"  # what nobody needs who filters nothing
LAPS = ("all", LOOKED_UP, "dense", "lexical", "store")
WARM_UP = 5
FIRST = 20
TOLERANCE = 1e-4  # sums in another order


class _AnyRows:
    """The dense index as if nothing were ever forbidden: FAISS gets no selector."""

    def __init__(self, index: DenseIndex, everything: Access) -> None:
        self._index = index
        self._everything = everything
        self.vectors = index.vectors

    def search(
        self, vector: NDArray[np.float32], k: int, access: Access
    ) -> list[tuple[int, float]]:
        return self._index.search(vector, k, self._everything)


class _AnyWords:
    """The lexical index as if nothing were ever forbidden."""

    def __init__(self, index: LexicalIndex) -> None:
        self._index = index

    def search(self, query: str, k: int, access: Access) -> list[tuple[int, float]]:
        return self.by_words(query, k, lambda field, word: 1.0)

    def by_words(
        self, query: str, k: int, correct: Callable[[str, str], float]
    ) -> list[tuple[int, float]]:
        """The best chunks, readable or not, by the words' weights as `correct` has them."""
        weights = self._index._weights(query)
        queries = self._index._word_queries({w: n * correct(*w) for w, n in weights.items()})
        words, searcher = tantivy.Query.boolean_query(queries), self._index._index.searcher()
        hits = searcher.search(words, k, count=False).hits
        ids = searcher.fast_field_values("chunk_id", [address for _, address in hits])
        return [(int(i), float(score)) for i, (score, _) in zip(ids, hits, strict=True)]


class _NotFiltered:
    """Both: the baseline."""

    def __init__(self, indexes: Indexes, everything: Access) -> None:
        self.dense, self.lexical = _AnyRows(indexes.dense, everything), _AnyWords(indexes.lexical)
        self.catch_up = indexes.catch_up


@dataclass(frozen=True, slots=True)
class Reader:
    """Someone who asks, and with what."""

    name: str
    access: Callable[[], Access]
    indexes: Indexes | _NotFiltered
    retriever: Retriever
    ms: dict[str, list[float]]


class Exact(NamedTuple):
    """What can be found: chunk ids and lists (n,), collections (n,), vectors (n, dim)."""

    ids: NDArray[np.int64]
    collections: NDArray[np.str_]
    lists: NDArray[np.int64]
    vectors: Vectors

    def readable(self, access: Access) -> NDArray[np.bool_]:
        """Which rows a caller may read, shape (n,)."""
        granted = np.isin(self.collections, list(access.collections))
        return granted & np.isin(self.lists, [0, *access.lists])


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Access filter", " ".join(__doc__.split("\n\n")[1].split()), quick=run.quick)
    with scratch() as folder, cached_embedder() as embedder:
        settings = load_settings(data_dir=new_data_dir(folder / "data"))
        with Store.open(settings.url, data_dir=settings.data_dir) as store:
            readers.fill(run, store, embedder, run.pick(200_000, 5_000))
            stores.refresh(store, settings, embedder)
        with stores.opened(settings, embedder) as parts:
            _report(run, parts)


def _report(run: Run, parts: stores.Parts) -> None:
    asked = readers.questions(run)
    parts.embedder.encode(asked)
    asking = _readers(parts)
    rounds = run.pick(2, 1)
    _time(asking, asked, rounds)
    _print_times(asking)
    _print_first(asking, parts, asked)
    exact = _exact(parts.store)
    _print_recall(asking, exact, parts, asked)
    kind = parts.indexes.dense.kind
    print_line(
        f"{len(exact.ids):,} chunks, dense index {kind}; {len(asked)} real questions, {rounds} "
        f"times by each reader; all ask a question before the next comes, in a drawn order. `all` "
        f"is without the embedding of the question."
    )


def _readers(parts: stores.Parts) -> list[Reader]:
    weight = parts.settings.dense_weight
    may_all = parts.store.access_to_all()
    bare = _NotFiltered(parts.indexes, may_all)
    everything: Any = Retriever(parts.store, bare, parts.embedder, weight)  # type: ignore[arg-type]
    found = [Reader(NOT_FILTERED, lambda: may_all, bare, everything, {})]
    for nth, share in enumerate(readers.READERS):
        number = parts.store.user_number(readers.user(nth))
        found.append(
            Reader(
                share,
                functools.partial(parts.store.access_of_number, number),
                parts.indexes,
                parts.retriever,
                {},
            )
        )
    return found


def _time(asking: Sequence[Reader], asked: Sequence[str], rounds: int) -> None:
    """Each question by every reader before the next question, so that noise hits all alike."""
    for reader in asking:
        for question in asked[:WARM_UP]:
            reader.retriever.retrieve(question, reader.access(), HITS)
    chance = random.Random(2)
    for _ in range(rounds):
        for question in asked:
            for reader in chance.sample(asking, len(asking)):
                began = time.perf_counter()
                access = reader.access()
                laps = {LOOKED_UP: (time.perf_counter() - began) * 1000}
                laps |= reader.retriever.retrieve(question, access, HITS).timings_ms
                del laps["embed"]
                laps["all"] = sum(laps.values())
                for lap, ms in laps.items():
                    reader.ms.setdefault(lap, []).append(ms)


def _print_times(asking: Sequence[Reader]) -> None:
    rows: list[list[Cell]] = []
    for lap in LAPS:
        baseline = percentiles(asking[0].ms[lap])
        for reader in asking:
            p50, p95, _ = percentiles(reader.ms[lap])
            ratios = (None, None) if lap == LOOKED_UP else (p50 / baseline[0], p95 / baseline[1])
            rows.append([f"{lap}: {reader.name}", f"{p50:.2f}", f"{p95:.2f}", *ratios])
    print_table(("ms", "p50", "p95", "× baseline p50", "× baseline p95"), rows)


def _print_first(asking: Sequence[Reader], parts: stores.Parts, asked: Sequence[str]) -> None:
    """The dense index keeps a caller's filter until something changes; what making it costs."""
    vectors = parts.embedder.encode(asked[:FIRST])
    ms: dict[str, tuple[list[float], list[float]]] = {r.name: ([], []) for r in asking}
    for vector in vectors:
        for reader in asking:
            access = reader.access()
            parts.indexes.dense._rows._filters.clear()
            for spent in ms[reader.name]:
                began = time.perf_counter()
                reader.indexes.dense.search(vector, BRANCH_K, access)
                spent.append((time.perf_counter() - began) * 1000)
    baseline = min(ms[NOT_FILTERED][0])
    rows: list[list[Cell]] = []
    for name, both in ms.items():
        first, second = map(min, both)
        rows.append([name, f"{first:.2f}", f"{second:.2f}", first / baseline])
    header = (
        f"dense, ms, fastest of {FIRST}",
        "first after a change",
        "second",
        "first × baseline's first",
    )
    print_table(header, rows)


def _exact(store: Store) -> Exact:
    with store.reading() as (_, batches):
        rows = [
            (row.chunk_id, row.collection, row.list_id, row.vector)
            for batch in batches
            for row in batch
        ]
    ids, collections, lists, vectors = map(np.array, zip(*rows, strict=True))
    return Exact(ids, collections, lists, vectors.astype(np.float32))


def _print_recall(
    asking: Sequence[Reader], exact: Exact, parts: stores.Parts, asked: Sequence[str]
) -> None:
    vectors = parts.embedder.encode(asked)  # (m, dim)
    scores = vectors @ exact.vectors.T  # (m, n)
    rows: list[list[Cell]] = []
    for reader in asking:
        access = reader.access()
        may = exact.readable(access)
        near, said = [], []
        for question, vector, cosine in zip(asked, vectors, scores, strict=True):
            dense = reader.indexes.dense.search(vector, BRANCH_K, access)[:RECALL_K]
            near.append(_recall(dense, exact.ids, np.where(may, cosine, -1.0), RECALL_K))
            lexical = reader.indexes.lexical.search(question, BRANCH_K, access)
            bm25 = _all_by_words(parts, question, exact, access)
            said.append(_recall(lexical, exact.ids, np.where(may, bm25, 0.0), BRANCH_K))
        rows.append([reader.name, f"{may.mean():.2%}", float(np.mean(near)), float(np.mean(said))])
    print_table(("recall", "chunks readable", f"dense @{RECALL_K}", f"lexical @{BRANCH_K}"), rows)


def _all_by_words(
    parts: stores.Parts, question: str, exact: Exact, access: Access
) -> NDArray[np.float32]:
    """The BM25 score of every chunk, readable or not, in the order of `exact`, shape (n,).

    The words weigh what they weigh for this caller.
    """
    correct = parts.indexes.lexical._readable(access).correction()
    found = dict(_AnyWords(parts.indexes.lexical).by_words(question, len(exact.ids), correct))
    scores = np.zeros(len(exact.ids), np.float32)
    scores[np.searchsorted(exact.ids, list(found))] = list(found.values())
    return scores


def _recall(
    found: Sequence[tuple[int, float]],
    ids: NDArray[np.int64],
    scores: NDArray[np.float32],
    k: int,
) -> float:
    """The share of the `k` best positive scores that was found; of equal scores any will do."""
    k = min(k, int((scores > 0).sum()))
    if not k:
        return float(not found)
    least = max(TOLERANCE, np.partition(scores, -k)[-k] - TOLERANCE)
    rows = np.searchsorted(ids, [chunk_id for chunk_id, _ in found])
    return float((scores[rows] >= least).sum()) / k

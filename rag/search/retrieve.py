"""A query in, hits out: both branches, fused, checked once more against the store, reranked.

How much the dense branch counts depends on how well its model reads the query. Where a query asks
for the latest of several documents, their dates count too.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.search.embed import Embedder
from rag.search.fuse import above_worst, fuse, share_read
from rag.search.interface import Dense, Pair
from rag.search.latest import asks_for_latest, by_date
from rag.search.passages import Passage, lifted, merge, spread
from rag.search.rerank import Reranker, rerank
from rag.store import Place, Store
from rag.text import valid_unicode
from rag.types import Access, Hit, StoredChunk

BRANCH_K = 200  # candidates that each branch hands to the fusion, at least
MERGED = 4  # chunks looked at for each passage asked for, so that neighbours lift or join it
JOINING = 0.4  # of the number of passages asked for: so many of the best chunks may join


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of a query, best first, and where the time went."""

    query: str
    hits: list[Hit]
    timings_ms: dict[str, float]
    vector: NDArray[np.float32]  # (dim,), the query's


class Candidate(NamedTuple):
    """A chunk that one of the branches has found."""

    chunk_id: int
    score: float  # in [0, 1]
    cosine: float


def fused(
    index: Dense,
    vector: NDArray[np.float32],
    dense: Sequence[tuple[int, float]],
    shares: Mapping[int, float],
    weights: tuple[float, float],
) -> list[Candidate]:
    """What either branch has found for a query's vector, best first; ties go to the lower id.

    Each is held against the vector, also what only the words have found. `shares` and `weights`
    are as `fuse` takes them.
    """
    ids = sorted({chunk_id for chunk_id, _ in dense} | shares.keys())
    cosines = (index.vectors(ids) @ vector).astype(np.float64)  # (n,)
    scores = fuse(cosines, np.array([shares.get(chunk_id, 0.0) for chunk_id in ids]), weights)
    best = np.argsort(-scores, kind="stable").tolist()
    return [Candidate(ids[row], float(scores[row]), float(cosines[row])) for row in best]


class Retriever:
    """Answers queries. Thread-safe."""

    def __init__(
        self,
        store: Store,
        indexes: Pair,
        embedder: Embedder,
        dense_weight: float,
        reranker: Reranker | None = None,
    ) -> None:
        self._store = store
        self._indexes = indexes
        self._embedder = embedder
        self._dense_weight = dense_weight
        self.reranker = reranker

    def retrieve(
        self, query: str, access: Access, k: int, *, reranked: bool = True
    ) -> SearchResult:
        """The `k` best passages for `query` that `access` allows, as of the newest change.

        Without `reranked` as if there were no reranker.
        """
        clock = _Clock()
        query = valid_unicode(query)
        self._indexes.catch_up()
        clock.lap("catch_up")
        vector = self._embedder.encode([query])[0]  # (dim,)
        clock.lap("embed")
        branch_k = max(BRANCH_K, MERGED * k)
        dense = self._indexes.dense.search(vector, branch_k, access)
        clock.lap("dense")
        lexical = self._indexes.lexical.search(query, branch_k, access)
        clock.lap("lexical")
        shares = above_worst(lexical, branch_k)
        read = share_read(self._embedder.letters_per_token(query))
        weights = self._dense_weight * read, 1 - self._dense_weight
        candidates = fused(self._indexes.dense, vector, dense, shares, weights)[: MERGED * k]
        clock.lap("fuse")
        chunks = self._store.chunks(access, [one.chunk_id for one in candidates])
        found = [(chunks[one.chunk_id], one.score) for one in candidates if one.chunk_id in chunks]
        reranker = self.reranker if reranked else None
        if reranker is not None:
            clock.lap("store")
            found = rerank(reranker, query, found)
            clock.lap("rerank")
        if asks_for_latest(query):
            documents = {stored.document_id for stored, _ in found}
            found = by_date(found, self._store.days(access, documents))
        passages = self._passages(found, k, access, is_fresh=reranker is None)
        cosines = {one.chunk_id: one.cosine for one in candidates}
        hits = [
            Hit(
                rank=rank,
                score=passage.score,
                dense=cosines[passage.best.id],
                chunk=passage.best,
                members=tuple(passage.members),
                text=text,
            )
            for rank, (passage, text) in enumerate(passages, 1)
        ]
        clock.lap("store")
        return SearchResult(query, hits, clock.timings_ms, vector)

    def _passages(
        self, found: list[tuple[StoredChunk, float]], k: int, access: Access, *, is_fresh: bool
    ) -> list[tuple[Passage, str]]:
        """The best passages of the chunks that were found, best first, and their texts.

        Where it is a while since the store was asked about them, it is asked about each once more.
        """
        passages = spread(merge(lifted(found), max(1, round(JOINING * k))), k)
        single = [p for p in passages if len(p.members) == 1 and is_fresh]
        texts: dict[Place, str] = {p.place: p.best.chunk.text for p in single}
        texts |= self._store.texts(access, [p.place for p in passages if p.place not in texts])
        return [(p, texts[p.place]) for p in passages if p.place in texts]  # others have gone


class _Clock:
    """Laps in milliseconds by name."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        before = self.timings_ms.get(name, 0.0)
        self.timings_ms[name] = round(before + (now - self._last) * 1000, 2)
        self._last = now

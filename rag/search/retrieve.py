"""A query in, hits out: both branches, fused, checked once more against the store, reranked.

How much the dense branch counts depends on how well its model reads the query. Then the vectors of
the best few candidates are added to the query's, and all candidates are held against that: it is
the pseudo-relevance feedback of Rocchio (1971), without a second search.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.search.embed import Embedder
from rag.search.fuse import fuse, refined, share_read
from rag.search.interface import Pair
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
        dense = dict(self._indexes.dense.search(vector, branch_k, access))
        clock.lap("dense")
        lexical = dict(self._indexes.lexical.search(query, branch_k, access))
        clock.lap("lexical")
        fused = self._fused(query, vector, dense, lexical)[: MERGED * k]
        clock.lap("fuse")
        chunks = self._store.chunks(access, [chunk_id for chunk_id, _ in fused])
        found = [(chunks[i], score) for i, score in fused if i in chunks]
        reranker = self.reranker if reranked else None
        if reranker is not None:
            clock.lap("store")
            found = rerank(reranker, query, found)
            clock.lap("rerank")
        passages = self._passages(found, k, access, is_fresh=reranker is None)
        hits = [
            Hit(
                rank=rank,
                score=passage.score,
                dense=dense.get(passage.best.id, 0.0),
                lexical=lexical.get(passage.best.id, 0.0),
                chunk=passage.best,
                members=tuple(passage.members),
                text=text,
            )
            for rank, (passage, text) in enumerate(passages, 1)
        ]
        clock.lap("store")
        return SearchResult(query, hits, clock.timings_ms, vector)

    def _fused(
        self,
        query: str,
        vector: NDArray[np.float32],
        dense: Mapping[int, float],
        lexical: Mapping[int, float],
    ) -> list[tuple[int, float]]:
        share = share_read(self._embedder.letters_per_token(query))
        weight = self._dense_weight * share
        fused = fuse(dense, lexical, weight)
        if not weight or not fused:
            return fused
        found = [chunk_id for chunk_id, _ in fused]
        cosines = refined(vector, self._indexes.dense.vectors(found), share)
        ids = np.array(found)
        best = np.lexsort((ids, -cosines))
        best = best[cosines[best] != 0][: len(dense)]
        again = dict(zip(ids[best].tolist(), cosines[best].tolist(), strict=True))
        return fuse(again, lexical, weight)

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

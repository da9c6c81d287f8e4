"""What each branch finds for a question: ranked documents, and the passages that a user gets.

A document's rank is that of its best chunk. The last ranking is the product's own, `reranked` where
a reranker is set and else `fused`: what a user gets who asks for ten passages, then what comes
besides where a hundred are asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rag.eval.filling import Filled
from rag.search.retrieve import SearchResult
from rag.types import Hit

DEPTH = 100  # documents of a ranking
SHOWN = 10  # passages that a user gets

Search = Callable[[int], list[tuple[int, float]]]  # how many chunks to chunks with scores


@dataclass(frozen=True, slots=True)
class Ranked:
    """What was found for a question."""

    documents: dict[str, list[str]]  # branch -> documents by the set's names, best first
    hits: list[Hit]  # the first SHOWN passages, as a user gets them


def rank(filled: Filled, query: str, without: str = "") -> Ranked:
    """Put a query to each branch alone and to the product's search.

    The document `without` is taken out of what is found.
    """
    indexes, access = filled.indexes, filled.access
    shown, deep = (_searched(filled, query, k) for k in (SHOWN, DEPTH))
    rankings = {
        "dense": _of_branch(filled, lambda k: indexes.dense.search(shown.vector, k, access)),
        "lexical": _of_branch(filled, lambda k: indexes.lexical.search(query, k, access)),
        "fused": _documents(filled, shown, deep),
    }
    if filled.retriever.reranker is not None:
        fused = (_searched(filled, query, k, reranked=False) for k in (SHOWN, DEPTH))
        rankings |= {"fused": _documents(filled, *fused), "reranked": rankings["fused"]}
    return Ranked(
        {
            branch: [name for name in names if name != without][:DEPTH]
            for branch, names in rankings.items()
        },
        _but(filled, shown.hits, without),
    )


def passages(filled: Filled, query: str, without: str = "") -> list[Hit]:
    """The first SHOWN passages as a user gets them, but for those of one document."""
    return _but(filled, _searched(filled, query, SHOWN).hits, without)


def _but(filled: Filled, hits: Sequence[Hit], without: str) -> list[Hit]:
    return [hit for hit in hits if filled.name(hit) != without]


def _searched(filled: Filled, query: str, k: int, *, reranked: bool = True) -> SearchResult:
    return filled.retriever.retrieve(query, filled.access, k, reranked=reranked)


def _documents(filled: Filled, *results: SearchResult) -> list[str]:
    return _distinct(filled.name(hit) for result in results for hit in result.hits)


def _of_branch(filled: Filled, search: Search) -> list[str]:
    """The best documents, more than DEPTH: as many chunks are asked for as that takes."""
    k = 4 * DEPTH
    while True:
        found = search(k)
        names = _distinct(filled.keys[filled.owners[chunk_id]] for chunk_id, _ in found)
        if len(names) > DEPTH or len(found) < k:
            return names
        k *= 2


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))

"""What the rest of the product asks of the indexes, whatever holds them.

`rag.search.indexes` is FAISS and Tantivy inside of each process, `rag.search.milvus` one Milvus for
all of them. The same tests are run against both (tests/search/test_index_contract.py).
"""

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rag.types import Access, Vectors


class Dense(Protocol):
    """The chunks' vectors."""

    def search(
        self, vector: NDArray[np.float32], k: int, access: Access
    ) -> list[tuple[int, float]]:
        """The `k` nearest readable chunks to a vector of shape (dim,), as (chunk id, cosine)."""

    def ids(self) -> list[int]:
        """Chunk ids of everything that a search can return."""

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """The vectors as the index holds them, shape (len(ids), dim); zeros for an unknown id."""

    def __len__(self) -> int: ...


class Lexical(Protocol):
    """The chunks' words."""

    def search(self, query: str, k: int, access: Access) -> list[tuple[int, float]]:
        """The `k` best readable chunks for the words of a query, as (chunk id, score > 0).

        It is BM25 as a share of what a chunk would have with each of the words once.
        """

    def content_terms(self, text: str, language: str) -> list[str]:
        """The stems of the words of `text` that carry meaning, in order, with repeats."""

    def idf(self, term: str, language: str, access: Access) -> float:
        """Inverse document frequency of a stem in what a caller may read; > 0."""

    def has_document(self, document_id: int) -> bool:
        """Whether rows of a document are held."""

    def ids(self) -> list[int]:
        """Chunk ids of everything that a search can return."""


class Pair(Protocol):
    """Both, at one point of the change log. Thread-safe; closed at the end of a `with` block."""

    seq: int  # of the newest change that is in force
    rebuilt: bool  # whether opening it took a build from the store

    @property
    def dense(self) -> Dense: ...

    @property
    def lexical(self) -> Lexical: ...

    def catch_up(self) -> None:
        """Put every change that was acknowledged before this call in force."""

    def publish(self) -> None:
        """Keep what was applied for the next process."""

    def outgrown(self) -> bool:
        """Whether the number of chunks asks for another type of index."""

    def grow(self) -> None:
        """Build anew what was outgrown, while searches go on."""

    def follow(self) -> None:
        """Keep level with the change log without being asked, until `close`; once is enough."""

    def drop_forgotten(self) -> bool:
        """Let go of what was forgotten since; False where nothing was."""

    def close(self) -> None:
        """Release what is held open."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

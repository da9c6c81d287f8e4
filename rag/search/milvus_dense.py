"""The dense index in Milvus: HNSW over the chunks' vectors, or all of them in a small file.

Milvus searches the allowed rows one by one where a filter lets few through, so its graph loses no
answers to a filter. milvus-lite does not, so a file is searched exactly.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.search.milvus_client import Milvus, Row, Shelf, place, readable
from rag.types import Access, IndexRow, Vectors

LINKS, BUILD_EF = 32, 200  # of the graph
LEAST_EF = 200  # candidates looked at, twice what is asked for at least
GET_ROWS = 2000


def create(milvus: Milvus, name: str, dim: int) -> None:
    """Make the collection."""
    graph = {"index_type": "HNSW", "params": {"M": LINKS, "efConstruction": BUILD_EF}}
    exact = {"index_type": "FLAT", "params": {}}
    vector = {"field_name": "vector", "datatype": "FLOAT_VECTOR", "dim": dim}
    index = {"field_name": "vector", "metric_type": "IP"}
    milvus.create(name, [*key_fields(), vector], index | (exact if milvus.is_lite else graph))


def key_fields() -> list[Row]:
    """What a row says of its chunk, in either index: numbers only."""
    key: Row = {"field_name": "chunk_id", "datatype": "INT64", "is_primary": True}
    others = ("document_id", "place", "list_id")
    return [key, *({"field_name": each, "datatype": "INT64"} for each in others)]


def keys(row: IndexRow) -> Row:
    """The values of `key_fields`."""
    return {
        "chunk_id": row.chunk_id,
        "document_id": row.document_id,
        "place": place(row.collection),
        "list_id": row.list_id,
    }


def records(rows: Sequence[IndexRow]) -> list[Row]:
    """The rows of chunks, as Milvus takes them."""
    return [{**keys(row), "vector": np.array(row.vector)} for row in rows]


class MilvusDense:
    """Inner product over unit vectors, that is cosine."""

    def __init__(self, shelf: Shelf, dim: int) -> None:
        self.shelf = shelf
        self.dim = dim

    def search(
        self, vector: NDArray[np.float32], k: int, access: Access
    ) -> list[tuple[int, float]]:
        """The `k` nearest readable chunks to a vector of shape (dim,), as (chunk id, cosine)."""
        if not access.collections:
            return []
        params = {"ef": max(LEAST_EF, 2 * k)}
        (found,) = self.shelf.search("vector", [vector], k, readable(access), params)
        return found

    def ids(self) -> list[int]:
        """Chunk ids of everything that a search can return."""
        return self.shelf.keys()

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """The vectors as the index holds them, shape (len(ids), dim); zeros for an unknown id."""
        held: dict[int, NDArray[np.float32]] = {}
        for start in range(0, len(ids), GET_ROWS):
            some = f"chunk_id in {list(ids[start : start + GET_ROWS])}"
            for row in self.shelf.rows(some, ["chunk_id", "vector"]):
                held[row["chunk_id"]] = np.asarray(row["vector"], np.float32)
        nothing = np.zeros(self.dim, np.float32)
        return np.array([held.get(i, nothing) for i in ids], np.float32).reshape(-1, self.dim)

    def __len__(self) -> int:
        return self.shelf.count("chunk_id >= 0")

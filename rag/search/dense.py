"""The dense index: FAISS over the chunks' vectors, exact.

Knows rows, chunk ids, collections and lists of readers; nothing of text. Rows are only appended; a
deleted row is masked out at once and dropped when the index is saved.

A filter is a bitmap over rows handed *into* the search. Graph indexes are not offered: under a
filter that lets few rows through they silently lose most of the answers, where the exact scan loses
none and is as fast (BENCHMARKS.md).
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.errors import SearchIndexError
from rag.types import Access, Vectors

Kind = Literal["flat", "sq8"]
SQ8_FROM = 100_000  # rows from which the int8 scan is worth its loss of about .01 recall
SQ8_LEAST = 5_000  # a quantiser that learnt from fewer has .97 of the hits (1,000) or .23 (2)
TRAINING_ROWS = 50_000
KEPT_FILTERS = 256  # of callers who may read different things; a bit a row each


def choose_kind(setting: Literal["auto", "flat", "sq8"], n_rows: int) -> Kind:
    """The index type for a number of rows; see BENCHMARKS.md for where the border comes from.

    Few rows are kept in full precision even where `sq8` is set.
    """
    least = {"auto": SQ8_FROM, "sq8": SQ8_LEAST}.get(setting, math.inf)
    return "sq8" if n_rows >= least else "flat"


class DenseIndex:
    """Inner product over unit vectors, that is cosine. Safe to share between threads.

    One lock is enough: a scan uses all cores by itself, so that two at once would gain nothing.
    """

    def __init__(self, dim: int, kind: Kind = "flat") -> None:
        self.dim = dim
        self.kind = kind
        self._lock = threading.Lock()
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)  # (rows,)
        self._collections: NDArray[np.int32] = np.empty(0, np.int32)  # (rows,), into _names
        self._lists: NDArray[np.int64] = np.empty(0, np.int64)  # (rows,), 0 where there is none
        self._alive: NDArray[np.bool_] = np.empty(0, np.bool_)  # (rows,)
        self._names: list[str] = []
        self._filters: OrderedDict[Access, Any] = OrderedDict()
        self._faiss: Any
        if kind == "flat":
            self._faiss = faiss.IndexFlatIP(dim)
        else:
            self._faiss = faiss.IndexScalarQuantizer(
                dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
            )

    def append(
        self,
        ids: Sequence[int],
        collections: Sequence[str],
        vectors: Vectors,
        lists: Sequence[int] | None = None,
    ) -> None:
        """Add rows; `vectors` has shape (len(ids), dim). A quantiser learns from the first call.

        `lists` has the list of each row's document, 0 where it has none, as all have by default.
        """
        if not len(ids):
            return
        with self._lock:
            if not self._faiss.is_trained:
                self._faiss.train(vectors[:TRAINING_ROWS])
            self._faiss.add(np.ascontiguousarray(vectors, np.float32))
            self._ids = np.append(self._ids, np.asarray(ids, np.int64))
            codes = np.array([self._code(name) for name in collections], np.int32)
            self._collections = np.append(self._collections, codes)
            of_rows = np.zeros(len(ids), np.int64) if lists is None else np.array(lists, np.int64)
            self._lists = np.append(self._lists, of_rows)
            self._alive = np.append(self._alive, np.ones(len(ids), np.bool_))
            self._filters.clear()

    def delete(self, ids: Sequence[int]) -> None:
        """Take rows out of every later search. Unknown ids are ignored."""
        with self._lock:
            self._alive &= ~np.isin(self._ids, np.asarray(ids, np.int64))
            self._filters.clear()

    def search(
        self, vector: NDArray[np.float32], k: int, access: Access
    ) -> list[tuple[int, float]]:
        """The `k` nearest readable chunks to a vector of shape (dim,), as (chunk id, cosine)."""
        with self._lock:
            selector = self._selector(access)
            if selector is None or not self._faiss.ntotal:
                return []
            params = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
            scores, rows = self._faiss.search(vector[None, :], k, params=params)  # (1, k) each
        found = rows[0] >= 0
        ids = self._ids[rows[0][found]]
        return list(zip(ids.tolist(), scores[0][found].tolist(), strict=True))

    def ids(self) -> list[int]:
        """Chunk ids of all rows that a search can return, in the order of the rows."""
        with self._lock:
            return [int(i) for i in self._ids[self._alive]]

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """The vectors as the index holds them, shape (len(ids), dim); zeros for an unknown id."""
        found = np.zeros((len(ids), self.dim), np.float32)
        with self._lock:
            rows = dict(zip(self._ids.tolist(), range(len(self._ids)), strict=True))
            known = [at for at, i in enumerate(ids) if i in rows]
            held = np.array([rows[ids[at]] for at in known], np.int64)
            found[known] = self._faiss.reconstruct_batch(held)
        return found

    def __len__(self) -> int:
        return int(self._alive.sum())

    def save(self, directory: Path) -> None:
        """Write the index into an existing directory, without its deleted rows."""
        with self._lock:
            self._compact()
            faiss.write_index(self._faiss, str(directory / "vectors.faiss"))
            np.save(directory / "ids.npy", self._ids, allow_pickle=False)
            np.save(directory / "collections.npy", self._collections, allow_pickle=False)
            np.save(directory / "lists.npy", self._lists, allow_pickle=False)
            np.save(directory / "names.npy", np.array(self._names, np.str_), allow_pickle=False)

    @classmethod
    def load(cls, directory: Path, kind: Kind) -> Self:
        """Read what `save` wrote. The caller has checked the files' SHA-256.

        Raises:
            SearchIndexError: the files are not an index, or contradict each other.
        """
        try:
            loaded = faiss.read_index(str(directory / "vectors.faiss"))
            index = cls(loaded.d, kind)
            index._faiss = loaded
            index._ids = np.load(directory / "ids.npy", allow_pickle=False)
            index._collections = np.load(directory / "collections.npy", allow_pickle=False)
            index._lists = np.load(directory / "lists.npy", allow_pickle=False)
            index._names = np.load(directory / "names.npy", allow_pickle=False).tolist()
        except (EOFError, OSError, RuntimeError, ValueError) as error:
            raise SearchIndexError(f"cannot read the dense index: {error}") from error
        index._alive = np.ones(len(index._ids), np.bool_)
        columns = (index._ids, index._collections, index._lists)
        if any(len(column) != loaded.ntotal for column in columns):
            raise SearchIndexError("the dense index does not hold one id for each vector")
        return index

    def _code(self, name: str) -> int:
        if name not in self._names:
            self._names.append(name)
        return self._names.index(name)

    def _selector(self, access: Access) -> Any:
        """A bitmap of the readable rows, None where there are none. Kept until a change."""
        if access in self._filters:
            self._filters.move_to_end(access)
            return self._filters[access]
        codes = [code for code, name in enumerate(self._names) if name in access.collections]
        allowed = self._alive & np.isin(self._collections, codes)
        allowed &= np.isin(self._lists, [0, *access.lists])
        bitmap = np.packbits(allowed, bitorder="little")
        selector: Any = faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg, arg-type]
        self._filters[access] = selector if allowed.any() else None
        if len(self._filters) > KEPT_FILTERS:
            self._filters.popitem(last=False)
        return self._filters[access]

    def _compact(self) -> None:
        dead = np.flatnonzero(~self._alive)
        if not len(dead):
            return
        self._faiss.remove_ids(faiss.IDSelectorBatch(dead))
        self._ids = self._ids[self._alive]
        self._collections = self._collections[self._alive]
        self._lists = self._lists[self._alive]
        self._alive = np.ones(len(self._ids), np.bool_)
        self._filters.clear()

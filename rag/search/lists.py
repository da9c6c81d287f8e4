"""The vectors of a large dense index, in lists of near ones: `ivf` of `rag.search.coded`.

Each row lies in the list of the centre that it is nearest to, as a RaBitQ code of two bits a
coordinate (Gao and Long, 2024) of what it differs from that centre. The lists nearest to a query
are looked through by these, and the best candidates are compared once more by one byte a
coordinate, from which the cosines are. That finds what comparing all of the lists by bytes finds,
in well under half of the time (BENCHMARKS.md).
"""

import math
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.search import byte_rows
from rag.search.byte_rows import ByteRows
from rag.search.rows import Column, Filter, Ints
from rag.types import Vectors

ROUNDS = 8  # of k-means; more bring nothing that one can measure
BITS = 2  # a coordinate; one finds less of what lies far from the query, three take longer
QUERY_BITS = 4  # a coordinate of the query; eight find no more
CANDIDATES, FEWEST = 2, 200  # times k, and at least, that are compared once more
# A query looks through the lists nearest to it that hold something it may find, until it has spent
# so much times the root of the number of rows. Whether a row may be found costs 1, comparing it 3
# more, and where such rows lie among others the processor guesses wrong, which costs too. So
# the fewer rows a caller may find, the more lists are looked through, and all take about as long.
SPENT = 450
COMPARED, MIXED = 3, 4
# Of two lists as near, the one with more that may be found goes first: so much of a cosine for each
# e-fold. Around a query there may be lists with next to nothing in them that is a caller's.
SHARE_COUNTS = 0.02
FEW_ROWS = 3000  # that may be found: all of them are compared by bytes, wherever they are


class Lists:
    """See `rag.search.coded.Coded`."""

    def __init__(self, empty: Any, codec: Any) -> None:
        """FAISS's indexes of the lists and of bytes, both without rows."""
        self._empty, self._codec = empty, codec
        self._lists: Any = faiss.clone_index(empty)
        self._list_of = Column(np.empty(0, np.int32))  # (rows,)
        self.n_lists, self.dim = int(empty.nlist), int(empty.d)
        self.code_size = int(codec.code_size + empty.code_size)  # the bytes, then that in the lists
        self._sizes = np.zeros(self.n_lists, np.int64)  # rows in each list
        self._centres: Vectors = np.empty((0, self.dim), np.float32)  # (lists, dim)
        if empty.is_trained:
            self._begin()

    @classmethod
    def new(cls, dim: int, n_lists: int) -> "Lists":
        """One that holds nothing yet."""
        quantizer: Any = faiss.IndexFlatIP(dim)
        index: Any = faiss.IndexIVFRaBitQ(
            quantizer, dim, n_lists, faiss.METRIC_INNER_PRODUCT, True, BITS
        )
        index.own_fields = True
        quantizer.this.disown()
        index.cp.niter = ROUNDS
        index.cp.min_points_per_centroid = 1
        return cls(index, byte_rows.byte_codec(dim))

    @classmethod
    def read(cls, saved: Any) -> "Lists":
        """One from what `write_empty` wrote, as FAISS reads it.

        Raises:
            RuntimeError: it is something else.
        """
        parts = [faiss.downcast_index(one) for one in (saved.base_index, saved.refine_index)]
        if not isinstance(parts[0], faiss.IndexIVFRaBitQ):
            raise RuntimeError("it holds no lists of RaBitQ codes")
        return cls(*[faiss.clone_index(part) for part in parts])

    @property
    def is_trained(self) -> bool:
        """See `Coded`."""
        return bool(self._lists.is_trained)

    def train(self, sample: Vectors) -> None:
        """See `Coded`."""
        self._empty.train(sample)
        byte_rows.train(self._codec, sample)
        self._lists = faiss.clone_index(self._empty)
        self._begin()

    def ready(self, vectors: Vectors) -> Ints:
        """See `Coded`: the list that each will be in, shape (n,)."""
        return np.asarray(self._lists.quantizer.search(vectors, 1)[1][:, 0], np.int64)

    def add(self, vectors: Vectors, ready: Ints) -> None:
        """See `Coded`."""
        pointers = faiss.swig_ptr(vectors), None, faiss.swig_ptr(ready)
        self._lists.add_core(len(vectors), *pointers, None)
        self._exact.add(vectors)
        self._list_of.extend(ready.astype(np.int32))
        self._sizes += np.bincount(ready, minlength=self.n_lists)

    def search(
        self, vector: NDArray[np.float32], k: int, may: Filter
    ) -> tuple[NDArray[np.float32], Ints]:
        """See `Coded`."""
        if may.n_allowed <= FEW_ROWS:
            return self._best(vector, k, may.allowed())
        probed, near = self._probed(vector, may.counts)
        vector, n = np.ascontiguousarray(vector), max(CANDIDATES * k, FEWEST)
        scores, rows = np.empty(n, np.float32), np.empty(n, np.int64)
        params: Any = faiss.IVFRaBitQSearchParameters(  # type: ignore[call-arg]
            nprobe=len(probed), sel=may.selector
        )
        params.qb = QUERY_BITS
        arrays = [faiss.swig_ptr(one) for one in (probed, near, scores, rows)]
        self._lists.search_preassigned_c(1, faiss.swig_ptr(vector), n, *arrays, False, params, None)
        return self._best(vector, k, rows[rows >= 0])

    def vectors(self, rows: Ints) -> Vectors:
        """See `Coded`."""
        return self._exact.vectors(rows)

    def lists_of(self, rows: Ints) -> NDArray[Any]:
        """See `Coded`."""
        return self._list_of.values[rows]

    def n_blocks(self) -> int:
        """See `Coded`."""
        return self.n_lists

    def block(self, number: int) -> tuple[Ints, NDArray[np.uint8]]:
        """See `Coded`."""
        held, size = self._lists.invlists, int(self._lists.code_size)
        n = held.list_size(number)
        if not n:
            return np.empty(0, np.int64), np.empty((0, self.code_size), np.uint8)
        rows = faiss.rev_swig_ptr(held.get_ids(number), n).copy()
        codes = faiss.rev_swig_ptr(held.get_codes(number), n * size).reshape(n, size)
        return rows, np.hstack([self._exact.codes(rows), codes])

    def write_empty(self, file: Path) -> None:
        """See `Coded`."""
        faiss.write_index(faiss.IndexRefine(self._empty, self._codec), str(file))

    def restore(self, codes: NDArray[np.uint8], sizes: Ints) -> None:
        """See `Coded`."""
        of_bytes = int(self._codec.code_size)
        held: Any = faiss.ArrayInvertedLists(self.n_lists, self._lists.code_size)
        ends = np.cumsum(sizes)
        rows = np.arange(len(codes))
        for number, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True)):
            if size:
                mine = slice(end - size, end)
                arrays = rows[mine], np.ascontiguousarray(codes[mine, of_bytes:])
                held.add_entries(number, size, *[faiss.swig_ptr(one) for one in arrays])
        self._lists.replace_invlists(held, True)
        held.this.disown()
        self._lists.ntotal = len(codes)
        self._sizes = sizes.copy()
        self._exact = ByteRows(self._codec, np.ascontiguousarray(codes[:, :of_bytes]))
        self._list_of = Column(np.repeat(np.arange(self.n_lists, dtype=np.int32), sizes))

    def _begin(self) -> None:
        self._exact = ByteRows(self._codec)
        self._centres = self._lists.quantizer.reconstruct_n(0, self.n_lists)

    def _probed(
        self, vector: NDArray[np.float32], allowed: Ints
    ) -> tuple[Ints, NDArray[np.float32]]:
        """The lists to look through of those that have an allowed row, and the centres' cosines."""
        lists = np.flatnonzero(allowed > 0)
        near = byte_rows.products(self._centres, vector)[lists]
        order = np.argsort(-near - SHARE_COUNTS * np.log(allowed[lists] / self._sizes[lists]))
        nearest = lists[order]
        rows, found = self._sizes[nearest], allowed[nearest]
        mixed = np.sqrt(found * np.maximum(0, rows - found))
        spent = np.cumsum(rows + COMPARED * found + MIXED * mixed)
        budget = SPENT * math.sqrt(self._lists.ntotal)
        n = int(np.searchsorted(spent, budget)) + 1
        return np.ascontiguousarray(nearest[:n]), np.ascontiguousarray(near[order[:n]])

    def _best(
        self, vector: NDArray[np.float32], k: int, rows: Ints
    ) -> tuple[NDArray[np.float32], Ints]:
        """The best of these rows by their bytes."""
        scores = self._exact.products(rows, vector)  # (rows,)
        best = np.argsort(-scores)[:k]
        return scores[best], rows[best]

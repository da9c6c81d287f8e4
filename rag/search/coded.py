"""The vectors of the dense index as FAISS holds them: row by row, or in lists of near ones.

    flat   float32, all compared
    sq8    one byte a coordinate, all compared
    ivf    one byte a coordinate, in lists around centres; the lists nearest to a query are compared

Rows are numbered in the order in which they came, deleted ones too. None of this is safe to share
between threads: the dense index has the lock.
"""

import math
from pathlib import Path
from typing import Any, Literal, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.search.rows import Filter, Ints
from rag.types import Vectors

Kind = Literal["flat", "sq8", "ivf"]
NO_MAP: Any = faiss.DirectMap.NoMap  # type: ignore[attr-defined]
ROW_MAP: Any = faiss.DirectMap.Array  # type: ignore[attr-defined]
ROUNDS = 8  # of k-means; more bring nothing that one can measure
# A query looks through the lists nearest to it that hold something it may find, until it has spent
# so much times the root of the number of rows. Whether a row may be found costs 1, comparing it 3
# more, and where such rows lie among others the processor guesses wrong, which costs too. So
# the fewer rows a caller may find, the more lists are looked through, and all take about as long.
SPENT = 450
COMPARED, MIXED = 3, 4
# Of two lists as near, the one with more that may be found goes first: so much of a cosine for each
# e-fold. Around a query there may be lists with next to nothing in them that is a caller's.
SHARE_COUNTS = 0.02
FEW_ROWS = 3000  # that may be found: all of them are compared, wherever they are
# What a byte spans, in standard deviations of a coordinate, to either side. Between the extremes of
# the training rows the steps are wider than they need be: recall@10 .988 against .994 of a million.
BYTE_SPANS = 4.0
SAVED_ROWS = 4096  # copied at a time, while queries wait: some two milliseconds


class Coded(Protocol):
    """Vectors in one of the three ways."""

    n_lists: int  # 0 where there are none
    faiss: Any

    def train(self, sample: Vectors) -> None:
        """Learn from some rows what a byte spans, and where the centres are."""

    def ready(self, vectors: Vectors) -> Any:
        """What `add` needs beside the vectors; takes long, and may run beside searches."""

    def add(self, vectors: Vectors, ready: Any) -> None:
        """Add rows at the end."""

    def search(
        self, vector: NDArray[np.float32], k: int, may: Filter
    ) -> tuple[NDArray[np.float32], Ints]:
        """Scores and rows of the best allowed ones, best first, shape (≤ k,) each; -1 is no row."""

    def vectors(self, rows: Ints) -> Vectors:
        """The vectors as they are held, shape (rows, dim)."""

    def lists_of(self, rows: Ints) -> NDArray[Any]:
        """The list that holds each row."""

    def n_blocks(self) -> int:
        """How many parts the rows are saved in."""

    def block(self, number: int) -> tuple[Ints, NDArray[np.uint8]]:
        """Rows and codes of a part, copied; shapes (n,) and (n, bytes)."""

    def write_empty(self, file: Path) -> None:
        """Save what was learnt, without rows."""

    def restore(self, codes: NDArray[np.uint8], sizes: Ints) -> None:
        """Take in saved codes (n, bytes), and how many of them are of each part that was saved."""


class Plain:
    """`flat` and `sq8`: every allowed row is compared with the query."""

    n_lists = 0

    def __init__(self, empty: Any) -> None:
        self._empty = empty  # without rows, and with what was learnt
        self.faiss: Any = faiss.clone_index(empty)

    @classmethod
    def new(cls, dim: int, kind: Kind) -> "Plain":
        """One that holds nothing yet."""
        if kind == "flat":
            return cls(faiss.IndexFlatIP(dim))
        index: Any = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        _set_spans(index.sq)
        return cls(index)

    def train(self, sample: Vectors) -> None:
        """See `Coded`."""
        self._empty.train(sample)
        self.faiss = faiss.clone_index(self._empty)

    def ready(self, vectors: Vectors) -> None:
        """See `Coded`: nothing."""

    def add(self, vectors: Vectors, ready: None) -> None:
        """See `Coded`."""
        self.faiss.add(vectors)

    def search(
        self, vector: NDArray[np.float32], k: int, may: Filter
    ) -> tuple[NDArray[np.float32], Ints]:
        """See `Coded`."""
        params: Any = faiss.SearchParameters(sel=may.selector)  # type: ignore[call-arg]
        scores, rows = self.faiss.search(vector[None, :], k, params=params)  # (1, k) each
        return scores[0], rows[0]

    def vectors(self, rows: Ints) -> Vectors:
        """See `Coded`."""
        return np.asarray(self.faiss.reconstruct_batch(rows), np.float32)

    def lists_of(self, rows: Ints) -> NDArray[Any]:
        """See `Coded`: all are in one."""
        return np.zeros(len(rows), np.int64)

    def n_blocks(self) -> int:
        """See `Coded`."""
        return -(-int(self.faiss.ntotal) // SAVED_ROWS)

    def block(self, number: int) -> tuple[Ints, NDArray[np.uint8]]:
        """See `Coded`."""
        first, size = number * SAVED_ROWS, int(self.faiss.code_size)
        last = min(first + SAVED_ROWS, int(self.faiss.ntotal))
        codes = faiss.rev_swig_ptr(self.faiss.codes.data(), last * size).reshape(-1, size)
        return np.arange(first, last), codes[first:].copy()

    def write_empty(self, file: Path) -> None:
        """See `Coded`."""
        faiss.write_index(self._empty, str(file))

    def restore(self, codes: NDArray[np.uint8], sizes: Ints) -> None:
        """See `Coded`."""
        if len(codes):
            self.faiss.add_sa_codes(codes)


class Lists:
    """`ivf`: rows of one byte a coordinate, each in the list of the centre it is nearest to."""

    def __init__(self, empty: Any) -> None:
        self._empty = empty
        self.faiss: Any = faiss.clone_index(empty)
        self.n_lists = int(empty.nlist)
        self._sizes = np.zeros(self.n_lists, np.int64)  # rows in each list
        self._centres: Vectors = np.empty((0, empty.d), np.float32)  # (lists, dim)
        if empty.is_trained:
            self._begin()

    @classmethod
    def new(cls, dim: int, n_lists: int) -> "Lists":
        """One that holds nothing yet."""
        quantizer: Any = faiss.IndexFlatIP(dim)
        index: Any = faiss.IndexIVFScalarQuantizer(
            quantizer,
            dim,
            n_lists,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
            False,  # codes of the vectors, not of what they differ from their centre: as exact
        )
        index.own_fields = True
        quantizer.this.disown()
        _set_spans(index.sq)
        index.cp.niter = ROUNDS
        index.cp.min_points_per_centroid = 1
        return cls(index)

    def train(self, sample: Vectors) -> None:
        """See `Coded`."""
        self._empty.train(sample)
        self.faiss = faiss.clone_index(self._empty)
        self._begin()

    def ready(self, vectors: Vectors) -> Ints:
        """See `Coded`: the list that each will be in, shape (n,)."""
        return np.asarray(self.faiss.quantizer.search(vectors, 1)[1][:, 0], np.int64)

    def add(self, vectors: Vectors, ready: Ints) -> None:
        """See `Coded`."""
        pointers = faiss.swig_ptr(vectors), None, faiss.swig_ptr(ready)
        self.faiss.add_core(len(vectors), *pointers, None)
        self._sizes += np.bincount(ready, minlength=self.n_lists)

    def search(
        self, vector: NDArray[np.float32], k: int, may: Filter
    ) -> tuple[NDArray[np.float32], Ints]:
        """See `Coded`."""
        if may.n_allowed <= FEW_ROWS:
            return self._compare(vector, k, may.allowed())
        probed = self._probed(vector, may.counts)[None, :]  # (1, lists)
        vector, near = np.ascontiguousarray(vector), np.zeros(probed.shape, np.float32)
        scores, rows = np.empty(k, np.float32), np.empty(k, np.int64)
        params: Any = faiss.SearchParametersIVF(  # type: ignore[call-arg]
            nprobe=probed.shape[1], sel=may.selector
        )
        arrays = [faiss.swig_ptr(one) for one in (probed, near, scores, rows)]
        self.faiss.search_preassigned_c(1, faiss.swig_ptr(vector), k, *arrays, False, params, None)
        return scores, rows

    def vectors(self, rows: Ints) -> Vectors:
        """See `Coded`."""
        return np.asarray(self.faiss.reconstruct_batch(rows), np.float32)

    def lists_of(self, rows: Ints) -> NDArray[Any]:
        """See `Coded`."""
        held = faiss.rev_swig_ptr(self.faiss.direct_map.array.data(), int(self.faiss.ntotal))
        return np.asarray(held[rows] >> 32)  # the place in the list is below

    def n_blocks(self) -> int:
        """See `Coded`."""
        return self.n_lists

    def block(self, number: int) -> tuple[Ints, NDArray[np.uint8]]:
        """See `Coded`."""
        held, size = self.faiss.invlists, int(self.faiss.code_size)
        n = held.list_size(number)
        if not n:
            return np.empty(0, np.int64), np.empty((0, size), np.uint8)
        rows = faiss.rev_swig_ptr(held.get_ids(number), n).copy()
        codes = faiss.rev_swig_ptr(held.get_codes(number), n * size).copy()
        return rows, codes.reshape(n, size)

    def write_empty(self, file: Path) -> None:
        """See `Coded`."""
        faiss.write_index(self._empty, str(file))

    def restore(self, codes: NDArray[np.uint8], sizes: Ints) -> None:
        """See `Coded`."""
        held: Any = faiss.ArrayInvertedLists(self.n_lists, self.faiss.code_size)
        ends = np.cumsum(sizes)
        rows = np.arange(len(codes))
        for number, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True)):
            if size:
                mine = rows[end - size : end], codes[end - size : end]
                held.add_entries(number, size, *[faiss.swig_ptr(one) for one in mine])
        self.faiss.set_direct_map_type(NO_MAP)
        self.faiss.replace_invlists(held, True)
        held.this.disown()
        self.faiss.ntotal = len(codes)
        self._sizes = sizes.copy()
        self.faiss.set_direct_map_type(ROW_MAP)

    def _begin(self) -> None:
        self._centres = self.faiss.quantizer.reconstruct_n(0, self.n_lists)
        self.faiss.set_direct_map_type(ROW_MAP)

    def _probed(self, vector: NDArray[np.float32], allowed: Ints) -> Ints:
        """The lists to look through, the nearest first, of those that have an allowed row."""
        lists = np.flatnonzero(allowed > 0)
        shares = allowed[lists] / self._sizes[lists]
        near = _products(self._centres[lists], vector) + SHARE_COUNTS * np.log(shares)
        nearest = lists[np.argsort(-near)]
        rows, found = self._sizes[nearest], allowed[nearest]
        mixed = np.sqrt(found * np.maximum(0, rows - found))
        spent = np.cumsum(rows + COMPARED * found + MIXED * mixed)
        budget = SPENT * math.sqrt(self.faiss.ntotal)
        return np.ascontiguousarray(nearest[: int(np.searchsorted(spent, budget)) + 1])

    def _compare(
        self, vector: NDArray[np.float32], k: int, rows: Ints
    ) -> tuple[NDArray[np.float32], Ints]:
        scores = _products(self.vectors(rows), vector)  # (rows,)
        best = np.argsort(-scores)[:k]
        return scores[best], rows[best]


def new(dim: int, kind: Kind, n_lists: int) -> Coded:
    """One that holds nothing yet; only `ivf` has lists."""
    return Lists.new(dim, n_lists) if kind == "ivf" else Plain.new(dim, kind)


def read_empty(file: Path, kind: Kind) -> Coded:
    """What `write_empty` wrote.

    Raises:
        RuntimeError: it is no index, or one of another kind.
    """
    empty: Any = faiss.read_index(str(file))
    if isinstance(empty, faiss.IndexIVF) != (kind == "ivf"):
        raise RuntimeError(f"{file.name} is of another kind")
    return Lists(empty) if kind == "ivf" else Plain(empty)


def _products(vectors: Vectors, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products, by this thread alone: waking others takes longer than so few."""
    return np.asarray(np.einsum("ij,j->i", vectors, vector), np.float32)


def _set_spans(quantizer: Any) -> None:
    quantizer.rangestat = faiss.ScalarQuantizer.RS_meanstd
    quantizer.rangestat_arg = BYTE_SPANS

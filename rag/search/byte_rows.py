"""Vectors of one byte a coordinate, by row."""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.search.rows import Ints
from rag.search.threads import one_thread
from rag.types import Vectors

# What a byte spans, in standard deviations of a coordinate, to either side. Between the extremes of
# the training rows the steps are wider than they need be: recall@10 .988 against .994 of a million.
BYTE_SPANS = 4.0
BLOCK = 2**18  # rows; what is not filled yet is not in memory


def byte_codec(dim: int) -> Any:
    """FAISS's index of one byte a coordinate, without rows, which learns what a byte spans."""
    codec: Any = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    codec.sq.rangestat = faiss.ScalarQuantizer.RS_meanstd
    codec.sq.rangestat_arg = BYTE_SPANS
    return codec


def train(codec: Any, sample: Vectors) -> None:
    """Learn from the rows (n, dim) what a byte spans.

    By one thread: FAISS 1.15.1 lets several write over each other's sums, and once in some hundred
    times a coordinate's bytes then spanned something else.
    """
    with one_thread():
        codec.train(sample)


def products(vectors: Vectors, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products, by this thread alone: waking others takes longer than so few."""
    return np.asarray(np.einsum("ij,j->i", vectors, vector), np.float32)


class ByteRows:
    """Codes in blocks that never move: copying a million to a larger place would take long.

    They are read here and not by FAISS, which would wake other threads for each query's few.
    """

    def __init__(self, codec: Any, codes: NDArray[np.uint8] | None = None) -> None:
        """With a trained `codec`, and the codes (n, bytes) of the first rows."""
        self._codec = codec
        trained: NDArray[np.float32] = faiss.vector_to_array(codec.sq.trained).reshape(2, -1)
        self._step = trained[1] / np.float32(255)  # (dim,)
        self._first = trained[0] + self._step / 2  # a byte stands for the middle of its step
        empty = np.empty((0, int(codec.code_size)), np.uint8)
        self._blocks = [empty if codes is None else codes]
        self._starts = np.zeros(1, np.int64)  # the first row of each block
        self._n = len(self._blocks[0])

    def add(self, vectors: Vectors) -> None:
        """Add rows at the end."""
        codes = self._codec.sa_encode(vectors)
        while len(codes):
            room = self._blocks[-1][self._n - self._starts[-1] :]
            if not len(room):
                room = np.empty((BLOCK, codes.shape[1]), np.uint8)
                self._blocks.append(room)
                self._starts = np.append(self._starts, self._n)
            n = min(len(room), len(codes))
            room[:n] = codes[:n]
            self._n += n
            codes = codes[n:]

    def codes(self, rows: Ints) -> NDArray[np.uint8]:
        """The codes of these rows, shape (rows, bytes)."""
        if len(self._blocks) == 1:
            return self._blocks[0][rows]
        found = np.empty((len(rows), self._blocks[0].shape[1]), np.uint8)
        blocks = np.searchsorted(self._starts, rows, "right") - 1
        for number, start in enumerate(self._starts.tolist()):
            mine = blocks == number
            found[mine] = self._blocks[number][rows[mine] - start]
        return found

    def vectors(self, rows: Ints) -> Vectors:
        """The vectors of these rows as the bytes give them, shape (rows, dim)."""
        return np.asarray(self.codes(rows) * self._step + self._first, np.float32)

    def products(self, rows: Ints, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inner products of these rows with a vector of shape (dim,)."""
        codes = self.codes(rows).astype(np.float32)
        rest = np.float32(self._first @ vector)
        return np.asarray(products(codes, vector * self._step) + rest, np.float32)

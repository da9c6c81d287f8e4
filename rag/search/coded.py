"""The vectors of the dense index as FAISS holds them: row by row, or in lists of near ones.

    flat   float32, all compared
    sq8    one byte a coordinate, all compared
    ivf    in lists around centres, of which those nearest to a query are compared: by two bits a
           coordinate, the best of them by one byte (`rag.search.lists`)

Rows are numbered in the order in which they came, deleted ones too. None of this is safe to share
between threads: the dense index has the lock.
"""

from pathlib import Path
from typing import Any, Literal, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.search import byte_rows
from rag.search.lists import Lists
from rag.search.rows import Filter, Ints
from rag.types import Vectors

Kind = Literal["flat", "sq8", "ivf"]
SAVED_ROWS = 4096  # copied at a time, while queries wait: some two milliseconds


class Coded(Protocol):
    """Vectors in one of the three ways."""

    n_lists: int  # 0 where there are none
    dim: int
    code_size: int  # bytes of a row as it is saved

    @property
    def is_trained(self) -> bool:
        """Whether rows can be added."""

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
        self._faiss: Any = faiss.clone_index(empty)
        self.dim, self.code_size = int(empty.d), int(empty.code_size)

    @classmethod
    def new(cls, dim: int, kind: Kind) -> "Plain":
        """One that holds nothing yet."""
        if kind == "flat":
            return cls(faiss.IndexFlatIP(dim))
        return cls(byte_rows.byte_codec(dim))

    @property
    def is_trained(self) -> bool:
        """See `Coded`."""
        return bool(self._faiss.is_trained)

    def train(self, sample: Vectors) -> None:
        """See `Coded`."""
        byte_rows.train(self._empty, sample)
        self._faiss = faiss.clone_index(self._empty)

    def ready(self, vectors: Vectors) -> None:
        """See `Coded`: nothing."""

    def add(self, vectors: Vectors, ready: None) -> None:
        """See `Coded`."""
        self._faiss.add(vectors)

    def search(
        self, vector: NDArray[np.float32], k: int, may: Filter
    ) -> tuple[NDArray[np.float32], Ints]:
        """See `Coded`."""
        params: Any = faiss.SearchParameters(sel=may.selector)  # type: ignore[call-arg]
        scores, rows = self._faiss.search(vector[None, :], k, params=params)  # (1, k) each
        return scores[0], rows[0]

    def vectors(self, rows: Ints) -> Vectors:
        """See `Coded`."""
        return np.asarray(self._faiss.reconstruct_batch(rows), np.float32)

    def lists_of(self, rows: Ints) -> NDArray[Any]:
        """See `Coded`: all are in one."""
        return np.zeros(len(rows), np.int64)

    def n_blocks(self) -> int:
        """See `Coded`."""
        return -(-int(self._faiss.ntotal) // SAVED_ROWS)

    def block(self, number: int) -> tuple[Ints, NDArray[np.uint8]]:
        """See `Coded`."""
        first, size = number * SAVED_ROWS, int(self._faiss.code_size)
        last = min(first + SAVED_ROWS, int(self._faiss.ntotal))
        codes = faiss.rev_swig_ptr(self._faiss.codes.data(), last * size).reshape(-1, size)
        return np.arange(first, last), codes[first:].copy()

    def write_empty(self, file: Path) -> None:
        """See `Coded`."""
        faiss.write_index(self._empty, str(file))

    def restore(self, codes: NDArray[np.uint8], sizes: Ints) -> None:
        """See `Coded`."""
        if len(codes):
            self._faiss.add_sa_codes(codes)


def new(dim: int, kind: Kind, n_lists: int) -> Coded:
    """One that holds nothing yet; only `ivf` has lists."""
    return Lists.new(dim, n_lists) if kind == "ivf" else Plain.new(dim, kind)


def read_empty(file: Path, kind: Kind) -> Coded:
    """What `write_empty` wrote.

    Raises:
        RuntimeError: it is no index, or one of another kind.
    """
    empty: Any = faiss.read_index(str(file))
    if isinstance(empty, faiss.IndexRefine) != (kind == "ivf"):
        raise RuntimeError(f"{file.name} is of another kind")
    return Lists.read(empty) if kind == "ivf" else Plain(empty)

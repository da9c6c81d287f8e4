"""The dense index: FAISS over the chunks' vectors, exact or nearly so by their number.

Knows chunk ids, collections and lists of readers; nothing of text. Rows are only appended; a
deleted row is masked out at once and left out when the index is saved.

A filter is a bitmap over rows handed *into* the search. Graph indexes are not offered: under a
filter that lets few rows through they silently lose most of the answers. Lists of near rows don't:
the fewer rows a caller may find, the more lists are looked through (BENCHMARKS.md).
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from rag.errors import SearchIndexError
from rag.search import coded
from rag.search.coded import Coded, Kind
from rag.search.rows import Ints, Rows
from rag.types import Access, Vectors

Setting = Literal["auto", "flat", "sq8", "ivf"]
IVF_FROM = 100_000  # rows from which a tenth of the time is worth a loss of about .01 recall
SQ8_LEAST = 5_000  # a quantiser that learnt from fewer has .97 of the hits (1,000) or .23 (2)
TRAINING_ROWS = 50_000
ADDED_AT_ONCE = 100  # rows; a query waits for them, longest where each makes a list move: 15 ms


def choose_kind(setting: Setting, n_rows: int) -> Kind:
    """The index type for a number of rows; see BENCHMARKS.md for where the borders come from.

    Few rows are kept in full precision even where `sq8` or `ivf` is set.
    """
    if setting != "auto":
        return setting if n_rows >= SQ8_LEAST else "flat"
    return "ivf" if n_rows >= IVF_FROM else "flat"


def lists_for(n_rows: int) -> int:
    """How many lists an `ivf` index of so many rows has: the power of two next to the root."""
    return int(2 ** round(np.log2(max(n_rows, 1)) / 2))


class DenseIndex:
    """Inner product over unit vectors, that is cosine. Safe to share between threads.

    One lock is enough: nothing holds it for longer than a search takes.
    """

    def __init__(self, dim: int, kind: Kind = "flat", n_rows: int = 0) -> None:
        """An empty index for about `n_rows` rows, which only matters to `ivf`."""
        self.dim = dim
        self.kind = kind
        self._lock = threading.Lock()
        self._rows = Rows()
        self._coded: Coded = coded.new(dim, kind, lists_for(n_rows))

    def train(self, sample: Vectors) -> None:
        """Learn from some of the rows that will come, shape (n, dim); only before the first."""
        with self._lock:
            self._train(sample)

    def append(
        self,
        ids: Sequence[int],
        collections: Sequence[str],
        vectors: Vectors,
        lists: Sequence[int] | None = None,
    ) -> None:
        """Add rows; `vectors` has shape (len(ids), dim). Trains on the first ones if nothing has.

        `lists` has the list of each row's document, 0 where it has none, as all have by default.
        """
        if not len(ids):
            return
        vectors = np.ascontiguousarray(vectors, np.float32)
        of_rows = [0] * len(ids) if lists is None else lists
        with self._lock:
            if not self._coded.is_trained:
                self._train(vectors)
        for first in range(0, len(ids), ADDED_AT_ONCE):
            part = slice(first, first + ADDED_AT_ONCE)
            ready = self._coded.ready(vectors[part])
            with self._lock:
                self._coded.add(vectors[part], ready)
                numbers = np.array(ids[part], np.int64)
                self._rows.append(numbers, collections[part], of_rows[part])

    def delete(self, ids: Sequence[int]) -> None:
        """Take rows out of every later search. Unknown ids are ignored."""
        if len(ids):
            with self._lock:
                self._rows.delete(np.asarray(ids, np.int64))

    def search(
        self, vector: NDArray[np.float32], k: int, access: Access
    ) -> list[tuple[int, float]]:
        """The `k` nearest readable chunks to a vector of shape (dim,), as (chunk id, cosine)."""
        with self._lock:
            may = self._rows.filter(access, self._coded.n_lists, self._coded.lists_of)
            if not may.n_allowed:
                return []
            scores, rows = self._coded.search(vector, k, may)
            found = rows >= 0
            ids = self._rows.ids[rows[found]]
        return list(zip(ids.tolist(), scores[found].tolist(), strict=True))

    def ids(self) -> list[int]:
        """Chunk ids of all rows that a search can return, in the order of the rows."""
        with self._lock:
            found: list[int] = self._rows.ids[self._rows.alive].tolist()
        return found

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """The vectors as the index holds them, shape (len(ids), dim); zeros for an unknown id."""
        found = np.zeros((len(ids), self.dim), np.float32)
        with self._lock:
            rows = self._rows.of(np.asarray(ids, np.int64))
            known = np.flatnonzero(rows >= 0)
            if len(known):
                found[known] = self._coded.vectors(rows[known])
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def outgrown(self, setting: Setting) -> bool:
        """Whether the number of rows asks for an index of another type, or of more lists.

        One that has shrunk is kept until a half is left, so that nothing is built to and fro.
        """
        n = len(self)
        if self.kind not in (choose_kind(setting, n), choose_kind(setting, 2 * n)):
            return True
        return self.kind == "ivf" and lists_for(n) > 2 * self._coded.n_lists

    def worn(self) -> bool:
        """Whether so much has been deleted that a fresh copy would be worth its memory."""
        return len(self._rows.deleted) > len(self._rows)

    def save(self, directory: Path) -> None:
        """Write the index into an existing directory, without its deleted rows.

        Searches go on meanwhile; changes must not.
        """
        with self._lock:
            alive, n = self._rows.alive.copy(), len(self._rows)
            places = list(self._rows.places)
        self._coded.write_empty(directory / "vectors.faiss")
        shape = n, self._coded.code_size
        codes = open_memmap(directory / "codes.npy", "w+", np.uint8, shape)
        rows: list[Ints] = []
        end = 0
        for number in range(self._coded.n_blocks()):
            with self._lock:
                mine, held = self._coded.block(number)
            kept = alive[mine]
            rows.append(mine[kept])
            codes[end : end + len(rows[-1])] = held[kept]
            end += len(rows[-1])
        codes.flush()
        order = np.concatenate(rows) if rows else np.empty(0, np.int64)
        with self._lock:
            columns: dict[str, NDArray[Any]] = {
                "ids": self._rows.ids[order],
                "places": self._rows.of_rows[order],
            }
        columns["sizes"] = np.array([len(part) for part in rows], np.int64)
        columns["names"] = np.array([name for name, _ in places], np.str_)
        columns["lists"] = np.array([one for _, one in places], np.int64)
        for name, column in columns.items():
            np.save(directory / f"{name}.npy", column, allow_pickle=False)

    @classmethod
    def load(cls, directory: Path, kind: Kind) -> Self:
        """Read what `save` wrote. The caller has checked the files' SHA-256.

        Raises:
            SearchIndexError: the files are not an index, or contradict each other.
        """
        names = ("ids", "places", "sizes", "names", "lists")
        try:
            held = coded.read_empty(directory / "vectors.faiss", kind)
            codes = np.load(directory / "codes.npy", mmap_mode="r", allow_pickle=False)
            ids, places, sizes, collections, lists = (
                np.load(directory / f"{name}.npy", allow_pickle=False) for name in names
            )
            if not len(codes) == len(ids) == len(places) == sizes.sum():
                raise SearchIndexError("the dense index does not hold one id for each vector")
            if codes.shape[1:] != (held.code_size,):
                raise SearchIndexError("the dense index's vectors are of another kind")
            held.restore(codes, sizes)
            index = cls(held.dim, "flat")
            pairs = zip(collections.tolist(), lists.tolist(), strict=True)
            index._rows = Rows(ids, places, list(pairs))
        except (EOFError, OSError, RuntimeError, ValueError) as error:
            raise SearchIndexError(f"cannot read the dense index: {error}") from error
        index.kind, index._coded = kind, held
        return index

    def _train(self, sample: Vectors) -> None:
        if self.kind == "ivf" and len(sample) < self._coded.n_lists:
            self._coded = coded.new(self.dim, self.kind, lists_for(len(sample)))
            self._rows = Rows()  # whose filters count what is in the lists
        self._coded.train(np.ascontiguousarray(sample[:TRAINING_ROWS], np.float32))

"""What the dense index knows of its rows beside their vectors, and who may search which of them.

Every array grows at its end; nothing here is ever copied as a whole for one change, so that a
million rows take changes as fast as a thousand. A row that is deleted stays where it is, masked.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.types import Access

KEPT_FILTERS = 256  # of callers who may read different things; a bit a row each
LARGEST_RUN = 200_000  # rows; a run this long is not merged into a longer one
Ints = NDArray[np.int64]
Reads = tuple[frozenset[str], frozenset[int]]  # collections and lists: who has the same, shares
ListsOf = Callable[[Ints], NDArray[Any]]  # the inverted list of each of these rows


class Column:
    """An array that grows at its end, by half of its length at a time."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._held = values
        self._n = len(values)

    @property
    def values(self) -> NDArray[Any]:
        """What is in it, as a view that holds until the next `extend`."""
        return self._held[: self._n]

    def extend(self, values: NDArray[Any]) -> None:
        """Add values at the end."""
        n = self._n + len(values)
        if n > len(self._held):
            held = np.empty(n + n // 2, self._held.dtype)
            held[: self._n] = self.values
            self._held = held
        self._held[self._n : n] = values
        self._n = n


class RowMap:
    """Rows by chunk id, as a few sorted runs; an id may have several rows."""

    def __init__(self) -> None:
        self._runs: list[tuple[Ints, Ints]] = []  # ids in order, and the row of each

    def add(self, ids: Ints, first_row: int) -> None:
        """Note that rows from `first_row` on hold these ids."""
        order = np.argsort(ids, kind="stable")
        run = ids[order], order + first_row
        while self._runs and len(run[0]) >= len(self._runs[-1][0]) // 2:
            last = self._runs[-1]
            if len(last[0]) + len(run[0]) > LARGEST_RUN:
                break
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def rows(self, ids: Ints) -> Ints:
        """All rows that hold one of these ids, in no order."""
        found: list[Ints] = []
        ids = np.unique(ids)  # in order: neighbours in a run are near each other in memory
        for run_ids, run_rows in self._runs:
            first, last = np.searchsorted(ids, run_ids[[0, -1]])
            here = ids[first : last + 1]
            at = np.searchsorted(run_ids, here)
            while len(at):
                same = (at < len(run_ids)) & (run_ids[np.minimum(at, len(run_ids) - 1)] == here)
                here, at = here[same], at[same]
                found.append(run_rows[at])
                at = at + 1  # the next row of the same id, which most don't have
        return np.concatenate(found) if found else np.empty(0, np.int64)


class Filter:
    """The rows that one caller may search, brought level with the rows before each search."""

    def __init__(self, access: Access, n_lists: int) -> None:
        self._access = access
        self._readable = np.empty(0, np.bool_)  # (places,)
        self._bits = np.empty(0, np.uint8)  # a bit for each row
        self._n_rows = self._n_deleted = 0  # how far it has come
        self.n_allowed = 0
        self.counts = np.zeros(n_lists, np.int64)  # allowed rows in each inverted list
        self._selector: Any = None

    @property
    def selector(self) -> Any:
        """What FAISS takes; None where all rows are allowed."""
        if self.n_allowed == self._n_rows:
            return None
        if self._selector is None:
            bits = self._bits[: (self._n_rows + 7) // 8]
            self._selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        return self._selector

    def allowed(self) -> Ints:
        """The allowed rows, in order; fast where they are few."""
        places = np.flatnonzero(self._bits)
        bits = np.unpackbits(self._bits[places], bitorder="little").reshape(-1, 8)
        found: Ints = (places[:, None] * 8 + np.arange(8))[bits > 0]
        return found

    def follow(self, rows: "Rows", lists_of: ListsOf) -> None:
        """Take in what was added and deleted since the last call."""
        if self._n_rows < len(rows.ids):
            self._add(rows, lists_of)
        deleted = rows.deleted[self._n_deleted :]
        if len(deleted):
            self._drop(deleted, lists_of)
            self._n_deleted += len(deleted)

    def _add(self, rows: "Rows", lists_of: ListsOf) -> None:
        first, n = self._n_rows, len(rows.ids)
        new_places = rows.places[len(self._readable) :]
        readable = [
            name in self._access.collections and (one == 0 or one in self._access.lists)
            for name, one in new_places
        ]
        self._readable = np.append(self._readable, np.array(readable, np.bool_))
        allowed = np.take(self._readable, rows.of_rows[first:])
        byte, over = divmod(first, 8)
        if (n + 7) // 8 > len(self._bits):
            bits = np.zeros((n + n // 2 + 7) // 8, np.uint8)
            bits[: len(self._bits)] = self._bits
            self._bits = bits
        begun = np.unpackbits(self._bits[byte : byte + 1], count=over, bitorder="little")
        packed = np.packbits(np.append(begun, allowed), bitorder="little")
        self._bits[byte : byte + len(packed)] = packed
        self._count(first + np.flatnonzero(allowed), lists_of, 1)
        self._n_rows = n
        self._selector = None

    def _drop(self, deleted: Ints, lists_of: ListsOf) -> None:
        masks = np.left_shift(1, deleted & 7).astype(np.uint8)
        mine = (self._bits[deleted >> 3] & masks) != 0
        np.bitwise_and.at(self._bits, deleted[mine] >> 3, ~masks[mine])
        self._count(deleted[mine], lists_of, -1)

    def _count(self, rows: Ints, lists_of: ListsOf, sign: int) -> None:
        self.n_allowed += sign * len(rows)
        if len(self.counts):
            self.counts += sign * np.bincount(lists_of(rows), minlength=len(self.counts))


class Rows:
    """Chunk id and place (collection and list) of every row, and which of them are deleted."""

    def __init__(
        self,
        ids: NDArray[np.int64] | None = None,
        of_rows: NDArray[np.int32] | None = None,
        places: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._ids = Column(np.empty(0, np.int64) if ids is None else ids)
        self._of_rows = Column(np.empty(0, np.int32) if of_rows is None else of_rows)
        self._alive = Column(np.ones(len(self.ids), np.bool_))
        self._deleted = Column(np.empty(0, np.int64))
        self.places = list(places)
        self._numbers = {place: number for number, place in enumerate(self.places)}
        self._filters: OrderedDict[Reads, Filter] = OrderedDict()
        self._map = RowMap()
        if len(self.ids):
            self._map.add(self.ids, 0)

    def __len__(self) -> int:
        """Those that are not deleted."""
        return len(self.ids) - len(self.deleted)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The chunk id of each row, deleted ones too."""
        return self._ids.values

    @property
    def of_rows(self) -> NDArray[np.int32]:
        """The place of each row, as an index into `places`."""
        return self._of_rows.values

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which rows are not deleted."""
        return self._alive.values

    @property
    def deleted(self) -> Ints:
        """The deleted rows, in the order of their deletion."""
        return self._deleted.values

    def append(self, ids: Ints, collections: Sequence[str], lists: Sequence[int]) -> None:
        """Add rows at the end."""
        numbers = [self._number(place) for place in zip(collections, lists, strict=True)]
        self._map.add(ids, len(self.ids))
        self._ids.extend(ids)
        self._of_rows.extend(np.array(numbers, np.int32))
        self._alive.extend(np.ones(len(ids), np.bool_))

    def delete(self, ids: Ints) -> None:
        """Mask the rows of these ids; unknown ones are ignored."""
        rows = self._map.rows(ids)
        rows = rows[self.alive[rows]]
        self.alive[rows] = False
        self._deleted.extend(rows)

    def of(self, ids: Ints) -> Ints:
        """The row of each id, shape (len(ids),); -1 for an unknown one."""
        rows = self._map.rows(ids)
        rows = rows[self.alive[rows]]
        if not len(rows):
            return np.full(len(ids), -1)
        rows = rows[np.argsort(self.ids[rows])]
        known = self.ids[rows]
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[at] == ids, rows[at], -1)

    def filter(self, access: Access, n_lists: int, lists_of: ListsOf) -> Filter:
        """What `access` may search, level with the rows."""
        reads = access.collections, access.lists
        found = self._filters.get(reads)
        if found is None:
            found = self._filters[reads] = Filter(access, n_lists)
            if len(self._filters) > KEPT_FILTERS:
                self._filters.popitem(last=False)
        self._filters.move_to_end(reads)
        found.follow(self, lists_of)
        return found

    def _number(self, place: tuple[str, int]) -> int:
        number = self._numbers.get(place)
        if number is None:
            number = self._numbers[place] = len(self.places)
            self.places.append(place)
        return number


def _merged(one: tuple[Ints, Ints], other: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    ids, rows = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(ids, kind="stable")
    return ids[order], rows[order]

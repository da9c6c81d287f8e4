"""How rare a word is among what a caller may read.

Tantivy weighs a word by the number of all chunks that hold it. A caller would see by the scores of
what may be read whether anything hidden has a word. So each word's query is multiplied by what its
rarity among the readable chunks is of that: what remains is as if nothing else were there.
"""

import functools
import hashlib
import json
import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tantivy

FEW = 1000  # chunks that are looked at one by one: sooner done than applying the filters
STALE = 0.01  # of the chunks that come and go before a common word is counted anew
KEPT_CALLERS = 128  # who may read different things
KEPT_WORDS = 2048  # of each of them
_COUNTING = ThreadPoolExecutor(os.cpu_count(), "counting")  # Tantivy counts outside of the GIL
EVERYTHING, HELD = ("", ""), ("", "held")  # counted without a word

Reads = tuple[frozenset[str], frozenset[int]]  # collections and lists
Word = tuple[str, str]  # field and stem
NOBODY: Reads = (frozenset(), frozenset())  # for whom what is the whole index's is kept


def place_of(collection: str) -> int:
    """A number for a collection's name, which is read faster than the name."""
    return int.from_bytes(hashlib.sha256(collection.encode()).digest()[:8], "big")


class Counted:
    """Numbers of chunks that were counted, until the index changes (`after`). Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_changed = 0  # chunks, since the oldest number was counted
        self._kept: OrderedDict[Reads, OrderedDict[Word, int]] = OrderedDict()

    def has(self, reads: Reads, word: Word) -> bool:
        """Whether a number is kept."""
        with self._lock:
            return word in self._kept.get(reads, ())

    def get(self, reads: Reads, word: Word, count: Callable[[], int]) -> int:
        """What is kept, or else what `count` returns."""
        with self._lock:
            words = self._kept.get(reads)
            found = words.get(word) if words else None
        if found is not None:
            return found
        found = count()
        with self._lock:
            words = self._kept.setdefault(reads, OrderedDict())
            words[word] = found
            self._kept.move_to_end(reads)
            if len(words) > KEPT_WORDS:
                words.popitem(last=False)
            if len(self._kept) > KEPT_CALLERS:
                self._kept.popitem(last=False)
        return found

    def after(self, n_changed: int, n_chunks: int) -> "Counted":
        """What still holds once chunks of an index of `n_chunks` have come or gone.

        Where few have, the weight of a common word is as good as the same. A rare one is soon
        counted again, and one that no chunk had may be in a new one.
        """
        later = Counted()
        with self._lock:
            n_changed += self._n_changed
            is_little = n_changed <= STALE * n_chunks
            for reads, words in self._kept.items():
                common = ((word, n) for word, n in words.items() if word[0] and n > FEW)
                later._kept[reads] = OrderedDict(common if is_little else ())
        later._n_changed = n_changed if is_little else 0
        return later

    def newest(self, n: int) -> list[Reads]:
        """Who of late was counted for, at most so many."""
        with self._lock:
            return [reads for reads in reversed(self._kept) if reads != NOBODY][:n]


class Readable:
    """The chunks of an index, at one moment, that one caller may read."""

    def __init__(
        self, schema: tantivy.Schema, searcher: tantivy.Searcher, reads: Reads, counted: Counted
    ) -> None:
        self._schema = schema
        self.searcher = searcher
        self._reads = reads
        self._counted = counted
        self._places = {place_of(collection) for collection in reads[0]}
        self._lists = {0, *reads[1]}

    @functools.cached_property
    def filters(self) -> list[tantivy.Query]:
        """What lets through what may be read: none where that is everything, else one or two."""
        both: dict[str, list[Any]] = {
            "collection": sorted(self._reads[0]),
            "list": sorted(self._lists),
        }
        made = {
            field: self._one_of(field, values)
            for field, values in both.items()
            if not self._is_all(field, values)
        }
        return [
            one for field, one in made.items() if self._passing(field, one) < self.searcher.num_docs
        ]

    def _is_all(self, field: str, values: Iterable[Any]) -> bool:
        """Whether every chunk ever added has one of the values: told without looking at any.

        A chunk has one value of such a field. Those marked as deleted are among both numbers.
        """
        n_having: int = sum(self.searcher.doc_freq(field, value) for value in values)
        return n_having == self._n_held

    def _one_of(self, field: str, values: list[Any]) -> tantivy.Query:
        found = tantivy.Query.term_set_query(self._schema, field, values)
        return tantivy.Query.const_score_query(found, 0.0)

    def _passing(self, field: str, one: tantivy.Query) -> int:
        return self._counted.get(self._reads, ("", field), lambda: self._count([one]))

    def may(self, addresses: list[tantivy.DocAddress]) -> list[bool]:
        """Whether each of these chunks may be read."""
        lists = self.searcher.fast_field_values("list", addresses)
        places = self.searcher.fast_field_values("place", addresses)
        both = zip(places, lists, strict=True)
        return [place in self._places and one in self._lists for place, one in both]

    def __len__(self) -> int:
        return self._counted.get(self._reads, EVERYTHING, lambda: self._count(self.filters))

    def count(self, words: Iterable[Word]) -> None:
        """Count those of these words that take long, several at a time."""
        if len(self) == self.searcher.num_docs:
            return
        common = [
            word
            for word in words
            if self.searcher.doc_freq(*word) > FEW and not self._counted.has(self._reads, word)
        ]
        if len(common) > 1:
            deque(_COUNTING.map(lambda word: self.having(*word), common), maxlen=0)

    def having(self, field: str, term: str) -> int:
        """The number of them that hold a stem."""
        n_all = self.searcher.doc_freq(field, term)
        if not n_all:
            return 0

        def count() -> int:
            word = tantivy.Query.term_query(self._schema, field, term)
            if len(self) == self.searcher.num_docs:
                return self._count([word])
            return self._look(word) if n_all <= FEW else self._count([word, *self.filters])

        return min(len(self), self._counted.get(self._reads, (field, term), count))

    def idf(self, field: str, term: str) -> float:
        """Inverse document frequency of a stem, Robertson and Sparck Jones; > 0."""
        n, having = len(self), self.having(field, term)
        return math.log(1 + (n - having + 0.5) / (having + 0.5))

    def held_idf(self, field: str, term: str) -> float:
        """Tantivy's own weight of a stem: of all that the index holds."""
        return _tantivy_idf(self._n_held, self.searcher.doc_freq(field, term))

    def correction(self) -> Callable[[str, str], float]:
        """What makes Tantivy's weight of a stem in a field the readable chunks' own.

        It is 0 where none of them holds it, and 1 where there is nothing else in the index.
        """
        n_all = self._n_held
        if len(self) == n_all:
            return lambda field, term: float(self.searcher.doc_freq(field, term) > 0)

        def correct(field: str, term: str) -> float:
            if not self.having(field, term):
                return 0.0
            theirs = self.held_idf(field, term)
            return self.idf(field, term) / theirs if theirs else 1.0

        return correct

    def _look(self, word: tantivy.Query) -> int:
        """Of the few chunks that hold a word, how many may be read."""
        found = self.searcher.search(word, FEW, count=False).hits
        return sum(self.may([address for _, address in found]))

    def _count(self, parts: list[tantivy.Query]) -> int:
        if not parts:
            return int(self.searcher.num_docs)
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in parts])
        return int(self.searcher.search(query, 1).count)

    @functools.cached_property
    def _n_held(self) -> int:
        """All chunks as Tantivy counts them for its weights: with those only marked as deleted."""
        return self._counted.get(NOBODY, HELD, self._explained)

    def _explained(self) -> int:
        """Nothing but its explanation of a score tells, so one is asked for."""
        first = self.searcher.search(tantivy.Query.all_query(), 1, count=False).hits
        if not first:
            return 0
        address = first[0][1]
        (chunk_id,) = self.searcher.fast_field_values("chunk_id", [address])
        itself = tantivy.Query.term_query(self._schema, "chunk_id", chunk_id)
        explained = json.loads(itself.explain(self.searcher, address).to_json())
        (idf,) = (part for part in explained["details"] if part["description"].startswith("idf"))
        (n,) = (part for part in idf["details"] if part["description"].startswith("N,"))
        return int(n["value"])


def _tantivy_idf(n: int, having: int) -> float:
    """Tantivy's weight, rounded as it rounds: of a word in almost all chunks little is left."""
    one, half = np.float32(1), np.float32(0.5)
    odds = (np.float32(n - having) + half) / (np.float32(having) + half)
    return float(np.log(one + odds))

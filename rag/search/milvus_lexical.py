"""The lexical index in Milvus: BM25 as a product of two sparse vectors that are made here.

A chunk's vector has for each stem of each field what BM25 makes of its frequency and of the field's
length; a query's has the stems' weights. Words are cut and stemmed as for Tantivy, and a stem
weighs what its rarity among the chunks is that the caller may read, as in `rag.search.rarity`. With
Milvus's own BM25 neither would be so: it weighs by all chunks, hidden ones included.

What is held of a text is the hashes of its stems. Two stems in four thousand million share one.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial

from rag.search.lexical import Words, worth
from rag.search.milvus_client import Milvus, Row, Shelf, readable
from rag.search.milvus_dense import key_fields, keys
from rag.search.rarity import EVERYTHING, Counted, Word
from rag.types import Access, IndexRow

SCHEMA = 1
K1, B = 1.2, 0.75  # as in Tantivy
# Words in a field, by which BM25 tells a long one, until there are chunks to measure. A chunk's
# vector can't follow the average, so it is that of a sample of the store when the index was built.
USUAL_WORDS = {"text": 120.0, "heading": 12.0}
FEW = 4096  # chunks that have a word: so many are listed rather than counted
ASKED_AT_ONCE = 256  # words
HASHES = 2**32 - 2  # places of a sparse vector from 1 on
NO_STEM = 0  # the place for chunks without any: an empty vector is refused
MAX_STEMS_BYTES = 65_535


def create(milvus: Milvus, name: str) -> None:
    """Make the collection."""
    stems: Row = {
        "field_name": "stems",
        "datatype": "VARCHAR",
        "max_length": MAX_STEMS_BYTES,
        "enable_analyzer": True,
        "enable_match": True,
    }
    words: Row = {"field_name": "words", "datatype": "SPARSE_FLOAT_VECTOR"}
    index = {"field_name": "words", "metric_type": "IP", "index_type": "SPARSE_INVERTED_INDEX"}
    milvus.create(name, [*key_fields(), stems, words], index)


@lru_cache(maxsize=262_144)
def hashed(field: str, stem: str) -> int:
    """The place of a stem of a field in the sparse vectors."""
    digest = hashlib.blake2b(f"{field} {stem}".encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % HASHES


class MilvusLexical(Words):
    """BM25 over the chunks."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf
        self._counted = Counted()

    def records(self, rows: Sequence[IndexRow], average_words: Mapping[str, float]) -> list[Row]:
        """The rows of chunks, as Milvus takes them."""
        return [self._record(row, average_words) for row in rows]

    def average_words(self, rows: Sequence[IndexRow]) -> dict[str, float]:
        """How many words a field of these chunks has, whatever its language."""
        sums: Counter[str] = Counter()
        for row in rows:
            for field, stems in self.stems(row).items():
                sums[_kind(field)] += len(stems)
        return {kind: max(1.0, total / len(rows)) for kind, total in sums.items()}

    def changed(self) -> None:
        """Forget what was counted."""
        self._counted = Counted()

    def search(self, query: str, k: int, access: Access) -> list[tuple[int, float]]:
        """See `Lexical`."""
        if not access.collections:
            return []
        weights = self._weights(query)
        having = self._having(list(weights), access)
        n = self._n_readable(access) if any(having.values()) else 0
        words = {word: w * _idf(n, having[word]) for word, w in weights.items() if having[word]}
        if not words:
            return []
        asked = {hashed(*word): value for word, value in words.items()}
        (found,) = self.shelf.search("words", [asked], k, readable(access), {})
        once = worth(words)
        return [(chunk_id, score / once) for chunk_id, score in found]

    def idf(self, term: str, language: str, access: Access) -> float:
        """Inverse document frequency of a stem in what a caller may read; > 0."""
        word = self.word(term, language)
        if not access.collections:
            return _idf(0, 0)
        return _idf(self._n_readable(access), self._having([word], access)[word])

    def has_document(self, document_id: int) -> bool:
        """Whether rows of a document are held."""
        return self.shelf.count(f"document_id == {document_id}") > 0

    def ids(self) -> list[int]:
        """Chunk ids of everything that a search can return."""
        return self.shelf.keys()

    def __len__(self) -> int:
        return self.shelf.count("chunk_id >= 0")

    def _record(self, row: IndexRow, average_words: Mapping[str, float]) -> Row:
        places: dict[int, float] = {}
        for field, stems in self.stems(row).items():
            average = average_words.get(_kind(field), USUAL_WORDS["text"])
            for stem, weight in _weighed(stems, average):
                places[hashed(field, stem)] = weight
        listed = " ".join(f"{each:08x}" for each in places)[:MAX_STEMS_BYTES]
        return {**keys(row), "stems": listed, "words": places or {NO_STEM: 1.0}}

    def _n_readable(self, access: Access) -> int:
        reads = access.collections, access.lists
        return self._counted.get(reads, EVERYTHING, lambda: self.shelf.count(readable(access)))

    def _having(self, words: Sequence[Word], access: Access) -> dict[Word, int]:
        """Of the chunks that a caller may read, how many have each of these words."""
        counted, reads = self._counted, (access.collections, access.lists)
        unknown = [word for word in words if not counted.has(reads, word)]
        found = self._looked_up(unknown, access)

        def count(word: Word) -> int:
            return found[word] if word in found else self._looked_up([word], access)[word]

        return {word: counted.get(reads, word, partial(count, word)) for word in words}

    def _looked_up(self, words: Sequence[Word], access: Access) -> dict[Word, int]:
        found: dict[Word, int] = {}
        for start in range(0, len(words), ASKED_AT_ONCE):
            some = words[start : start + ASKED_AT_ONCE]
            asked = [{hashed(*word): 1.0} for word in some]
            lists = self.shelf.search("words", asked, FEW, readable(access), {})
            for word, listed in zip(some, lists, strict=True):
                found[word] = len(listed) if len(listed) < FEW else self._count(word, access)
        return found

    def _count(self, word: Word, access: Access) -> int:
        return self.shelf.count(f"{readable(access)} and text_match(stems, '{hashed(*word):08x}')")


def _kind(field: str) -> str:
    """A field's name without the language."""
    return field.rpartition("_")[0]


def _weighed(stems: Sequence[str], average: float) -> Iterable[tuple[str, float]]:
    """Each stem with what BM25 makes of its frequency."""
    norm = K1 * (1 - B + B * len(stems) / average)
    return ((stem, n * (K1 + 1) / (n + norm)) for stem, n in Counter(stems).items())


def _idf(n: int, having: int) -> float:
    """Robertson and Sparck Jones."""
    return math.log(1 + (max(n, having) - having + 0.5) / (having + 0.5))

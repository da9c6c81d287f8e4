"""The lexical index: Tantivy's BM25 over words, one field for each stemmer.

A chunk goes into the fields of its document's language, a query is put to all of them, each with
its own stemmer; so a German question finds German inflections, and names in English documents too.
Title, file name and headings count as part of the text, and once more in a field of their own: a
chunk of a quarterly report that doesn't say whose it is must be found by the company's name. Only
the query's words that carry meaning are searched (BENCHMARKS.md has what each of these brought).
Hindi, Thai and other writing without spaces is broken into words before Tantivy sees it.
Knows chunk ids, collections and text; knows nothing of vectors.
"""

import contextlib
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import tantivy
from icu4py import icu_version

from rag.errors import SearchIndexError
from rag.search.rarity import Counted, Readable, Word, place_of
from rag.search.words import HINDI, THAI, prepared
from rag.text import question_language
from rag.types import Access, IndexRow

SCHEMA_VERSION = f"6, ICU {icu_version}"  # another ICU may break words in other places
STEMMERS = {
    "en": "english",
    "de": "german",
    "fr": "french",
    "it": "italian",
    "pt": "portuguese",
    "es": "spanish",
}
OTHER = "other"  # languages without a stemmer
FIELDS = (*STEMMERS, HINDI, THAI, OTHER)
WORD = r"[\p{L}\p{N}\p{M}]+"  # Tantivy's own tokenizer ends a word at a vowel sign or an accent
MAX_WORD_BYTES = 60  # three times that where a letter may take three
HEADING_WEIGHT = 0.3  # of title, file name and headings against the text
# Of a year, a quarter, a version or a code there: it is what tells one of many like documents from
# the others. A bare number of few digits is not meant: it may be that of a section, or of anything.
HEADING_CODE_WEIGHT = 2.0
CODE = re.compile(r"(?=.*\d)(?:.*[^\W\d_].*|\d{4,})")
# Of the other languages' fields: a word is rare there because it is foreign, not because it says
# much. Anything from 0.5 to 0.9 helps where documents are in several languages.
FOREIGN_WEIGHT = 0.7
WRITER_HEAP = 64 * 1024**2
COUNTED_AHEAD = 4  # callers, after a change: their next question need not wait for it
# Tantivy's English list lacks the words that questions are made of; its other lists have them.
QUESTION_WORDS = (  # noqa: SIM905  a list of one word a line is no easier to read
    "what which who whom whose when where why how do does did doing done have has had having can"
    " could should would will shall may might must am is are was were be been being i me my mine we"
    " us our you your he him his she her its they them their this these those there here any some"
    " many much also about from up out so than too very just give tell get got let s t"
).split()
LEAST_SHARE = 0.05  # of the chunks that are readable, from which asking for more hits is faster
MARGIN = 1.5  # more than that share makes likely to be enough
MAX_QUERY_WORDS = 64  # of one field; a pasted page is cut


class Words:
    """How texts and questions become words, wherever these are then kept."""

    def __init__(self) -> None:
        self._all = {language: _analyzer(language) for language in FIELDS}
        self._content = {language: _analyzer(language, content=True) for language in FIELDS}

    def content_terms(self, text: str, language: str) -> list[str]:
        """The stems of the words of `text` that carry meaning, in order, with repeats."""
        field = _field(language)
        return list(self._content[field].analyze(prepared(text, field, content=True)))

    @staticmethod
    def word(term: str, language: str) -> Word:
        """A stem in the field of a language's texts."""
        return f"text_{_field(language)}", term

    def stems(self, row: IndexRow) -> dict[str, list[str]]:
        """The stems of a chunk by the field that they stand in, in order, with repeats."""
        analyzer = self._all[_field(row.language)]
        return {field: list(analyzer.analyze(text)) for field, text in texts_of(row).items()}

    def _weights(self, query: str) -> dict[Word, float]:
        """The words of a query in every field where they are looked for, with their weights."""
        asked_in = question_language(query, fallback="")
        weights: dict[Word, float] = {}
        for language in FIELDS:
            own = not asked_in or language == _field(asked_in)
            weight = 1.0 if own else FOREIGN_WEIGHT
            for word, n in self._query_words(query, language):
                above = HEADING_CODE_WEIGHT if CODE.fullmatch(word) else HEADING_WEIGHT
                weights[f"text_{language}", word] = n * weight
                weights[f"heading_{language}", word] = n * weight * above
        return weights

    def _query_words(self, query: str, language: str) -> list[tuple[str, int]]:
        """Those that carry meaning, and how often each comes; all of them where none does.

        What a long question comes back to is what it is about.
        """
        words = self.content_terms(query, language) or self._all[language].analyze(
            prepared(query, language)
        )
        return list(Counter(words).items())[:MAX_QUERY_WORDS]


class LexicalIndex(Words):
    """BM25 over the chunks. One process writes to one directory; threads may search it at once."""

    def __init__(self, directory: Path) -> None:
        """Open the index in `directory`, creating it where the directory is empty.

        Raises:
            SearchIndexError: the directory holds something else.
        """
        try:
            self._index = tantivy.Index(_schema(), path=str(directory))
        except (ValueError, OSError) as error:
            raise SearchIndexError(f"cannot open the lexical index: {error}") from error
        super().__init__()
        for language, analyzer in self._all.items():
            self._index.register_tokenizer(f"citadel_{language}", analyzer)
        self.directory = directory
        self._writer: tantivy.IndexWriter | None = None
        # What is searched, and what was counted in it.
        self._current = self._index.searcher(), Counted()
        self._n_new = 0  # chunks, since the last commit

    @classmethod
    def load(cls, snapshot: Path, directory: Path) -> Self:
        """Open a snapshot in a directory of one's own.

        Tantivy never changes a segment file once written, so these are hard links; what it
        replaces, the two lists of segments, is copied.

        Raises:
            SearchIndexError: the snapshot is gone or is no index.
        """
        try:
            for file in snapshot.iterdir():
                replaced = file.suffix == ".json" or file.name.startswith(".")
                _bring(file, directory / file.name, link=not replaced)
        except OSError as error:
            raise SearchIndexError(f"cannot load the lexical index: {error}") from error
        return cls(directory)

    def append(self, rows: Iterable[IndexRow]) -> None:
        """Add chunks; seen by searches after `commit`."""
        for row in rows:
            self._n_new += 1
            document = tantivy.Document()
            document.add_unsigned("chunk_id", row.chunk_id)
            document.add_unsigned("document_id", row.document_id)
            document.add_text("collection", row.collection)
            document.add_unsigned("place", place_of(row.collection))
            document.add_unsigned("list", row.list_id)
            for field, text in texts_of(row).items():
                document.add_text(field, text)
            with _writing():
                self._open_writer().add_document(document)

    def delete_document(self, document_id: int) -> None:
        """Take a document's chunks out; in force after `commit`."""
        query = tantivy.Query.term_query(self._index.schema, "document_id", document_id)
        with _writing():
            self._open_writer().delete_documents_by_query(query)

    def commit(self) -> None:
        """Put what was appended and deleted in force for every later search."""
        if self._writer is not None:
            with _writing():
                self._writer.commit()
            self._renew()

    def close(self) -> None:
        """Commit, wait for merges and release the writer; searching goes on."""
        if self._writer is not None:
            with _writing():
                self._writer.commit()
                self._writer.wait_merging_threads()
            self._writer = None
            self._renew()

    def search(self, query: str, k: int, access: Access) -> list[tuple[int, float]]:
        """See `Lexical`.

        What else the index holds has no part in the words' weights, see `rag.search.rarity`.
        """
        if not access.collections:
            return []
        readable = self._readable(access)
        weights = self._weights(query)
        readable.count(weights)
        correct = readable.correction()
        words = {word: w for word, n in weights.items() if (w := n * correct(*word))}
        if not words:
            return []
        hits = _best(tantivy.Query.boolean_query(self._word_queries(words)), k, readable)
        ids = readable.searcher.fast_field_values("chunk_id", [address for _, address in hits])
        once = worth({word: w * readable.held_idf(*word) for word, w in words.items()})
        return [(int(i), float(score) / once) for i, (score, _) in zip(ids, hits, strict=True)]

    def idf(self, term: str, language: str, access: Access) -> float:
        """Inverse document frequency of a stem in what a caller may read; > 0."""
        return self._readable(access).idf(f"text_{_field(language)}", term)

    def has_document(self, document_id: int) -> bool:
        """Whether any file holds rows of a document, also where they are deleted already."""
        return bool(self._index.searcher().doc_freq("document_id", document_id))

    def ids(self) -> list[int]:
        """Chunk ids of everything that a search can return."""
        searcher = self._index.searcher()
        hits = searcher.search(tantivy.Query.all_query(), max(1, searcher.num_docs)).hits
        return [int(i) for i in searcher.fast_field_values("chunk_id", [a for _, a in hits])]

    def __len__(self) -> int:
        return int(self._index.searcher().num_docs)

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=WRITER_HEAP, num_threads=1)
        return self._writer

    def _renew(self) -> None:
        """Search what was committed, once it is counted how much the latest callers may read."""
        before, counted = self._current
        self._index.reload()
        searcher, n_new = self._index.searcher(), self._n_new
        n_gone = before.num_docs + n_new - searcher.num_docs
        counted = counted.after(n_new + n_gone, searcher.num_docs)
        for reads in counted.newest(COUNTED_AHEAD):
            len(Readable(self._index.schema, searcher, reads, counted))
        self._current, self._n_new = (searcher, counted), 0

    def _readable(self, access: Access) -> Readable:
        searcher, counted = self._current
        reads = access.collections, access.lists
        return Readable(self._index.schema, searcher, reads, counted)

    def _word_queries(
        self, weights: Mapping[Word, float]
    ) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        queries = []
        for (field, word), weight in weights.items():
            found = tantivy.Query.term_query(self._index.schema, field, word)
            queries.append((tantivy.Occur.Should, tantivy.Query.boost_query(found, weight)))
        return queries


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Translate what Tantivy raises where it cannot write.

    Raises:
        SearchIndexError: in place of it.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise SearchIndexError(
            f"cannot write the lexical index: {error}",
            hint="Check the free space of the data directory; it goes on by itself.",
        ) from error


def worth(words: Mapping[Word, float]) -> float:
    """What a chunk would score with each of these words once, > 0.

    They come with weight times rarity. A chunk is of one language: it is the most in any.
    """
    sums: dict[str, float] = defaultdict(float)
    for (field, _), value in words.items():
        sums[field.partition("_")[2]] += value
    return max(sums.values(), default=0.0) or 1.0


def texts_of(row: IndexRow) -> dict[str, str]:
    """What of a chunk goes into which field, made ready for the analyzer of its language."""
    language = _field(row.language)
    heading = "\n".join(filter(None, (row.title, row.name, row.heading)))
    about, text = prepared(heading, language), prepared(row.text, language)
    return {f"text_{language}": f"{about}\n{text}", f"heading_{language}": about}


def _best(words: tantivy.Query, k: int, readable: Readable) -> list[tuple[float, Any]]:
    """The `k` best readable hits of a union of words.

    Tantivy passes over most chunks where a query is nothing but words. So where a good part is
    readable, it is asked for more hits than that, and those that may not be read are left out.
    """
    search = readable.searcher.search
    share = len(readable) / max(1, readable.searcher.num_docs)
    if share >= LEAST_SHARE:
        n = k if share == 1 else int(MARGIN * k / share) + k
        hits: list[tuple[float, Any]] = search(words, n, count=False).hits
        if share == 1:
            return hits
        may = readable.may([address for _, address in hits])
        kept = [hit for hit, is_readable in zip(hits, may, strict=True) if is_readable]
        if len(kept) >= k or len(hits) < n:
            return kept[:k]
    parts = (words, *readable.filters)
    filtered = tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in parts])
    return list(search(filtered, k, count=False).hits)


def _bring(file: Path, target: Path, *, link: bool) -> None:
    """Link a file, or copy it where that is asked for or the file system has no hard links."""
    if link:
        with contextlib.suppress(OSError):
            target.hardlink_to(file)
            return
    shutil.copyfile(file, target)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("chunk_id", fast=True, indexed=True)
    builder.add_unsigned_field("document_id", indexed=True)
    builder.add_text_field("collection", tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("place", fast=True)
    builder.add_unsigned_field("list", fast=True, indexed=True)
    for language in FIELDS:
        for field in ("text", "heading"):
            tokenizer = f"citadel_{language}"
            builder.add_text_field(f"{field}_{language}", tokenizer_name=tokenizer)
    return builder.build()


def _field(language: str) -> str:
    return language if language in FIELDS else OTHER


def _analyzer(language: str, *, content: bool = False) -> tantivy.TextAnalyzer:
    """Words to stems; with `content` only those that carry meaning."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(WORD))
    most = MAX_WORD_BYTES if language in STEMMERS else 3 * MAX_WORD_BYTES
    builder = builder.filter(tantivy.Filter.remove_long(most))
    builder = builder.filter(tantivy.Filter.lowercase())
    if content:
        if language in STEMMERS:
            builder = builder.filter(tantivy.Filter.stopword(STEMMERS[language]))
        builder = builder.filter(tantivy.Filter.custom_stopword(QUESTION_WORDS))
    if language in STEMMERS:
        builder = builder.filter(tantivy.Filter.stemmer(STEMMERS[language]))
    return builder.filter(tantivy.Filter.ascii_fold()).build()

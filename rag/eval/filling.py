"""A corpus or a folder of files in, something to search out: by the product's own ingest.

Everything lies in a data directory that is gone afterwards; the site's own is not touched, only its
embedding model is used. A corpus is read line by line and put in by batches, so that memory does
not grow with it.
"""

import hashlib
import itertools
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import CHUNKER_VERSION, Prepared, prepare
from ingest.parse import clean
from ingest.parse.formats import PARSER_VERSION
from ingest.parse.model import Element, Parsed
from ingest.parse.text import text_elements
from ingest.plan import Recipe
from ingest.progress import open_progress
from ingest.scan import absolute_roots
from ingest.sync import Report, Site, carry_out, make_plan
from rag.errors import BadRequest
from rag.eval.lines import LAYOUTS
from rag.eval.sets import Entry, entries
from rag.search.embed import Embedder
from rag.search.indexes import open_indexes
from rag.search.interface import Pair
from rag.search.rerank import Reranker, configured_reranker
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import ScreenedDocument, Store
from rag.types import Access, Hit, SourceFile, Vectors

COLLECTION = "eval"
BATCH = 256  # corpus entries that are embedded and committed together
SHOWN = 3  # names told of files that failed
CHANGES = 1000  # read at a time


@dataclass(frozen=True, slots=True)
class Filled:
    """What a set was put into, opened for questions.

    `keys` says what the set calls a stored document, `owners` which document a chunk is of.
    """

    store: Store
    indexes: Pair
    retriever: Retriever
    access: Access
    keys: dict[int, str]
    owners: dict[int, int]
    n_chunks: int
    texts: dict[str, str]  # of the entries whose text is wanted, as the set has it
    notes: list[str]  # what of the set is not in it

    @property
    def numbers(self) -> dict[str, int]:
        """The stored document of each name: of a mail and its attachments, the mail."""
        return {name: number for number, name in sorted(self.keys.items(), reverse=True)}

    def name(self, hit: Hit) -> str:
        """What the set calls the document of a passage."""
        return self.keys[hit.chunk.document_id]


class ReadOnce:
    """A `Reranker` that reads a text once for a question, however often that is asked in a row.

    A question is asked for ten passages and for a hundred, of which most come from the same texts.
    """

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self._query = ""
        self._known: dict[str, float] = {}  # texts with their scores for that query

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Reranker`."""
        if query != self._query:
            self._query, self._known = query, {}
        unread = [text for text in dict.fromkeys(texts) if text not in self._known]
        if unread:
            scores = self._reranker.scores(query, unread).tolist()
            self._known |= zip(unread, scores, strict=True)
        return np.array([self._known[text] for text in texts], np.float32)


@contextmanager
def fill_corpus(
    corpus: Path, settings: Settings, embedder: Embedder, wanted: Collection[str] = ()
) -> Iterator[Filled]:
    """Every entry of a corpus as a document, searched with the site's settings.

    `wanted` names the entries whose text is to be kept at hand.

    Raises:
        BadRequest: the corpus is malformed or empty.
    """
    with _data_dir(settings) as own, Store.open(own.url, data_dir=own.data_dir) as store:
        keys: dict[int, str] = {}
        texts: dict[str, str] = {}
        n_entries = sum(1 for _ in entries(corpus))  # what is malformed is told before any work
        with open_progress(doing=("putting in", "document")) as progress:
            progress.begin(n_entries, n_entries)
            for number, batch in enumerate(_batches(entries(corpus))):
                texts |= {entry.id: entry.text for entry in batch if entry.id in wanted}
                keys |= _put(store, embedder, number, batch)
                for entry in batch:
                    progress.committed(entry.id, 1)
        if not keys:
            raise BadRequest(f"{corpus} holds no document with a text", hint=LAYOUTS)
        n_empty = n_entries - len(keys)
        notes = [f"{n_empty:,} documents of the corpus have no text"] if n_empty else []
        with _opened(store, own, embedder, keys) as filled:
            yield replace(filled, texts=texts, notes=notes)


@contextmanager
def fill_docs(docs: Path, settings: Settings, embedder: Embedder) -> Iterator[Filled]:
    """A folder through the ingest, searched with the site's settings.

    A document is known by its file's path below the folder; attachments count as their mail.

    Raises:
        BadRequest: nothing of the folder could be read.
    """
    folder = Path(*absolute_roots([docs]))
    with (
        _data_dir(settings) as own,
        Store.open(own.url, data_dir=own.data_dir) as store,
    ):
        recipe = Recipe(PARSER_VERSION, CHUNKER_VERSION, embedder.model_id)
        with open_progress() as progress:
            site = Site(store, own, recipe, lambda: embedder, progress)
            report = carry_out(site, make_plan(site, [folder], COLLECTION), COLLECTION)
        keys = dict(_files(store, folder))
        if not keys:
            raise BadRequest(f"no file in {docs} could be read", hint="citadel ingest says why.")
        with _opened(store, own, embedder, keys) as filled:
            yield replace(filled, notes=_failures(report))


@contextmanager
def _data_dir(settings: Settings) -> Iterator[Settings]:
    """The site's settings, but for a data directory of its own that goes away."""
    with tempfile.TemporaryDirectory(prefix="citadel-eval-") as folder:
        own = {"data_dir": Path(folder), "database_url": None, "index_url": None}
        yield settings.model_copy(update=own)


@contextmanager
def _opened(
    store: Store, settings: Settings, embedder: Embedder, keys: dict[int, str]
) -> Iterator[Filled]:
    with (
        open_progress() as progress,
        open_indexes(
            store, embedder.model_id, embedder.dim, settings.index, progress.say
        ) as indexes,
    ):
        owners = dict(_owners(store))
        configured = configured_reranker(settings)
        reranker = None if configured is None else ReadOnce(configured)
        retriever = Retriever(store, indexes, embedder, settings.dense_weight, reranker)
        access = store.access_to_all()
        yield Filled(store, indexes, retriever, access, keys, owners, len(owners), {}, [])


def _owners(store: Store) -> Iterator[tuple[int, int]]:
    """Chunk and document, of all that the indexes hold."""
    seq = 0
    while changes := store.changes(seq, CHANGES):
        for change in changes:
            if change.op == "put":
                yield from ((chunk_id, change.document_id) for chunk_id in change.chunk_ids)
        seq = changes[-1].seq


def _files(store: Store, folder: Path) -> Iterator[tuple[int, str]]:
    """Stored documents with the path of their file below the folder."""
    access, after = store.access_to_all(), 0
    while page := store.list_documents(access, after=after, limit=CHANGES):
        for document in page:
            relative = document.source_uri.removeprefix(f"{folder}/")
            yield document.id, relative if document.parent_id is None else relative.split("#")[0]
        after = page[-1].id


def _failures(report: Report) -> list[str]:
    if not report.failed:
        return []
    names = ", ".join(Path(failure.path).name for failure in report.failed[:SHOWN])
    more = " …" if len(report.failed) > SHOWN else ""
    return [f"{len(report.failed):,} files could not be read: {names}{more}"]


# A corpus


def _batches(found: Iterator[Entry]) -> Iterator[list[Entry]]:
    while batch := list(itertools.islice(found, BATCH)):
        yield batch


def _put(store: Store, embedder: Embedder, number: int, batch: Sequence[Entry]) -> dict[int, str]:
    """Commit a batch in one transaction, as one source; returns ids with the entries' names.

    A transaction for each would cost more than its embedding. The names of these "files" have no
    letter, so that no question finds a document by them.
    """
    prepared = [(entry, prepare(_parsed(entry), name="", embedder=embedder)) for entry in batch]
    readable = [(entry, one) for entry, one in prepared if one.chunks]
    if not readable:
        return {}
    vectors = embedder.encode([text for _, one in readable for text in one.embed_texts])
    bounds = np.cumsum([len(one.chunks) for _, one in readable])[:-1]
    root = f"/{number}/-"
    documents = [
        _document(root, place, one, rows)
        for place, ((_, one), rows) in enumerate(
            zip(readable, np.split(vectors, bounds), strict=True)
        )
    ]
    sha256 = hashlib.sha256(root.encode()).hexdigest()
    source = SourceFile(root, 0, 0, content_sha256=sha256, fingerprint=sha256)
    ids = store.commit_source(COLLECTION, source, documents, model_id=embedder.model_id)
    return dict(zip(ids, (entry.id for entry, _ in readable), strict=True))


def _parsed(entry: Entry) -> Parsed:
    """An entry as a parsed text. What has a title only is found by that."""
    elements: Iterable[Element] = text_elements(entry.text)
    title = clean.one_line(entry.title)
    found = list(elements) or [Element("paragraph", title)]
    return Parsed("text/plain", found, title=title)


def _document(root: str, place: int, one: Prepared, vectors: Vectors) -> ScreenedDocument:
    return ScreenedDocument(
        source_uri=f"{root}/{place}/-" if place else root,
        parent_uri=root if place else None,
        title=one.title,
        media_type="text/plain",
        language=one.language,
        text=one.text,
        chunks=one.chunks,
        vectors=np.ascontiguousarray(vectors, np.float32),
        pages=one.pages,
        suspicions=one.suspicions,
    )

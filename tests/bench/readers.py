"""Large stores with readers who may read a part of them, for the benchmarks of the access filter.

Half of the documents lie in one collection, the others in 50 small ones, and each under one of 200
lists of readers; where a hundred chunks lie is drawn. Texts and vectors are real ones, and beyond
their number the same with the words drawn anew and noise on the vectors.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.store import Said, Store
from rag.types import Chunk, NewDocument
from tests.bench import sets, stores
from tests.bench.embedding import CachedEmbedder
from tests.bench.run import Run, progress

CORPORA = ("xquad/en", "xquad/de", "xquad/es", "policyqa_dev", "cisi", "scifact")
ASKED = ("xquad/en", "xquad/de", "policyqa_dev", "scifact", "cisi")
SMALL, LARGE = 50, "large"  # collections: half of all lies in the large one
LISTS = 200
CHUNKS_A_DOCUMENT = 10
AT_ONCE = 100  # chunks of a source, as a mail has attachments: a transaction each would take long
# Who asks -> of how many small collections, whether of the large one, and in how many lists.
READERS = {
    "100 %": (50, True, 200),
    "50 %, one collection": (0, True, 200),
    "10 %, by collections": (10, False, 200),
    "10 %, by lists": (50, True, 20),
    "1 %, by collections": (1, False, 200),
    "1 %, by lists": (50, True, 2),
    "1 %, by both": (10, False, 20),
}


class Piece(NamedTuple):
    """A real chunk to make documents of."""

    title: str
    language: str
    text: str
    vector: NDArray[np.float32]  # (dim,)


def fill(
    run: Run,
    store: Store,
    embedder: CachedEmbedder,
    n_chunks: int,
    chunks_a_document: int = CHUNKS_A_DOCUMENT,
) -> None:
    """Store so many chunks, and grant each reader of READERS a share of them."""
    _grant(store)
    real = _pieces(run, embedder)
    progress(f"{len(real):,} real chunks; storing {n_chunks:,}")
    chance = random.Random(1)
    pieces = _varied(real, chance)
    for start in range(0, n_chunks, AT_ONCE):
        collection = chance.choice([LARGE, _small(chance.randrange(SMALL))])
        uri = f"/made/{chance.randrange(LISTS):03}/{start:07}.eml"
        documents = [
            _document(
                f"{uri}#{number}" if number else uri,
                [next(pieces) for _ in range(chunks_a_document)],
            )
            for number in range(AT_ONCE // chunks_a_document)
        ]
        stores.put(store, embedder.model_id, documents, collection)


def questions(run: Run) -> list[str]:
    """Real questions to the real ones of the texts."""
    return [
        question
        for name in ASKED
        for question in run.some(list(sets.ranked(run.eval_dir, name).queries.values()), 30, 5)
    ]


def user(number: int) -> str:
    """The name of READERS' reader of this number."""
    return f"reader-{number}"


def _pieces(run: Run, embedder: CachedEmbedder) -> list[Piece]:
    titles, texts = [], []
    for name in CORPORA:
        corpus = sets.ranked(run.eval_dir, name)
        most = run.pick(len(corpus.texts), 60)
        titles += corpus.titles[:most]
        texts += corpus.texts[:most]
    return [
        Piece(document.title, document.language, chunk.text, vector)
        for document in stores.made_documents(embedder, titles, texts)
        for chunk, vector in zip(document.chunks, document.vectors, strict=True)
    ]


def _varied(real: Sequence[Piece], chance: random.Random) -> Iterator[Piece]:
    """The real ones, then with as many of the same words, drawn anew, and vectors a little off."""
    yield from real
    noise = np.random.default_rng(1)
    while True:
        for piece in real:
            words = piece.text.split()
            off = noise.normal(0, stores.COPY_NOISE, len(piece.vector)).astype(np.float32)
            vector = piece.vector + off
            text = " ".join(chance.choices(words, k=len(words)))
            yield piece._replace(text=text, vector=vector / np.linalg.norm(vector))


def _document(uri: str, pieces: Sequence[Piece]) -> NewDocument:
    chunks: list[Chunk] = []
    at = 0
    for ordinal, piece in enumerate(pieces):
        chunks.append(Chunk(ordinal, at, at + len(piece.text), piece.text))
        at += len(piece.text) + 1
    return NewDocument(
        source_uri=uri,
        title=pieces[0].title,
        media_type="text/plain",
        language=pieces[0].language,
        text="\n".join(piece.text for piece in pieces),
        chunks=chunks,
        vectors=np.array([piece.vector for piece in pieces], np.float32),
    )


def _grant(store: Store) -> None:
    """Every list is of one group; a user is in some of the groups, and granted collections."""
    groups = [f"g{number:03}" for number in range(LISTS)]
    for group in groups:
        store.permissions.add_principal("group", group)
    wanted = {f"/made/{number:03}": (f"group:{group}",) for number, group in enumerate(groups)}
    small = [_small(number) for number in range(SMALL)]
    for collection in (*small, LARGE):
        store.permissions.sync_limits(collection, Said(["/made"], wanted))
    for number, (n_small, large, n_lists) in enumerate(READERS.values()):
        store.permissions.add_principal("user", user(number))
        for group in groups[:n_lists]:
            store.permissions.join_group(group, [user(number)])
        for collection in (*small[:n_small], *([LARGE] if large else [])):
            store.permissions.grant(collection, f"user:{user(number)}", "read")


def _small(number: int) -> str:
    return f"small-{number}"

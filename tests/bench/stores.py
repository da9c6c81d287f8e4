"""Stores to ask questions of: filled by the product's ingest, or with texts put in directly."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.chunk import prepare
from ingest.parse.model import Element, Parsed
from rag.search.embed import Embedder
from rag.search.indexes import Indexes, open_indexes, refresh_snapshots
from rag.search.retrieve import Retriever
from rag.settings import Settings, load_settings
from rag.store import Store
from rag.types import Access, Chunk, NewDocument, SourceFile
from tests.bench.embedding import CachedEmbedder
from tests.bench.run import progress
from tests.bench.stages import ingest_with

COPY_NOISE = 0.03  # a coordinate; a copy's cosine to its model is about .86 in 384 dimensions


@dataclass(frozen=True, slots=True)
class Parts:
    """What `rag.answer.pipeline` works with, over one collection."""

    settings: Settings
    store: Store
    embedder: Embedder
    indexes: Indexes
    retriever: Retriever
    access: Access


@contextmanager
def opened(settings: Settings, embedder: Embedder) -> Iterator[Parts]:
    """The appliance over a data directory, with an embedder that is already there."""
    with (
        Store.open(settings.url, data_dir=settings.data_dir) as store,
        open_indexes(
            store, embedder.model_id, embedder.dim, settings.dense_index, progress
        ) as indexes,
    ):
        retriever = Retriever(store, indexes, embedder, settings.dense_weight)
        access = store.access_to_all()
        yield Parts(settings, store, embedder, indexes, retriever, access)


@contextmanager
def ingested(data_dir: Path, embedder: CachedEmbedder, docs: Path) -> Iterator[Parts]:
    """A folder through the product's own ingest, opened for questions."""
    data_dir.mkdir(parents=True)
    settings = load_settings(data_dir=data_dir)
    ingest_with(embedder, settings, [docs], "docs")
    embedder.save()
    with opened(settings, embedder) as parts:
        yield parts


@contextmanager
def filled(
    data_dir: Path, embedder: CachedEmbedder, titles: Sequence[str], texts: Sequence[str]
) -> Iterator[Parts]:
    """Texts as documents of their own, chunked by the product, opened for questions."""
    data_dir.mkdir(parents=True)
    settings = load_settings(data_dir=data_dir)
    with Store.open(settings.url, data_dir=data_dir) as store:
        put_all(store, embedder, made_documents(embedder, titles, texts))
        refresh(store, settings, embedder)
    embedder.save()
    with opened(settings, embedder) as parts:
        yield parts


def refresh(store: Store, settings: Settings, embedder: Embedder) -> None:
    """Write the index snapshots, as the end of an ingest does."""
    refresh_snapshots(store, embedder.model_id, embedder.dim, settings.dense_index, progress)


def made_documents(
    embedder: Embedder, titles: Sequence[str], texts: Sequence[str]
) -> list[NewDocument]:
    """Each text as a document; its vectors are the real ones."""
    prepared = [
        prepare(_parsed(title, text), name=f"{i}.txt", embedder=embedder)
        for i, (title, text) in enumerate(zip(titles, texts, strict=True))
    ]
    vectors = iter(embedder.encode([text for one in prepared for text in one.embed_texts]))
    return [
        NewDocument(
            source_uri=f"/made/{i:06}.txt",
            title=one.title,
            media_type="text/plain",
            language=one.language,
            text=one.text,
            chunks=one.chunks,
            vectors=np.array([next(vectors) for _ in one.chunks], np.float32),
            pages=one.pages,
        )
        for i, one in enumerate(prepared)
        if one.chunks
    ]


def varied(document: NewDocument, copy: int, chance: random.Random) -> NewDocument:
    """A copy with its words in another order inside each chunk, and vectors a little off."""
    text = list(document.text)
    chunks: list[Chunk] = []
    for chunk in document.chunks:
        words = chunk.text.split(" ")
        chance.shuffle(words)
        shuffled = " ".join(words)
        text[chunk.char_start : chunk.char_end] = shuffled
        chunks.append(replace(chunk, text=shuffled))
    noise = np.random.default_rng(copy).normal(0, COPY_NOISE, document.vectors.shape)
    vectors = document.vectors + noise.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    uri = f"{document.source_uri}.copy-{copy}"
    return replace(document, source_uri=uri, text="".join(text), chunks=chunks, vectors=vectors)


def put_all(store: Store, embedder: Embedder, documents: Sequence[NewDocument]) -> None:
    """Commit each as a source of its own."""
    for document in documents:
        put(store, embedder.model_id, [document], "docs")


def put(store: Store, model_id: str, documents: Sequence[NewDocument], collection: str) -> None:
    """Commit documents as one source: the first is the file, the others are attached to it."""
    first, *others = documents
    sha256 = hashlib.sha256(f"{first.source_uri}{first.text}".encode()).hexdigest()
    first = replace(first, content_sha256=sha256, size_bytes=len(first.text))
    attached = [replace(one, parent_uri=first.source_uri) for one in others]
    source = SourceFile(first.source_uri, first.size_bytes, 0, sha256, sha256)
    store.commit_source(collection, source, [first, *attached], model_id=model_id)


def _parsed(title: str, text: str) -> Parsed:
    pieces = [piece for piece in text.split("\n\n") if piece.strip()]
    return Parsed("text/plain", [Element("paragraph", piece) for piece in pieces], title=title)

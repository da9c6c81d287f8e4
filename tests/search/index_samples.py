"""Documents for the indexes' tests: paragraphs in, a vector for each given by its words."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.search.indexes import Indexes, open_indexes, refresh_snapshots
from rag.search.interface import Pair
from rag.store import Store
from rag.types import Access, Chunk, NewDocument, SourceFile, Vectors

DIM = 16
MODEL = "model-a"
ALL = Access(frozenset({"docs", "board"}))
DOCS = Access(frozenset({"docs"}))
NOBODY = Access(frozenset())


def vectors(texts: Sequence[str], dim: int = DIM) -> Vectors:
    """Unit vectors that are near each other for texts that share words."""
    rows = np.zeros((len(texts), dim), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            row += np.random.default_rng(seed).normal(size=dim).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def commit(
    store: Store,
    uri: str,
    *paragraphs: str,
    collection: str = "docs",
    language: str = "en",
    model_id: str = MODEL,
    title: str = "A title",
) -> int:
    """Store a file whose chunks are these paragraphs; returns the document's id."""
    text = "\n\n".join(paragraphs)
    chunks, start = [], 0
    for ordinal, paragraph in enumerate(paragraphs):
        chunks.append(Chunk(ordinal, start, start + len(paragraph), paragraph))
        start += len(paragraph) + 2
    sha256 = store.originals.put(f"{text} {model_id}".encode())
    document = NewDocument(
        source_uri=uri,
        title=title,
        media_type="text/plain",
        language=language,
        text=text,
        chunks=chunks,
        vectors=vectors(paragraphs),
        content_sha256=sha256,
    )
    source = source_file(uri, sha256)
    return store.commit_source(collection, source, [document], model_id=model_id)[0]


def source_file(uri: str, sha256: str) -> SourceFile:
    return SourceFile(uri, 1, 0, content_sha256=sha256, fingerprint=sha256)


def move(store: Store, old: str, new: str, collection: str = "docs") -> None:
    """Give a stored file another name."""
    (source,) = store.sources(collection, old)
    store.move_source(collection, old, source_file(new, source.content_sha256))


def open_quietly(store: Store, model_id: str = MODEL, said: list[str] | None = None) -> Indexes:
    """Open the indexes; what they say goes into `said`."""
    heard = [] if said is None else said
    return open_indexes(store, model_id, DIM, "auto", heard.append)


def stored_ids(store: Store, model_id: str | None = None) -> list[int]:
    """All chunk ids, or those whose vector is of a model."""
    with store.reading() as (_, batches):
        rows = [row for batch in batches for row in batch]
    return [row.chunk_id for row in rows if model_id in (None, row.model_id)]


def texts(store: Store, ids: Sequence[int], access: Access = ALL) -> list[str]:
    """The texts of chunks, in the order of the ids."""
    chunks = store.chunks(access, ids)
    return [chunks[i].chunk.text for i in ids]


def found(indexes: Pair, store: Store, query: str, access: Access = ALL) -> set[str]:
    """The texts that either branch finds for a query."""
    indexes.catch_up()
    dense = indexes.dense.search(vectors([query])[0], 50, access)
    lexical = indexes.lexical.search(query, 50, access)
    return set(texts(store, [i for i, _ in (*dense, *lexical)], access))


def snapshot_folders(data_dir: Path) -> list[str]:
    """Names of all that lies in the snapshots' folder."""
    return sorted(entry.name for entry in (data_dir / "snapshots").iterdir())


def level(indexes: Pair, store: Store) -> None:
    """Assert that both indexes hold what the store holds, once each."""
    indexes.catch_up()
    assert sorted(indexes.dense.ids()) == sorted(indexes.lexical.ids()) == stored_ids(store)
    assert indexes.seq == store.head()


def published(store: Store) -> None:
    """Three documents, one of them removed again, in a snapshot."""
    for n in range(3):
        commit(store, f"/{n}.txt", f"notice {n}", f"travel {n}")
    store.remove_sources("docs", ["/1.txt"])
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)

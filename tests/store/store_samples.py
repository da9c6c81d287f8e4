"""Documents and sources for the tests: paragraphs in, records out, the same ones every time."""

import hashlib
from collections.abc import Sequence

import numpy as np

from rag.store import Store
from rag.types import Box, Chunk, NewDocument, Page, SourceFile, Vectors

DIM = 8
MODEL = "test-model"


def vectors(paragraphs: Sequence[str]) -> Vectors:
    """A unit vector for each paragraph, given by its text."""
    rows = np.empty((len(paragraphs), DIM), dtype=np.float32)
    for row, paragraph in zip(rows, paragraphs, strict=True):
        seed = int.from_bytes(hashlib.sha256(paragraph.encode()).digest()[:8], "big")
        row[:] = np.random.default_rng(seed).normal(size=DIM)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def document(
    uri: str, paragraphs: Sequence[str], *, parent: str | None = None, title: str = "A title"
) -> NewDocument:
    """A document of one page whose chunks are its paragraphs."""
    text = "\n\n".join(paragraphs)
    chunks: list[Chunk] = []
    start = 0
    for ordinal, paragraph in enumerate(paragraphs):
        end = start + len(paragraph)
        box = Box(1, 72.0, 700.25, 500.5, 712.0)
        chunks.append(Chunk(ordinal, start, end, paragraph, ("Part", "§ 1"), boxes=(box,)))
        start = end + 2
    words = np.array([[0, 4, 72, 700, 90, 712]], dtype="<f4").tobytes()
    return NewDocument(
        source_uri=uri,
        title=title,
        media_type="text/plain",
        language="en",
        text=text,
        chunks=chunks,
        vectors=vectors(paragraphs),
        pages=[Page(1, 595.0, 842.0, 0, len(text), words)],
        metadata={"author": "Zoë"},
        warnings=("one image skipped",),
        content_sha256=hashlib.sha256(text.encode()).hexdigest(),
        size_bytes=len(text.encode()),
        parent_uri=parent,
    )


def source(uri: str, content: str = "1", **fields: object) -> SourceFile:
    """A file whose hash and fingerprint are given by `content`."""
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    values: dict[str, object] = {
        "size_bytes": len(content),
        "mtime_ns": 1_700_000_000_123_456_789,
        "content_sha256": sha256,
        "fingerprint": f"fingerprint of {content}",
    }
    return SourceFile(uri=uri, **(values | fields))  # type: ignore[arg-type]


def failed(uri: str, content: str = "1", **fields: object) -> SourceFile:
    """A file that could not be read."""
    values = {"state": "failed", "error": "it is broken", "hint": "Repair it."}
    return source(uri, content, **(values | fields))


def commit(store: Store, uri: str, *paragraphs: str, collection: str = "docs") -> list[int]:
    """Store a file with these paragraphs."""
    content = "\n\n".join(paragraphs)
    return store.commit_source(
        collection, source(uri, content), [document(uri, paragraphs)], model_id=MODEL
    )


def commit_mail(store: Store, uri: str, *attachments: str, content: str = "1") -> list[int]:
    """Store a mail with attachments, each attached to the one before it."""
    documents = [document(uri, [f"mail {content}"])]
    for name in attachments:
        parent = documents[-1].source_uri
        documents.append(document(f"{uri}#{name}", [f"text of {name}", "more"], parent=parent))
    return store.commit_source("docs", source(uri, content), documents, model_id=MODEL)


def replay(store: Store, limit: int = 1000) -> dict[int, tuple[int, ...]]:
    """What a follower of the change log knows: each document's chunks."""
    known: dict[int, tuple[int, ...]] = {}
    seq = 0
    while changes := store.changes(seq, limit):
        for change in changes:
            assert change.seq == seq + 1, "the log has a gap"
            seq = change.seq
            known.pop(change.document_id, None)
            if change.op == "put":
                known[change.document_id] = change.chunk_ids
    assert seq == store.head()
    return known


def stored(store: Store) -> dict[int, tuple[int, ...]]:
    """What the tables hold: each document's chunks."""
    access = store.access_to_all()
    return {
        document.id: tuple(chunk.id for chunk in store.document_chunks(access, document.id))
        for document in store.list_documents(access, limit=100_000)
    }

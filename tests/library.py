"""Documents put into a store without a file and a parser, chunked and embedded for real."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ingest.chunk import prepare
from ingest.parse.model import Element, Parsed
from rag.search.embed import Embedder
from rag.store import Store
from rag.types import NewDocument, SourceFile


def put(
    store: Store,
    embedder: Embedder,
    uri: str,
    elements: Sequence[Element] | str,
    collection: str = "docs",
    **parsed: object,
) -> int:
    """Store a document of these elements, or of a text's paragraphs; returns its id."""
    if isinstance(elements, str):
        elements = [Element("paragraph", part) for part in elements.split("\n\n")]
    document = Parsed("text/plain", list(elements), **parsed)  # type: ignore[arg-type]
    prepared = prepare(document, name=Path(uri).name, embedder=embedder)
    sha256 = hashlib.sha256(prepared.text.encode()).hexdigest()
    new = NewDocument(
        source_uri=uri,
        title=prepared.title,
        media_type=document.media_type,
        language=prepared.language,
        text=prepared.text,
        chunks=prepared.chunks,
        vectors=embedder.encode(prepared.embed_texts),
        pages=prepared.pages,
        content_sha256=sha256,
        metadata=document.metadata,
    )
    source = SourceFile(uri, len(prepared.text), 0, sha256, fingerprint=sha256)
    return store.commit_source(collection, source, [new], model_id=embedder.model_id)[0]

"""A process that changes a store at a steady pace until it is ended, for the benchmarks.

    python -m tests.bench.changing DATA_DIR CHUNKS SECONDS

Every SECONDS it commits a document of so many chunks; from the tenth on it deletes the oldest of
its own with each. Texts and vectors are noise.
"""

import sys
import time
from collections import deque
from itertools import count
from pathlib import Path

import numpy as np

from rag.settings import load_settings
from rag.store import Store
from rag.types import Chunk, NewDocument
from tests.bench.stores import put

COLLECTION = "large"
KEPT = 10
PACES = {  # what is said of it, and the arguments
    "20 chunks come, and as many go, 5 times a second": ("20", "0.2"),
    "200 chunks come, and as many go, once a second": ("200", "1"),
    "1,000 chunks come, and as many go, every 5 seconds": ("1000", "5"),
}


def _made(number: int, n_chunks: int, words: np.ndarray, model_dim: int) -> NewDocument:
    random = np.random.default_rng(number)
    texts = [" ".join(random.choice(words, 120)) for _ in range(n_chunks)]
    chunks, at = [], 0
    for ordinal, text in enumerate(texts):
        chunks.append(Chunk(ordinal, at, at + len(text), text))
        at += len(text) + 1
    vectors = random.normal(size=(n_chunks, model_dim)).astype(np.float32)
    return NewDocument(
        source_uri=f"/changing/{number}.txt",
        title=f"Change {number}",
        media_type="text/plain",
        language="en",
        text="\n".join(texts),
        chunks=chunks,
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    )


def main(data_dir: Path, n_chunks: int, pause_s: float) -> None:
    """Change the store until the process is ended."""
    settings = load_settings(data_dir=data_dir)
    with Store.open(settings.url, data_dir=data_dir) as store:
        model_id, dim, words = _known(store)
        kept: deque[str] = deque()
        for number in count():
            began = time.monotonic()
            document = _made(number + int(time.time()), n_chunks, words, dim)
            put(store, model_id, [document], COLLECTION)
            kept.append(document.source_uri)
            if len(kept) > KEPT:
                store.remove_sources(COLLECTION, [kept.popleft()])
            time.sleep(max(0.0, pause_s - (time.monotonic() - began)))


def _known(store: Store) -> tuple[str, int, np.ndarray]:
    """The store's model and dimensions, and the words of its first chunks."""
    with store.reading() as (_, batches):
        first = next(iter(batches))
    words = np.array(sorted({word for row in first for word in row.text.split()}))
    return first[0].model_id, len(first[0].vector), words


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))

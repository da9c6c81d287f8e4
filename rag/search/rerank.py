"""Candidates ranked anew by a cross-encoder, which reads query and candidate together. Optional.

It sees what two vectors lose of a text, and takes some hundred times as long as comparing them, so
only the best candidates are read: Nogueira and Cho (2019).
"""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError
from rag.search.local_models import load_cross_encoder
from rag.settings import Settings
from rag.types import StoredChunk

READ = 50  # candidates at most; a user looks at ten passages, which are made of the best 40


class Reranker(Protocol):
    """What tells how well texts answer a query. Thread-safe."""

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """A score in [0, 1] for each text, shape (len(texts),)."""


class CrossEncoderReranker:
    """A local sentence-transformers cross-encoder with one label, on a GPU where there is one."""

    def __init__(self, model: Any) -> None:
        from torch.nn import Sigmoid

        self._model, self._sigmoid = model, Sigmoid()
        self._lock = threading.Lock()

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Reranker`. A text that is longer than the model reads is cut."""
        pairs = [(query, text) for text in texts]
        with self._lock:
            scores = self._model.predict(
                pairs, activation_fn=self._sigmoid, show_progress_bar=False
            )
        return np.asarray(scores, np.float32).reshape(len(pairs))


@functools.lru_cache(maxsize=2)
def load_reranker(model_dir: Path) -> CrossEncoderReranker:
    """Load the model once for all searches, from disk only.

    Raises:
        ModelError: the directory holds no cross-encoder, or one with several labels.
    """
    model, labels = load_cross_encoder(model_dir, "CITADEL_RERANK_MODEL_DIR")
    if len(labels) != 1:
        raise ModelError(
            f"the cross-encoder in {model_dir} has {len(labels)} labels, and ranking takes one",
            hint="Use a model that was trained to rank passages.",
        )
    return CrossEncoderReranker(model)


def configured_reranker(settings: Settings) -> Reranker | None:
    """The model that the settings name, if they name any.

    Raises:
        ModelError: it cannot be loaded.
    """
    return None if settings.rerank_model_dir is None else load_reranker(settings.rerank_model_dir)


def rerank(
    reranker: Reranker, query: str, ranked: Sequence[tuple[StoredChunk, float]]
) -> list[tuple[StoredChunk, float]]:
    """Chunks with scores in [0, 1], best first, in a new order: the first `READ` by the model.

    Those stand above all others, which keep their order; scores stay in [0, 1].
    """
    if not ranked:
        return []
    read, rest = ranked[:READ], ranked[READ:]
    scores = reranker.scores(query, [_text_of(stored) for stored, _ in read])
    found = [
        (stored, (1 + float(score)) / 2) for (stored, _), score in zip(read, scores, strict=True)
    ]
    found.sort(key=lambda one: -one[1])  # stable: ties stay as they were
    return [*found, *((stored, score / 2) for stored, score in rest)]


def _text_of(stored: StoredChunk) -> str:
    """A chunk with what it loses by being cut out, as it is embedded."""
    headings = " > ".join(h for h in stored.chunk.heading_path if h != stored.title)
    begins_with_it = stored.chunk.text.startswith(stored.header)
    header = "" if begins_with_it else stored.header
    return "\n".join(part for part in (stored.title, headings, header, stored.chunk.text) if part)

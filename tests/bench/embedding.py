"""The product's embedder with a memory: what has been embedded once is not embedded again.

For benchmarks of quality only. Nothing that measures the speed of embedding uses it.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

import rag.search.calibration
import rag.search.convert
import rag.search.embed
import rag.search.precision
import rag.search.quantise
from rag.search.embed import Embedder, load_embedder
from rag.search.silent import openvino
from rag.settings import load_settings
from rag.types import Vectors
from tests.bench import sets
from tests.bench.run import Run, cache_dir, progress

KEY_BYTES = 16
TOLD_FROM = 500  # texts whose embedding is worth a line of progress
CONVERTING = (
    rag.search.convert,
    rag.search.precision,
    rag.search.quantise,
    rag.search.calibration,
)


def model_home() -> Path:
    """A data directory whose `models` holds the converted model; named after what converts it."""
    home = cache_dir() / f"model-{_version(*CONVERTING)}"
    if not (home / "models").is_dir():
        load_embedder(load_settings(data_dir=home))
    return home


def _version(*modules: ModuleType) -> str:
    """Changes with the code of these modules and with OpenVINO."""
    code = b"".join(Path(module.__file__ or "").read_bytes() for module in modules)
    return hashlib.sha256(code + openvino.__version__.encode()).hexdigest()[:12]


def new_data_dir(folder: Path) -> Path:
    """A data directory in which the model is already converted."""
    folder.mkdir(parents=True)
    (folder / "models").symlink_to(model_home() / "models")
    return folder


class CachedEmbedder:
    """An `Embedder` that looks a text up before it asks the model."""

    def __init__(self, model: Embedder, file: Path) -> None:
        self.model_id, self.dim, self.max_tokens = model.model_id, model.dim, model.max_tokens
        self._model = model
        self._file = file
        self._known: dict[bytes, Vectors] = {}
        self._n_saved = 0
        if file.is_file():
            with np.load(file, allow_pickle=False) as saved:
                keys, vectors = saved["keys"], saved["vectors"]
            self._known = {bytes(key): vector for key, vector in zip(keys, vectors, strict=True)}
            self._n_saved = len(self._known)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        keys = [_key(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if len(new) >= TOLD_FROM:
            progress(f"embedding {len(new):,} texts")
        if new:
            vectors = self._model.encode(list(new.values()))
            self._known.update(zip(new, vectors, strict=True))
        return np.array([self._known[key] for key in keys], np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder`."""
        return self._model.count_tokens(texts)

    def letters_per_token(self, text: str) -> float:
        """See `Embedder`."""
        return self._model.letters_per_token(text)

    def save(self) -> None:
        """Keep what is new, by rename."""
        if len(self._known) == self._n_saved:
            return
        keys = np.frombuffer(b"".join(self._known), np.uint8).reshape(-1, KEY_BYTES)
        draft = self._file.with_name(f".{os.getpid()}-{self._file.name}")
        np.savez(draft, keys=keys, vectors=np.array(list(self._known.values()), np.float32))
        draft.rename(self._file)
        self._n_saved = len(self._known)


@contextmanager
def cached_embedder() -> Iterator[CachedEmbedder]:
    """The product's embedder, with what earlier runs have embedded."""
    model = load_embedder(load_settings(data_dir=model_home()))
    version = f"{getattr(model, 'kind', 'torch')}-{_version(*CONVERTING, rag.search.embed)}"
    embedder = CachedEmbedder(model, cache_dir() / f"vectors-{model.model_id[:12]}-{version}.npz")
    try:
        yield embedder
    finally:
        embedder.save()


def real_texts(
    run: Run, names: Sequence[str], n_asked: int
) -> tuple[list[str], list[str], Vectors, Vectors]:
    """The documents of sets and some questions of each; then their vectors, (n, dim) each."""
    texts: list[str] = []
    asked: list[str] = []
    for name in names:
        data = sets.ranked(run.eval_dir, name)
        pairs = zip(data.titles, data.texts, strict=True)
        texts += ["\n".join(filter(None, pair)) for pair in pairs]
        asked += run.some(list(data.queries.values()), n_asked, n_asked)
    with cached_embedder() as embedder:
        return texts, asked, embedder.encode(texts), embedder.encode(asked)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]

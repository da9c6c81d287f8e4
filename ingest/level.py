"""A vector of a model for every chunk that there is, made from what is stored.

What is embedded is what an ingest of today would embed for these chunks: the same function over the
stored title, name, headings and text. The chunks themselves stay as they are, cut by the tokens of
the model that was in use when their file came.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ingest.assemble import Assembled
from ingest.chunk import SPECIAL_TOKENS, embed_texts
from rag.errors import ModelError
from rag.search.chosen import load_model
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.store import Model, Store, Unembedded, are_unit
from rag.types import Vectors

BATCH = 256  # chunks embedded and committed at once: what a kill can cost
LOOK_S = 1.0  # how often a run looks whether the model has been exchanged


def texts_of(found: Sequence[Unembedded], embedder: Embedder) -> list[str]:
    """What is embedded for the chunks, in order."""
    return [text for each in found for text in _texts_of(each, embedder)]


def _texts_of(each: Unembedded, embedder: Embedder) -> list[str]:
    document = Assembled(title=each.title, language=each.language, text=each.text)
    # Their tokens were counted by the model that they were cut for.
    counts = embedder.count_tokens([chunk.text for chunk in each.chunks])
    chunks = [replace(c, n_tokens=n) for c, n in zip(each.chunks, counts, strict=True)]
    return embed_texts(document, chunks, each.name, embedder)


def vectors_of(found: Sequence[Unembedded], embedder: Embedder) -> Vectors:
    """The vectors of the chunks, in order; shape (n, dim)."""
    return embedder.encode(texts_of(found, embedder))


def level(
    store: Store, model: Model, embedder: Embedder, told: Callable[[int], None] = lambda n: None
) -> int:
    """Embed every chunk that lacks a vector of the model; returns how many did.

    Each batch is one transaction, so what was made stays if this is interrupted, and whoever goes
    on begins behind it. `told` hears of the number after each batch.

    Raises:
        ValueError: `embedder` is another model.
        ModelError: it makes vectors that cannot be compared; those of a batch are left out.
    """
    if embedder.model_id != model.id:
        raise ValueError(f"{embedder.model_id} does not make vectors of {model.id}")
    n = 0
    while found := store.models.lacking(model, BATCH):
        texts = texts_of(found, embedder)
        counts = embedder.count_tokens(texts)
        n_cut = sum(count > embedder.max_tokens - SPECIAL_TOKENS for count in counts)
        ids = [i for each in found for i in each.ids]
        vectors = embedder.encode(texts)
        if not are_unit(vectors):
            raise ModelError(
                f"{model.name} makes vectors that cannot be compared: not all have length 1",
                hint=f"It is of no use here: citadel model remove {model.name}",
            )
        store.models.fill(model, ids, vectors, n_cut)
        n += len(ids)
        told(n)
    return n


def catch_up(store: Store, model: Model, embedder: Embedder, say: Callable[[str], None]) -> None:
    """Embed what came since a model was built, and say so. Raises as `level`."""
    if n := store.models.n_lacking(model):
        say(f"embedding {n:,} passages that came since {model.name} was built")
        level(store, model, embedder)


class Keeping:
    """Keeps the current model's vectors level while a run goes on that began with another one.

    A switch does not wait for ingests. What a running one still stores with the model that it has
    begun with gets its vector of the current one within seconds, and the change log says so.
    """

    def __init__(
        self, store: Store, settings: Settings, model_id: str, embedder: Callable[[], Embedder]
    ) -> None:
        """The run works with `model_id`, which `embedder` loads."""
        self._store = store
        self._settings = settings
        self._model_id = model_id
        self._embedder = embedder
        self._loaded: Embedder | None = None
        self._looked = time.monotonic()
        self._has_run = False

    def look(self) -> None:
        """Embed what is missing, if the model was exchanged; looks once in a while only."""
        self._has_run = True
        if time.monotonic() - self._looked < LOOK_S:
            return
        current = self._store.models.current()
        if current is not None and current.id != self._model_id:
            level(self._store, current, self._of(current))
        self._looked = time.monotonic()

    def settle(self) -> None:
        """Embed what the current model lacks, whoever has stored it."""
        models = self._store.models
        current = models.current()
        if current is None:
            return
        lacks = models.n_lacking(current) > 0
        if lacks:
            level(self._store, current, self._of(current))
        if lacks or self._has_run:
            models.settle(current)

    def embedder(self) -> Embedder:
        """The current model's."""
        return self._of(self._store.models.current())

    def _of(self, current: Model | None) -> Embedder:
        if current is None or current.id == self._model_id:
            return self._embedder()
        if self._loaded is None or self._loaded.model_id != current.id:
            self._loaded = load_model(self._settings, current)
        return self._loaded

"""A model and the indexes of its vectors as one thing, and exchanging it while it is in use.

Embedder, indexes and retriever are opened together for one model and only ever handed out together:
no query can hold a vector of one model against the index of another. When the store's current model
changes, the other one is loaded beside the one in use, which goes on answering meanwhile; then one
takes the place of the other. Who has begun with the old one ends with it, and then it is closed.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rag.errors import CitadelError
from rag.search.chosen import load_current, load_model
from rag.search.embed import Embedder
from rag.search.indexes import open_indexes
from rag.search.interface import Pair
from rag.search.rerank import configured_reranker
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import Model, Store

logger = logging.getLogger(__name__)

RETRY_S = 30.0  # after the other model could not be loaded


@dataclass(frozen=True, slots=True, eq=False)
class Searching:
    """What searches with one model. Thread-safe."""

    embedder: Embedder
    indexes: Pair
    retriever: Retriever

    @property
    def model_id(self) -> str:
        """Whose vectors these are."""
        return self.embedder.model_id


def open_searching(
    store: Store, settings: Settings, embedder: Embedder, say: Callable[[str], None]
) -> Searching:
    """Open the indexes of a model's vectors."""
    model_id, dim = embedder.model_id, embedder.dim
    reranker = configured_reranker(settings)
    indexes = open_indexes(store, model_id, dim, settings.index, say)
    retriever = Retriever(store, indexes, embedder, settings.dense_weight, reranker)
    return Searching(embedder, indexes, retriever)


class Current:
    """The current model's `Searching`, followed by whichever takes its place. Thread-safe."""

    def __init__(self, store: Store, settings: Settings, say: Callable[[str], None]) -> None:
        self._store, self._settings, self._say = store, settings, say
        self._lock = threading.Lock()
        self._now = open_searching(store, settings, load_current(store, settings), say)
        self._users: dict[Searching, int] = {self._now: 0}
        self._loading: threading.Thread | None = None
        self._retry_at = 0.0
        self._closing = False

    @property
    def now(self) -> Searching:
        """The one in use at this moment; `held` for whoever needs it for longer."""
        return self._now

    @contextlib.contextmanager
    def held(self) -> Iterator[Searching]:
        """The one in use, which stays open until the end of the block, whatever takes its place."""
        with self._lock:
            held = self._now
            self._users[held] += 1
        try:
            yield held
        finally:
            self._let_go(held)

    def follow(self) -> None:
        """Begin to load the other model, if the store's current one has changed; does not wait."""
        current = self._store.models.current()
        with self._lock:
            is_busy = self._loading is not None or self._closing
            if is_busy or current is None or current.id == self._now.model_id:
                return
            if time.monotonic() < self._retry_at:
                return
            self._loading = threading.Thread(
                target=self._load, args=(current,), name="other model", daemon=True
            )
            self._loading.start()

    def drop_forgotten(self) -> bool:
        """See `Pair.drop_forgotten`; of all that are still open."""
        with self._lock:
            still_open = list(self._users)
            for searching in still_open:
                self._users[searching] += 1
        dropped = False
        for searching in still_open:
            try:
                dropped |= searching.indexes.drop_forgotten()
            finally:
                self._let_go(searching)
        return dropped

    def close(self) -> None:
        """Close all that are open, once nothing is being loaded any more."""
        with self._lock:
            self._closing, loading = True, self._loading
        if loading is not None:
            loading.join()
        for searching in self._users:
            searching.indexes.close()

    def _load(self, model: Model) -> None:
        """Load a model and put it in the place of the one in use."""
        try:
            embedder = load_model(self._settings, model)
            other = open_searching(self._store, self._settings, embedder, self._say)
        except Exception as error:  # noqa: BLE001  the thread's border: what is in use stays
            why = error.message if isinstance(error, CitadelError) else error
            hint = (
                getattr(error, "hint", "") or "citadel model rollback goes back to the one before."
            )
            logger.warning(
                "the model %s cannot be searched with: %s; searches go on with the one before, and"
                " it is tried again every %.0f s. %s",
                model.name,
                why,
                RETRY_S,
                hint,
            )
            self._retry_at = time.monotonic() + RETRY_S
        else:
            with self._lock:
                before, self._now = self._now, other
                self._users[other] = 0
                self._users[before] += 1
            self._let_go(before)
            self._say(f"searching with the model {model.name}")
        finally:
            self._loading = None

    def _let_go(self, searching: Searching) -> None:
        """One user fewer; the last one of what is not in use any more closes it."""
        with self._lock:
            self._users[searching] -= 1
            unused = self._users[searching] == 0 and searching is not self._now
            unused = unused and not self._closing  # else all are closed together
            if unused:
                del self._users[searching]
        if unused:
            searching.indexes.close()

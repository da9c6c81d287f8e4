"""The query side put together: what the command and the API both open."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Literal

from rag.answer import record
from rag.answer.asked import Parts
from rag.answer.conversation import forget_summaries
from rag.answer.engine import Engine
from rag.answer.events import Event
from rag.answer.guard import Counted, Guard
from rag.answer.options import Options
from rag.answer.pipeline import answer
from rag.answer.writer import Writer
from rag.closing import Closing
from rag.errors import ConfigError
from rag.forget.steps import finish
from rag.metrics import Metrics
from rag.search.current import Current
from rag.search.embed import Embedder
from rag.search.interface import Pair
from rag.search.retrieve import SearchResult
from rag.secret import kept_secret
from rag.settings import Settings
from rag.store import Store
from rag.types import Access

logger = logging.getLogger(__name__)

UNGUARDED = "no guard reads what the engine writes: CITADEL_ALLOW_UNGUARDED is set"
PROMPT_SECRET = "prompt.secret"  # noqa: S105  a file's name: keys of passages come from it


class Appliance(Closing):
    """Store, model, indexes and retriever of one process. Thread-safe."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = logger.info) -> None:
        """Open everything; takes about a second, more where indexes have to be built.

        `say` is told of what takes longer or was repaired.
        """
        self.settings = settings
        self.metrics = Metrics()
        guard = _guard(settings)
        self.guard: Guard | None = guard and Counted(guard, self.metrics.verdict)
        self.engine = _engine(settings)
        self.writer = _writer(self.engine, settings)
        self.store = Store.open(settings.url, data_dir=settings.data_dir)
        finish(self.store)
        self._current = Current(self.store, settings, say)

    @property
    def embedder(self) -> Embedder:
        """The model in use at this moment."""
        return self._current.now.embedder

    @property
    def indexes(self) -> Pair:
        """The indexes in use at this moment."""
        return self._current.now.indexes

    @property
    def answers(self) -> Literal["quotes", "engine"]:
        """What answers are made of."""
        return "quotes" if self.engine is None else "engine"

    @property
    def guarding(self) -> Literal["on", "none", "unguarded"]:
        """Whether a guard reads along; `unguarded` where an engine writes without one."""
        if self.guard is not None:
            return "on"
        return "none" if self.engine is None else "unguarded"

    def search(self, query: str, access: Access, k: int = 10) -> SearchResult:
        """The `k` best passages that `access` allows. Blocks for some ten milliseconds.

        Raises:
            StoreError: the search cannot be recorded; nothing is shown then.
        """
        with self.held() as parts:
            result = parts.retriever.retrieve(query, access, k)
            record.search(parts, access, result)
        return result

    async def answer(
        self, question: str, access: Access, *, request_id: str, options: Options | None = None
    ) -> AsyncIterator[Event]:
        """The events of an answer; see `rag.answer.events`."""
        options = options or Options()
        with self.held() as parts:
            events = answer(question, access, parts, request_id=request_id, options=options)
            async with aclosing(events):
                async for event in events:
                    yield event

    @contextmanager
    def held(self) -> Iterator[Parts]:
        """What a question is answered with; stays open until the end of the block."""
        with self._current.held() as searching:
            yield Parts(
                self.settings,
                self.store,
                searching.embedder,
                searching.indexes,
                searching.retriever,
                self.guard,
                self.engine,
                self.writer,
                self.metrics,
            )

    def follow_model(self) -> None:
        """Begin to load the model that the store was switched to, if it was; does not wait."""
        self._current.follow()

    def drop_forgotten(self) -> None:
        """Let go of what this process still holds of something that has been forgotten.

        It is in no answer anyway; after this it is in no memory and no file of this process.
        """
        if self._current.drop_forgotten():
            forget_summaries()

    def close(self) -> None:
        """Release indexes and database."""
        self._current.close()
        self.store.close()


def _guard(settings: Settings) -> Guard | None:
    """The guard that the settings name; with an engine there must be one.

    Raises:
        ConfigError: there is an engine and no guard, and nothing says that this is meant.
    """
    if settings.guard_url is not None:
        from rag.answer.llama_guard import LlamaGuard

        return LlamaGuard(settings)
    if settings.engine_url is not None and not settings.allow_unguarded:
        raise ConfigError(
            "there is an engine and no guard",
            hint="Set CITADEL_GUARD_URL, or CITADEL_ALLOW_UNGUARDED=true to do without one.",
        )
    if settings.engine_url is not None:
        logger.warning(UNGUARDED)  # on stderr, as no handler is set
    return None


def _engine(settings: Settings) -> Engine | None:
    """The engine that the settings name; nothing is asked of it yet.

    Raises:
        ConfigError: its address is none.
    """
    if settings.engine_url is None:
        return None
    from rag.answer.openai_engine import OpenAIEngine

    return OpenAIEngine(settings)


def _writer(engine: Engine | None, settings: Settings) -> Writer | None:
    """What writes answers with the engine, with the secret of this installation."""
    if engine is None:
        return None
    secret = kept_secret(settings.data_dir / PROMPT_SECRET).encode()
    return Writer(engine, settings, secret)

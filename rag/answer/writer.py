"""Answers written by the engine: hits in, checked sentences out.

    pack → wait for room in the engine's cache → stream → cut into claims → check each → sentence

What the engine is, how long its window and how large its cache, is asked when the first question
comes and again after a failure, so that the appliance starts without it and follows a change.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from anyio import to_thread

from rag.answer.admission import Admission
from rag.answer.claims import ClaimSplitter
from rag.answer.conversation import Turn, remembered
from rag.answer.draft import Draft
from rag.answer.engine import Delta, Engine, EngineInfo, Message
from rag.answer.events import Depth, Notice, Sentence
from rag.answer.pack import TEMPLATE_TOKENS, Context, pack, passage_budget
from rag.answer.prompts import answer_messages, mark_of
from rag.answer.proof import Proof
from rag.answer.support import SupportChecker
from rag.answer.tokens import TokenCounter, token_counter
from rag.errors import ContextOverflow, EngineError
from rag.search.embed import Embedder
from rag.search.interface import Pair
from rag.settings import Settings
from rag.store import Store
from rag.types import Access, Hit

CONVERSATION_SHARE = 0.15  # of the window, at most, for what was said before
LIMIT = "length"  # the reason that servers give for an answer that reached its longest


class Parts(Protocol):
    """What an answer is written with."""

    settings: Settings
    store: Store
    embedder: Embedder
    indexes: Pair


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is to be answered, from what."""

    question: str  # as it was asked
    language: str  # of the answer, ISO 639-1
    hits: Sequence[Hit]
    depth: Depth
    history: Sequence[Turn]
    access: Access


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an engine that answers."""

    info: EngineInfo
    count: TokenCounter
    window_tokens: int  # that one request may fill
    admission: Admission


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine is sent, and the passages that it may cite."""

    messages: Sequence[Message]
    context: Context
    n_tokens: int  # of the prompt, at most


class Writer:
    """The engine and who waits for it. One for a process; belongs to one event loop at a time."""

    def __init__(self, engine: Engine, settings: Settings, secret: bytes) -> None:
        """`secret` is the installation's: keys of passages and salts of the cache come from it."""
        self.engine = engine
        self._settings = settings
        self._secret = secret
        self._opened: Opened | None = None

    @property
    def admission(self) -> Admission | None:
        """Who uses the engine; None before the first question."""
        return self._opened.admission if self._opened else None

    def check_room(self) -> None:
        """See whether a question may wait for the engine at all.

        Raises:
            EngineBusy: every waiting place is taken.
        """
        if self._opened is not None:
            self._opened.admission.check_room()

    async def opened(self) -> Opened:
        """The engine's model, window and capacity.

        Raises:
            EngineError: it does not answer.
            ConfigError: the settings name a model that it does not serve.
        """
        info = await self.engine.info()
        if self._opened is None or self._opened.info != info:
            opened = await self._open(info)
            if self._opened is None or self._opened.info != info:  # the first of two counts
                self._opened = opened
        return self._opened

    def cache_salt(self, access: Access) -> str:
        """What keeps the prompts of callers who may read different things apart in its cache."""
        return self._derived("salt", access).hex()

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, cache_salt: str = ""
    ) -> Delta:
        """A short text, such as a rewritten question, let in as an answer is.

        Raises:
            EngineError: the engine fails.
            EngineBusy: there was no room for it in time.
        """
        opened = await self.opened()
        n_tokens = await to_thread.run_sync(_size, messages, opened.count)
        async with opened.admission.admit(n_tokens + TEMPLATE_TOKENS + max_tokens):
            return await self.engine.complete(
                messages, max_tokens=max_tokens, cache_salt=cache_salt
            )

    async def write(
        self, task: Assignment, draft: Draft, parts: Parts
    ) -> AsyncGenerator[Sentence | Notice, None]:
        """The answer's sentences, each checked and in the draft; none where it does not know.

        Closing the generator stops the engine.

        Raises:
            EngineError: it failed. Once a sentence was yielded it doesn't raise, and says so in a
                notice.
            EngineBusy: there was no room for it in time.
        """
        began = time.perf_counter()
        opened = await self.opened()
        prompt = await self._prompt(task, opened, parts)
        draft.timings_ms["pack"] = _ms_since(began)
        if not prompt.context.passages:
            return
        proof = self._proof(prompt.context, task.access, parts)
        waiting = time.perf_counter()
        reserve = self._settings.engine_answer_tokens
        async with opened.admission.admit(prompt.n_tokens + reserve):
            draft.timings_ms["wait"] = _ms_since(waiting)
            deltas = self.engine.stream(
                prompt.messages, max_tokens=reserve, cache_salt=self.cache_salt(task.access)
            )
            claims = ClaimSplitter((p.key for p in prompt.context.passages), task.language)
            async with aclosing(self._checked(deltas, claims, proof, draft)) as stream:
                async for item in stream:
                    yield item

    async def _checked(
        self,
        deltas: AsyncGenerator[Delta, None],
        claims: ClaimSplitter,
        proof: Proof,
        draft: Draft,
    ) -> AsyncGenerator[Sentence | Notice, None]:
        began = time.perf_counter()
        last = Delta()
        try:
            async with aclosing(deltas):
                async for last in deltas:
                    draft.timings_ms.setdefault("first_token", _ms_since(began))
                    for sentence in await proof.sentences(claims.feed(last.text), draft):
                        yield sentence
        except EngineError as error:
            if not draft.sentences:
                raise
            yield draft.notify(Notice("incomplete", f"The answer broke off: {error.message}."))
            return
        finally:
            draft.timings_ms["engine"] = _ms_since(began)
            draft.used(last.usage)
        rest = claims.finish()
        if last.finish_reason == LIMIT:
            rest = rest[:-1]  # cut in the middle
        for sentence in await proof.sentences(rest, draft):
            yield sentence
        if last.finish_reason == LIMIT:
            n = self._settings.engine_answer_tokens
            yield draft.notify(Notice("incomplete", f"The answer was cut at {n:,} tokens."))

    def _proof(self, context: Context, access: Access, parts: Parts) -> Proof:
        lexical = parts.indexes.lexical
        checker = SupportChecker(parts.embedder, lexical, access, self._settings.support_model_dir)
        passages = {passage.key: passage for passage in context.passages}
        unsupported = self._settings.answer_unsupported
        return Proof(passages, checker, parts.store, access, unsupported)

    # The prompt

    async def _prompt(self, task: Assignment, opened: Opened, parts: Parts) -> Prompt:
        secret = self._derived("keys", task.access)
        conversation = await remembered(
            task.history,
            int(CONVERSATION_SHARE * opened.window_tokens),
            opened.count,
            self,
            cache_salt=self.cache_salt(task.access),
        )

        def packed() -> Prompt:
            def messages(context: Context) -> list[Message]:
                return answer_messages(context, conversation, task.question, task.language)

            none = Context((), "", 0, 0, mark_of(secret))
            fixed = _size(messages(none), opened.count)
            reserve = self._settings.engine_answer_tokens
            budget = passage_budget(opened.window_tokens, task.depth, reserve, fixed)
            if not budget:
                raise _no_room(opened.window_tokens, reserve + fixed)
            context = pack(task.hits, budget, opened.count, parts.store, task.access, secret=secret)
            n_tokens = fixed + context.n_tokens + TEMPLATE_TOKENS
            return Prompt(messages(context), context, n_tokens)

        return await to_thread.run_sync(packed)

    def _derived(self, purpose: str, access: Access) -> bytes:
        """A secret for one purpose and those who may read the same."""
        readable = "\0".join([*sorted(access.collections), *map(str, sorted(access.lists))])
        return hmac.digest(self._secret, f"{purpose}\0{readable}".encode(), "sha256")

    # The engine

    async def _open(self, info: EngineInfo) -> Opened:
        count, kv_tokens = await asyncio.gather(
            token_counter(self._settings, self.engine), self._kv_tokens(info)
        )
        admission = Admission(
            kv_tokens,
            self._settings.engine_concurrency,
            self._settings.engine_waiting,
            self._settings.engine_wait_s,
        )
        return Opened(info, count, min(info.context_tokens, kv_tokens), admission)

    async def _kv_tokens(self, info: EngineInfo) -> int:
        """What its cache holds: as set, as it says, or one whole window."""
        if self._settings.engine_kv_tokens is not None:
            return self._settings.engine_kv_tokens
        metrics = await self.engine.metrics()
        known = None if metrics is None else metrics.kv_tokens
        return known or info.context_tokens


def _size(messages: Sequence[Message], count: TokenCounter) -> int:
    """Tokens of what the messages say; blocks."""
    return sum(count(message["content"]) for message in messages)


def _no_room(window_tokens: int, n_tokens: int) -> ContextOverflow:
    return ContextOverflow(
        f"question, conversation and answer leave no room for passages: {n_tokens:,} of"
        f" {window_tokens:,} tokens",
        hint="Shorten the conversation, or lower CITADEL_ENGINE_ANSWER_TOKENS.",
    )


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)

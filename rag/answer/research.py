"""Research: the model searches and reads, round by round, before anything is answered.

    ask the model → one call → carry it out → guard the result → show the model → next round

What comes out are passages. The answer is written, cited and checked from them like any other, so
nothing that the model says in here reaches an answer.
"""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

import msgspec
from anyio import to_thread

from rag.answer.engine import Delta, Engine, Message, MessageToolCall, ToolCall, Usage
from rag.answer.events import Step
from rag.answer.guard import Guard, Verdict
from rag.answer.prompts import MARK_CHARS, harmless, research_messages
from rag.answer.tokens import TokenCounter
from rag.answer.tools import (
    TOOLS,
    CallError,
    Desk,
    Found,
    Wanted,
    distinct,
    name_of,
    result_text,
    understood,
)
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import Store
from rag.text import valid_unicode
from rag.types import Access, Hit

CALL_TOKENS = 512  # that the model may write in a round
TEMPLATE_TOKENS = 400  # of the chat template: its own words about tools, its dates
MESSAGE_TOKENS = 16  # of the template around each message
RESULT_SHARE = 0.3  # of the window that one result may have
MAX_REPEATED_CHARS = 300  # of a call that could not be read, as the model is shown it again
REMOVED = "This result was removed to make room. Its passages are kept for the answer."
WITHHELD = "The result is withheld by policy."
ONE_CALL = "Only the first of these calls was carried out: make one at a time."
# A server hands on as text, or as nothing at all, what it cannot read as a call.
_BROKEN_CALL = re.compile(r"^\s*(?:$|[{\[`])|\"name\"\s*:|<function|python_tag")

Ended = Literal["done", "rounds", "tokens", "time"]


class GuardSilent(Exception):  # noqa: N818  a verdict that there is not, no failure of ours
    """The guard gave no clear verdict on a result: nothing may be answered."""

    def __init__(self, verdict: Verdict, text: str) -> None:
        super().__init__(f"no verdict: {verdict.reason}")
        self.verdict = verdict
        self.text = text  # what there was no verdict on


class ResearchParts(Protocol):
    """What a research is done with."""

    @property
    def settings(self) -> Settings:
        """Its limits."""
        ...

    @property
    def store(self) -> Store:
        """What documents are opened in."""
        ...

    @property
    def retriever(self) -> Retriever:
        """What searches."""
        ...

    @property
    def engine(self) -> Engine | None:
        """The model; there must be one."""
        ...

    @property
    def guard(self) -> Guard | None:
        """Judges each result before the model reads it."""
        ...


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a research found, and why it ended."""

    hits: tuple[Hit, ...]  # every passage that was found or opened, best first, no chunk twice
    n_steps: int
    usage: Usage | None  # of all rounds, None where the server doesn't count
    ended: Ended
    withheld: tuple[tuple[Verdict, str], ...] = ()  # results that the guard found unsafe


async def research(
    question: str,
    parts: ResearchParts,
    access: Access,
    *,
    count: TokenCounter,
    window_tokens: int,
    cache_salt: str = "",
) -> AsyncGenerator[Step | Gathered, None]:
    """Yields each step once it is done and its result judged, and at the end one `Gathered`.

    What `access` does not allow is neither found nor opened. No prompt is longer than
    `window_tokens`, as `count` counts. Closing it, or cancelling who reads, ends the generation.

    Raises:
        EngineError: the engine has failed.
        GuardSilent: the guard gave no clear verdict on a result.
    """
    settings = parts.settings
    rounds = _Rounds(question, parts, access, count, window_tokens, cache_salt)
    deadline = asyncio.get_running_loop().time() + settings.research_timeout_s
    ended: Ended = "rounds"
    n_steps = 0
    while n_steps < settings.research_rounds:
        try:
            async with asyncio.timeout_at(deadline):
                step = await rounds.next(n_steps + 1)
        except TimeoutError:
            ended = "time"
            break
        if not isinstance(step, Step):
            ended = step
            break
        n_steps += 1
        yield step
    hits = distinct(rounds.desk.hits)
    yield Gathered(hits, n_steps, rounds.usage, ended, tuple(rounds.withheld))


@dataclass(frozen=True, slots=True)
class _Said:
    """What the model wrote in a round."""

    text: str
    calls: tuple[ToolCall, ...]

    @property
    def is_end(self) -> bool:
        """Whether it is neither a call nor an attempt at one."""
        return not self.calls and not _BROKEN_CALL.search(self.text)


class _Rounds:
    """A research under way."""

    def __init__(
        self,
        question: str,
        parts: ResearchParts,
        access: Access,
        count: TokenCounter,
        window_tokens: int,
        cache_salt: str,
    ) -> None:
        assert parts.engine is not None, "research needs an engine"
        self._question = question
        self._engine, self._guard = parts.engine, parts.guard
        self._cache_salt = cache_salt
        self._tokens_left = parts.settings.research_tokens
        mark = secrets.token_hex(MARK_CHARS // 2)
        room_tokens = int(RESULT_SHARE * window_tokens)
        self.desk = Desk(parts, access, count, mark=mark, room_tokens=room_tokens)
        opening = research_messages(question, mark, parts.settings.research_rounds)
        self._talk = _Talk(opening, count, window_tokens - CALL_TOKENS)
        self._made: set[bytes] = set()
        self.usage: Usage | None = None
        self.withheld: list[tuple[Verdict, str]] = []

    async def next(self, number: int) -> Step | Literal["done", "tokens"]:
        """One round: the step that was made, or why there is none."""
        n_tokens = await to_thread.run_sync(self._talk.fit)
        if n_tokens is None or n_tokens > self._tokens_left:
            return "tokens"
        said = await self._ask(n_tokens)
        if said.is_end:
            return "done"
        try:
            wanted = self._wanted(said)
            found = await to_thread.run_sync(self.desk.find, wanted)
        except CallError as error:
            self._talk.add(number, said, f"Error: {_tame(error.message)}{_repeated(said)}")
            return Step(number, error.tool, error.detail, 0, "error")
        note = f"{ONE_CALL}\n\n" if len(said.calls) > 1 else ""
        if not await self._may_be_shown(found):
            self._talk.add(number, said, note + WITHHELD, wanted)
            return Step(number, found.tool, "withheld by the guard", 0, "withheld")
        self.desk.show(found)
        self._talk.add(number, said, note + found.text, wanted)
        outcome: Literal["ok", "nothing"] = "ok" if found.hits else "nothing"
        return Step(number, found.tool, found.detail, len(found.hits), outcome)

    async def _ask(self, n_tokens: int) -> _Said:
        stream = self._engine.stream(
            self._talk.messages, max_tokens=CALL_TOKENS, tools=TOOLS, cache_salt=self._cache_salt
        )
        text, last = "", Delta()
        async with aclosing(stream) as deltas:
            async for last in deltas:
                text += last.text
        self._account(n_tokens, last.usage)
        return _Said(text, last.tool_calls)

    def _account(self, n_tokens: int, usage: Usage | None) -> None:
        if usage is None:
            self._tokens_left -= n_tokens
            return
        self._tokens_left -= usage.prompt_tokens
        self._talk.measured(n_tokens, usage.prompt_tokens)
        before = self.usage or Usage(0, 0)
        self.usage = Usage(
            before.prompt_tokens + usage.prompt_tokens,
            before.answer_tokens + usage.answer_tokens,
            before.cached_tokens + usage.cached_tokens,
        )

    def _wanted(self, said: _Said) -> Wanted:
        """The first call, if it is one and was not made before.

        Raises:
            CallError: it isn't, or it was.
        """
        if not said.calls:
            raise CallError("This is no call that can be read.", "the call could not be read")
        wanted = understood(said.calls[0])
        made = name_of(wanted).encode() + msgspec.json.encode(wanted).lower()
        if made in self._made:
            message = "You have made this call before. Make another one, or write DONE."
            raise CallError(message, "the same call as before", name_of(wanted))
        self._made.add(made)
        return wanted

    async def _may_be_shown(self, found: Found) -> bool:
        """Whether the guard lets pass what was found, and what it was found with.

        Raises:
            GuardSilent: it does not say.
        """
        if self._guard is None:
            return True
        # The reader is shown the detail, which the model may have written.
        text = f"{found.detail}\n\n{found.text}"
        verdict = await self._guard.judge(self._question, text)
        if verdict.label == "none":
            raise GuardSilent(verdict, text)
        if verdict.action == "block":
            self.withheld.append((verdict, text))
        return verdict.action != "block"


class _Talk:
    """The messages of all rounds, within a number of tokens."""

    def __init__(self, opening: Sequence[Message], count: TokenCounter, most_tokens: int) -> None:
        self.messages: list[Message] = list(opening)
        self._results: list[int] = []  # places of results in full length, oldest first
        self._count = count
        self._most_tokens = most_tokens
        self._missed_tokens = 0  # by the estimate, as the server's counts show

    def add(self, number: int, said: _Said, result: str, wanted: Wanted | None = None) -> None:
        """A round: what the model wrote, and what it is told.

        What could not be understood is not repeated as a call, because a template may fail on it.
        """
        if not said.calls:
            written = _tame(said.text[:MAX_REPEATED_CHARS])
            self.messages.append({"role": "assistant", "content": written or "(nothing)"})
            self.messages.append({"role": "user", "content": result})
            return
        arguments = msgspec.json.encode(wanted).decode() if wanted is not None else "{}"
        name = re.sub(r"\W", "", said.calls[0].name)[:64] or "unknown"
        call: MessageToolCall = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": harmless(arguments)},
        }
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        self.messages.append({"role": "tool", "content": result, "tool_call_id": call["id"]})
        self._results.append(len(self.messages) - 1)

    def fit(self) -> int | None:
        """Take out the oldest results until the rest fits; its tokens, None if it never does."""
        while (n_tokens := self._n_tokens()) > self._most_tokens:
            if not self._results:
                return None
            at = self._results.pop(0)
            self.messages[at] = {**self.messages[at], "content": REMOVED}
        return n_tokens

    def measured(self, estimated: int, n_tokens: int) -> None:
        """Learn from the server's count of what was estimated."""
        self._missed_tokens += max(0, n_tokens - estimated)

    def _n_tokens(self) -> int:
        fixed = TEMPLATE_TOKENS + sum(self._count(text) for text in _TOOL_TEXTS)
        return fixed + self._missed_tokens + sum(map(self._of_message, self.messages))

    def _of_message(self, message: Message) -> int:
        content = message["content"]
        text = result_text(content) if message["role"] == "tool" else content
        calls = json.dumps(message.get("tool_calls", []), ensure_ascii=False)
        return MESSAGE_TOKENS + self._count(text) + self._count(calls)


_TOOL_TEXTS = tuple(json.dumps(asdict(tool), indent=4) for tool in TOOLS)


def _repeated(said: _Said) -> str:
    """What the model wrote in a call that failed, for it to see what was wrong."""
    if not said.calls:
        return ""
    call = said.calls[0]
    return f" You wrote: {_tame(f'{call.name} {call.arguments}'[:MAX_REPEATED_CHARS])}"


def _tame(text: str) -> str:
    """What the model wrote, as it may be sent back."""
    return harmless(valid_unicode(text))

"""A conversation: what a follow-up asks, and what the prompt says of what was said before.

What stands in a conversation came from a client, and what an engine writes here comes from a model
that read it: neither is believed. A rewrite and a summary are checked, limited in length and time,
and done without where they fail.
"""

import asyncio
import hashlib
import logging
import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from anyio import to_thread

from rag.answer.engine import Delta, Message
from rag.answer.leaning import alone, spoken
from rag.answer.prompts import (
    NOT_FOUND,
    conversation_text,
    harmless,
    rewrite_messages,
    summary_messages,
)
from rag.answer.tokens import TokenCounter
from rag.errors import EngineBusy, EngineError
from rag.text import question_language, sentence_spans

logger = logging.getLogger(__name__)

REWRITE_TOKENS = 160  # of a rewritten question, at most
REWRITE_TIMEOUT_S = 5.0  # a reader waits for it, and the rule takes no time
LATEST = 3  # turns that a follow-up may lean on
MAX_ADDED_CHARS = 300  # that a rewrite may be longer than the question
SUMMARY_TOKENS = 320  # of a summary, at most; 150 words of Hindi or Thai are not more
SUMMARY_SHARE = 0.25  # of the budget, at most, kept free for it
SUMMARY_TIMEOUT_S = 8.0
SUMMARISED = 16  # turns that a summary is made from
MAX_SUMMARY_CHARS = 2000
MAX_QUESTION_CHARS, MAX_ANSWER_CHARS = 500, 600  # of a turn that is shown to a rewrite or a summary
KEPT_SUMMARIES = 256
LIMIT = "length"  # the reason that servers give for a text that reached its longest
CUT = "…"
JOINERS = "\u200c\u200d"  # shape the letters of Hindi

_LABEL = re.compile(
    r"(?:(?:the )?(?:rewritten|stand-?alone|last|new|final)?\s*(?:question|query)"
    r"|frage|pregunta|domanda|pergunta|प्रश्न|คำถาม)\s*:\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "«": "»"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what was answered."""

    question: str
    answer: str


class Completing(Protocol):
    """What writes a short text, such as an engine."""

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, cache_salt: str = ""
    ) -> Delta:
        """The whole text, of `max_tokens` at the most.

        Raises:
            EngineError: it fails.
            EngineBusy: it has no room for it.
        """
        ...


async def standalone(
    question: str, history: Sequence[Turn], engine: Completing | None, *, cache_salt: str = ""
) -> str:
    """The question as it can be understood without the conversation.

    It is the question itself where it stands alone already. The engine writes it, or a rule where
    there is no engine, it fails, takes too long or writes something else.
    """
    if not history:
        return question
    if engine is not None:
        latest = [_brief(turn) for turn in history[-LATEST:]]
        messages = rewrite_messages(latest, question)
        said = await _written(
            engine, messages, REWRITE_TOKENS, REWRITE_TIMEOUT_S, cache_salt, "rewritten question"
        )
        if said is not None and (rewritten := _rewritten(said, question, latest)):
            return rewritten
    return await to_thread.run_sync(alone, question, [turn.question for turn in history])


async def remembered(
    history: Sequence[Turn],
    budget_tokens: int,
    count: TokenCounter,
    engine: Completing | None,
    *,
    cache_salt: str = "",
) -> str:
    """What the prompt says of the conversation: at most `budget_tokens`, oldest first.

    The latest turns stand there as they were. Older ones become a summary by the engine, or a list
    of their questions. A latest turn that is too long by itself is cut at a sentence. Empty where
    there is nothing to say or no room.
    """
    if not history or budget_tokens <= 0:
        return ""
    first = await to_thread.run_sync(_first_whole, history, budget_tokens, count)
    summary = await _summary(history[:first], engine, cache_salt)
    return await to_thread.run_sync(_fitted, history, first, summary, budget_tokens, count)


# Rewriting


def _rewritten(said: Delta, question: str, history: Sequence[Turn]) -> str:
    """The question that the engine wrote; empty where it wrote anything else."""
    lines = [line.strip() for line in said.text.splitlines() if line.strip()]
    if len(lines) == 2 and lines[0].endswith(":"):
        del lines[0]  # "Here is the question:"
    if len(lines) != 1 or said.finish_reason == LIMIT:
        return ""
    text = _bare(lines[0])
    usable = (
        len(text) <= len(question) + MAX_ADDED_CHARS
        and NOT_FOUND not in text
        and harmless(text) == text
        and not any(_is_control(char) for char in text)
        and _is_about(text, question, history)
    )
    return text if usable else ""


def _bare(line: str) -> str:
    """Without a label, quotes and emphasis around it."""
    line, before = line.replace("**", ""), None
    while before != line:
        before = line
        label = _LABEL.match(line)
        line = line[label.end() :] if label else line
        if len(line) > 1 and line[-1] == _QUOTES.get(line[0]):
            line = line[1:-1].strip()
    return " ".join(line.split())


def _is_control(char: str) -> bool:
    return unicodedata.category(char).startswith("C") and char not in JOINERS


def _is_about(text: str, question: str, history: Sequence[Turn]) -> bool:
    """Whether half of its words occur in the conversation, but for their endings."""
    known = {_stem(word) for word in spoken(f"{question} {conversation_text(history)}").split()}
    words = spoken(text).split()
    return 2 * sum(_stem(word) in known for word in words) >= len(words) > 0


def _stem(word: str) -> str:
    return word.lower()[:4]


# Remembering


def _first_whole(history: Sequence[Turn], budget: int, count: TokenCounter) -> int:
    """Number of the first turn that is given as it was.

    Where a conversation has outgrown the budget, as much is dropped as makes half of it free. So
    the same turns remain summarised for some questions, and each doesn't need a summary of its own.
    """
    room = budget - min(SUMMARY_TOKENS, int(SUMMARY_SHARE * budget))
    sizes = [count(f"{conversation_text([turn])}\n") for turn in history]
    first = size = 0
    for end, added in enumerate(sizes, 1):
        size += added
        if size > (room if first else budget):
            while size > budget // 2 and first < end - 1:
                size -= sizes[first]
                first += 1
    return first


def _fitted(
    history: Sequence[Turn], first: int, summary: str, budget: int, count: TokenCounter
) -> str:
    def fits(text: str) -> bool:
        return count(text) <= budget

    while not fits(conversation_text(history[first:])) and first < len(history) - 1:
        first, summary = first + 1, ""  # together they have more tokens than one by one
    latest = conversation_text(history[first:])
    if not fits(latest):
        return _cut(history[-1], fits)
    older = [f"{early}\n{latest}" for early in _earlier(history[:first], summary)]
    return _longest([latest, *older], fits)


def _earlier(turns: Sequence[Turn], summary: str) -> list[str]:
    """What may be said of older turns, from little to all."""
    if summary:
        ends = [end for _, end in sentence_spans(summary, question_language(summary))]
        return [harmless(f"Before, in short: {summary[:end]}") for end in ends]
    asked = [" ".join(turn.question.split()) for turn in turns]
    lists = [" / ".join(asked[-n:]) for n in range(1, len(asked) + 1)]
    return [harmless(f"Asked before: {questions}") for questions in lists]


def _cut(turn: Turn, fits: Callable[[str], bool]) -> str:
    """A turn that is too long: the beginning of its answer, if there is room for any of it."""
    ends = [end for _, end in sentence_spans(turn.answer, question_language(turn.answer))]
    shorter = [Turn(turn.question, f"{turn.answer[:end]} {CUT}") for end in ends]
    return _longest(["", *(conversation_text([one]) for one in shorter)], fits)


def _longest(texts: Sequence[str], fits: Callable[[str], bool]) -> str:
    """The last of ever longer texts that fits; the first one does."""
    low, high = 0, len(texts) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(texts[middle]) else (low, middle - 1)
    return texts[low]


# Summarising


class _Summaries:
    """The latest summaries, by what they summarise. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> str | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: bytes, summary: str) -> None:
        with self._lock:
            self._kept[key] = summary
            if len(self._kept) > KEPT_SUMMARIES:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


_summaries = _Summaries()


def forget_summaries() -> None:
    """Drop all of them: one may say what a document said that has been forgotten."""
    _summaries.clear()


async def _summary(turns: Sequence[Turn], engine: Completing | None, cache_salt: str) -> str:
    """The engine's summary of these turns; empty where there is none."""
    if engine is None or not turns:
        return ""
    key = _key(turns, cache_salt)
    if (known := _summaries.get(key)) is not None:
        return known
    messages = summary_messages([_brief(turn) for turn in turns[-SUMMARISED:]])
    said = await _written(
        engine, messages, SUMMARY_TOKENS, SUMMARY_TIMEOUT_S, cache_salt, "summary"
    )
    if said is None:
        return ""
    summary = _summarised(said)
    _summaries.keep(key, summary)
    return summary


def _summarised(said: Delta) -> str:
    text = " ".join(said.text.split())
    if NOT_FOUND in text:
        return ""
    if said.finish_reason == LIMIT or len(text) > MAX_SUMMARY_CHARS:
        return _shortened(text, min(len(text) - 1, MAX_SUMMARY_CHARS))
    return text


def _key(turns: Sequence[Turn], cache_salt: str) -> bytes:
    seen = hashlib.blake2b(cache_salt.encode(), digest_size=16)
    for turn in turns:
        for text in (turn.question, turn.answer):
            data = text.encode(errors="replace")
            seen.update(len(data).to_bytes(8, "big") + data)
    return seen.digest()


def _brief(turn: Turn) -> Turn:
    return Turn(
        _shortened(turn.question, MAX_QUESTION_CHARS), _shortened(turn.answer, MAX_ANSWER_CHARS)
    )


def _shortened(text: str, max_chars: int) -> str:
    """The sentences that fit; where not even the first one does, the words of it that do."""
    if len(text) <= max_chars:
        return text
    beginning = text[: max_chars + 1]
    ends = [end for _, end in sentence_spans(beginning, question_language(beginning))]
    whole = [end for end in ends if end <= max_chars and end < len(beginning)]
    end = whole[-1] if whole else beginning.rfind(" ")
    return f"{text[: end if end > 0 else max_chars].rstrip()} {CUT}"


async def _written(
    engine: Completing,
    messages: Sequence[Message],
    max_tokens: int,
    timeout_s: float,
    cache_salt: str,
    what: str,
) -> Delta | None:
    """What the engine writes; None where it fails, has no room or takes too long."""
    try:
        async with asyncio.timeout(timeout_s):
            return await engine.complete(messages, max_tokens=max_tokens, cache_salt=cache_salt)
    except (EngineError, EngineBusy) as error:
        logger.warning("no %s: %s", what, error.message)
    except TimeoutError:
        logger.warning("no %s in %g s", what, timeout_s)
    return None

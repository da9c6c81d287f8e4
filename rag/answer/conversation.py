"""A conversation: what a follow-up asks, and what the prompt says of what was said before."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from rag.answer.engine import Engine
from rag.answer.prompts import conversation_text, rewrite_messages
from rag.answer.tokens import TokenCounter
from rag.errors import EngineError

logger = logging.getLogger(__name__)

REWRITTEN_TOKENS = 128
LATEST = 3  # turns that a follow-up may lean on


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what was answered."""

    question: str
    answer: str


async def standalone(
    question: str, history: Sequence[Turn], engine: Engine | None, *, cache_salt: str = ""
) -> str:
    """The question as it can be understood without the conversation."""
    if engine is None or not history:
        return question
    messages = rewrite_messages(history[-LATEST:], question)
    try:
        said = await engine.complete(messages, max_tokens=REWRITTEN_TOKENS, cache_salt=cache_salt)
    except EngineError as error:
        logger.warning("a follow-up is searched as it was asked: %s", error.message)
        return question
    return " ".join(said.text.split()) or question


async def remembered(
    history: Sequence[Turn],
    budget_tokens: int,
    count: TokenCounter,
    engine: Engine | None,
    *,
    cache_salt: str = "",
) -> str:
    """The latest turns as the prompt has them, as many as fit `budget_tokens`."""
    text = ""
    for n in range(1, len(history) + 1):
        longer = conversation_text(history[-n:])
        if count(longer) > budget_tokens:
            break
        text = longer
    return text

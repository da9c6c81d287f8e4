"""The guard: what is asked of it and what it says. `llama_guard` is the one there is.

What is no clear verdict blocks; nothing here raises because a guard fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Action = Literal["pass", "warn", "block"]
CATEGORIES = {
    "S1": "violent crimes",
    "S2": "non-violent crimes",
    "S3": "sex-related crimes",
    "S4": "child sexual exploitation",
    "S5": "defamation",
    "S6": "specialized advice",
    "S7": "privacy",
    "S8": "intellectual property",
    "S9": "indiscriminate weapons",
    "S10": "hate",
    "S11": "suicide and self-harm",
    "S12": "sexual content",
    "S13": "elections",
    "S14": "code interpreter abuse",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says of a text, and what follows from it.

    `label` is `none` where there is no clear verdict; `reason` is then a word for why: `down`,
    `slow`, `refused`, `malformed` or `unscored` (no probability given). `contradiction` is an
    `unsafe` by probability alone: the model wrote `safe`.
    """

    action: Action
    label: Literal["safe", "unsafe", "none"]
    categories: tuple[str, ...] = ()
    probability: float | None = None  # of `unsafe`, where the server gives logprobs
    reason: str = ""
    ms: float = 0.0


class Guard(Protocol):
    """Judges texts."""

    async def judge(self, question: str, answer: str | None = None) -> Verdict:
        """Judge a question, or an answer to it. Never raises; no clear verdict blocks."""
        ...

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        ...


class Counted:
    """A guard each of whose verdicts is told to somebody who counts or keeps them."""

    def __init__(self, guard: Guard, tell: Callable[[Verdict], None]) -> None:
        self._guard, self._tell = guard, tell

    async def judge(self, question: str, answer: str | None = None) -> Verdict:
        """See `Guard`."""
        verdict = await self._guard.judge(question, answer)
        self._tell(verdict)
        return verdict

    async def aclose(self) -> None:
        """See `Guard`."""
        await self._guard.aclose()

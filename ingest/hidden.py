"""What a document hides from the person who reads it but not from a model, counted for a warning.

Invisible characters are stripped wherever text is cleaned, and counted here. Only those are counted
that tell of it: soft hyphens, variation selectors and a mark at a file's beginning are in honest
files, and nothing is written with them. Hidden words are left out by the parser that sees them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_TELLING = re.compile(
    "[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<!^)\ufeff"
)


@dataclass(slots=True)
class Tally:
    """How many invisible characters were stripped from a file."""

    n_stripped: int = 0

    def warnings(self) -> list[str]:
        """The sentence for the document; none where nothing was stripped."""
        if not self.n_stripped:
            return []
        plural = "s were" if self.n_stripped != 1 else " was"
        return [f"{self.n_stripped:,} invisible character{plural} left out"]


def hidden_words(n_words: int, where: str = "") -> str:
    """The warning for words that were left out because nobody sees them."""
    return f"hidden text was left out{where}: {n_words:,} word{'s' * (n_words != 1)}"


_tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def counting() -> Iterator[Tally]:
    """Count what is stripped within the block."""
    tally = Tally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)


def note_stripped(before: str, after: str) -> None:
    """Count the characters that hide something and are no longer there."""
    tally = _tally.get()
    if tally is not None:
        n_before, n_after = len(_TELLING.findall(before)), len(_TELLING.findall(after))
        tally.n_stripped += max(0, n_before - n_after)

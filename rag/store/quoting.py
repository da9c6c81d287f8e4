"""Whether a text has something of a document in it, word for word, whatever its punctuation."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

WINDOW, STEP = 24, 8  # so that 32 letters and digits in a row are found: some six words
LEAST = 12  # of a document that has fewer than a window
LEAST_NAME = 6  # of a title or a path that is looked for as it stands
_SKIPPED = re.compile(r"[\W_]+")


class Quotes:
    """Knows documents by their texts, titles and paths, for as long as it takes to find them."""

    def __init__(self, texts: Iterable[str], names: Iterable[str], ids: Iterable[int]) -> None:
        self._windows: set[int] = set()
        self._shorts: list[str] = []
        self._names = [name for name in names if len(name) >= LEAST_NAME]
        self._ids = frozenset(ids)
        for text in texts:
            letters = _letters(text)
            self._windows.update(_windows(letters, STEP))
            if LEAST <= len(letters) < WINDOW:
                self._shorts.append(letters)

    def has(self, text: str) -> bool:
        """Whether a text quotes one of the documents, or names one."""
        if any(name in text for name in self._names):
            return True
        letters = _letters(text)
        if any(short in letters for short in self._shorts):
            return True
        return any(window in self._windows for window in _windows(letters, 1))

    def anywhere(self, value: Any) -> bool:
        """Whether JSON quotes, names or cites one of the documents at any depth."""
        if isinstance(value, str):
            return self.has(value)
        if isinstance(value, dict):
            cited = value.get("document_id") in self._ids
            return cited or any(self.anywhere(each) for each in value.values())
        return isinstance(value, list) and any(self.anywhere(each) for each in value)


def _letters(text: str) -> str:
    return _SKIPPED.sub("", text).casefold()


def _windows(letters: str, step: int) -> Iterator[int]:
    for start in range(0, len(letters) - WINDOW + 1, step):
        yield hash(letters[start : start + WINDOW])

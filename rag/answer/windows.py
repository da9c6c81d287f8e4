"""A cited passage as the check reads it: sentences and rows, and windows of a few of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.answer.facts import Known
from rag.answer.pack import Passage
from rag.search.lexical import LexicalIndex
from rag.text import sentence_spans
from rag.types import Vectors

LONGEST = 3  # sentences or rows of a window
MAX_UNITS = 400  # of a passage; a whole book is read to here
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_ITEM = re.compile(r"^[ \t]*(?:[-*+•‣◦–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]", re.MULTILINE)
CELLS = " | "


class Unit(NamedTuple):
    """A sentence, list item or row. Offsets are those of the passage's text."""

    start: int
    end: int
    header: str = ""  # of the table that a row stands in

    def text(self, passage: str) -> str:
        """What it says, a row below its header."""
        own = passage[self.start : self.end]
        return f"{self.header}\n{own}" if self.header else own


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage, read once for all the claims that cite it."""

    passage: Passage
    units: tuple[Unit, ...]
    stems: tuple[frozenset[str], ...]  # of each unit
    about: frozenset[str]  # stems of title and headings
    known: Known
    unit_facts: tuple[Known, ...]  # of each unit
    windows: NDArray[np.int64]  # (n_windows, 2): first unit, end

    @classmethod
    def of(cls, passage: Passage, lexical: LexicalIndex) -> "Reading":
        """Take a passage apart."""
        about = "\n".join((passage.title, *passage.heading_path, passage.date))
        all_units = tuple(units(passage.text, passage.language))[:MAX_UNITS]
        texts = [unit.text(passage.text) for unit in all_units]
        language = passage.language
        return cls(
            passage=passage,
            units=all_units,
            stems=tuple(frozenset(lexical.content_terms(text, language)) for text in texts),
            about=frozenset(lexical.content_terms(about, language)),
            known=Known.of(f"{about}\n{passage.text}", language),
            unit_facts=tuple(Known.of(text, language) for text in texts),
            windows=_windows(all_units),
        )

    def texts(self) -> list[str]:
        """What is embedded, one for each unit."""
        return [unit.text(self.passage.text) for unit in self.units]

    def span(self, window: int) -> tuple[int, int]:
        """The window's span in the passage's text."""
        first, end = self.windows[window]
        return self.units[first].start, self.units[end - 1].end

    def text(self, window: int) -> str:
        """The window's text, with the header of its first row."""
        start, end = self.span(window)
        header = self.units[self.windows[window][0]].header
        own = self.passage.text[start:end]
        return f"{header}\n{own}" if header else own


def window_vectors(vectors: Vectors, windows: NDArray[np.int64]) -> Vectors:
    """The direction of the sum of each window's units; (n_units, dim) to (n_windows, dim)."""
    sums = np.vstack([np.zeros((1, vectors.shape[1]), np.float32), np.cumsum(vectors, axis=0)])
    out = sums[windows[:, 1]] - sums[windows[:, 0]]
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9))


def units(text: str, language: str) -> Iterator[Unit]:
    """The sentences, list items and rows of a text, without surrounding white space."""
    at = 0
    for gap in [*_BLANK.finditer(text), None]:
        end = gap.start() if gap else len(text)
        yield from _of_block(text, at, end, language)
        at = gap.end() if gap else end


def _of_block(text: str, start: int, end: int, language: str) -> Iterator[Unit]:
    block = text[start:end]
    lines = [line for line in block.split("\n") if line.strip()]
    n_rows = sum(CELLS in line for line in lines)
    if n_rows and 2 * n_rows >= len(lines):
        yield from _rows(text, start, end)
        return
    cuts = [0, *(match.start() for match in _ITEM.finditer(block) if match.start()), len(block)]
    for first, last in pairwise(cuts):
        for s, e in sentence_spans(block[first:last], language):
            yield Unit(start + first + s, start + first + e)


def _rows(text: str, start: int, end: int) -> Iterator[Unit]:
    header, at = "", start
    for line in text[start:end].split("\n"):
        stripped = line.strip()
        begin = at + len(line) - len(line.lstrip())
        if stripped:
            yield Unit(begin, begin + len(stripped), header)
            header = header or stripped
        at += len(line) + 1


def _windows(all_units: tuple[Unit, ...]) -> NDArray[np.int64]:
    """Rows stand alone: a figure of one row says nothing of the next."""
    pairs = [
        (i, j)
        for i in range(len(all_units))
        for j in range(i + 1, min(i + LONGEST, len(all_units)) + 1)
        if j == i + 1 or not any(unit.header for unit in all_units[i:j])
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)

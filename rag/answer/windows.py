"""A cited passage as the check reads it: sentences and rows, and windows of a few of them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.answer.facts import Known
from rag.answer.passages import Passage
from rag.search.interface import Lexical
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


class Reading:
    """A passage, read once for all the claims that cite it. What is costly is done when needed."""

    def __init__(self, passage: Passage, lexical: Lexical, dim: int) -> None:
        language = passage.language
        about = "\n".join((passage.title, *passage.heading_path, passage.date))
        self.passage = passage
        self.units = tuple(units(passage.text, language))[:MAX_UNITS]
        self.stems = [frozenset(lexical.content_terms(self.unit_text(i), language)) for i in self]
        self.about_facts = Known.of(about, language)
        self.about = frozenset(lexical.content_terms(about, language))  # title and headings
        self.known = Known.of(f"{about}\n{passage.header}\n{passage.text}", language)
        self.windows = _windows(self.units)  # (n_windows, 2): first unit, end
        self._facts: dict[int, Known] = {}
        self._vectors = np.zeros((len(self.units), dim), np.float32)
        self._embedded: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.units)))

    def unit_text(self, i: int) -> str:
        """What a unit says, a row below its header."""
        unit = self.units[i]
        own = self.passage.text[unit.start : unit.end]
        return f"{unit.header}\n{own}" if unit.header else own

    def unit_facts(self, i: int) -> Known:
        """The facts of a unit."""
        if i not in self._facts:
            self._facts[i] = Known.of(self.unit_text(i), self.passage.language)
        return self._facts[i]

    def not_embedded(self, wanted: Iterable[int]) -> list[int]:
        """Those of the units that have no vector yet."""
        return [i for i in wanted if i not in self._embedded]

    def take_vectors(self, which: Sequence[int], vectors: Vectors) -> None:
        """Keep the vectors of units, (len(which), dim)."""
        self._vectors[list(which)] = vectors
        self._embedded.update(which)

    def embedded_windows(self) -> NDArray[np.int64]:
        """Numbers of the windows all of whose units have vectors."""
        has = np.zeros(len(self.units) + 1, np.int64)
        has[[i + 1 for i in self._embedded]] = 1
        so_far = has.cumsum()
        n_units = self.windows[:, 1] - self.windows[:, 0]
        n_embedded = so_far[self.windows[:, 1]] - so_far[self.windows[:, 0]]
        return np.flatnonzero(n_embedded == n_units)

    def window_vectors(self, which: NDArray[np.int64]) -> Vectors:
        """Directions of the sums of the windows' units, (len(which), dim)."""
        sums = np.array([self._vectors[i:j].sum(axis=0) for i, j in self.windows[which]])
        return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))

    def span(self, window: int) -> tuple[int, int]:
        """The window's span in the passage's text."""
        first, end = self.windows[window]
        return self.units[first].start, self.units[end - 1].end

    def window_text(self, window: int) -> str:
        """The window's text, a row below its header."""
        start, end = self.span(window)
        header = self.units[self.windows[window][0]].header
        own = self.passage.text[start:end]
        return f"{header}\n{own}" if header else own


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

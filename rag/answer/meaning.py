"""How near a passage comes to a claim: the best window of its sentences, and what speaks for it.

Every claim is compared by the words it shares with the passage, weighted by rarity, and by vectors.
Where claim and passage are in two languages, stems don't meet; then names, numbers and words of one
root stand in for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.answer.facts import Fact, folded_words, missing
from rag.answer.polarity import contradicts
from rag.answer.windows import Reading
from rag.search.interface import Lexical
from rag.types import Access, Vectors

Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]

OWN_LANGUAGE = 0.4  # coverage from which a claim is taken to be in the passage's language
SPAN_NUMBERS, SPAN_UNIT = 0.5, 0.03  # what a window loses for a number it lacks, for each unit
ABOUT = 0.5  # what a word counts that only title or headings have
MIN_PREFIX = 5  # letters that make words of two languages akin


class Features(NamedTuple):
    """What is known of a claim and a passage. All in [0, 1] but the first, in [-1, 1]."""

    cosine: float  # of the best window
    window: float  # share of the claim's words, by rarity, in the best window
    passage: float  # in the whole passage; between two languages, share of words that are akin
    name_missing: float  # 1 if the passage lacks one of the claim's names
    number_misplaced: float  # 1 - how well the worst place of its numbers fits, see `_misplaced`


@dataclass(frozen=True, slots=True)
class Said:
    """A claim, prepared: its text without Markdown, its facts, its vector (dim,)."""

    text: str
    language: str
    facts: tuple[Fact, ...]
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Seen:
    """What a passage does for a claim, before it is judged."""

    features: Features
    cross: bool  # claim and passage are in two languages
    window: int  # the best one
    denies: bool  # one denies what the other says


class Words:
    """Stems of content and their weights for one caller, kept from claim to claim."""

    def __init__(self, lexical: Lexical, access: Access) -> None:
        self._lexical = lexical
        self._access = access
        self._idf: dict[tuple[str, str], float] = {}

    def stems(self, text: str, language: str) -> list[str]:
        """The stems of the words of `text` that carry meaning."""
        return self._lexical.content_terms(text, language)

    def weights(self, text: str, language: str) -> dict[str, float]:
        """The stems of `text` with their rarity."""
        return {term: self._weight(term, language) for term in self.stems(text, language)}

    def _weight(self, term: str, language: str) -> float:
        key = (term, language)
        if key not in self._idf:
            self._idf[key] = self._lexical.idf(term, language, self._access)
        return self._idf[key]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Which of a claim's words each unit of a passage has."""

    weights: Scores  # (n_stems,)
    by_unit: Mask  # (n_units, n_stems)
    about: Mask  # (n_stems,): in title or headings
    is_word: Mask  # (n_stems,): not a number

    @classmethod
    def of(cls, text: str, reading: Reading, words: Words) -> "Overlap":
        """Look the claim's stems up in the passage's."""
        weights = words.weights(text, reading.passage.language)
        by_unit = [_has(weights, stems) for stems in reading.stems]
        return cls(
            np.array(list(weights.values())),
            np.array(by_unit, np.bool_).reshape(len(reading.units), len(weights)),
            np.array(_has(weights, reading.about), np.bool_),
            np.array([not term[0].isdigit() for term in weights], np.bool_),
        )

    def share(self, first: int, end: int) -> float:
        """Share of the claim's weight in these units; what only headings have counts in part."""
        if not len(self.weights):
            return 0.0
        has = np.maximum(self.by_unit[first:end].any(axis=0), ABOUT * self.about)
        return float(self.weights @ has / self.weights.sum())

    def whole(self) -> float:
        """Share in the whole passage."""
        return self.share(0, len(self.by_unit))

    def shares_in_words(self) -> Scores:
        """Of each unit, numbers aside, (n_units,)."""
        return np.asarray(self.by_unit @ (self.weights * self.is_word))

    def best_units(self, most: int) -> list[int]:
        """The units with the largest shares, at most so many."""
        shares = self.by_unit @ self.weights
        return sorted(np.argsort(-shares, kind="stable")[:most].tolist())


def is_cross(language: str, reading: Reading, overlap: Overlap) -> bool:
    """Whether a claim is in another language than the passage; short ones are often misjudged."""
    return language != reading.passage.language and overlap.whole() < OWN_LANGUAGE


def compare(said: Said, reading: Reading, overlap: Overlap, words: Words) -> Seen:
    """Find the best of the windows that have vectors, and say what speaks for it."""
    cross = is_cross(said.language, reading, overlap)
    names = [fact for fact in said.facts if fact.kind == "name"]
    name_missing = float(bool(missing(names, [reading.known])))
    candidates = reading.embedded_windows()
    if not len(candidates):
        return Seen(Features(0, 0, 0, name_missing, 0), cross, -1, False)
    windows = reading.windows[candidates]
    coverage = np.array([overlap.share(i, j) for i, j in windows])
    cosines = reading.window_vectors(candidates) @ said.vector
    numbers = [fact for fact in said.facts if fact.kind in ("number", "date")]
    apart = _numbers_apart(numbers, reading, windows)
    worth = cosines + coverage - SPAN_NUMBERS * apart - SPAN_UNIT * (windows[:, 1] - windows[:, 0])
    best = int(worth.argmax())
    features = Features(
        cosine=float(cosines[best]),
        window=float(coverage[best]),
        passage=_akin(said, reading) if cross else overlap.whole(),
        name_missing=name_missing,
        number_misplaced=_misplaced(numbers, reading, overlap),
    )
    window = int(candidates[best])
    language = reading.passage.language
    denies = not cross and contradicts(
        said.text, reading.window_text(window), language, lambda part: words.stems(part, language)
    )
    return Seen(features, cross, window, denies)


def _has(weights: dict[str, float], stems: frozenset[str]) -> list[bool]:
    return [term in stems for term in weights]


def _numbers_apart(numbers: Sequence[Fact], reading: Reading, windows: NDArray[np.int64]) -> Scores:
    """Share of the numbers that each window lacks, (n_windows,)."""
    if not numbers:
        return np.zeros(len(windows))
    inside = {unit for first, end in windows for unit in range(first, end)}
    has = {i: np.array([reading.unit_facts(i).says(fact) for fact in numbers]) for i in inside}
    return np.array([1 - np.any([has[i] for i in range(*w)], axis=0).mean() for w in windows])


def _misplaced(numbers: Sequence[Fact], reading: Reading, overlap: Overlap) -> float:
    """How far a number of the claim stands from what else the claim says, in [0, 1].

    A number is in its place in a sentence or row that has as much of the claim's other words as
    the best one has, or in title or headings; a claim made of two sentences has its numbers in
    fair places, one with a figure of another row has not.
    """
    numbers = missing(numbers, [reading.about_facts])
    shares = overlap.shares_in_words()  # (n_units,)
    best = shares.max() if len(shares) else 0.0
    if not numbers or best == 0:
        return 0.0
    places = [
        max((shares[i] / best for i in reading if reading.unit_facts(i).says(fact)), default=0.0)
        for fact in numbers
    ]
    return float(1 - min(places))


def _akin(said: Said, reading: Reading) -> float:
    """Share of the claim's longer words that the passage has in a form of the same root."""
    ours = [word for word in folded_words(said.text) if len(word) >= MIN_PREFIX]
    roots = {word[:MIN_PREFIX] for word in reading.known.words}
    return sum(word[:MIN_PREFIX] in roots for word in ours) / len(ours) if ours else 0.0

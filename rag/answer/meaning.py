"""How near a passage comes to a claim: the best window of its sentences, and what speaks for it.

Every claim is compared by the words it shares with the passage, weighted by rarity, and by vectors.
Where claim and passage are in two languages, stems don't meet; then names, numbers and words of one
root stand in for them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.answer.facts import Fact, folded_words, missing
from rag.answer.polarity import contradicts
from rag.answer.windows import Reading
from rag.search.lexical import LexicalIndex
from rag.types import Vectors

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
    names_missing: float  # share of the claim's names that the passage lacks
    numbers_apart: float  # share of its numbers and dates that the best window lacks


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
    """Stems of content and their weights, kept from claim to claim."""

    def __init__(self, lexical: LexicalIndex) -> None:
        self._lexical = lexical
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
            self._idf[key] = self._lexical.idf(term, language)
        return self._idf[key]


def compare(said: Said, reading: Reading, vectors: Vectors, words: Words) -> Seen:
    """Find the best window; `vectors` are those of the reading's windows, (n_windows, dim)."""
    language = reading.passage.language
    names = [fact for fact in said.facts if fact.kind == "name"]
    names_missing = _share(missing(names, [reading.known]), names)
    if not reading.units:
        return Seen(Features(0, 0, 0, names_missing, 0), said.language != language, -1, False)
    weights = words.weights(said.text, language)
    coverage = _coverage(weights, reading)
    whole = _covered(weights, np.array([_has(weights, stems) for stems in reading.stems]), reading)
    cosines = vectors @ said.vector  # (n_windows,)
    apart = _numbers_apart(said.facts, reading)
    lengths = reading.windows[:, 1] - reading.windows[:, 0]
    worth = cosines + coverage - SPAN_NUMBERS * apart - SPAN_UNIT * lengths
    best = int(worth.argmax())
    cross = said.language != language and whole < OWN_LANGUAGE
    features = Features(
        cosine=float(cosines[best]),
        window=float(coverage[best]),
        passage=_akin(said, reading) if cross else whole,
        names_missing=names_missing,
        numbers_apart=float(apart[best]),
    )
    denies = not cross and _denies(said.text, reading, best, lambda t: words.stems(t, language))
    return Seen(features, cross, best, denies)


def _coverage(weights: dict[str, float], reading: Reading) -> Scores:
    """Share of the claim's weight that each window covers, (n_windows,)."""
    by_unit = np.array([_has(weights, stems) for stems in reading.stems])  # (n_units, n_stems)
    covered = [_covered(weights, by_unit[i:j], reading) for i, j in reading.windows]
    return np.array(covered)


def _has(weights: dict[str, float], stems: frozenset[str]) -> list[bool]:
    return [term in stems for term in weights]


def _covered(weights: dict[str, float], by_unit: Mask, reading: Reading) -> float:
    """By any of these units; a word that only title and headings have counts in part."""
    if not weights:
        return 0.0
    weight = np.array(list(weights.values()))
    about = np.array(_has(weights, reading.about))
    share = np.maximum(by_unit.any(axis=0), ABOUT * about)
    return float(weight @ share / weight.sum())


def _numbers_apart(facts: Sequence[Fact], reading: Reading) -> Scores:
    """Share of the numbers and dates that each window lacks, (n_windows,)."""
    said = [fact for fact in facts if fact.kind in ("number", "date")]
    if not said:
        return np.zeros(len(reading.windows))
    by_unit = np.array([[known.says(fact) for fact in said] for known in reading.unit_facts])
    return np.array([1 - by_unit[i:j].any(axis=0).mean() for i, j in reading.windows])


def _denies(
    text: str, reading: Reading, window: int, stems: Callable[[str], Sequence[str]]
) -> bool:
    return contradicts(text, reading.text(window), reading.passage.language, stems)


def _akin(said: Said, reading: Reading) -> float:
    """Share of the claim's longer words that the passage has in a form of the same root."""
    ours = [word for word in folded_words(said.text) if len(word) >= MIN_PREFIX]
    roots = {word[:MIN_PREFIX] for word in reading.known.words}
    return sum(word[:MIN_PREFIX] in roots for word in ours) / len(ours) if ours else 0.0


def _share(part: Sequence[Fact], whole: Sequence[Fact]) -> float:
    return len(part) / len(whole) if whole else 0.0

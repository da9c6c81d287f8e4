"""Whether the passages that a claim cites support it, and with which of their words.

Three questions, the cheap and certain ones first. Do the claim's numbers, dates, codes and
addresses occur in what it cites? Does it deny what the passage says, or the other way round? Is its
meaning close to that of one to three sentences or rows of the passage, by the words that they
share and by their vectors (or, with a local model for it, by entailment)? The constants were fitted
on several sets at once (tests/bench/support.py, BENCHMARKS.md), never on one alone.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.answer.claims import Claim
from rag.answer.entailment import load_entailment
from rag.answer.facts import Fact, facts, missing
from rag.answer.meaning import Overlap, Said, Seen, Words, compare, is_cross
from rag.answer.passages import Passage
from rag.answer.windows import Reading
from rag.search.embed import Embedder
from rag.search.interface import Lexical
from rag.text import question_language
from rag.types import Access, Vectors

EMBEDDED = 3  # units of a passage whose vectors are worth their milliseconds, for one claim
EMBEDDED_CROSS = 24  # where words cannot say which
THRESHOLD = 0.5
INTERCEPT = -1.6
WEIGHTS = (0.6, 0.8, 3.0, -3.7, -6.0)  # in the order of `Features`
# Where claim and passage are in two languages. The fit would accept every other wrong passage with
# an embedding model of one language, so the intercept is 1 lower: nine of ten are rejected.
CROSS_INTERCEPT = -0.75
CROSS_WEIGHTS = (1.9, 0.0, 1.2, -1.4, -3.6)
_MARKDOWN = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)]|#+|>)\s+|\*\*|__|`+|^\||\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Support:
    """What one cited passage does for a claim. Offsets are the document's."""

    supported: bool
    score: float  # of the meaning, in [0, 1]
    passage: Passage | None  # None where the key names none
    char_start: int  # of the best-matching span
    char_end: int
    reason: str  # why it is not supported, "" where it is


class SupportChecker:
    """Checks the claims of one answer; what it has read of a passage it keeps for the next one."""

    def __init__(
        self,
        embedder: Embedder,
        lexical: Lexical,
        access: Access,
        cross_encoder_dir: Path | None = None,
    ) -> None:
        """For an answer to one caller; with `cross_encoder_dir` a local NLI model judges meaning.

        Raises:
            ModelError: the directory holds no cross-encoder with a label for entailment.
        """
        self._embedder = embedder
        self._lexical = lexical
        self._words = Words(lexical, access)
        self._entailment = load_entailment(cross_encoder_dir) if cross_encoder_dir else None
        self._readings: dict[Passage, Reading] = {}

    def check(self, claim: Claim, passages: Mapping[str, Passage]) -> list[Support]:
        """One for each key of the claim, best first; empty where it cites nothing.

        What one cited passage lacks another may have: a fact is missing if all lack it. A lead
        says nothing by itself, so only its facts are checked, against the keys that it is given.
        """
        cited = [passages[key] for key in claim.keys if key in passages]
        said, seen = self.look(claim, cited)
        lacking = self.lacking(said, cited)
        scores = self._scores(said, cited, seen)
        found = [
            self._judged(claim, passage, one, score, lacking)
            for passage, one, score in zip(cited, seen, scores, strict=True)
        ]
        unknown = [key for key in claim.keys if key not in passages]
        found += [Support(False, 0.0, None, 0, 0, "the passage is not there") for _ in unknown]
        return sorted(found, key=lambda one: (not one.supported, -one.score))

    def look(self, claim: Claim, cited: Sequence[Passage]) -> tuple[Said, list[Seen]]:
        """Compare a claim with each of the passages that it cites, in their order."""
        text = " ".join(_MARKDOWN.sub(" ", claim.text).split())
        language = question_language(text, fallback=cited[0].language if cited else "en")
        readings = [self._reading(passage) for passage in cited]
        overlaps = [Overlap.of(text, reading, self._words) for reading in readings]
        vector = self._embed(text, language, readings, overlaps)
        said = Said(text, language, tuple(facts(text, language)), vector)
        pairs = zip(readings, overlaps, strict=True)
        return said, [compare(said, reading, overlap, self._words) for reading, overlap in pairs]

    def lacking(self, said: Said, cited: Sequence[Passage]) -> list[Fact]:
        """The claim's hard facts that none of these passages has; names are not that hard."""
        hard = [fact for fact in said.facts if fact.kind != "name"]
        return missing(hard, [self._reading(passage).known for passage in cited])

    def _reading(self, passage: Passage) -> Reading:
        if passage not in self._readings:
            self._readings[passage] = Reading(passage, self._lexical, self._embedder.dim)
        return self._readings[passage]

    def _embed(
        self, text: str, language: str, readings: Sequence[Reading], overlaps: Sequence[Overlap]
    ) -> Vectors:
        """Embed the claim and the likely units, in one batch; returns the claim's vector, (dim,).

        Where words can't say which units are likely, between two languages, all are.
        """
        new: dict[int, tuple[Reading, list[int]]] = {}
        for reading, overlap in zip(readings, overlaps, strict=True):
            most = EMBEDDED_CROSS if is_cross(language, reading, overlap) else EMBEDDED
            new[id(reading)] = reading, reading.not_embedded(overlap.best_units(most))
        texts = [reading.unit_text(i) for reading, which in new.values() for i in which]
        vectors = self._embedder.encode([text, *texts])
        at = 1
        for reading, which in new.values():
            reading.take_vectors(which, vectors[at : at + len(which)])
            at += len(which)
        return np.asarray(vectors[0])

    def _scores(self, said: Said, cited: Sequence[Passage], seen: Sequence[Seen]) -> list[float]:
        """Of the meaning, one for each passage."""
        if self._entailment is None or not cited:
            return [score(one) for one in seen]
        pairs = [
            (self._readings[passage].window_text(one.window), said.text)
            for passage, one in zip(cited, seen, strict=True)
        ]
        return [float(probability) for probability in self._entailment.probabilities(pairs)]

    def _judged(
        self, claim: Claim, passage: Passage, seen: Seen, score: float, lacking: Sequence[Fact]
    ) -> Support:
        start, end = self._readings[passage].span(seen.window) if seen.window >= 0 else (0, 0)
        reason = ""
        if lacking:
            reason = f"the cited text does not say {', '.join(fact.text for fact in lacking)}"
        elif claim.kind == "sentence" and seen.denies and self._entailment is None:
            reason = "one denies what the other says"
        elif claim.kind == "sentence" and score < THRESHOLD:
            reason = "the cited text says something else"
        at = passage.char_start
        return Support(not reason, round(score, 4), passage, at + start, at + end, reason)


def score(seen: Seen) -> float:
    """How far the meaning is supported, without an NLI model; in [0, 1]."""
    weights = CROSS_WEIGHTS if seen.cross else WEIGHTS
    value = CROSS_INTERCEPT if seen.cross else INTERCEPT
    value += sum(w * f for w, f in zip(weights, seen.features, strict=True))
    return 1 / (1 + math.exp(-value))

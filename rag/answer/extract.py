"""The extractive answerer: the sentences of the best passages that answer the question.

Nothing is generated. Candidates are the sentences, list items and table rows of the best hits; each
is scored by the words it shares with the question (weighted by rarity), by its vector's cosine to
the question's, by how well its passage was found, and by whether that has what the question names.
What is left is put in the order of the documents.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.answer.cite import Quote
from rag.answer.naming import Naming
from rag.search.embed import Embedder
from rag.search.interface import Lexical
from rag.text import question_language, sentence_spans
from rag.types import Access, Hit, StoredChunk

Vector = NDArray[np.float32]

PASSAGES = 8  # hits whose sentences are looked at
EMBEDDED = 6  # candidates whose vectors are worth their milliseconds
MIN_CHARS = 12  # a shorter sentence answers nothing by itself
MAX_BEFORE = 200  # characters; a longer sentence before would drown the quote
OVERLAP_WEIGHT, COSINE_WEIGHT, HIT_WEIGHT = 0.36, 0.36, 0.28
BEHIND_WEIGHT = 0.2  # of a score, where the passage names nothing and another one all of it
KEEP_SHARE = 0.8  # of the best score: a worse quote is left out
REPEAT = 0.7  # shared words, by Jaccard, from which two quotes say the same


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quote with the parts of its score."""

    quote: Quote
    terms: frozenset[str]
    before: str  # the sentence before it, which may say what "it" is
    overlap: float  # share of the question's weight that its words cover, alone and in context
    cosine: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the scoring sees it: its vector and the weight of each of its stems."""

    text: str
    vector: Vector  # (dim,)
    weights: dict[str, dict[str, float]]  # language -> stem -> idf
    naming: Naming  # over the first PASSAGES hits

    @classmethod
    def of(
        cls, text: str, vector: Vector, hits: Sequence[Hit], lexical: Lexical, access: Access
    ) -> "Question":
        """Prepare the question of one caller for what was found for it."""
        weights = {
            language: {
                term: lexical.idf(term, language, access)
                for term in lexical.content_terms(text, language)
            }
            for language in {stored.language for hit in hits for stored in hit.members}
        }
        own = question_language(text, fallback=hits[0].chunk.language if hits else "en")

        def share_of(word: str) -> float | None:
            terms = lexical.content_terms(word, own)
            idfs = [lexical.idf(term, own, access) for term in terms]
            return math.exp(-max(idfs)) if idfs else None  # BM25's idf is about log(N / n)

        return cls(text, vector, weights, Naming.of(text, own, hits, share_of, PASSAGES))

    def coverage(self, terms: frozenset[str], language: str) -> float:
        """Share of the question's weight that `terms` cover, in [0, 1]."""
        weights = self.weights[language]
        total = sum(weights.values())
        return sum(weights[term] for term in terms & weights.keys()) / total if total else 0.0


def candidates(
    question: Question, hits: Sequence[Hit], embedder: Embedder, lexical: Lexical
) -> list[Candidate]:
    """Every quotable span of the best hits with its score, best first."""
    found = [candidate for hit in hits[:PASSAGES] for candidate in _of_hit(question, hit, lexical)]
    found.sort(key=lambda c: (-c.overlap - 0.3 * c.quote.hit.score, c.quote.hit.rank))
    found = found[:EMBEDDED]
    vectors = embedder.encode([_in_context(c) for c in found])  # (n, dim)
    cosines = vectors @ question.vector
    behind = {hit.rank: b for hit, b in zip(hits, question.naming.behind, strict=False)}
    scored = [
        _scored(c, float(cosine), behind[c.quote.hit.rank])
        for c, cosine in zip(found, cosines, strict=True)
    ]
    return sorted(scored, key=lambda c: (-c.quote.score, c.quote.hit.rank, c.quote.char_start))


def choose(scored: Sequence[Candidate], most: int) -> list[Quote]:
    """The quotes of the answer: the best ones, none twice, in the order of their documents.

    Documents come in the order of their best quote, quotes of one document as it has them.
    """
    chosen: list[Candidate] = []
    for candidate in scored:
        if len(chosen) == most or candidate.quote.score < KEEP_SHARE * scored[0].quote.score:
            break
        if not any(_repeats(candidate, other) for other in chosen):
            chosen.append(candidate)
    order: dict[int, int] = {}
    for candidate in chosen:
        order.setdefault(candidate.quote.stored.document_id, len(order))
    quotes = [candidate.quote for candidate in chosen]
    return sorted(quotes, key=lambda q: (order[q.stored.document_id], q.char_start))


def _of_hit(question: Question, hit: Hit, lexical: Lexical) -> Iterator[Candidate]:
    for stored in hit.members:
        language = stored.language
        header_terms = frozenset(lexical.content_terms(stored.header, language))
        about = " ".join((stored.title, *stored.chunk.heading_path))
        about_terms = header_terms | frozenset(lexical.content_terms(about, language))
        before, terms_before = "", frozenset[str]()
        for start, end in _spans(stored):
            quote = Quote(hit, stored, start, end, 0.0)
            terms = frozenset(lexical.content_terms(quote.text, language))
            own = question.coverage(terms, language)
            around = question.coverage(terms | about_terms | terms_before, language)
            of_header = question.coverage(header_terms, language)
            if max(own, of_header, question.coverage(terms_before, language)) > 0:
                yield Candidate(quote, terms, before, (own + around) / 2)
            if not stored.header:
                before, terms_before = quote.text, terms


def _spans(stored: StoredChunk) -> Iterator[tuple[int, int]]:
    """Spans of sentences, list items and rows, as offsets in the document."""
    chunk = stored.chunk
    if stored.header and chunk.char_end > chunk.header_end:  # a table, and not of a header alone
        at = chunk.char_start
        for line in chunk.text.split("\n"):
            if line.strip() and at >= chunk.header_end:
                yield at, at + len(line)
            at += len(line) + 1
        return
    for start, end in sentence_spans(chunk.text, stored.language):
        if end - start >= MIN_CHARS:
            yield chunk.char_start + start, chunk.char_start + end


def _in_context(candidate: Candidate) -> str:
    """What is embedded for a quote: a sentence alone often doesn't say what it is about."""
    quote = candidate.quote
    headings = quote.stored.chunk.heading_path
    text = quote.shown
    if candidate.before and len(candidate.before) <= MAX_BEFORE:
        text = f"{candidate.before} {text}"
    return f"{headings[-1]}: {text}" if headings else text


def _scored(candidate: Candidate, cosine: float, behind: float) -> Candidate:
    score = (
        OVERLAP_WEIGHT * candidate.overlap
        + COSINE_WEIGHT * max(0.0, cosine)
        + HIT_WEIGHT * candidate.quote.hit.score
    )
    score *= 1 - BEHIND_WEIGHT * behind
    return replace(candidate, cosine=cosine, quote=replace(candidate.quote, score=score))


def _repeats(one: Candidate, other: Candidate) -> bool:
    either = one.terms | other.terms
    return bool(either) and len(one.terms & other.terms) / len(either) >= REPEAT

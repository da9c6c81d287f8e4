"""What a question names, and whether the passages that were found name it too.

Among passages of one kind (letters, payslips, tickets) those of another person or number lie as
near to a question as the right one would, by their words and by their vectors. What tells them
apart is what the question calls by its name: a person, a product, a code, an address.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.answer.facts import (
    NOUNS_CAPITALISED,
    bare_address,
    facts_and_rest,
    in_words,
    name_spans,
    opens_sentence,
    spelled,
    word_forms,
)
from rag.answer.quantities import digits_folded, fold
from rag.search.periods import is_period
from rag.text import sentence_spans
from rag.types import Hit

LONG = 6  # letters from which a word may be misspelt and is known all the same
ALIKE = 0.87  # by difflib's ratio: one letter of six to eight
ACRONYM = (3, 5)  # letters; two stand for too much
COMMON = 0.1  # of the chunks have a word, and it names nothing in particular
LOUD = 0.85  # capitalised words of a question from which its capitals show nothing
REACH = 16  # characters before a word that show whether it begins a sentence
_WORD = re.compile(r"[^\W\d_]{3,}")
_TYPED = re.compile(r"\b[^\W\d_]{2,}-(?!(?:19|20)\d\d\b)\d{3,}\b")  # inv-2343, not mid-2023
# "Mitarbeiter Dupont", "Elena Larsen": of two nouns side by side the second is a name in German,
# unless the first is a genitive.
_BESIDE = re.compile(r"(?<![\w-])([A-ZÄÖÜ]\w*[^\Wsx_]) (?=([A-ZÄÖÜ]\w+)(?![\w-]))")
_ASKER = re.compile(
    r"\b(?:I am|I['’]m|[Mm]y name is|[Ii]ch bin|[Mm]ein Name ist|[Ii]ch heiße|[Ss]oy|[Mm]e llamo"
    r"|[Mm]i nombre es|[Jj]e suis|[Jj]e m['’]appelle|[Ss]ono|[Mm]i chiamo|[Ss]ou|[Mm]e chamo)"
    r" (?=[A-ZÀ-Þ])[^,.;:!?]*"
)
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_SMALL = {  # what a short form may leave out
    *("the", "a", "an", "of", "and", "for", "in", "on", "at", "to", "by", "with"),
    *("und", "der", "die", "das", "de", "la", "y", "e", "et", "le"),
}
ShareOf = Callable[[str], float | None]  # None for a stop word


@dataclass(frozen=True, slots=True)
class Named:
    """What a question calls by its name: the words of a name, or one code or address."""

    kind: Literal["name", "code", "address"]
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it is told."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Naming:
    """What a question names, and the share of the words of each that each passage has."""

    named: tuple[Named, ...]
    shares: NDArray[np.float32]  # (len(named), passages)

    @classmethod
    def of(cls, question: str, language: str, hits: Sequence[Hit], share_of: ShareOf) -> "Naming":
        """Read question and passages; `share_of` a word is that of the chunks that have it.

        Names are written in another way in another language, so they count only where a passage is
        in the question's. One that stands everywhere, as the company's own, tells nothing apart.
        """
        found = list(named(question, language, share_of, [hit.text for hit in hits]))
        found = [one for one in found if not all(map(_is_common(share_of), one.words))]
        if all(hit.chunk.language != language for hit in hits):
            found = [one for one in found if one.kind != "name"]
        if not found or not hits:
            return cls((), np.zeros((0, len(hits)), np.float32))
        passages = [_Passage(hit) for hit in hits]
        shares = [[passage.share(one) for passage in passages] for one in found]
        return cls(tuple(found), np.array(shares, np.float32))

    @property
    def lacking(self) -> float:
        """How much of what is named no passage has together, in [0, 1].

        Of two names, one that is missing is enough; of five that are compared, it is a part.
        """
        if not self.named:
            return 0.0
        missing = float((1 - self.shares.max(axis=1)).sum())
        return min(1.0, missing / max(1, len(self.named) - 1))

    @property
    def behind(self) -> tuple[float, ...]:
        """How much less of what is named each passage has than the one that has most."""
        if not self.named:
            return (0.0,) * int(self.shares.shape[1])
        each: list[float] = self.shares.mean(axis=0).tolist()
        return tuple(max(each) - share for share in each)

    @property
    def unnamed(self) -> tuple[str, ...]:
        """What no passage has a word of."""
        best = self.shares.max(axis=1, initial=0)
        return tuple(one.text for one, share in zip(self.named, best, strict=True) if not share)


def _is_common(share_of: ShareOf) -> Callable[[str], bool]:
    return lambda word: (share_of(word) or 0.0) >= COMMON


def named(
    question: str, language: str, share_of: ShareOf, texts: Iterable[str] = ()
) -> Iterator[Named]:
    """What a question names: by its capitals, or, typed without, as `texts` write it.

    Not what stands in sentences beside it ("Ada here. Where do I …?"), nor whom the asker is.
    """
    spans = sentence_spans(question, language)
    asking = [question[s:e] for s, e in spans if question[s:e].rstrip().endswith(("?", "\uff1f"))]
    facts, rest = facts_and_rest(_ASKER.sub(" ", " ".join(asking) or question), language)
    for fact in facts:
        match fact.kind:
            case "address":
                yield Named("address", (fact.text,))
            case "code" if not is_period(fact.text):  # of these there are many spellings
                yield Named("code", (fact.text,))
    for code in _TYPED.findall(rest):
        yield Named("code", (code,))
    rest = _TYPED.sub(lambda code: " " * len(code[0]), rest)
    run: list[str] = []
    end = 0
    for start, stop, word in _words(rest, language, share_of, texts):
        if run and rest[end:start] not in (" ", "-"):
            yield Named("name", tuple(run))
            run = []
        run.append(word)
        end = stop
    if run:
        yield Named("name", tuple(run))


def _words(
    text: str, language: str, share_of: ShareOf, texts: Iterable[str]
) -> Iterator[tuple[int, int, str]]:
    """Words of names with their places, in order."""

    def is_content(word: str) -> bool:
        return share_of(word) is not None

    found: dict[int, tuple[int, int, str]] = {}
    if not _is_loud(text):
        for start, end, word in name_spans(text, language):
            at = start
            for part in word.split("-"):  # of "Panther-Verteidiger" nothing, of "NHL-Team" NHL
                is_noun = language in NOUNS_CAPITALISED and sum(map(str.isupper, part)) < 2
                if len(part) > 1 and any(map(str.isupper, part)) and not is_noun:
                    stop = end if at + len(part) == start + len(word) else at + len(part)
                    found[at] = at, stop, part
                at += len(part) + 1
    if language in NOUNS_CAPITALISED and not _is_loud(text):
        for match in _BESIDE.finditer(text):
            if is_content(match[1]):
                found.setdefault(match.start(2), (*match.span(2), match[2]))
    others = [m for m in _WORD.finditer(text) if m.start() not in found]
    proper = _proper({m[0] for m in others if is_content(m[0])}, language, texts)
    found |= {m.start(): (*m.span(), m[0]) for m in others if fold(m[0]) in proper}
    yield from (found[at] for at in sorted(found) if is_content(found[at][2]))


def _is_loud(text: str) -> bool:
    """Whether nearly everything is capitalised, as in a headline."""
    words = _LETTERS.findall(text)
    return len(words) > 3 and sum(w[0].isupper() for w in words[1:]) >= LOUD * (len(words) - 1)


def _proper(words: set[str], language: str, texts: Iterable[str]) -> set[str]:
    """Those of the words that the texts write with a capital only, also within a sentence."""
    if not words or language in NOUNS_CAPITALISED:
        return set()
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
    capital, small = set(), set()
    for text in texts:
        for match in pattern.finditer(text):
            if not match[0][0].isupper():
                small.add(fold(match[0]))
                continue
            before = text[max(0, match.start() - REACH) : match.start()]
            if not opens_sentence(before, len(before)):
                capital.add(fold(match[0]))
    return capital - small


class _Passage:
    """A passage, read for the names in it; its title, headings and file name are of it."""

    def __init__(self, hit: Hit) -> None:
        stored = hit.chunk
        headings = (heading for one in hit.members for heading in one.chunk.heading_path)
        headers = dict.fromkeys(one.header for one in hit.members)
        file = stored.source_uri.rsplit("/", 1)[-1].replace("_", " ")
        self._text = digits_folded("\n".join((stored.title, file, *headings, *headers, hit.text)))
        self._folded = fold(self._text)
        self._words = word_forms(self._text)

    @cached_property
    def _squeezed(self) -> str:
        """Without what stands between words, so that "Superbowl" is in "Super Bowl"."""
        return "".join(filter(str.isalnum, self._folded))

    def share(self, one: Named) -> float:
        """The share of a name's words that stand here; 0 or 1 of a code or an address."""
        match one.kind:
            case "code":
                spellings = {one.text, one.text.removesuffix("s")}  # "these 10-Qs"
                return float(any(spelled(code).search(self._text) for code in spellings))
            case "address":
                return float(bare_address(one.text) in self._folded)
        initials = fold("".join(word[0] for word in one.words))
        if len(one.words) >= ACRONYM[0] and initials in self._words:
            return 1.0
        return sum(map(self._has, one.words)) / len(one.words)

    def _has(self, word: str) -> bool:
        """Whether a word stands here: spelled otherwise, misspelt, or as what it is short for."""
        folded = fold(word)
        if in_words(folded, self._words):
            return True
        if len(folded) >= LONG:
            close = get_close_matches(folded, self._words, 1, ALIKE)
            return folded in self._squeezed or bool(close)
        n_capitals = sum(map(str.isupper, word))
        if n_capitals > 1 and ACRONYM[0] <= len(word) <= ACRONYM[1]:
            words = re.findall(r"[^\W\d_]+", self._folded)
            of_all = "".join(w[0] for w in words)
            return folded in of_all or folded in "".join(w[0] for w in words if w not in _SMALL)
        return False

"""What a question calls by its name, and whether the passages that were found name it too.

Among passages of one kind (letters, payslips, tickets) those of another person or number lie as
near to a question as the right one would, by their words and by their vectors. What tells them
apart is a name, the number of a thing, or an address.

A name that is seen where there is none makes a good answer be withheld, so only what is certain
counts. Not: what a capital does not show to be a name (the first word of a sentence, a defined term
behind its article, a German noun, a short form in capitals), days, months and languages, what is
numbered ("Section 5"), and who asks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.answer.facts import ADDRESS, MONTHS, NOUNS_CAPITALISED, OPENING, bare_address
from rag.answer.quantities import digits_folded, fold
from rag.text import sentence_spans
from rag.types import Hit

COMMON = 0.1  # of the chunks have a word, and it tells nothing apart: the company's own name
UNHEARD = 0.005  # of the chunks, at most, have a name that stands behind an article
MOST = 12  # names of a question that are looked for
LONG = 6  # letters from which a word may be misspelt and is known all the same
ALIKE = 0.87  # by difflib's ratio: one letter of six to eight
ENDING = 2  # letters that may not differ: Martina is not Martin
PREFIX = 9  # letters from which a word with the same beginning is a form of it
SHORT_FORM = 5  # letters in capitals up to which they stand for words, not for a name
REACH = 24  # characters before a word that show how it stands there
OUTSIDE = 50  # hits beyond the quoted ones that are read for what those lack

ShareOf = Callable[[str], float | None]  # of the chunks, those that have a word; None: a stop word

_WORD = re.compile(r"[^\W\d_]+")
# INV-2343, ISO27001, 4711-B; and, with five digits that are no round amount, a bare number.
_NUMBERED = re.compile(r"(?<![\w.,/-])(?=[\w/-]*\d{3})[^\W_]+(?:[/-][^\W_]+)*")
_SERIAL = re.compile(r"[A-Z]{2,}-?\d{3}")
_DIGITS = re.compile(r"\d{3,}")
_YEAR = re.compile(r"(?:19|20)\d\d")
_TITLE = re.compile(r"\b(?:Mrs?|Ms|Miss|Mx|Dr|Prof|Sir|Sra?|Dra|Srta|Mme|Mlle|Sig|Dott)\b\.?")
_GREETING = re.compile(
    r"^\s*(?:hello|hi|hey|dear|good (?:morning|afternoon|evening)|hallo|guten (?:tag|morgen)|hola"
    r"|buenos días|bonjour|ciao|buongiorno|olá|bom dia)\b[^,.!?]*[,.!]",
    re.IGNORECASE,
)
_ASKER = re.compile(
    r"\b(?:I am|I['’]m|[Mm]y name is|[Ii]ch bin|[Mm]ein Name ist|[Ii]ch heiße|[Ss]oy|[Mm]e llamo"
    r"|[Mm]i nombre es|[Jj]e suis|[Jj]e m['’]appelle|[Ss]ono|[Mm]i chiamo|[Ss]ou|[Mm]e chamo)"
    r"(?: [A-ZÀ-Þ]\w*)+(?: (?:from|aus|de|da|di) [A-ZÀ-Þ]\w*)?"
)
_ARTICLE = re.compile(
    r"(?:^|[\s(])(?:an?|the|this|that|our|your|my|each|every|any|all|no|el|la|los|las|un|una|le|les"
    r"|une|il|lo|gli|i|o|os|as|um|uma)\s+$",
    re.IGNORECASE,
)
# In German a noun is a name where it stands beside a word for whom or what it names.
_NAMED_SO = re.compile(
    r"\b(?:Herrn?|Frau|Familie|Firma|Mitarbeiter(?:in)?|Kolleg(?:e|en|in)|Kunden?|Kundin"
    r"|Mandant(?:en|in)?|Patient(?:en|in)?|Lieferant(?:en|in)?|Mieter(?:s|in)?|Projekts?|Standort"
    r"|Niederlassung|Filiale|Abteilung|Kanzlei|Klinik|Bank|Stadt|Dr\.?|Prof\.?)\s+$"
)
# What may stand between the words of one name: "Elena O'Brien-Smith", "J. R. Weber".
_WITHIN = re.compile(r"[ '’-]|(?: ?[^\W\d_][.'’] ?)+")
_NO_NAMES = frozenset(MONTHS) | {
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    *("mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays"),
    *("english", "german", "french", "spanish", "italian", "portuguese", "dutch", "polish"),
    *(
        "hindi",
        "thai",
        "chinese",
        "japanese",
        "internet",
        "christmas",
        "easter",
        "eve",
        "dr",
        "prof",
    ),
}


@dataclass(frozen=True, slots=True)
class Named:
    """What a question calls by its name: the words of a name, or one number or address."""

    kind: Literal["name", "number", "address"]
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
    unnamed: tuple[str, ...] = ()  # what neither they nor what was found beside them mention

    @classmethod
    def of(
        cls, question: str, language: str, hits: Sequence[Hit], share_of: ShareOf, n_quoted: int
    ) -> "Naming":
        """Read a question and the `n_quoted` first hits, from which an answer may be quoted.

        Names are written in another way in another language, so they count only where the best
        passage is in the question's.
        """
        quoted = hits[:n_quoted]
        found = list(named(question, language, share_of, [hit.text for hit in quoted]))[:MOST]
        if quoted and quoted[0].chunk.language != language:
            found = [one for one in found if one.kind != "name"]
        if not found or not quoted:
            return cls((), np.zeros((0, len(quoted)), np.float32))
        passages = [_Passage(hit) for hit in quoted]
        shares = np.array([[p.share(one) for p in passages] for one in found], np.float32)
        lost = [one for one, row in zip(found, shares, strict=True) if not row.any()]
        if lost:
            others = [_Passage(hit) for hit in hits[n_quoted : n_quoted + OUTSIDE]]
            lost = [one for one in lost if not any(other.share(one) for other in others)]
        return cls(tuple(found), shares, tuple(dict.fromkeys(one.text for one in lost)))

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


def named(
    question: str, language: str, share_of: ShareOf, texts: Iterable[str] = ()
) -> Iterator[Named]:
    """What a question names: by its capitals, or, typed without, as `texts` write it.

    Not what stands in sentences beside it ("Ada here. Where do I …?"), nor whom the asker is, nor
    what stands everywhere.
    """
    spans = sentence_spans(question, language)
    asking = [question[s:e] for s, e in spans if question[s:e].rstrip().endswith(("?", "？"))]
    text = _GREETING.sub(_blank, digits_folded(" ".join(asking) or question))
    text = _ASKER.sub(_blank, text)
    for address in ADDRESS.findall(text):
        yield Named("address", (address.rstrip(".,;:!?"),))
    text = ADDRESS.sub(_blank, text)
    for match in _NUMBERED.finditer(text):
        if _is_number_of_a_thing(match[0]):
            yield Named("number", (match[0],))
    text = _NUMBERED.sub(_blank, text)
    text = text if language in NOUNS_CAPITALISED else _TITLE.sub(_blank, text)
    for words in _runs(text, _words(text, language, share_of, texts)):
        if not all((share_of(word) or 0.0) >= COMMON for word in words):
            yield Named("name", words)


def _blank(match: re.Match[str]) -> str:
    return "·" * len(match[0])  # no blank: what stands before and behind stays apart


def _is_number_of_a_thing(token: str) -> bool:
    """INV-234, inv-2343 and 48213; not FY2023, Q3/2023, 10000, mid-2023 or 401k."""
    if token.isdigit():
        return len(token) > 4 and not token.endswith("00")
    digits = [run for run in _DIGITS.findall(token) if not _YEAR.fullmatch(run)]
    return any(len(run) > 3 for run in digits) or (
        bool(digits) and _SERIAL.match(token) is not None
    )


def _runs(text: str, words: Iterable[re.Match[str]]) -> Iterator[tuple[str, ...]]:
    """Words that stand side by side are one name."""
    run: list[re.Match[str]] = []
    for word in words:
        if run and not _is_within(text, run[-1], word):
            yield tuple(one[0] for one in run)
            run = []
        run.append(word)
    if run:
        yield tuple(one[0] for one in run)


def _is_within(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    """Whether two words may be of one name, by what stands between them."""
    return _WITHIN.fullmatch(text, one.end(), other.start()) is not None


def _words(
    text: str, language: str, share_of: ShareOf, texts: Iterable[str]
) -> Iterator[re.Match[str]]:
    """The words of names, in order."""
    every = [m for m in _WORD.finditer(text) if len(m[0]) > 1]
    words = [m for m in every if share_of(m[0]) is not None]
    is_headline = len(every) > 2 and all(m[0][0].isupper() for m in every)
    capitals = [m for m in words if m[0][0].isupper() and not is_headline]
    named = {m.start() for m in _by_capitals(text, capitals, language, share_of)}
    if language not in NOUNS_CAPITALISED:
        proper = _proper({m[0] for m in words if len(m[0]) > 2 and m.start() not in named}, texts)
        named |= {m.start() for m in words if fold(m[0]) in proper}
    yield from (m for m in words if m.start() in named and not _is_ordinary(m, text))


def _by_capitals(
    text: str, capitals: Sequence[re.Match[str]], language: str, share_of: ShareOf
) -> Iterator[re.Match[str]]:
    before: re.Match[str] | None = None
    is_name = is_term = False  # that word; a term is what a contract defines: "the Notice Period"
    for match in capitals:
        goes_on = before is not None and _is_within(text, before, match)
        lead = text[max(0, match.start() - REACH) : match.start()]
        inner = any(map(str.isupper, match[0][1:])) and not match[0].isupper()  # PayPal
        if language in NOUNS_CAPITALISED:
            beside = goes_on and is_name and lead.endswith(" ")  # not "BSkyB-Sportportfolio"
            is_name = inner or beside or _NAMED_SO.search(lead) is not None
        else:
            behind_article = (goes_on and is_term) or _ARTICLE.search(lead) is not None
            is_term = behind_article and (share_of(match[0]) or 0.0) >= UNHEARD
            is_name = inner or (goes_on and is_name) or not (is_term or OPENING.search(lead))
        before = match
        if is_name:
            yield match


def _is_ordinary(match: re.Match[str], text: str) -> bool:
    """What is no name for all its capitals: days and months, short forms, what is numbered."""
    word = match[0]
    is_short_form = word.isupper() and len(word) <= SHORT_FORM
    follows = text[match.end() : match.end() + 2]
    is_numbered = len(follows) == 2 and follows[0] in " ." and follows[1].isdigit()
    return is_short_form or is_numbered or fold(word) in _NO_NAMES


def _proper(words: set[str], texts: Iterable[str]) -> set[str]:
    """Those of the words that the texts write with a capital only, also within a sentence."""
    if not words:
        return set()
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
    capital, small = set(), set()
    for text in texts:
        for match in pattern.finditer(text):
            if not match[0][0].isupper():
                small.add(fold(match[0]))
            elif not OPENING.search(text[max(0, match.start() - REACH) : match.start()]):
                capital.add(fold(match[0]))
    return capital - small


class _Passage:
    """A passage, read for the names in it; its title, headings and file name are of it."""

    def __init__(self, hit: Hit) -> None:
        stored = hit.chunk
        headings = (heading for one in hit.members for heading in one.chunk.heading_path)
        headers = dict.fromkeys(one.header for one in hit.members)
        file = stored.source_uri.rsplit("/", 1)[-1].replace("_", " ")
        text = digits_folded("\n".join((stored.title, file, *headings, *headers, hit.text)))
        self._folded = fold(text)

    @cached_property
    def _in_order(self) -> list[str]:
        return _WORD.findall(self._folded)

    @cached_property
    def _words(self) -> frozenset[str]:
        """Its words, and each two as one: "Superbowl" is "Super Bowl"."""
        return frozenset((*self._in_order, *map("".join, pairwise(self._in_order))))

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return frozenset(_DIGITS.findall(self._folded))

    def share(self, one: Named) -> float:
        """The share of a name's words that stand here; 0 or 1 of a number or an address."""
        match one.kind:
            case "number":  # "ISO27001" in "ISO/IEC 27001"
                return float(set(_DIGITS.findall(one.text)) <= self._numbers)
            case "address":
                return float(bare_address(one.text) in self._folded)
        initials = fold("".join(word[0] for word in one.words))
        if len(initials) > 2 and initials in self._words:  # "AWS" for "Amazon Web Services"
            return 1.0
        return sum(map(self._has, one.words)) / len(one.words)

    def _has(self, word: str) -> bool:
        """Whether a word stands here, as a plural or a possessive, or misspelt."""
        folded = fold(word)
        if folded in self._words or f"{folded}s" in self._words:
            return True
        if folded.endswith("s") and folded[:-1] in self._words:
            return True
        if len(folded) < LONG:
            return False
        alike = [w for w in self._words if w[-ENDING:] == folded[-ENDING:]]
        begins = folded[:PREFIX]  # "Californian" of "California"
        return bool(get_close_matches(folded, alike, 1, ALIKE)) or (
            len(folded) >= PREFIX and any(word.startswith(begins) for word in self._words)
        )

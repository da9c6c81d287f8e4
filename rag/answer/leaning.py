"""Whether a question leans on what was said before it, by a cheap rule for eight languages.

It does where it says so ("And …", "What about …"), where it points at something that it doesn't
name ("it", "dort", "eso"), where it names nothing ("From when?"), and where it is the end of a
sentence ("For part-time staff?"). The rule knows words and their order, and no grammar. It rather
misses a follow-up than change a question that stands alone.
"""

import re
from collections.abc import Sequence

from rag.answer.leaning_words import LANGUAGES, Words
from rag.search.words import prepared
from rag.text import MARKS, question_language

MAX_CHARS = 300  # what is longer says itself what it is about
ELLIPSIS_WORDS = 6  # the longest end of a sentence that is taken for a question
JOINED_NAMES = 3  # words with a meaning that a question beginning with "And" has at most
WALKED = 3  # earlier questions that one may lean on, each on the one before
OWN_NAMES = 2  # words with a meaning from which on "it" is taken to mean one of them

_TOKEN = re.compile(rf"[\w{MARKS}]+|[,;:]")


def alone(question: str, earlier: Sequence[str]) -> str:
    """The question, and in brackets what it leans on: the last one that stood alone, and what led
    from there to here.

    `earlier` are the questions before it, oldest first.
    """
    told: list[str] = []
    rest = list(earlier[-WALKED:])
    asked = question
    while rest and leans_on(asked, rest[-1]):
        asked = rest.pop()
        if asked not in told:
            told.insert(0, asked)
    if not told:
        return question
    context = " ".join(" ".join(one.split())[:MAX_CHARS] for one in told)
    return f"{question} ({context})"


def leans(question: str, language: str) -> bool:
    """Whether the question can't be understood without those before it.

    `language` is an ISO 639-1 code; in others than the eight no question is taken to lean.
    """
    rules = _RULES.get(language)
    if rules is None or len(question) > MAX_CHARS:
        return False
    text = spoken(question)
    n_names = rules.count_names(text)
    return (
        not n_names
        or bool(rules.ties.match(text))
        or (bool(rules.joins.match(text)) and n_names <= JOINED_NAMES)
        or rules.is_ellipsis(text)
        or rules.points_back(text)
    )


def leans_on(question: str, earlier: str) -> bool:
    """Whether `question`, asked after `earlier`, leans; in the language of either.

    A few words hardly tell their language, and people rarely change it in a conversation.
    """
    language = question_language(earlier)
    return any(
        leans(question, one) for one in {language, question_language(question, fallback=language)}
    )


def spoken(text: str) -> str:
    """Words with one space between them, as the patterns see them; commas and colons are words."""
    return " ".join(_TOKEN.findall(prepared(text, "")))


def _pattern(alternatives: str) -> re.Pattern[str]:
    """Whole words; what is empty matches nothing."""
    return re.compile(rf"(?<!\S)(?:{alternatives or '(?!)'})(?!\S)", re.IGNORECASE)


class _Rules:
    """The patterns of a language, ready for use."""

    def __init__(self, words: Words) -> None:
        self.ties, self.joins = _pattern(words.ties), _pattern(words.joins)
        self._empties, self._clauses = _pattern(words.empties), _pattern(words.clauses)
        self._points, self._owns = _pattern(words.points), _pattern(words.owns)
        self._short, self._asks = _pattern(words.short), _pattern(words.asks)
        self._light = frozenset(spoken(words.light).lower().split())

    def count_names(self, text: str) -> int:
        """Words with a meaning; numbers have none by themselves."""
        return len(self._names(text))

    def is_ellipsis(self, text: str) -> bool:
        """Whether it is the end of a sentence, as in "For part-time staff?"."""
        few = text.count(" ") < ELLIPSIS_WORDS
        return few and bool(self._short.match(text)) and not self._asks.search(text)

    def points_back(self, text: str) -> bool:
        """Whether it points at what it doesn't name itself, before the word that points."""
        text = " ".join(self._empties.sub("", text).split())
        if any(self._names(text[: found.start()]) for found in self._owns.finditer(text)):
            return False
        pointing = self._points.search(text) or self._owns.search(text)
        return pointing is not None and not self._is_named(text[: pointing.start()])

    def _is_named(self, before: str) -> bool:
        """Whether enough is named before the word that points, or anything in another clause."""
        *_, last = self._clauses.split(before)
        n_names = self.count_names(before)
        return n_names >= OWN_NAMES or n_names > self.count_names(last)

    def _names(self, text: str) -> list[str]:
        return [
            word
            for word in text.split()
            if word.lower() not in self._light and re.search(r"[^\W\d_]", word)
        ]


_RULES = {language: _Rules(words) for language, words in LANGUAGES.items()}

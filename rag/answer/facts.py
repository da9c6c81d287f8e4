"""The hard facts of a text: numbers, dates, codes, addresses and names, and which are borne out.

A fact of a claim has to occur in what it cites, as it is or in another spelling of the same. Knows
the text alone; what a sentence means is none of its business.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from rag.answer.quantities import Number, agree, apart, digits_folded, fold, is_said, numbers
from rag.text import MARKS

Kind = Literal["number", "date", "code", "address", "name"]
PartialDate = tuple[int, int, int]  # year, month, day; 0 where it is not said

_MONTHS = (
    "january jan januar janner janvier gennaio janeiro enero जनवरी มกราคม",
    "february feb februar fevrier febbraio fevereiro febrero फरवरी กุมภาพันธ์",
    "march mar marz maerz mars marzo marco मार्च มีนาคม",
    "april apr avril aprile abril अप्रैल เมษายน",
    "may mai maggio maio mayo मई พฤษภาคม",
    "june jun juni juin giugno junho junio जून มิถุนายน",
    "july jul juli juillet luglio julho julio जुलाई กรกฎาคม",
    "august aug aout agosto अगस्त สิงหาคม",
    "september sep sept septembre settembre setembro septiembre सितंबर กันยายน",
    "october oct oktober okt octobre ottobre outubro octubre अक्टूबर ตุลาคม",
    "november nov novembre novembro noviembre नवंबर พฤศจิกายน",
    "december dec dezember dez decembre dicembre dezembro diciembre दिसंबर ธันวาคม",
)
MONTHS = {fold(name): i for i, names in enumerate(_MONTHS, 1) for name in names.split()}
_OF = r"(?:\s+(?:of|de|del|di))?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th|er|º|\.)?"
_MONTH = r"(?<![^\W\d_])(?P<m>[^\W\d_]{3,}\.?)"
_DATES = (
    re.compile(r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)"),
    re.compile(
        r"(?<![\d.])(?P<d>\d{1,2})(?P<sep>[./-])(?P<m>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})(?![\d.]\d)"
    ),
    re.compile(rf"(?<!\d){_DAY}{_OF}\s+{_MONTH}(?:,?{_OF}\s+(?P<y>\d{{4}})(?!\d))?"),
    re.compile(
        rf"{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?![\d.,]*\d)(?:,?\s+(?P<y>\d{{4}})(?!\d))?"
    ),
    re.compile(rf"{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})(?!\d)"),
    re.compile(rf"{_MONTH},?{_OF}\s+(?P<y>\d{{4}})(?!\d)(?P<d>)"),
)
ADDRESS = re.compile(
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>()\[\]\"']+"
)
_CODE = re.compile(r"(?<!\w)(?=[\w/.-]*\d)(?=[\w/.-]*[^\W\d_])\w+(?:[-/.]\w+)*(?:\(\w\))?")
_NO_CODE = re.compile(  # 12th, 30-day, 5kg, mid-2023, 3-year-old
    r"\d[\d.,]*(?:st|nd|rd|th|er|º|ª|%|[^\W\d_]{1,8})?|\d[\d.,]*(?:-[^\W\d_A-Z]+)+"
    r"|[^\W\d_A-Z]{2,}-\d[\d.,]*|\d{2,4}s"
)
_TOKEN = re.compile(rf"[^\W\d_](?:[\w{MARKS}'’]*(?:[^\W_]|[{MARKS}]))?(?:-[^\W_]+)*")
OPENING = re.compile(r"(?:^|[.!?¿¡:;•|\n\"“„«(>*_]|[-–—•]\s)\s*$")
_POSSESSIVE = re.compile(r"['’](?:s|S)?$")
NOUNS_CAPITALISED = frozenset({"de"})
MIN_NAME_CHARS = 2
_SMALL_WORDS = "the a an of and for in on at to by with i de la le les el los las il lo gli o os as"
_NO_NAMES = frozenset(_SMALL_WORDS.split())


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a passage has to say too."""

    kind: Kind
    text: str  # as written
    number: Number | None = None
    dates: frozenset[PartialDate] = frozenset()  # its readings


@dataclass(frozen=True, slots=True)
class Known:
    """What a passage says, prepared for many questions whether it says something."""

    text: str  # digits folded
    folded: str
    numbers: tuple[Number, ...]
    dates: frozenset[PartialDate]
    words: frozenset[str]  # folded

    @classmethod
    def of(cls, text: str, language: str) -> "Known":
        """Read all facts of a passage, its title and headings included."""
        text = digits_folded(text)
        words = {fold(word) for word in _TOKEN.findall(text)}
        words |= {part for word in words for part in word.split("-")}
        words |= {_POSSESSIVE.sub("", word) for word in words}
        dates = frozenset(date for _, _, readings in _dates(text) for date in readings)
        found = numbers(text, language)
        cells = [n for number in found if " " in number.literal for n in apart(number)]
        return cls(text, fold(text), (*found, *cells), dates, frozenset(words))

    def says(self, fact: Fact) -> bool:
        """Whether the fact occurs here, in this or another spelling."""
        if fact.number is not None:
            return any(agree(fact.number, known) for known in self.numbers)
        match fact.kind:
            case "date":
                return any(self._says_date(date) for date in fact.dates)
            case "address":
                return bare_address(fact.text) in self.folded
            case "code":
                return _spelled(fact.text).search(self.text) is not None
            case _:
                return _in_words(fold(fact.text), self.words)

    def _says_date(self, date: PartialDate) -> bool:
        if any(_fits(date, known) for known in self.dates):
            return True
        year, month, day = date
        if not (year and month and day):
            return False
        years = {value for number in self.numbers for value in number.values}
        return year in years and any(_fits((0, month, day), known) for known in self.dates)


def facts(text: str, language: str) -> list[Fact]:
    """The facts of a claim, those of each kind in order."""
    text = digits_folded(text)
    found: list[Fact] = []

    def take(kind: Kind, spans: Iterable[tuple[int, int, Fact]]) -> None:
        nonlocal text
        for start, end, fact in spans:
            found.append(fact)
            text = text[:start] + " " * (end - start) + text[end:]

    take("address", [(*m.span(), Fact("address", m[0])) for m in ADDRESS.finditer(text)])
    take("date", [(s, e, Fact("date", text[s:e], dates=d)) for s, e, d in _dates(text)])
    take("code", [(*m.span(), Fact("code", m[0])) for m in _CODE.finditer(text) if _is_code(m[0])])
    found += [
        Fact("number", number.text, number=number)
        for number in numbers(text, language)
        if is_said(number)
    ]
    return found + [Fact("name", name) for name in names(text, language)]


def names(text: str, language: str) -> list[str]:
    """Words that their capitals show to be names, none twice.

    The first word of a sentence shows nothing by one capital, unless the next word has one too; in
    German every noun has one, so only what has more counts.
    """
    found: dict[str, None] = {}
    tokens = list(_TOKEN.finditer(text))
    for token, following in zip_longest(tokens, tokens[1:]):
        word = _POSSESSIVE.sub("", token[0])
        if len(word) < MIN_NAME_CHARS or not any(map(str.isupper, word)) or fold(word) in _NO_NAMES:
            continue
        many = sum(map(str.isupper, word)) > 1
        if language in NOUNS_CAPITALISED and not many:
            continue
        opens = OPENING.search(text[: token.start()]) is not None
        joined = (
            following is not None
            and following[0][0].isupper()
            and text[token.end() : following.start()] == " "
            and len(word) > 3
        )
        if many or not opens or joined:
            found.setdefault(word)
    return list(found)


def folded_words(text: str) -> list[str]:
    """Its words, folded, with repeats."""
    return [fold(word) for word in _TOKEN.findall(text)]


def missing(said: Sequence[Fact], known: Sequence[Known]) -> list[Fact]:
    """The facts that none of these passages has."""
    return [fact for fact in said if not any(one.says(fact) for one in known)]


def _dates(text: str) -> list[tuple[int, int, frozenset[PartialDate]]]:
    """Spans and readings of the dates, none within another, the longest first found."""
    found: list[tuple[int, int, frozenset[PartialDate]]] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(start < e and s < end for s, e, _ in found):
                continue
            slashes = match.groupdict().get("sep") in ("/", "-")  # the month may come first
            if readings := _readings(match["y"], match["m"], match["d"], either=slashes):
                found.append((start, end, readings))
    return found


def _readings(year: str | None, month: str, day: str, *, either: bool) -> frozenset[PartialDate]:
    y = int(year) if year else 0
    y += 2000 if year and len(year) == 2 else 0
    d = int(day) if day else 0
    m = int(month) if month.isdigit() else MONTHS.get(fold(month.rstrip(".")), 0)
    dates = {(y, m, d), (y, d, m)} if either else {(y, m, d)}
    return frozenset(
        date for date in dates if 1 <= date[1] <= 12 and (1 <= date[2] <= 31 or not day)
    )


def _fits(said: PartialDate, known: PartialDate) -> bool:
    return all(s in (0, k) for s, k in zip(said, known, strict=True))


def _is_code(token: str) -> bool:
    return _NO_CODE.fullmatch(token) is None


def _spelled(code: str) -> re.Pattern[str]:
    """The code with or without hyphens, blanks and capitals."""
    characters = [re.escape(char) for char in code if char.isalnum()]
    spelled = r"[\W_]?".join(characters)
    return re.compile(rf"(?<!\w){spelled}(?!\w)", re.IGNORECASE)


def bare_address(address: str) -> str:
    """What is the same in all spellings of an address."""
    bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", fold(address))
    return bare.rstrip("/.,;:!?*_`")


def _in_words(name: str, words: frozenset[str]) -> bool:
    if name in words or _POSSESSIVE.sub("", name) in words:
        return True
    for ending in ("s", "es", "n", "en"):  # plurals and cases
        if name + ending in words or (name.endswith(ending) and name[: -len(ending)] in words):
            return True
    parts = name.split("-")
    return len(parts) > 1 and all(_in_words(part, words) for part in parts if part)

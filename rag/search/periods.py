"""Years and quarters in one spelling, so that who asks for one finds it however a document has it.

"FY2018", "Q2'23", "2023Q2", "2Q23" and "the third quarter" get "2018", "q2", "2023" and "q3" beside
what stands there. Nothing is taken away: who looks for "FY2018" itself finds that as well.
"""

import re

_ORDINALS = {  # of quarters, by the word for it, first to fourth
    "quarter": ("first", "second", "third", "fourth"),
    "quartals?": ("erste[ns]?", "zweite[ns]?", "dritte[ns]?", "vierte[ns]?"),
    "trimestre": (
        "premier|primo|primeiro|primer",
        "deuxième|second[oe]?|segundo",
        "troisième|terzo|terceiro|tercer",
        "quatrième|quarto|cuarto",
    ),
}
_SPELT = {
    re.compile(rf"\b(?:{ordinal}) {quarter}\b", re.IGNORECASE): f"q{number}"
    for quarter, ordinals in _ORDINALS.items()
    for number, ordinal in enumerate(ordinals, 1)
}
_YEAR = r"(?:(?:19|20)\d\d)"
_GLUED = re.compile(
    rf"(?<![^\W_])(?:(?:FY|GJ) ?['’]?(?P<fiscal>{_YEAR}|\d\d)"  # fiscal year, Geschäftsjahr
    rf"|(?P<before>{_YEAR}) ?[QT](?P<then>[1-4])"
    rf"|[QT](?P<first>[1-4]) ?(?:FY)? ?['’]?(?P<after>{_YEAR}|(?<=['’Yy])\d\d)"
    rf"|(?P<leading>[1-4])Q(?: ?['’]?(?P<last>{_YEAR}|\d\d))?)(?![^\W_])",
    re.IGNORECASE,
)
# Looked for first, as they are seen in a twentieth of the time.
_HINTS = ("fy", "gj", *(f"{a}{b}" for n in "1234" for a, b in ((n, "q"), ("q", n), ("t", n))))
_QUARTERS = ("quarter", "quartal", "trimestre")
_WORD = re.compile(r"[^\W_]+")


def with_periods(text: str) -> str:
    """The text with the plain words of each period after what names it in another way."""
    lower = text.lower()
    if any(hint in lower for hint in _HINTS):
        text = _GLUED.sub(_with_plain, text)
    if any(quarter in lower for quarter in _QUARTERS):
        for spelt, plain in _SPELT.items():
            text = spelt.sub(rf"\g<0> {plain}", text)
    return text


def _with_plain(found: re.Match[str]) -> str:
    quarter = found["then"] or found["first"] or found["leading"]
    year = found["fiscal"] or found["before"] or found["after"] or found["last"]
    plain = [f"q{quarter}" if quarter else "", _whole(year) if year else ""]
    there = ["", *_WORD.findall(found[0].lower())]
    new = [word for word in plain if word not in there]
    return " ".join([found[0], *new, ""]) if new else found[0]


def _whole(year: str) -> str:
    """`18` as `2018`, `98` as `1998`."""
    return year if len(year) == 4 else f"{'20' if year < '70' else '19'}{year}"

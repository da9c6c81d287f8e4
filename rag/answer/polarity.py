"""Whether one sentence denies what another says: "is covered" against "is not covered".

By rule, for six languages with a list of words that deny: a word of content that is denied in one
text and stands undenied in the other is a contradiction, if the clauses around it are otherwise
about the same. Good for plain denials; irony, double negation and antonyms are beyond it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NEGATORS = {
    language: frozenset(words.split())
    for language, words in {
        "en": "not no never none neither nor without cannot nothing nobody isn't aren't wasn't"
        " weren't don't doesn't didn't won't wouldn't can't couldn't shouldn't mustn't hasn't"
        " haven't hadn't needn't",
        "de": "nicht kein keine keinen keinem keiner keines nie niemals ohne weder nichts niemand",
        "fr": "pas jamais aucun aucune sans ni",
        "it": "non mai nessun nessuno nessuna senza né",
        "pt": "não nunca nenhum nenhuma sem nem jamais",
        "es": "no nunca ningún ninguno ninguna sin ni jamás tampoco",
    }.items()
}
_NOT_DENYING = re.compile(
    r"\b(?:not only|not just|no later than|no more than|no less than|no longer than|no fewer than"
    r"|not later than|not more than|not less than|whether or not|not limited to|no matter"
    r"|no\. \d|nicht nur|nicht später als|nicht mehr als|non seulement|non solo|non oltre"
    r"|no solo|no sólo|no más de|não só|não apenas|não mais de)",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"[.;:!?()–—\n|]|,|\b(?:but|unless|except|although|while|if|because|aber|sondern|außer|wenn"
    r"|falls|mais|sauf|sinon|si|ma|tranne|se|mas|exceto|pero|salvo|sino)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
REACH = 2  # words of content after a word that denies; before it in German, where it stands last
SAME = 0.5  # share of a clause's stems that the other text must have

Stems = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Clause:
    stems: tuple[str, ...]  # of its words of content, in order
    denied: frozenset[str]


def contradicts(claim: str, span: str, language: str, stems: Stems) -> bool:
    """Whether the claim denies what the span says, or says what it denies.

    `stems` gives the stems of a text's words of content. False in a language without a list.
    """
    if language not in NEGATORS:
        return False
    ours, theirs = _clauses(claim, language, stems), _clauses(span, language, stems)
    return _denies(ours, theirs) or _denies(theirs, ours)


def _denies(those: Sequence[_Clause], others: Sequence[_Clause]) -> bool:
    """Whether a clause denies what the most similar of the other clauses says without denial."""
    for clause in those:
        if not clause.denied:
            continue
        alike = [(_shared(clause, other), other) for other in others]
        most = max((share for share, _ in alike), default=0.0)
        if most < SAME:
            continue
        best = [other for share, other in alike if share == most]
        if all(not other.denied and clause.denied & set(other.stems) for other in best):
            return True
    return False


def _shared(clause: _Clause, other: _Clause) -> float:
    mine = set(clause.stems)
    return len(mine & set(other.stems)) / len(mine) if mine else 0.0


def _clauses(text: str, language: str, stems: Stems) -> list[_Clause]:
    text = _NOT_DENYING.sub(" ", text.replace("’", "'"))
    return [
        clause
        for part in _CLAUSE_END.split(text)
        if part and (clause := _clause(part, language, stems)).stems
    ]


def _clause(text: str, language: str, stems: Stems) -> _Clause:
    found: list[str] = []
    at: list[int] = []  # number of stems before each word that denies
    for word in _WORD.findall(text):
        if word.lower() in NEGATORS[language]:
            at.append(len(found))
        else:
            found += stems(word)
    denied: set[str] = set()
    for n in at:
        reached = found[n : n + REACH]
        denied.update(reached or found[-REACH:])
        if language == "de":
            denied.update(found[max(0, n - 1) : n])
    return _Clause(tuple(found), frozenset(denied))

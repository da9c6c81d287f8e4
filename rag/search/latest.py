"""Questions for the latest of several documents: "What does the most recent report say of …?"

Each of twenty quarterly reports fits such a question as well; only their dates tell which is meant.
So the newer of what was found gets a share on top. What is asked is seen by words that say little
else: "current" is left out, as in current assets, and "last", as in last year.
"""

import re
from collections.abc import Mapping, Sequence

from rag.search.fuse import DIGITS
from rag.types import StoredChunk

NEWEST = 0.3  # of a score, on top for the newest document and nothing for the oldest
_ISSUE = {  # what comes out again and again, so that its last or current one is the latest
    "en": "report|filing|quarter|version|edition|issue|release|revision",
    "de": "bericht|quartalsbericht|geschäftsbericht|quartal|version|fassung|ausgabe|auflage|stand",
    "fr": "rapport|trimestre|exercice|version|édition|révision",
    "it": "rapporto|relazione|trimestre|esercizio|versione|edizione|revisione",
    "pt": "relatório|trimestre|exercício|versão|edição|revisão",
    "es": "informe|reporte|trimestre|ejercicio|versión|edición|revisión",
}
_LATEST = re.compile(
    r"\b(?:"
    r"(?<!at the )latest|newest|most (?:recent|up[ -]to[ -]date)|most recently"
    rf"|(?:last|current) (?:{_ISSUE['en']})"
    rf"|(?:neue?|jüng|aktuell)ste[nmrs]?|(?:letzte|aktuelle)[nmrs]? (?:{_ISSUE['de']})"
    rf"|plus récente?s?|derni(?:er|ère) (?:{_ISSUE['fr']})|version actuelle"
    rf"|più recent[ei]|ultim[oa] (?:{_ISSUE['it']})|versione attuale"
    rf"|mais recentes?|últim[oa] (?:{_ISSUE['pt']})|versão at?ual"
    rf"|más recientes?|últim[oa] (?:{_ISSUE['es']})|versión (?:actual|vigente)"
    r")\b|ล่าสุด|नवीनतम|सबसे हालिया|सबसे नय[ाीे]",
    re.IGNORECASE,
)


def asks_for_latest(query: str) -> bool:
    """Whether a query asks for the newest of several documents."""
    return _LATEST.search(query) is not None


def by_date(
    found: Sequence[tuple[StoredChunk, float]], days: Mapping[int, str]
) -> list[tuple[StoredChunk, float]]:
    """Chunks with scores in [0, 1] in a new order, best first: newer documents' count for more.

    `days` are ISO 8601 by document. What counts is a day's place among the others that were found,
    not how far apart they are: daily reports are told apart as yearly ones are.
    """
    places = {day: place for place, day in enumerate(sorted(set(days.values())))}
    newest = max(1, len(places) - 1)

    def dated(stored: StoredChunk, score: float) -> float:
        place = places[days[stored.document_id]] / newest if stored.document_id in days else 0.0
        return round((score + NEWEST * place) / (1 + NEWEST), DIGITS)

    scored = [(stored, dated(stored, score)) for stored, score in found]
    return sorted(scored, key=lambda one: (-one[1], one[0].id))

"""Answers as they are kept, and what of them may be shown later.

An answer is JSON as `rag.wire.final_json` writes it. Who may read the documents that it quotes may
change, and documents go; so whatever is read again passes through `shown`, which leaves nothing of
a document that its reader may not read now: no sentence, no quote, no title, no count. What an
answer says without saying of which document (what a research has opened, how much was searched) is
not kept at all, because nobody could tell later whether it may be shown.

A sentence that is borne out by what it cites says what that says. One that is not may say what
anything says that was read for the answer, so `read` is kept beside it.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Span = tuple[int, int]

WHOLE = "This answer rests on documents that you may not read now, or that are gone."
PARTS = "Parts of this answer rest on documents that you may not read now, or that are gone."
GAP = "\n\n"  # where something was left out between two sentences

_UNCOUNTED = ("query", "collections")


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as its reader may see it; `reason` says why something is missing, "" if nothing."""

    answer: Json
    reason: str


def kept(answer: Json, read: Iterable[int]) -> Json:
    """What is kept of an answer for which these documents were read."""
    left_out = ("conversation_id", "turn_id", "timings_ms", "usage")
    return {name: value for name, value in answer.items() if name not in left_out} | {
        "searched": {name: answer["searched"][name] for name in _UNCOUNTED},
        "steps": [step | {"detail": ""} for step in answer["steps"]],
        "read": sorted({*read, *documents_of(answer)}),
    }


def documents_of(answer: Json) -> set[int]:
    """The documents whose text or title an answer holds."""
    return {part["document_id"] for part in (*answer["citations"], *answer["related"])}


def shown(answer: Json, readable: Set[int], collections: Set[str], *, leans: bool) -> Shown:
    """What a reader of these documents and collections may see of an answer that was kept.

    `leans` says that something before it in its conversation may not be shown: then what a model
    made of its question, having read that, isn't either.
    """
    searched, read = answer["searched"], set(answer["read"])
    answer = {name: value for name, value in answer.items() if name != "read"} | {
        "searched": {
            "query": answer["question"] if leans else searched["query"],
            "collections": [name for name in searched["collections"] if name in collections],
        }
    }
    if read <= readable and not leans:
        return Shown(answer, "")
    part = answer | _borne_out(answer, readable) | {"related": _related(answer, readable)}
    if part == answer:
        return Shown(answer, "")
    part["searched"]["query"] = answer["question"]
    part |= {"evidence": None, "support": None}
    return Shown(part, PARTS if part["answer"] or part["related"] else WHOLE)


def _related(answer: Json, readable: Set[int]) -> list[Json]:
    """The nearest passages that may be read, ranked anew."""
    hits = [hit for hit in answer["related"] if hit["document_id"] in readable]
    return [hit | {"rank": rank} for rank, hit in enumerate(hits, 1)]


def _borne_out(answer: Json, readable: Set[int]) -> Json:
    """Text and citations of the sentences that what may be read bears out.

    What stands before such a sentence and cites nothing, a heading, says no more than it does; it
    stays where the sentence before it stays too.
    """
    spans = _spans(answer)
    good, text, moved = _good(answer, spans, readable), "", {}
    last, whole = 0, True  # where the span before ended, and whether that is in the text
    for start, end in spans:
        if (start, end) in good:
            before = answer["answer"][last:start] if whole else GAP if text else ""
            text += before + answer["answer"][start:end]
            moved[start, end] = len(text) - (end - start)
        last, whole = end, (start, end) in good
    if whole and not answer["answer"][last:].strip():
        text += answer["answer"][last:]
    return {"answer": text, "unsupported": [], "citations": _moved(answer["citations"], moved)}


def _spans(answer: Json) -> list[Span]:
    """Where the sentences with citations stand, in order; none where they can't be told apart."""
    spans = sorted({_span(citation) for citation in answer["citations"]})
    edges = [0, *(edge for span in spans for edge in span), len(answer["answer"])]
    if edges != sorted(edges) or any(start == end for start, end in spans):
        return []
    return spans


def _good(answer: Json, spans: Iterable[Span], readable: Set[int]) -> set[Span]:
    """The spans all of whose citations may be read, and bear them out."""
    closed = {_span(c) for c in answer["citations"] if c["document_id"] not in readable}
    doubtful = [(part["start"], part["end"]) for part in answer["unsupported"]]
    return {
        span
        for span in spans
        if span not in closed and not any(_overlap(span, other) for other in doubtful)
    }


def _moved(citations: Iterable[Json], starts: Mapping[Span, int]) -> list[Json]:
    """The citations of the sentences that begin at `starts` now, numbered anew."""
    numbers: dict[int, int] = {}
    found = []
    for citation in citations:
        start, end = _span(citation)
        if (start, end) in starts:
            number = numbers.setdefault(citation["id"], len(numbers) + 1)
            at = starts[start, end]
            place = {"answer_start": at, "answer_end": at + end - start}
            found.append(citation | {"id": number} | place)
    return found


def _span(citation: Json) -> Span:
    return citation["answer_start"], citation["answer_end"]


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]

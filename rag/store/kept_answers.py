"""Answers as they are kept, and what of them may be shown later.

An answer is JSON as `rag.wire.final_json` writes it. Who may read the documents that it quotes may
change, and documents go; so whatever is read again passes through `shown`, which leaves nothing of
a document that its reader may not read now: no sentence, no quote, no title, no count. What an
answer says without saying of which document (what a research has opened, how much was searched) is
not kept at all, because nobody could tell later whether it may be shown.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Span = tuple[int, int]

WHOLE = "This answer quotes documents that you may not read now, or that are gone."
PARTS = "Parts of this answer quoted documents that you may not read now, or that are gone."
GAP = "\n\n"  # where something was left out between two sentences

_UNCOUNTED = ("query", "collections")


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as its reader may see it; `reason` says why something is missing, "" if nothing."""

    answer: Json
    reason: str


def kept(answer: Json) -> Json:
    """What is kept of an answer."""
    left_out = ("conversation_id", "turn_id", "timings_ms", "usage")
    return {name: value for name, value in answer.items() if name not in left_out} | {
        "searched": {name: answer["searched"][name] for name in _UNCOUNTED},
        "steps": [step | {"detail": ""} for step in answer["steps"]],
    }


def documents_of(answer: Json) -> set[int]:
    """The documents whose text or title an answer holds."""
    return {part["document_id"] for part in (*answer["citations"], *answer["related"])}


def shown(answer: Json, readable: Set[int], collections: Set[str], *, leans: bool) -> Shown:
    """What a reader of these documents and collections may see of an answer that was kept.

    `leans` says that something before it in its conversation may not be shown: then what a model
    made of its question, having read that, isn't either.
    """
    searched = answer["searched"]
    answer = answer | {
        "searched": {
            "query": answer["question"] if leans else searched["query"],
            "collections": [name for name in searched["collections"] if name in collections],
        }
    }
    if documents_of(answer) <= readable:
        return Shown(answer, "")
    sentences = _readable_sentences(answer, readable)
    answer |= {"related": [hit for hit in answer["related"] if hit["document_id"] in readable]}
    answer |= {"related": [hit | {"rank": n} for n, hit in enumerate(answer["related"], 1)]}
    answer |= _rest(answer, sentences) | {"unsupported": [], "evidence": None, "support": None}
    answer["searched"]["query"] = answer["question"]
    partly = answer["answer"] or answer["related"]
    return Shown(answer, PARTS if partly else WHOLE)


def _readable_sentences(answer: Json, readable: Set[int]) -> list[Span]:
    """The spans that are borne out by what may be read, in order; none where that can't be told.

    What cites nothing, or is not borne out by what it cites, may have come from anything that was
    read for the answer.
    """
    citations, length = answer["citations"], len(answer["answer"])
    spans = sorted({(c["answer_start"], c["answer_end"]) for c in citations})
    edges = [0, *(edge for span in spans for edge in span), length]
    if edges != sorted(edges) or any(start == end for start, end in spans):
        return []
    closed = {_span(c) for c in citations if c["document_id"] not in readable}
    doubtful = [(part["start"], part["end"]) for part in answer["unsupported"]]
    return [
        span
        for span in spans
        if span not in closed and not any(_overlap(span, other) for other in doubtful)
    ]


def _rest(answer: Json, sentences: Iterable[Span]) -> Json:
    """Answer and citations of these sentences only, counted anew."""
    text, last, moved = "", 0, {}
    for start, end in sentences:
        between = answer["answer"][last:start]
        glue = between if not between.strip() else GAP
        text += (glue if text else "") + answer["answer"][start:end]
        moved[start, end] = (len(text) - (end - start), len(text))
        last = end
    numbers: dict[int, int] = {}
    citations = [
        citation
        | {
            "id": numbers.setdefault(citation["id"], len(numbers) + 1),
            "answer_start": moved[_span(citation)][0],
            "answer_end": moved[_span(citation)][1],
        }
        for citation in answer["citations"]
        if _span(citation) in moved
    ]
    return {"answer": text, "citations": citations}


def _span(citation: Json) -> Span:
    return citation["answer_start"], citation["answer_end"]


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]

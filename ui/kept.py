"""An answer that was kept, in the sentences that it arrived in.

The API keeps the whole text and where its citations stand in it. What stands between two of them is
white space, or lines that cite nothing: headings, a table's header, a line that leads to a list.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from rag.client.conversations import KeptTurn
from rag.client.records import Asked, Citation, Final, Sentence
from ui.turn import Turn

_LEAD = re.compile(r"(?P<glue>\s*)(?P<text>(?:```|~~~)[\s\S]*|\|[^\n]*(?:\n\|[^\n]*)*|\S[^\n]*)")
_EXTRACTIVE = "extractive"

Kind = Literal["quote", "written"]
Span = tuple[int, int]


def turn_of(kept: KeptTurn, number: int) -> Turn:
    """A turn of a kept conversation, to be drawn like one that has just been answered."""
    final = kept.answer
    return Turn(
        number,
        Asked(kept.question),
        steps=list(final.steps),
        searched=final.searched,
        notices=list(final.notices),
        sentences=sentences(final),
        final=final,
        id=kept.id,
        request_id=kept.request_id,
        missing=kept.reason,
        rating=kept.rating,
    )


def sentences(final: Final) -> list[Sentence]:
    """The answer in sentences with their citations; all in one where they can't be told apart."""
    kind: Kind = "quote" if final.engine == _EXTRACTIVE else "written"
    parts = _parts(final)
    if not _apart([span for span, _, _ in parts], len(final.answer)):
        return [Sentence(final.answer, final.citations, kind=kind)]
    said: list[Sentence] = []
    last = 0
    for (start, end), citations, reason in parts:
        between = final.answer[last:start]
        said += _leads(between)
        glue = between[len(between.rstrip()) :]
        text = final.answer[start:end]
        said.append(Sentence(text, citations, glue, kind, reason is None, reason or ""))
        last = end
    return said + list(_leads(final.answer[last:]))


def _parts(final: Final) -> list[tuple[Span, tuple[Citation, ...], str | None]]:
    """Each sentence that cites or should: where it stands, what it cites, what is against it."""
    cited: dict[Span, tuple[Citation, ...]] = {}
    for citation in final.citations:
        span = citation.answer_start, citation.answer_end
        cited[span] = (*cited.get(span, ()), citation)
    reasons = {(part.start, part.end): part.reason for part in final.unsupported}
    return [(span, cited.get(span, ()), reasons.get(span)) for span in sorted({*cited, *reasons})]


def _apart(spans: Sequence[Span], n_chars: int) -> bool:
    """Whether the spans follow one another within the text, none of them empty."""
    follow = all(before[1] <= after[0] for before, after in pairwise([*spans, (n_chars, n_chars)]))
    return follow and all(start < end for start, end in spans)


def _leads(between: str) -> Iterator[Sentence]:
    """The lines that cite nothing; those of a table's header, or of code, are one."""
    for found in _LEAD.finditer(between.rstrip()):
        yield Sentence(found["text"].rstrip(), (), found["glue"], kind="lead")

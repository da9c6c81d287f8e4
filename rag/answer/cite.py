"""Citations: a span of a stored document tied to a span of the answer, and the check of it.

What is checked needs no model: the cited chunk was retrieved for this question, the caller may read
it now, and the text at the cited offsets is, character for character, what the quote shows or the
engine has read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.answer.support import Support
from rag.errors import NotFound
from rag.layout import line_boxes
from rag.store import Store
from rag.types import Access, Box, Citation, Hit, StoredChunk

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence or table row of a hit, chosen for the answer. Offsets are the document's."""

    hit: Hit
    stored: StoredChunk  # the member of the hit that it stands in
    char_start: int
    char_end: int
    score: float

    @property
    def text(self) -> str:
        """The quoted words."""
        chunk = self.stored.chunk
        return chunk.text[self.char_start - chunk.char_start : self.char_end - chunk.char_start]

    @property
    def shown(self) -> str:
        """What the answer shows: a table's row below the table's header."""
        header = self.stored.header
        return f"{header}\n{self.text}" if header else self.text


def cite(quote: Quote, store: Store, access: Access) -> Citation | None:
    """The checked citation of a quote, None if it does not hold or may no longer be read.

    Its number and its span of the answer are for the answer's draft to fill in.
    """
    span = (quote.char_start, quote.char_end)
    return _cite((quote.stored.id,), span, quote.text, quote.score, store, access)


def cite_passage(support: Support, store: Store, access: Access) -> Citation | None:
    """The checked citation of what supports a claim best, `verified` where it does.

    None where nothing of the passage was like the claim, or it may no longer be read.
    """
    passage, span = support.passage, (support.char_start, support.char_end)
    if passage is None or support.char_start >= support.char_end:
        return None
    start, end = (at - passage.char_start for at in span)
    read = passage.text[start:end]
    found = _cite(passage.chunk_ids, span, read, support.score, store, access)
    return None if found is None else replace(found, verified=support.supported)


def _cite(
    chunk_ids: Sequence[int],
    span: Span,
    expected: str,
    score: float,
    store: Store,
    access: Access,
) -> Citation | None:
    """A citation of `span`, which lies in these chunks of one document."""
    start, end = span
    readable = store.chunks(access, chunk_ids)
    members = [
        stored
        for stored in (readable[i] for i in chunk_ids if i in readable)
        if stored.chunk.char_start < end and stored.chunk.char_end > start
    ]
    if not members:
        return None
    first, last = members[0], members[-1]
    try:
        text = store.text(access, first.document_id, start, end)
        boxes = _boxes(first, last, span, store, access)
    except NotFound:  # removed since the lines above
        return None
    if text != expected:
        return None
    pages = [box.page for box in boxes]
    return Citation(
        id=0,
        document_id=first.document_id,
        chunk_id=first.id,
        title=first.title,
        source_uri=first.source_uri,
        page_start=min(pages, default=first.chunk.page_start),
        page_end=max(pages, default=last.chunk.page_end),
        heading_path=first.chunk.heading_path,
        char_start=start,
        char_end=end,
        cited_text=text,
        header_start=first.chunk.header_start,
        header_end=first.chunk.header_end,
        header_text=first.header,
        boxes=tuple(boxes),
        answer_start=0,
        answer_end=0,
        score=round(score, 4),
        verified=True,
    )


def _boxes(
    first: StoredChunk, last: StoredChunk, span: Span, store: Store, access: Access
) -> list[Box]:
    from_page, to_page = first.chunk.page_start, last.chunk.page_end
    if from_page is None or to_page is None or not first.chunk.boxes:
        return []
    pages = [store.page(access, first.document_id, n) for n in range(from_page, to_page + 1)]
    return [box for page in pages for box in line_boxes(page, *span)]

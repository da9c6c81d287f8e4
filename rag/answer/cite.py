"""Citations: a span of a stored document tied to a span of the answer, and the check of it.

What is checked needs no model: the cited chunk was retrieved for this question, the caller may read
it now, and the text at the cited offsets is, character for character, what the answer shows.
"""

from dataclasses import dataclass

from rag.errors import NotFound
from rag.layout import line_boxes
from rag.store import Store
from rag.types import Access, Box, Citation, Hit, StoredChunk


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
    stored = quote.stored
    if stored.id not in store.chunks(access, [stored.id]):
        return None
    try:
        text = store.text(access, stored.document_id, quote.char_start, quote.char_end)
        boxes = _boxes(stored, quote.char_start, quote.char_end, store, access)
    except NotFound:  # removed since the line above
        return None
    if text != quote.text:
        return None
    pages = [box.page for box in boxes]
    chunk = stored.chunk
    return Citation(
        id=0,
        document_id=stored.document_id,
        chunk_id=stored.id,
        title=stored.title,
        source_uri=stored.source_uri,
        page_start=min(pages, default=chunk.page_start),
        page_end=max(pages, default=chunk.page_end),
        heading_path=chunk.heading_path,
        char_start=quote.char_start,
        char_end=quote.char_end,
        cited_text=text,
        header_start=chunk.header_start,
        header_end=chunk.header_end,
        header_text=stored.header,
        boxes=tuple(boxes),
        answer_start=0,
        answer_end=0,
        score=round(quote.score, 4),
        verified=True,
    )


def _boxes(stored: StoredChunk, start: int, end: int, store: Store, access: Access) -> list[Box]:
    first, last = stored.chunk.page_start, stored.chunk.page_end
    if first is None or last is None or not stored.chunk.boxes:
        return []
    pages = [store.page(access, stored.document_id, n) for n in range(first, last + 1)]
    return [box for page in pages for box in line_boxes(page, start, end)]

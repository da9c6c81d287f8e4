"""A document opened for packing: where its passages may begin and end, and what they cost.

Chunks are named by their place in `chunks`. Those in quarantine are missing there, and nothing is
ever joined over the gap that they leave.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from rag.answer.passages import Passage
from rag.answer.prompts import harmless, heading_line
from rag.answer.tokens import TokenCounter
from rag.store import Store
from rag.text import sentence_spans, words
from rag.times import own_day
from rag.types import Access, Chunk, StoredChunk

SHINGLE_WORDS = 5
MIN_PASSAGE_TOKENS = 200  # a shorter section is shown together with the next one
MAX_PASSAGE_TOKENS = 1500  # a longer one is cut between chunks, so that citing it says where
MAX_SENTENCE_CHUNKS = 8  # what runs on for longer is no sentence
JOINT_TOKENS = 8  # for blank lines, and for what a key counts more than the one that is measured
TAIL_CHARS = 1000
CELLS = " | "
UNSET_KEY = "k9z8"

Shingle = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A passage to be: chunks `first` to `last`, or a part of one."""

    first: int
    last: int
    char_start: int
    char_end: int


class OpenDocument:
    """A document's chunks and text as of now, read once; counts and borders when needed."""

    def __init__(
        self, document_id: int, count: TokenCounter, store: Store, access: Access, mark: str
    ) -> None:
        """Read it.

        Raises:
            NotFound: it does not exist or may not be read.
        """
        document = store.document(access, document_id)
        self.id = document_id
        self.date = own_day(document.metadata)
        self.chunks = store.document_chunks(access, document_id)
        self.text = store.text(access, document_id)
        self.at = {stored.id: i for i, stored in enumerate(self.chunks)}
        self._document = document
        self._count = count
        self._mark = mark
        self._n_tokens: dict[int, int] = {}
        self._joined: dict[int, bool] = {}
        self._costs: dict[Span, int] = {}

    @cached_property
    def fingerprint(self) -> int:
        """The same for documents with the same text."""
        return hash(tuple(stored.chunk.text for stored in self.chunks))

    # Borders

    def follows(self, i: int) -> bool:
        """Whether chunk `i` has a neighbour after it with nothing withheld between them."""
        if not 0 <= i < len(self.chunks) - 1:
            return False
        return self._chunk(i + 1).ordinal == self._chunk(i).ordinal + 1

    def joined(self, i: int) -> bool:
        """Whether the border after chunk `i` is inside a sentence or a table's row."""
        if i not in self._joined:
            self._joined[i] = self.follows(i) and self._is_inside(i)
        return self._joined[i]

    def closed(self, indices: Iterable[int]) -> set[int]:
        """These chunks, and those without which they would begin or end inside a sentence."""
        whole = set(indices)
        for i in sorted(whole):
            for _ in range(MAX_SENTENCE_CHUNKS):
                if not self.joined(i):
                    break
                i += 1
                whole.add(i)
        for i in sorted(whole, reverse=True):
            for _ in range(MAX_SENTENCE_CHUNKS):
                if not self.joined(i - 1):
                    break
                i -= 1
                whole.add(i)
        return whole

    def section(self, i: int) -> range:
        """The chunks around `i` that stand under the same headings."""
        first = last = i
        path = self._chunk(i).heading_path
        while self.follows(first - 1) and self._chunk(first - 1).heading_path == path:
            first -= 1
        while self.follows(last) and self._chunk(last + 1).heading_path == path:
            last += 1
        return range(first, last + 1)

    def leading_parts(self, i: int) -> Iterator[Span]:
        """Parts of chunk `i` from its beginning on, the longest first; none splits a sentence."""
        if self.joined(i - 1):
            return
        chunk = self._chunk(i)
        ends = [end for end in _unit_ends(self.chunks[i]) if end > chunk.header_end]
        if self.joined(i):
            ends = ends[:-1]
        for end in reversed(ends):
            yield Span(i, i, chunk.char_start, end)

    # Cost

    def spans(self, indices: Iterable[int]) -> list[Span]:
        """The passages that these chunks make, in reading order: sections or parts of them."""
        spans: list[list[int]] = []
        n_tokens = 0
        for i in sorted(indices):
            if spans and self.follows(i - 1) and spans[-1][-1] == i - 1:
                ends = not self.joined(i - 1) and (
                    n_tokens + self.n_tokens(i) > MAX_PASSAGE_TOKENS
                    or (self._path(i) != self._path(i - 1) and n_tokens >= MIN_PASSAGE_TOKENS)
                )
                if not ends:
                    spans[-1].append(i)
                    n_tokens += self.n_tokens(i)
                    continue
            spans.append([i])
            n_tokens = self.n_tokens(i)
        return [
            Span(s[0], s[-1], self._chunk(s[0]).char_start, self._chunk(s[-1]).char_end)
            for s in spans
        ]

    def n_tokens(self, i: int) -> int:
        """Tokens of chunk `i` with what lies between it and the next one."""
        if i not in self._n_tokens:
            chunk = self._chunk(i)
            end = self._chunk(i + 1).char_start if self.follows(i) else chunk.char_end
            self._n_tokens[i] = self._measure(self.text[chunk.char_start : end])
        return self._n_tokens[i]

    def cost(self, span: Span) -> int:
        """Tokens of a passage as rendered."""
        if span not in self._costs:
            self._costs[span] = self._cost(span)
        return self._costs[span]

    def _cost(self, span: Span) -> int:
        members = range(span.first, span.last + 1)
        if span.char_end < self._chunk(span.last).char_end:
            own = self._measure(self.text[span.char_start : span.char_end])
        else:
            own = sum(map(self.n_tokens, members))
        header = self.header(span)
        heading = self._count(heading_line(self.passage(span, 0.0, 0), self._mark))
        return own + heading + (self._measure(header) + 1 if header else 0) + JOINT_TOKENS

    # Content

    def header(self, span: Span) -> str:
        """The header of the table that a passage begins in the middle of."""
        chunk = self._chunk(span.first)
        return self.text[chunk.header_start : min(chunk.header_end, chunk.char_start)].rstrip("\n")

    def shingles(self, i: int) -> frozenset[Shingle]:
        """Runs of words of chunk `i`, whatever their case and spacing."""
        stored = self.chunks[i]
        found = words(
            f"{stored.header} {stored.chunk.text}" if stored.header else stored.chunk.text
        )
        last = max(1, len(found) - SHINGLE_WORDS + 1)
        return frozenset(tuple(found[at : at + SHINGLE_WORDS]) for at in range(last))

    def passage(self, span: Span, score: float, n_tokens: int, key: str = UNSET_KEY) -> Passage:
        """What the engine and the checks are given of a span."""
        members = range(span.first, span.last + 1)
        pages = [(c.page_start, c.page_end or c.page_start) for c in map(self._chunk, members)]
        known = [page for pair in pages for page in pair if page is not None]
        return Passage(
            key=key,
            document_id=self.id,
            title=self._document.title,
            source_uri=self._document.source_uri,
            heading_path=_common(self._path(i) for i in members),
            page_start=min(known, default=None),
            page_end=max(known, default=None),
            date=self.date,
            char_start=span.char_start,
            char_end=span.char_end,
            text=self.text[span.char_start : span.char_end],
            chunk_ids=tuple(self.chunks[i].id for i in members),
            language=self._document.language,
            score=score,
            n_tokens=n_tokens,
            header=self.header(span),
        )

    def _chunk(self, i: int) -> Chunk:
        return self.chunks[i].chunk

    def _path(self, i: int) -> tuple[str, ...]:
        return self._chunk(i).heading_path

    def _measure(self, text: str) -> int:
        return self._count(harmless(text, self._mark))

    def _is_inside(self, i: int) -> bool:
        before, after = self._chunk(i), self._chunk(i + 1)
        gap = self.text[before.char_end : after.char_start]
        same_table = (before.header_start, before.header_end) == (
            after.header_start,
            after.header_end,
        )
        if not same_table or gap.count("\n") > 1:
            return False
        if before.header_end > before.header_start:
            return "\n" not in gap
        if "\n" not in gap and _in_row(before.text.rsplit("\n", 1)[-1]):
            return True
        if "\n" in gap:  # a list's next item, unless a sentence goes on in the next line
            return after.text[:1].islower() and not self._ends_sentence(before, after)
        if gap and self._document.language == "th":  # its spaces are what its sentences end with
            return False
        return not self._ends_sentence(before, after)

    def _ends_sentence(self, before: Chunk, after: Chunk) -> bool:
        start = max(before.char_start, before.char_end - TAIL_CHARS)
        around = self.text[start : min(after.char_end, after.char_start + TAIL_CHARS)]
        border = before.char_end - start
        ends = (end for _, end in sentence_spans(around, self._document.language))
        return border in ends


def _unit_ends(stored: StoredChunk) -> list[int]:
    """Where the sentences or rows of a chunk end, as offsets in the document."""
    chunk = stored.chunk
    if stored.header or _in_row(chunk.text):
        lines = re.finditer(r"[^\n]*\S[^\n]*", chunk.text)
        return [chunk.char_start + line.end() for line in lines]
    spans = sentence_spans(chunk.text, stored.language)
    return [chunk.char_start + end for _, end in spans]


def _in_row(text: str) -> bool:
    """Whether a text has cells; the rows of a table without a header are known by them."""
    return CELLS in text


def _common(paths: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The headings that all of them begin with."""
    first, *others = paths
    shared = list(first)
    for path in others:
        n_same = 0
        while n_same < min(len(shared), len(path)) and shared[n_same] == path[n_same]:
            n_same += 1
        del shared[n_same:]
    return tuple(shared)

"""Neighbouring chunks that were found together become one passage.

A reader wants different places among the first hits, not one place cut into three; and an answer
that runs over a chunk's border is whole again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.types import StoredChunk

MAX_MEMBERS = 4  # some 600 tokens: a passage stays something that one can read at a glance


@dataclass(slots=True)
class Passage:
    """Neighbours of one document, and the best of them."""

    best: StoredChunk
    score: float
    members: list[StoredChunk] = field(default_factory=list)  # in the document's order

    def takes(self, stored: StoredChunk) -> bool:
        """Whether a chunk continues this passage at one of its ends, and in kind."""
        first, last = self.members[0].chunk, self.members[-1].chunk
        chunk = stored.chunk
        return (
            stored.document_id == self.best.document_id
            and len(self.members) < MAX_MEMBERS
            and (chunk.header_start, chunk.header_end) == (first.header_start, first.header_end)
            and chunk.ordinal in (first.ordinal - 1, last.ordinal + 1)
        )

    def add(self, stored: StoredChunk) -> None:
        """Let the passage grow by a neighbour."""
        at = 0 if stored.chunk.ordinal < self.members[0].chunk.ordinal else len(self.members)
        self.members.insert(at, stored)


def merge(ranked: Sequence[tuple[StoredChunk, float]]) -> list[Passage]:
    """Chunks with scores, best first, to passages in the order of their best chunks."""
    passages: list[Passage] = []
    for stored, score in ranked:
        for passage in passages:
            if passage.takes(stored):
                passage.add(stored)
                break
        else:
            passages.append(Passage(stored, score, [stored]))
    return passages

"""Neighbouring chunks that were found together become one passage.

A reader wants different places among the first hits, not one place cut into three; and an answer
that runs over a chunk's border is whole again. Only the best chunks join: a weak one beside a good
one would make the passage longer, not better. That it was found at all speaks for the good one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.search.fuse import DIGITS
from rag.types import StoredChunk

MAX_MEMBERS = 3  # some 600 tokens: a passage stays something that one can read at a glance
NEIGHBOUR = 0.05  # of the better neighbour's score, on top of a chunk's own
SAID = 2  # passages after which a document waits in the second half


@dataclass(slots=True)
class Passage:
    """Neighbours of one document, and the best of them."""

    best: StoredChunk
    score: float
    members: list[StoredChunk] = field(default_factory=list)  # in the document's order

    @property
    def place(self) -> tuple[int, int, int]:
        """Its document and the half-open span of that one's text."""
        first, last = self.members[0].chunk, self.members[-1].chunk
        return self.best.document_id, first.char_start, last.char_end

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

    def touches(self, other: "Passage") -> bool:
        """Whether two passages of one document follow each other without a gap."""
        mine, its = self.members, other.members
        return (
            mine[0].chunk.ordinal - its[-1].chunk.ordinal == 1
            or its[0].chunk.ordinal - mine[-1].chunk.ordinal == 1
        )

    def add(self, stored: StoredChunk) -> None:
        """Let the passage grow by a neighbour."""
        at = 0 if stored.chunk.ordinal < self.members[0].chunk.ordinal else len(self.members)
        self.members.insert(at, stored)


def merge(ranked: Sequence[tuple[StoredChunk, float]], n_joining: int) -> list[Passage]:
    """Chunks with scores, best first, to passages in the order of their best chunks.

    The first `n_joining` join the passage of a better neighbour; the others stand alone.
    """
    passages: list[Passage] = []
    for rank, (stored, score) in enumerate(ranked):
        joined = next((p for p in passages if p.takes(stored)), None) if rank < n_joining else None
        if joined:
            joined.add(stored)
        else:
            passages.append(Passage(stored, score, [stored]))
    return passages


def spread(passages: Sequence[Passage], k: int) -> list[Passage]:
    """The `k` passages to show of those that were found, best first."""
    shown, waiting = list(passages[: -(-k // 2)]), []
    for passage in passages[len(shown) :]:
        if len(shown) == k:
            break
        mine = [one for one in shown if one.best.document_id == passage.best.document_id]
        if len(mine) >= SAID or any(passage.touches(one) for one in mine):
            waiting.append(passage)
        else:
            shown.append(passage)
    return [*shown, *waiting][:k]


def lifted(ranked: Sequence[tuple[StoredChunk, float]]) -> list[tuple[StoredChunk, float]]:
    """The chunks, best first, each with a share of the score of what was found beside it.

    Scores stay in [0, 1].
    """
    scores = {(stored.document_id, stored.chunk.ordinal): score for stored, score in ranked}

    def with_neighbour(stored: StoredChunk, score: float) -> float:
        at, ordinal = stored.document_id, stored.chunk.ordinal
        beside = max(scores.get((at, ordinal - 1), 0.0), scores.get((at, ordinal + 1), 0.0))
        return round((score + NEIGHBOUR * beside) / (1 + NEIGHBOUR), DIGITS)

    found = [(stored, with_neighbour(stored, score)) for stored, score in ranked]
    return sorted(found, key=lambda one: (-one[1], one[0].id))

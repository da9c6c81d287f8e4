"""What `answer()` yields, in this order: one `Searched`, any number of `Sentence`, one `Final`.

A failure after the first event is the stream's last event, made by whoever sends the stream.
"""

from dataclasses import dataclass
from typing import Literal

from rag.types import Citation, Hit


@dataclass(frozen=True, slots=True)
class Searched:
    """What was searched, before anything is answered."""

    query: str
    collections: tuple[str, ...]
    n_documents: int  # documents that this caller could have got an answer from
    n_hits: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the answer, released: `text` is `answer[start:end]` of the final answer."""

    text: str
    start: int
    end: int
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Final:
    """The whole answer.

    With status `no_evidence` the answer is empty, `citations` too, and `related` holds the nearest
    passages, which a reader may find useful but which do not answer.
    """

    status: Literal["answered", "no_evidence"]
    question: str
    answer: str
    citations: tuple[Citation, ...]
    related: tuple[Hit, ...]
    searched: Searched
    evidence: float  # calibrated evidence score in [0, 1] that was compared with the threshold
    engine: str  # what wrote the answer: "extractive"
    timings_ms: dict[str, float]
    request_id: str


Event = Searched | Sentence | Final

"""What `answer()` yields: any `Step`, one `Searched`, any `Notice` and `Sentence`, one `Final`.

A failure after the first event is the stream's last event, made by whoever sends the stream.
"""

from dataclasses import dataclass
from typing import Literal

from rag.answer.engine import Usage
from rag.types import Citation, Hit

Status = Literal["answered", "no_evidence", "blocked", "no_verdict"]
Depth = Literal["quick", "standard", "exhaustive"]
Kind = Literal["quote", "written", "lead"]  # a lead is a heading, or "The steps are:"; uncited


@dataclass(frozen=True, slots=True)
class Searched:
    """What was searched, before anything is answered.

    `query` differs from the question where a follow-up was rewritten to stand alone.
    """

    query: str
    collections: tuple[str, ...]
    n_documents: int  # documents that this caller could have got an answer from
    n_hits: int
    unnamed: tuple[str, ...] = ()  # names and numbers of the query that nothing found mentions


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call of a research, once it has been carried out and its result judged.

    `detail` is plain text for the reader: what was searched, the title and place of what was
    opened, or what was wrong. `nothing`: the call gave no passage. `error`: it could not be
    understood. `withheld`: the guard kept its result from the model.
    """

    number: int  # from 1
    tool: Literal["search", "open_document", ""]  # "" for a malformed call
    detail: str
    n_found: int  # passages that the model was given
    outcome: Literal["ok", "nothing", "error", "withheld"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader should know, in plain words.

    `fallback`: quotes are given because the engine does not answer. `incomplete`: the engine broke
    off. `warning`: the guard warns of a category. `unguarded`: no guard reads along.
    """

    kind: Literal["fallback", "incomplete", "warning", "unguarded"]
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the answer, released: `text` is `answer[start:end]` of the final answer.

    The answer is `glue + text` of all its sentences. One that is not supported by what it cites has
    `supported` false, and a `reason`; its citations are what it comes nearest to.
    """

    text: str
    start: int
    end: int
    citations: tuple[Citation, ...]
    supported: bool = True
    reason: str = ""
    glue: str = ""  # white space before it
    kind: Kind = "quote"


@dataclass(frozen=True, slots=True)
class Support:
    """How many of an answer's sentences are borne out by what they cite."""

    n_sentences: int
    n_supported: int  # quotes always are; a lead is not counted
    n_dropped: int = 0  # unsupported ones that were not shown
    n_unknown_keys: int = 0  # citations of nothing, removed

    @property
    def share(self) -> float | None:
        """Share of supported sentences among all that were written, None where there are none."""
        return self.n_supported / self.n_sentences if self.n_sentences else None


@dataclass(frozen=True, slots=True)
class Final:
    """The whole answer.

    With any other status than `answered` the answer is empty and `citations` too. `no_evidence`
    has in `related` the nearest passages, which do not answer. `blocked` names in `categories` what
    the guard found; with `no_verdict` it gave none, and nothing is shown either.
    """

    status: Status
    question: str
    answer: str
    citations: tuple[Citation, ...]
    related: tuple[Hit, ...]
    searched: Searched
    evidence: float  # calibrated evidence score in [0, 1] that was compared with the threshold
    engine: str  # what wrote the answer: "extractive", or the model's name
    timings_ms: dict[str, float]
    request_id: str
    sentences: tuple[Sentence, ...] = ()
    notices: tuple[Notice, ...] = ()
    categories: tuple[str, ...] = ()
    support: Support = Support(0, 0)
    usage: Usage | None = None  # of the engine
    prompt_version: str = ""  # of the engine's system prompt
    steps: tuple[Step, ...] = ()  # of a research
    depth: Depth | None = None  # how much the engine read; None for quotes
    read: tuple[int, ...] = ()  # documents that were read for it; not for readers
    conversation_id: int | None = None  # that it was kept in, and as which turn; None: not kept
    turn_id: int | None = None


Event = Searched | Step | Notice | Sentence | Final

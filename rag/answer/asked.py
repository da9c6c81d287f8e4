"""A question on its way: what it depends on, and what has come of it so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from rag.answer.draft import Draft
from rag.answer.engine import Engine
from rag.answer.events import Depth, Notice, Step
from rag.answer.extract import Candidate
from rag.answer.guard import Guard, Verdict
from rag.answer.options import Options
from rag.answer.writer import Writer
from rag.metrics import Metrics
from rag.search.embed import Embedder
from rag.search.interface import Pair
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import Store, Withheld
from rag.text import question_language
from rag.types import Access, Hit

Stage = Literal["question", "answer", "tool"]


@dataclass(slots=True)
class Parts:
    """What a question is answered with, from its beginning to its end."""

    settings: Settings
    store: Store
    embedder: Embedder
    indexes: Pair
    retriever: Retriever
    guard: Guard | None
    engine: Engine | None
    writer: Writer | None
    metrics: Metrics


@dataclass(slots=True)
class Found:
    """What the search found, and how well it answers."""

    query: str
    hits: Sequence[Hit]
    scored: Sequence[Candidate]
    evidence: float
    nearness: float  # evidence, whatever the question names
    unnamed: tuple[str, ...]  # of what it names, what no passage mentions
    researched: bool = False


@dataclass(slots=True)
class Asked:
    """A question with all that its answer depends on."""

    question: str
    access: Access
    parts: Parts
    options: Options
    request_id: str
    query: str = ""  # what is searched
    draft: Draft = field(default_factory=Draft)
    steps: list[Step] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)  # what the guard has stopped
    verdicts: list[tuple[Stage, Verdict]] = field(default_factory=list)  # for the audit record
    is_recorded: bool = False  # what came of it, in the audit records

    @property
    def depth(self) -> Depth:
        """How much the engine reads."""
        return self.options.depth or self.parts.settings.answer_depth

    @property
    def rewrites(self) -> bool:
        """Whether a follow-up is made to stand alone."""
        chosen = self.options.rewrite
        return self.parts.settings.answer_rewrite if chosen is None else chosen

    def language(self, query: str) -> str:
        """The language to answer in: the question's, or that of what it stands for."""
        return question_language(self.question, fallback=question_language(query))

    def judged(self, verdict: Verdict, stage: Stage, text: str = "") -> Notice | None:
        """Take note of a verdict on `text`; the first one that blocks is the one that counts."""
        if self.draft.withheld is not None:
            return None
        notice = self.draft.judged(verdict)
        if self.draft.withheld is not None:
            self.keep(verdict, stage, text or self.draft.taken_back, self.draft.withheld)
        return notice

    def keep(
        self, verdict: Verdict, stage: Stage, text: str, status: Literal["blocked", "no_verdict"]
    ) -> None:
        """Keep what the guard has stopped; an admin may look at it later."""
        record = Withheld(
            created_at=datetime.now(UTC),
            request_id=self.request_id,
            status=status,
            stage=stage,
            categories=verdict.categories,
            probability=verdict.probability,
            reason=verdict.reason,
            question=self.question,
            text=text,
            collections=tuple(sorted(self.access.collections)),
            engine=self.draft.written_by,
        )
        self.withheld.append(record)

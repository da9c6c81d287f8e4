"""An answer while it grows: where each sentence stands in it, and how its sources are numbered."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Literal

from rag.answer.engine import Usage
from rag.answer.events import Kind, Notice, Sentence, Status, Support
from rag.answer.guard import CATEGORIES, Verdict
from rag.types import Citation

Place = tuple[int, int, int]  # document, first and last character


@dataclass(slots=True)
class Draft:
    """What a reader has been shown so far. One place in a document keeps one number.

    Sentences are added by a thread, which can't be stopped when the guard's verdict comes: what it
    adds after a block is not kept.
    """

    text: str = ""
    sentences: list[Sentence] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    n_dropped: int = 0
    n_unknown_keys: int = 0
    withheld: Literal["blocked", "no_verdict"] | None = None
    categories: tuple[str, ...] = ()  # that the guard blocked it for
    taken_back: str = ""  # what had been written when the guard blocked it; not for readers
    written_by: str = ""  # the engine's model, "" for quotes
    usage: Usage | None = None  # of the engine, all its requests together
    timings_ms: dict[str, float] = field(default_factory=dict)  # of its stages
    _numbers: dict[Place, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def add(
        self,
        text: str,
        citations: Sequence[Citation],
        *,
        glue: str,
        kind: Kind = "quote",
        reason: str = "",
    ) -> Sentence:
        """Append a sentence after `glue`; it is supported where there is no `reason` against it."""
        with self._lock:
            sentence = self._next(text, citations, glue, kind, reason)
            if self.withheld is None:
                self.text += sentence.glue + text
                self.sentences.append(sentence)
            return sentence

    def _next(
        self, text: str, citations: Sequence[Citation], glue: str, kind: Kind, reason: str
    ) -> Sentence:
        glue = glue if self.text else ""
        start = len(self.text) + len(glue)
        end = start + len(text)
        placed = tuple(
            replace(c, id=self._number(c), answer_start=start, answer_end=end) for c in citations
        )
        return Sentence(text, start, end, placed, not reason, reason, glue, kind)

    def used(self, usage: Usage | None) -> None:
        """Add what a request has cost the engine."""
        if usage is not None:
            self.usage = usage if self.usage is None else self.usage + usage

    def notify(self, notice: Notice) -> Notice:
        """Keep a notice for the final event."""
        self.notices.append(notice)
        return notice

    def judged(self, verdict: Verdict) -> Notice | None:
        """Take note of a verdict: a warning is told once, a block takes everything back."""
        if verdict.action == "warn":
            return self._warn(verdict)
        if verdict.action == "block":
            with self._lock:
                self._take_back(verdict)
        return None

    def _take_back(self, verdict: Verdict) -> None:
        self.withheld = "blocked" if verdict.label == "unsafe" else "no_verdict"
        self.categories = verdict.categories
        self.taken_back = self.text
        self.text, self.n_dropped, self.n_unknown_keys = "", 0, 0
        self.sentences.clear()
        self.notices.clear()

    def _warn(self, verdict: Verdict) -> Notice | None:
        about = ", ".join(CATEGORIES[category] for category in verdict.categories)
        notice = Notice("warning", f"The guard marks this as: {about}.")
        return None if notice in self.notices else self.notify(notice)

    @property
    def status(self) -> Status:
        """What the answer is, as it stands."""
        return self.withheld or ("answered" if self.text else "no_evidence")

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Of all sentences, in their order."""
        return tuple(citation for sentence in self.sentences for citation in sentence.citations)

    @property
    def support(self) -> Support:
        """How many sentences are borne out, those that were dropped included."""
        if self.withheld is not None:
            return Support(0, 0)
        said = [sentence for sentence in self.sentences if sentence.kind != "lead"]
        n_supported = sum(sentence.supported for sentence in said)
        n_written = len(said) + self.n_dropped
        return Support(n_written, n_supported, self.n_dropped, self.n_unknown_keys)

    def _number(self, citation: Citation) -> int:
        place = (citation.document_id, citation.char_start, citation.char_end)
        return self._numbers.setdefault(place, len(self._numbers) + 1)

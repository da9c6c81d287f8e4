"""An answer while it grows: where each sentence stands in it, and how its sources are numbered."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rag.answer.events import Notice, Sentence, Support
from rag.types import Citation

Place = tuple[int, int, int]  # document, first and last character


@dataclass(slots=True)
class Draft:
    """What a reader has been shown so far. One place in a document keeps one number."""

    text: str = ""
    sentences: list[Sentence] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    n_dropped: int = 0
    n_unknown_keys: int = 0
    _numbers: dict[Place, int] = field(default_factory=dict)

    def add(
        self, text: str, citations: Sequence[Citation], *, glue: str, reason: str = ""
    ) -> Sentence:
        """Append a sentence after `glue`; it is supported where there is no `reason` against it."""
        start = len(self.text) + len(glue) if self.text else 0
        end = start + len(text)
        placed = tuple(
            replace(c, id=self._number(c), answer_start=start, answer_end=end) for c in citations
        )
        sentence = Sentence(text, start, end, placed, supported=not reason, reason=reason)
        self.text += (glue if self.text else "") + text
        self.sentences.append(sentence)
        return sentence

    def notify(self, notice: Notice) -> Notice:
        """Keep a notice for the final event."""
        self.notices.append(notice)
        return notice

    def empty(self) -> None:
        """Take back everything that was written."""
        self.text = ""
        self.sentences.clear()
        self._numbers.clear()

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Of all sentences, in their order."""
        return tuple(citation for sentence in self.sentences for citation in sentence.citations)

    @property
    def support(self) -> Support:
        """How many sentences are borne out, those that were dropped included."""
        n_supported = sum(sentence.supported for sentence in self.sentences)
        n_written = len(self.sentences) + self.n_dropped
        return Support(n_written, n_supported, self.n_dropped, self.n_unknown_keys)

    def _number(self, citation: Citation) -> int:
        place = (citation.document_id, citation.char_start, citation.char_end)
        return self._numbers.setdefault(place, len(self._numbers) + 1)

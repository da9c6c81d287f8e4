"""An answer as text for programs that show text and know nothing of citations.

Each sentence is followed by the numbers of what it cites, and the sources stand at the end. Many of
those programs render Markdown, so what comes from a document is made harmless: nothing in it
becomes a link, an image or markup. The only links are ours, to the cited passages.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag.answer.events import Event, Final, Sentence
from rag.answer.guard import CATEGORIES
from rag.answer.untrusted import safe_answer
from rag.place import place
from rag.types import Citation

SOURCES = "Sources:"
NOT_FOUND = "Not in the documents: nothing that you can read there answers this."
WITHDRAWN = "What stands above is withdrawn."
BLOCKED = "Blocked by the guard"
NO_VERDICT = "Not answered: the guard, which reads every answer, does not work. Try again later."
UNSUPPORTED = "[not supported by its sources]"
_FENCES = ("```", "~~~")
GAP = "\n\n"
_MARKS = re.compile(r"\s+(?:\[\d{1,4}\])+(?:\[not supported by its sources\])?")
_PLAIN = str.maketrans({"[": "(", "]": ")", "\\": "/", "`": "'"})  # inside of a link


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation and the span of the shown text that it stands for."""

    citation: Citation
    start: int
    end: int


class Shown:
    """The text, which grows by one event after the other.

    Without markers it is the answer and nothing else, character for character; what is no answer is
    told in words all the same.
    """

    def __init__(self, base: str, *, markers: bool) -> None:
        self.base = base
        self._markers = markers
        self.text = ""
        self.cited: list[Cited] = []

    def add(self, event: Event) -> str:
        """What the event adds to the text."""
        added = ""
        if isinstance(event, Sentence):
            added = self._sentence(event)
        elif isinstance(event, Final):
            added = self._end(event)
        self.text += added
        return added

    def _sentence(self, sentence: Sentence) -> str:
        said = marked = sentence.text
        if self._markers:
            said = safe_answer(said)
            marked = _marked(said, _marks(sentence))
        start = len(self.text) + len(sentence.glue)
        end = start + len(said if marked.startswith(said) else marked)
        self.cited += [Cited(citation, start, end) for citation in sentence.citations]
        return sentence.glue + marked

    def _end(self, final: Final) -> str:
        if final.status != "answered":
            self.cited.clear()  # a guard that blocks takes everything back
            return (f"{GAP}{WITHDRAWN} " if self.text else "") + statement(final)
        if not self._markers:
            return ""
        notes = [f"Note: {safe_answer(notice.text)}" for notice in final.notices]
        sources = self._sources(final.citations)
        return "".join(GAP + part for part in [*notes, *([sources] if sources else [])])

    def _sources(self, citations: Iterable[Citation]) -> str:
        numbered = sorted({citation.id: citation for citation in citations}.items())
        lines = [f"- [{n}] [{named(c)}]({passage_url(self.base, c)})" for n, c in numbered]
        return "\n".join([SOURCES, "", *lines]) if lines else ""


def whole(final: Final, base: str, *, markers: bool) -> Shown:
    """A whole answer; the same as of its events one by one."""
    shown = Shown(base, markers=markers)
    for sentence in final.sentences:
        shown.add(sentence)
    shown.add(final)
    return shown


def statement(final: Final) -> str:
    """Why there is no answer, in words."""
    if final.status == "blocked":
        about = ", ".join(CATEGORIES[category] for category in final.categories)
        return f"{BLOCKED}{f': {about}' if about else ''}."
    return NO_VERDICT if final.status == "no_verdict" else NOT_FOUND


def unmarked(text: str) -> str:
    """A text as it was shown, without markers and sources: as it belongs in a conversation."""
    return _MARKS.sub("", text.split(f"{GAP}{SOURCES}\n", 1)[0])


def named(citation: Citation) -> str:
    """Document and page of a citation, harmless also as the text of a link."""
    uri, first, last = citation.source_uri, citation.page_start, citation.page_end
    name = place(citation.title, uri, first, last).translate(_PLAIN)
    return " ".join(safe_answer(name).split())


def passage_url(base: str, citation: Citation) -> str:
    """Where a cited passage can be read, by who may read it."""
    return span_url(base, citation.document_id, citation.char_start, citation.char_end)


def span_url(base: str, document_id: int, start: int, end: int) -> str:
    """Where a span of a document can be read, with what stands around it."""
    return f"{base}/v1/documents/{document_id}/passage?start={start}&end={end}"


def _marks(sentence: Sentence) -> str:
    numbers = dict.fromkeys(citation.id for citation in sentence.citations)
    return "".join(f"[{n}]" for n in numbers) + UNSUPPORTED * (not sentence.supported)


def _marked(said: str, marks: str) -> str:
    """A sentence with its marks where they leave a table a table, and end no block of code."""
    if not marks:
        return said
    if said.endswith(_FENCES):
        return f"{said}{GAP}{marks}"
    if said.startswith("|") and said.endswith("|"):
        return f"{said[:-1].rstrip()} {marks} |"
    return f"{said} {marks}"

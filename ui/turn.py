"""A question and its answer, as it arrives or as it was kept."""

from collections.abc import Generator
from dataclasses import dataclass, field

from rag.client import Client, Problem
from rag.client.conversations import Rating
from rag.client.records import Asked, Event, Final, Notice, Searched, Sentence, Step
from ui.receiving import Receiving


@dataclass
class Turn:
    """A question and as much of its answer as has arrived. `id` is its number where it is kept."""

    number: int
    asked: Asked
    steps: list[Step] = field(default_factory=list)
    searched: Searched | None = None
    notices: list[Notice] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    final: Final | None = None
    problem: Problem | None = None
    receiving: Receiving | None = None
    stopped: bool = False
    id: int | None = None
    request_id: str = ""
    missing: str = ""  # why something of a kept answer may not be read now
    rating: Rating | None = None
    comment: str = ""  # that went with the rating

    @property
    def question(self) -> str:
        """What was asked."""
        return self.asked.question

    @property
    def rewritten(self) -> str:
        """What was searched instead of the question, empty where that was searched."""
        plain = " ".join(self.question.split())
        query = self.searched.query if self.searched else plain
        return "" if query == plain else query

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return self.final is not None or self.problem is not None or self.stopped

    @property
    def withheld(self) -> bool:
        """Whether the guard let nothing of the answer pass in the end."""
        return self.final is not None and self.final.status in ("blocked", "no_verdict")

    def twins(self) -> set[int]:
        """Documents cited under a title that another cited document has too, such as versions."""
        titles: dict[str, set[int]] = {}
        for citation in (c for sentence in self.sentences for c in sentence.citations):
            titles.setdefault(citation.title, set()).add(citation.document_id)
        return {id for ids in titles.values() if len(ids) > 1 for id in ids}

    def follow(self, client: Client) -> Generator[Event | None, None, None]:
        """The answer from its first event on, asked for if it was not; None while none comes.

        Raises:
            Problem: there is no answer, or not a whole one.
        """
        self._forget()
        if self.receiving is None or self.receiving.given_up:
            self.receiving = Receiving(client, self.asked)
        return self.receiving.follow()

    def take(self, event: Step | Notice | Searched | Sentence | Final) -> None:
        """Keep what has arrived."""
        if isinstance(event, Sentence):
            self.sentences.append(event)
        elif isinstance(event, Step):
            self.steps.append(event)
        elif isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(event, Searched):
            self.searched = event
        else:
            self.final, self.id, self.request_id = event, event.turn_id, event.request_id

    def stop(self) -> None:
        """Keep what has arrived and have no more written."""
        self.leave()
        self.stopped = not self.settled

    def leave(self) -> None:
        """Wait for the rest of the answer no more."""
        if self.receiving is not None:
            self.receiving.stop()

    def begin_again(self) -> None:
        """Forget what has arrived; the view then asks anew."""
        self.leave()
        self.receiving, self.stopped = None, False
        self._forget()

    def _forget(self) -> None:
        self.searched, self.final, self.problem = None, None, None
        for arrived in (self.steps, self.notices, self.sentences):
            arrived.clear()

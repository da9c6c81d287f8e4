"""What the page remembers of one visit, and how a visit begins.

A visit lives in Streamlit's session state: it ends with the browser tab and nothing of it is
written anywhere.
"""

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import streamlit as st

from rag.client import SESSION_COOKIE, Client, Problem
from rag.client.records import (
    Asked,
    Citation,
    Depth,
    Event,
    Exchange,
    Final,
    Hit,
    Notice,
    Searched,
    Sentence,
    Status,
    Step,
)
from ui import render
from ui.receiving import Receiving

_KEY = "visit"
_RETRY_S = 2.0
_HISTORY_TURNS = 10
_HISTORY_CHARS = 4_000  # of one answer


@dataclass
class Turn:
    """A question and as much of its answer as has arrived."""

    number: int
    conversation: int
    asked: Asked
    steps: list[Step] = field(default_factory=list)
    searched: Searched | None = None
    notices: list[Notice] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    final: Final | None = None
    problem: Problem | None = None
    receiving: Receiving | None = None
    stopped: bool = False

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


@dataclass
class Spot:
    """What the viewer shows: a document, and in it a page or a span of text."""

    document_id: int
    span: tuple[int, int] | None = None  # what to highlight
    page: int | None = None
    headings: tuple[str, ...] = ()
    number: int | None = None  # of the citation that led here
    top: float | None = None  # of the highlight on its page, in points
    top_page: int | None = None
    zoom: float = 1.0
    context: int = 1_500  # characters of text on either side


@dataclass
class Options:
    """How the next question is to be answered."""

    depth: Depth | None = None  # None: as the server does where nothing is said
    research: bool = False
    rewrite: bool = True


@dataclass
class Visit:
    """One visitor in one browser tab."""

    cookie: str
    client: Client
    turns: list[Turn] = field(default_factory=list)
    turn: Turn | None = None  # the one that is shown
    conversation: int = 1  # that the next question belongs to
    options: Options = field(default_factory=Options)
    status: Status = field(default_factory=Status)  # of the server
    spot: Spot | None = None
    n_documents: int | None = None  # that this visitor may read; None before the first answer
    listed: int = 50  # rows of the list of documents

    @property
    def engine(self) -> bool:
        """Whether a model writes the answers."""
        return self.status.answers == "engine"

    @property
    def talk(self) -> list[Turn]:
        """The turns of the present conversation."""
        return [turn for turn in self.turns if turn.conversation == self.conversation]

    def ask(self, question: str) -> None:
        """Begin a turn of the conversation; the view gets its answer."""
        for turn in self.turns:
            turn.leave()
        asked = Asked(
            question,
            depth=self.options.depth if self.engine else None,
            history=_history(self.talk),
            rewrite=self.options.rewrite,
            research=self.options.research and self.engine,
        )
        self.turn = Turn(len(self.turns) + 1, self.conversation, asked)
        self.turns.append(self.turn)
        self.spot = None

    def begin_conversation(self) -> None:
        """The next question is understood without those before."""
        self.conversation = max((turn.conversation for turn in self.turns), default=0) + 1
        self.turn, self.spot = None, None

    def show(self, turn: Turn) -> None:
        """Go back to an earlier turn, and to its conversation."""
        self.turn, self.spot = turn, None
        self.conversation = turn.conversation

    def open_citation(self, citation: Citation) -> None:
        """Show the passage that a citation rests on."""
        box = citation.boxes[0] if citation.boxes else None
        self.spot = Spot(
            citation.document_id,
            (citation.char_start, citation.char_end),
            citation.page_start,
            citation.heading_path,
            citation.id,
            top=box.y0 if box else None,
            top_page=box.page if box else None,
        )

    def open_hit(self, hit: Hit) -> None:
        """Show a related passage."""
        span = (hit.char_start, hit.char_end) if hit.char_end else None
        self.spot = Spot(hit.document_id, span, hit.page_start, hit.heading_path)

    def open_document(self, document_id: int) -> None:
        """Show a document from its beginning."""
        self.spot = Spot(document_id, page=1)

    def close(self) -> None:
        """Close the viewer."""
        self.spot = None


def _history(turns: list[Turn]) -> tuple[Exchange, ...]:
    """What the API is told of the conversation: what was answered, and how."""
    told = [
        Exchange(turn.question, turn.final.answer[:_HISTORY_CHARS])
        for turn in turns
        if turn.final is not None and turn.final.status == "answered"
    ]
    return tuple(told[-_HISTORY_TURNS:])


def admitted() -> Visit:
    """The visit of whoever is there. Where nobody may come in, says why and ends the run."""
    cookie = st.context.cookies.get(SESSION_COOKIE, "")
    visit: Visit | None = st.session_state.get(_KEY)
    if visit is None or visit.cookie != cookie:
        visit = _arrive(cookie)
    _settle(visit)
    return visit


def current() -> Visit:
    """The visit that `admitted` has let in, for views and fragments."""
    visit: Visit = st.session_state[_KEY]
    return visit


def _arrive(cookie: str) -> Visit:
    st.session_state.pop(_KEY, None)  # nothing of a former visitor is left to this one
    try:
        # The page shows by itself that the API is silent or busy, and asks again.
        client = Client(os.environ["CITADEL_API_URL"], session=cookie, attempts=1)
        visit = Visit(cookie, client)
    except Problem:
        _turn_away()
    st.session_state[_KEY] = visit
    return visit


def _settle(visit: Visit) -> None:
    """Ask the API whether the visitor may come in. Once in, a silent API is the views' to show."""
    try:
        visit.n_documents = visit.client.documents.list(limit=1).total
        visit.status = visit.client.status()
    except Problem as problem:
        if problem.status in (401, 403):
            st.session_state.pop(_KEY, None)
            _turn_away()
        if visit.n_documents is None:
            _wait_in_front(visit, problem)


def _turn_away() -> None:
    with st.container(key="gate"):
        st.html(
            render.notice(
                "Please sign in",
                "Open the address that <code>citadel serve</code> printed when it started; it "
                "lets this browser in.",
                "If you did not start Citadel yourself, ask your administrator for the address.",
            )
        )
    st.stop()


def _wait_in_front(visit: Visit, problem: Problem) -> None:
    with st.container(key="gate"):
        if problem.passing:
            retry_when_back(visit, problem, lambda: None)
        else:
            st.html(render.problem(problem))
    st.stop()


def retry_when_back(visit: Visit, problem: Problem, resume: Callable[[], None]) -> None:
    """Show the problem, and look every two seconds whether it is over; then `resume` and rerun."""

    @st.fragment(run_every=_RETRY_S)
    def wait(shown: Problem) -> None:
        try:
            visit.client.documents.list(limit=1)
        except Problem as found:
            if found.passing:
                st.html(render.waiting(shown if found.status == shown.status else found))
                return
        resume()
        st.rerun()

    wait(problem)

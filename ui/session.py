"""What the page remembers of one visit.

A visit lives in Streamlit's session state: it ends with the browser tab. Conversations are kept by
the API, which says each time that one is opened what of it may be read now.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace

import streamlit as st
from msgspec import structs

from rag.client import Client, Problem
from rag.client.account import Me
from rag.client.conversations import Conversation, KeptTurn
from rag.client.records import Asked, Citation, Depth, DocumentRef, Event, Hit, Status
from rag.client.runs import Run
from ui.kept import turn_of
from ui.turn import Turn

KEY = "visit"
FRESH_S = 10.0  # for so long an answer is shown as it was read
_TITLE_CHARS = 80
_MAX_LISTED = 200  # that the API lists at once


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
class Upload:
    """A file that was sent: the run that reads it, what it is already, or why it was not taken."""

    name: str
    run: Run | None = None
    document: DocumentRef | None = None
    problem: Problem | None = None

    @property
    def coming(self) -> bool:
        """Whether it is still to be read."""
        return self.run is not None and not self.run.ended and self.problem is None

    @property
    def document_id(self) -> int | None:
        """What it has become, or was already."""
        if self.document is not None:
            return self.document.id
        return None if self.run is None else self.run.document_id


@dataclass
class Talk:
    """A conversation. It has no number before its first question, nor where none could be had."""

    id: int | None = None
    turns: list[Turn] = field(default_factory=list)

    @property
    def unkept(self) -> list[Turn]:
        """What was stopped or has failed, which the API does not keep."""
        return [turn for turn in self.turns if turn.id is None]


@dataclass
class Visit:
    """One visitor in one browser tab."""

    cookie: str
    client: Client
    me: Me = field(default_factory=lambda: Me(""))
    talk: Talk = field(default_factory=Talk)
    turn: Turn | None = None  # the one that is shown
    wanted: tuple[int, int | None] | None = None  # conversation and turn to be opened
    wants_ask: bool = False  # the view "Ask", from whichever it is at
    lost: bool = False  # whether the conversation that was wanted is not there
    options: Options = field(default_factory=Options)
    status: Status = field(default_factory=Status)  # of the server
    spot: Spot | None = None
    n_documents: int | None = None  # that this visitor may read; None before the first answer
    listed: int = 50  # rows of the list of documents
    n_talks: int = 20  # rows of the list of conversations
    uploads: list[Upload] = field(default_factory=list)  # of this visit, newest first
    told: str = ""  # what is to be known of what was just done
    _left: dict[int, Talk] = field(default_factory=dict)
    _read_at: float = -FRESH_S

    @property
    def engine(self) -> bool:
        """Whether a model writes the answers."""
        return self.status.answers == "engine"

    def ask(self, question: str) -> None:
        """Begin a turn of the conversation; the view gets its answer."""
        for turn in self.talk.turns:
            turn.leave()
        asked = Asked(
            question,
            depth=self.options.depth if self.engine else None,
            conversation_id=self.talk.id,
            rewrite=self.options.rewrite,
            research=self.options.research and self.engine,
        )
        self.turn = Turn(len(self.talk.turns) + 1, asked)
        self.talk.turns.append(self.turn)
        self.spot, self.lost = None, False

    def begin_talk(self) -> None:
        """Have the API keep the conversation from its first question on, which names it.

        Raises:
            Problem: the API does not.
        """
        if self.turn is None or self.turn.settled or self.turn.asked.conversation_id is not None:
            return
        if self.talk.id is None:
            line = " ".join(self.turn.question.split())
            title = line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1].rstrip() + "…"
            self.talk.id = self.client.conversations.create(title).id
        self.turn.asked = structs.replace(self.turn.asked, conversation_id=self.talk.id)

    def follow(self, turn: Turn) -> Generator[Event | None, None, None]:
        """The answer from its first event on; None while none comes.

        Raises:
            Problem: there is no answer, or not a whole one.
        """
        self.begin_talk()
        return turn.follow(self.client)

    def begin_conversation(self) -> None:
        """The next question is understood without those before."""
        self._leave()
        self.talk, self.turn, self.spot = Talk(), None, None
        self.wanted, self.wants_ask, self.lost = None, True, False

    def want(self, conversation_id: int, turn_id: int | None = None) -> None:
        """Have the view open a conversation, at its last turn or at this one."""
        self.wanted, self.wants_ask, self.lost = (conversation_id, turn_id), True, False

    def open_wanted(self) -> None:
        """Open what is wanted, as it may be read now. One that is not there, or not the visitor's,
        begins a new conversation.

        Raises:
            Problem: the API does not answer.
        """
        if self.wanted is None:
            return
        (conversation_id, turn_id), found = self.wanted, None
        try:
            found = self._read(conversation_id)
        except Problem as problem:
            if problem.status not in (404, 422):
                raise
        if found is None:
            self.begin_conversation()
            self.lost = True
            return
        self._leave()
        turns = [turn_of(kept, number) for number, kept in enumerate(found, 1)]
        self.talk = Talk(conversation_id, turns)
        for turn in self._left.get(conversation_id, Talk()).unkept:
            self.talk.turns.append(replace(turn, number=len(self.talk.turns) + 1))
        meant = [turn for turn in turns if turn.id == turn_id] or self.talk.turns
        self.turn, self.spot, self.wanted = meant[-1] if meant else None, None, None

    def look_again(self) -> None:
        """Show a kept turn as it may be read now, where it was read a while ago.

        Where the API is silent it stays as it is: what is closed meanwhile can't be told.
        """
        if self.turn is None or self.turn.id is None or self.talk.id is None or self._is_fresh():
            return
        try:
            found = self._read(self.talk.id)
        except Problem as problem:
            if problem.status != 404:
                return
            found = None
        known = {turn.id: turn for turn in self.talk.turns}
        if found is None or self.turn.id not in {kept.id for kept in found}:
            self.begin_conversation()
            self.lost = True
            return
        for kept in found:
            if (turn := known.get(kept.id)) is not None:
                renewed = replace(turn_of(kept, turn.number), comment=turn.comment)
                self.talk.turns[self.talk.turns.index(turn)] = renewed
                self.turn = renewed if turn is self.turn else self.turn

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._read_at < FRESH_S

    def talks(self) -> tuple[list[Conversation], bool]:
        """The conversations that are listed, the one last changed first; whether there are more.

        Raises:
            Problem: the API does not answer.
        """
        rows: list[Conversation] = []
        cursor = None
        while True:
            limit = min(self.n_talks - len(rows), _MAX_LISTED)
            page = self.client.conversations.list(cursor=cursor, limit=limit)
            rows += page.conversations
            cursor = page.next_cursor
            if cursor is None or len(rows) >= self.n_talks:
                return rows, cursor is not None

    def show(self, turn: Turn) -> None:
        """Go back to an earlier turn, which is read anew where it is kept."""
        if turn.id is not None and self.talk.id is not None:
            self.want(self.talk.id, turn.id)
        else:
            self.turn, self.spot = turn, None

    def _read(self, conversation_id: int) -> list[KeptTurn] | None:
        """All turns of a conversation of the visitor's."""
        self._read_at = time.monotonic()
        turns: list[KeptTurn] = []
        cursor = None
        while True:
            page = self.client.conversations.read(conversation_id, cursor=cursor)
            turns += page.turns
            cursor = page.next_cursor
            if cursor is None or not page.yours:
                return turns if page.yours else None

    def _leave(self) -> None:
        """Stop what is being written, and remember what the API does not keep."""
        for turn in self.talk.turns:
            if not turn.settled:
                turn.stop()
        if self.talk.id is not None:
            self._left[self.talk.id] = self.talk

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


def current() -> Visit:
    """The visit of whoever was let in, for views and fragments."""
    visit: Visit = st.session_state[KEY]
    return visit

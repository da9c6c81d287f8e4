"""The view "Ask": question, answer as it arrives, sources, and what was asked before."""

from collections.abc import Generator, Iterable
from contextlib import closing

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from rag.client import Problem
from rag.client.records import Citation, Depth, Final, Searched, Sentence
from ui import door, notes, rating, render, session, viewer, written
from ui.session import Visit
from ui.turn import Turn

_QUESTION = "question"
_MAX_QUESTION = 1_000
_DEPTHS: dict[Depth | None, str] = {
    None: "As usual",
    "quick": "Quick",
    "standard": "Standard",
    "exhaustive": "Exhaustive",
}


def page() -> None:
    """Draw the view."""
    visit = session.current()
    main, side = viewer.beside()
    with main:
        if not _opened(visit):
            return
        visit.look_again()
        door.keep_address(visit)
        welcome = st.empty()  # always there, so that the form keeps its place and its draft
        if visit.turn is None:
            welcome.html(_welcome(visit))
        _form()
        _choices(visit)
        if visit.turn is None:
            _known(visit)
        else:
            _turn(visit, visit.turn)
        _earlier(visit)
    viewer.fill(side, visit)


def _opened(visit: Visit) -> bool:
    """Open the conversation that is wanted; False where that has to wait."""
    try:
        visit.open_wanted()
    except Problem as problem:
        if problem.passing:
            door.retry_when_back(visit, problem, lambda: None)
        else:
            visit.wanted = None
            st.html(render.problem(problem))
        return False
    return True


def _form() -> None:
    with (
        st.form("ask", clear_on_submit=True, border=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="ask-row"),
    ):
        st.text_input(
            "Your question",
            key=_QUESTION,
            placeholder="Ask about your documents",
            label_visibility="collapsed",
            max_chars=_MAX_QUESTION,
            autocomplete="off",
        )
        st.form_submit_button("Ask", type="primary", on_click=_submit)


def _choices(visit: Visit) -> None:
    """What may be chosen for the next question, and a way to begin anew."""
    options = visit.options
    with st.container(horizontal=True, key="choices", vertical_alignment="center", gap="small"):
        with st.popover("Options", type="tertiary"):
            if visit.engine:
                options.depth = st.radio(
                    "How much is read",
                    list(_DEPTHS),
                    index=list(_DEPTHS).index(options.depth),
                    format_func=lambda depth: _DEPTHS[depth],
                    captions=[
                        _as_usual(visit),
                        "The best passages; the first words come soonest.",
                        "Their sections and short documents too.",
                        "As much as the model can read at once; slow.",
                    ],
                )
                options.research = st.toggle(
                    "Research", options.research, help="Looks several times; slower."
                )
            options.rewrite = st.toggle(
                "Understand follow-ups",
                options.rewrite,
                help="Searches for what a follow-up means, by the conversation so far.",
            )
        if visit.talk.turns:  # on a phone the one at the side is out of sight
            with st.container(key="anew"):
                st.button("New conversation", type="tertiary", on_click=visit.begin_conversation)
    if visit.status.guard == "unguarded":
        st.html(render.unguarded())


def _as_usual(visit: Visit) -> str:
    usual = visit.status.depth
    return "What your administrator has set" + (f": {_DEPTHS[usual].lower()}." if usual else ".")


def _submit() -> None:
    question = st.session_state[_QUESTION].strip()
    if question:
        session.current().ask(question)


def _welcome(visit: Visit) -> str:
    if visit.lost:
        return notes.lost()
    if visit.talk.id is not None:
        return notes.nothing_kept()
    return render.nothing_ingested() if visit.n_documents == 0 else render.welcome()


def _known(visit: Visit) -> None:
    if visit.n_documents:
        st.html(render.promises(visit.n_documents, engine=visit.engine))


def _turn(visit: Visit, turn: Turn) -> None:
    with st.container(key="turn"):
        st.html(render.question(turn.question))
        progress = st.empty()  # while it shows something, style.css hides the turn before
        about = st.empty()  # what was done and is to be known, above the answer
        if turn.settled:
            _answer(visit, turn, turn.sentences)
        else:
            with progress.container(horizontal=True, vertical_alignment="center"):
                doing = st.empty()
                doing.html(render.searching(visit.n_documents), width="content")
                st.button("Stop", key=f"stop-{turn.number}", type="tertiary", on_click=turn.stop)
            with closing(_arriving(visit, turn, about, doing)) as sentences:
                _answer(visit, turn, sentences)
            if turn.withheld:
                turn.sentences.clear()  # what had passed before is taken back with the rest
            if turn.twins() or turn.withheld:
                st.rerun()  # the first chips were labelled before the other document came
        _tell(about, visit, turn)
        if turn.problem is not None:
            _problem(visit, turn, turn.problem)
        elif turn.stopped:
            st.html(render.stopped(len(turn.sentences)))
            st.button("Ask again", key=f"again-{turn.number}", on_click=turn.begin_again)
        elif turn.final is not None and turn.withheld:
            st.html(render.withheld(turn.final))
        elif turn.final is not None and turn.final.status == "no_evidence":
            _not_found(visit, turn, turn.final)
        elif turn.final is not None and turn.sentences:
            _sources(visit, turn, turn.final)
        if turn.id is not None:
            rating.draw(turn)
        elif turn.final is not None:
            st.html(notes.not_kept())
        progress.empty()


def _arriving(
    visit: Visit, turn: Turn, about: DeltaGenerator, doing: DeltaGenerator
) -> Generator[Sentence, None, None]:
    """The sentences as they come, kept in the turn. After a run cut short the next goes on."""
    try:
        with closing(visit.follow(turn)) as events:
            for event in events:
                if event is not None:
                    turn.take(event)
                if isinstance(event, Sentence):
                    yield event
                    continue
                if isinstance(event, Searched) and visit.engine:
                    doing.html(render.writing(), width="content")
                _tell(about, visit, turn)  # at a beat too: a run can be ended only while it draws
    except Problem as problem:
        turn.problem = problem


def _tell(place: DeltaGenerator, visit: Visit, turn: Turn) -> None:
    """What was done for the answer, and what its reader should know."""
    told = render.steps(turn.steps, open_=turn.searched is None)
    told += render.rewritten(turn.rewritten)
    if not turn.withheld:
        # Where the server has no guard, a line above every answer says so.
        news = [notice for notice in turn.notices if notice.kind != visit.status.guard]
        told += "".join(render.aside(notice.text) for notice in news)
        if turn.sentences and turn.searched is not None:  # else it stands with what was searched
            told += render.unnamed(turn.searched)
    if turn.missing:
        told += render.aside(turn.missing)
    if told:  # Streamlit takes no empty text
        place.html(told)
    else:
        place.empty()


class _Table:
    """Quoted rows of one table, drawn as one while they arrive."""

    def __init__(self, citation: Citation) -> None:
        self.of = (citation.document_id, citation.header_text)
        self._place = st.empty()
        self.chips = st.container(horizontal=True, gap="xxsmall")
        self.rows: list[tuple[int, str]] = []

    def add(self, citation: Citation) -> None:
        self.rows.append((citation.id, citation.cited_text))
        self._place.html(render.table(self.of[1], self.rows))


class _Written:
    """A block of what an engine writes, drawn anew with each sentence; its sources stand below."""

    def __init__(self, index: int, sentence: Sentence) -> None:
        self._index = index
        self._block = written.begin(sentence)
        self._place = st.empty()
        self._chips = st.container(horizontal=True, gap="xxsmall")
        self._chipped: list[Citation] = []

    def take(self, sentence: Sentence) -> bool:
        """Whether the sentence goes on with this block, which then has it."""
        return self._block.take(sentence)

    def draw(self, visit: Visit, turn: Turn) -> None:
        """Show what there is. A chip names its document unless the one before it does."""
        self._place.html(written.drawn(self._block))
        for citation in self._block.citations[len(self._chipped) :]:
            before = self._chipped[-1] if self._chipped else None
            brief = before is not None and render.same_page(before, citation)
            with self._chips:
                _chips(visit, turn, self._index, [citation], brief=brief)
            self._chipped.append(citation)


def _answer(visit: Visit, turn: Turn, sentences: Iterable[Sentence]) -> None:
    table: _Table | None = None
    block: _Written | None = None
    for index, sentence in enumerate(sentences):
        if sentence.kind != "quote":
            if block is None or not block.take(sentence):
                with st.container(key=f"written-{turn.number}-{index}", gap=None):
                    block = _Written(index, sentence)
            block.draw(visit, turn)
            continue
        first = sentence.citations[0] if sentence.citations else None
        if first is None or not first.header_text:
            table = None
            with st.container(key=f"quote-{turn.number}-{index}"):
                st.html(render.sentence(sentence.text))
                _chips(visit, turn, index, sentence.citations)
            continue
        if table is None or table.of != (first.document_id, first.header_text):
            with st.container(key=f"rows-{turn.number}-{index}", gap=None):
                table = _Table(first)
        table.add(first)
        with table.chips:
            _chips(visit, turn, index, sentence.citations, brief=len(table.rows) > 1)


def _chips(
    visit: Visit, turn: Turn, index: int, citations: Iterable[Citation], brief: bool = False
) -> None:
    """`brief` where the chip beside it already names the document."""
    twins = turn.twins()
    for citation in citations:
        full = render.chip(citation, by_file=citation.document_id in twins)
        st.button(
            str(citation.id) if brief else full,
            key=f"chip-{turn.number}-{index}-{citation.id}",
            type="primary" if _is_open(visit, citation) else "secondary",
            on_click=visit.open_citation,
            args=(citation,),
        )


def _is_open(visit: Visit, citation: Citation) -> bool:
    spot = visit.spot
    return (
        spot is not None
        and spot.number == citation.id
        and spot.span == (citation.char_start, citation.char_end)
    )


def _sources(visit: Visit, turn: Turn, final: Final) -> None:
    cited = {c.id: c for sentence in turn.sentences for c in sentence.citations}
    places: dict[tuple[int, str], list[Citation]] = {}
    for _, citation in sorted(cited.items()):
        places.setdefault((citation.document_id, render.place(citation)), []).append(citation)
    with st.container(key="sources", gap=None):
        st.html('<h3 class="section">Sources</h3>')
        for citations in places.values():
            first = citations[0]
            with st.container(key=f"source-{turn.number}-{first.id}", gap=None):
                st.button(
                    render.source_title(citations),
                    key=f"open-{turn.number}-{first.id}",
                    type="tertiary",
                    on_click=visit.open_citation,
                    args=(first,),
                )
                st.html(render.source_place(first))
    total_ms = final.timings_ms.get("total")
    if final.engine == "extractive":
        st.html(render.footnote(len(turn.sentences), final.searched, total_ms))
    else:
        st.html(render.support(final, total_ms))


def _not_found(visit: Visit, turn: Turn, final: Final) -> None:
    st.html(render.not_found(final.searched))
    if not final.related:
        return
    with st.container(key="related", gap=None):
        st.html(render.related_heading())
        for index, hit in enumerate(final.related):
            with st.container(key=f"near-{turn.number}-{index}", gap=None):
                st.button(
                    render.label(hit.title),
                    key=f"related-{turn.number}-{index}",
                    type="tertiary",
                    on_click=visit.open_hit,
                    args=(hit,),
                )
                st.html(render.snippet(hit))


def _problem(visit: Visit, turn: Turn, problem: Problem) -> None:
    if problem.passing:
        door.retry_when_back(visit, problem, turn.begin_again)
        return
    st.html(render.problem(problem))
    st.button("Ask again", key=f"again-{turn.number}", on_click=turn.begin_again)


def _earlier(visit: Visit) -> None:
    others = [turn for turn in reversed(visit.talk.turns) if turn is not visit.turn]
    if not others:
        return
    with st.container(key="earlier", gap=None):
        st.html('<h3 class="section">Also in this conversation</h3>')
        for turn in others:
            st.button(
                render.label(turn.question),
                key=f"turn-{turn.number}",
                type="tertiary",
                on_click=visit.show,
                args=(turn,),
            )

"""The side of the page: who is signed in, and this person's conversations."""

from functools import partial
from html import escape

import streamlit as st

from rag.client import Problem
from rag.client.conversations import Conversation, Format
from ui import account, door, render, session
from ui.session import Visit

_STEP = 20
_FORMATS: tuple[tuple[str, Format, str], ...] = (
    ("Markdown", "markdown", "md"),
    ("JSON", "json", "json"),
)


def draw(visit: Visit) -> None:
    """Draw it."""
    with st.sidebar:
        _who(visit)
        st.button(
            "New conversation",
            key="new",
            icon=":material/add:",
            width="stretch",
            on_click=visit.begin_conversation,
        )
        try:
            _conversations(visit)
        except Problem as problem:
            st.html(render.aside(problem.title))


def _who(visit: Visit) -> None:
    with st.container(key="who", horizontal=True, vertical_alignment="center", gap="small"):
        name = "Operator" if visit.me.name == "operator" else visit.me.name
        if st.button(
            render.label(name or "Account"),
            key="account",
            icon=":material/account_circle:",
            type="tertiary",
        ):
            account.dialog()
        st.button(
            "Sign out", key="sign-out", type="tertiary", on_click=door.sign_out, args=(visit,)
        )


def _conversations(visit: Visit) -> None:
    found, more = visit.talks()
    if not found:
        return
    open_id = visit.wanted[0] if visit.wanted else visit.talk.id
    with st.container(key="talks", gap=None):
        st.html('<h2 class="section">Conversations</h2>')
        for talk in found:
            is_open = talk.id == open_id
            with st.container(key="open-talk" if is_open else f"kept-{talk.id}", gap=None):
                st.button(
                    render.label(talk.title or "Untitled"),
                    key=f"talk-{talk.id}",
                    type="tertiary",
                    width="stretch",
                    on_click=visit.want,
                    args=(talk.id,),
                )
                if is_open:
                    _about(visit, talk)
    if more:
        st.button("Show more", key="more-talks", type="tertiary", on_click=_more)


def _more() -> None:
    session.current().n_talks += _STEP


def _about(visit: Visit, talk: Conversation) -> None:
    """What may be done with the conversation that is open."""
    with st.popover("Rename, export, delete", type="tertiary", icon=":material/more_horiz:"):
        with st.form(f"rename-{talk.id}", border=False):
            title = st.text_input("Title", talk.title, max_chars=200, autocomplete="off")
            if st.form_submit_button("Rename") and title.strip():
                _rename(visit, talk, title)
        for name, format, suffix in _FORMATS:
            st.download_button(
                f"Export as {name}",
                data=partial(visit.client.conversations.export, talk.id, format),
                file_name=f"conversation-{talk.id}.{suffix}",
                mime="application/octet-stream",
                key=f"export-{format}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )
        if st.button("Delete", key="delete-talk", icon=":material/delete:", type="tertiary"):
            _delete(talk)


def _rename(visit: Visit, talk: Conversation, title: str) -> None:
    try:
        visit.client.conversations.rename(talk.id, title.strip())
    except Problem as problem:
        st.html(render.problem(problem))
        return
    st.rerun()


@st.dialog("Delete this conversation?")
def _delete(talk: Conversation) -> None:
    visit = session.current()
    with st.container(key="dialog-delete-talk"):
        st.html(
            f"<p>“{escape(talk.title or 'Untitled')}” goes with all that was asked and "
            "answered in it. This cannot be undone.</p>"
        )
        if not st.button("Delete for good", key="really-delete-talk", type="primary"):
            return
        try:
            visit.client.conversations.delete(talk.id)
        except Problem as problem:
            if problem.status != 404:
                st.html(render.problem(problem))
                return
        visit.begin_conversation()
        st.rerun()

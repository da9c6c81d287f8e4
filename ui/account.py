"""The visitor's own account: the password, and where else there is a session."""

import streamlit as st

from rag.client import Problem
from rag.client.account import Session
from ui import notes, render, session
from ui.session import Visit

_BROWSERS = ("Firefox", "Edg", "OPR", "Chrome", "Safari")  # Chrome also says Safari
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")
_CALLED = {"Edg": "Edge", "OPR": "Opera", "Mac OS X": "macOS"}


@st.dialog("Your account")
def dialog() -> None:
    """What there is to see and to do, in a window of its own."""
    visit = session.current()
    with st.container(key="dialog-account"):
        st.html(notes.who(visit.me))
        try:
            if visit.me.has_password and visit.me.kind == "session":
                _password(visit)
            _sessions(visit, visit.client.account.sessions())
        except Problem as problem:
            st.html(render.problem(problem))


def _password(visit: Visit) -> None:
    st.html('<h3 class="section">Password</h3>')
    with st.form("password", border=False, clear_on_submit=True):
        current = st.text_input("Password until now", type="password", max_chars=1000)
        new = st.text_input("New password", type="password", max_chars=1000)
        again = st.text_input("New password, once more", type="password", max_chars=1000)
        if not st.form_submit_button("Change the password"):
            return
    if new != again:
        st.html(render.aside("The two new passwords differ. Nothing was changed."))
        return
    try:
        visit.client.account.set_password(new, current)
    except Problem as problem:
        st.html(render.problem(problem))
        return
    st.html(notes.done("Your password was changed. Your other sessions have ended."))


def _sessions(visit: Visit, found: list[Session]) -> None:
    st.html('<h3 class="section">Signed in</h3>')
    for each in found:
        with st.container(key=f"session-{each.id}", horizontal=True, vertical_alignment="center"):
            st.html(notes.signed_in(each, browser(each.agent)))
            if not each.current and st.button("End", key=f"end-{each.id}", type="tertiary"):
                visit.client.account.end_session(each.id)
                st.rerun(scope="fragment")


def browser(agent: str) -> str:
    """A browser and its system, from what it says that it is; empty where that tells nothing."""
    program = next((name for name in _BROWSERS if f"{name}/" in agent), "")
    system = next((name for name in _SYSTEMS if name in agent), "")
    named = [_CALLED.get(name, name) for name in (program, system) if name]
    return " on ".join(named)

"""Who comes in, who is sent to sign in, and how one leaves.

The session is the API's: the page only shows it the cookie that the browser has sent.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from html import escape
from urllib.parse import urlsplit

import streamlit as st

from rag.client import SESSION_COOKIE, Client, Problem
from ui import render
from ui.session import KEY, Visit

_GONE = "signed_out"
_CONVERSATION = "conversation"
_RETRY_S = 2.0


def admitted() -> Visit:
    """The visit of whoever is there. Where nobody may come in, says why and ends the run."""
    cookie = st.context.cookies.get(SESSION_COOKIE, "")
    if st.session_state.get(_GONE) == cookie:
        _turn_away("You have signed out", "What was open here is closed.")
    visit: Visit | None = st.session_state.get(KEY)
    if visit is None or visit.cookie != cookie:
        visit = _arrive(cookie)
    _settle(visit)
    return visit


def sign_out(visit: Visit) -> None:
    """End the session at the API, forget all that was shown with it, and begin the run anew.

    Raises:
        Problem: the API does not answer, so that the session goes on.
    """
    try:
        visit.client.account.sign_out()
    except Problem as problem:
        if problem.status != 401:  # then it has ended already
            raise
    for turn in visit.talk.turns:
        turn.leave()
    st.session_state.clear()
    st.session_state[_GONE] = visit.cookie
    st.rerun()


def sign_in_url(api_url: str, public_url: str, page_url: str) -> str:
    """Where a browser signs in: at the API, as it is called from outside.

    An API without a public address is on the host by which the browser has reached the page: a
    cookie of another host would not come here.
    """
    if public_url:
        return f"{public_url.rstrip('/')}/login"
    api = urlsplit(api_url)
    host = urlsplit(page_url).hostname or api.hostname or ""
    named = f"[{host}]" if ":" in host else host
    return f"{api.scheme}://{named}{f':{api.port}' if api.port else ''}/login"


def _arrive(cookie: str) -> Visit:
    st.session_state.pop(KEY, None)  # nothing of a former visitor is left to this one
    try:
        visit = Visit(cookie, Client(os.environ["CITADEL_API_URL"], session=cookie, attempts=1))
    except Problem:
        _turn_away()
    number = st.query_params.get(_CONVERSATION, "")
    if number.isdecimal() and len(number) < 19:
        visit.wanted = (int(number), None)
    st.session_state[KEY] = visit
    return visit


def _settle(visit: Visit) -> None:
    """Ask the API whether the visitor may come in. Once in, a silent API is the views' to show."""
    try:
        visit.n_documents = visit.client.documents.list(limit=1).total
        visit.status = visit.client.status()
        visit.me = visit.client.account.me()
    except Problem as problem:
        if problem.status in (401, 403):
            st.session_state.pop(KEY, None)
            _turn_away()
        if visit.n_documents is None:
            _wait_in_front(visit, problem)
    with suppress(Problem):  # which the view meets as well, and shows
        visit.begin_talk()


def keep_address(visit: Visit) -> None:
    """Have the address name the conversation that is open, for a reload and for coming back."""
    if visit.talk.id is not None:
        st.query_params[_CONVERSATION] = str(visit.talk.id)
    elif _CONVERSATION in st.query_params:
        del st.query_params[_CONVERSATION]


def _turn_away(title: str = "Please sign in", why: str = "") -> None:
    api, public = os.environ["CITADEL_API_URL"], os.environ.get("CITADEL_PUBLIC_URL", "")
    url = escape(sign_in_url(api, public, st.context.url or ""))
    link = f'<a class="sign-in" href="{url}" target="_self">Sign in</a>'
    told = [why] if why else ["Citadel shows everybody what they may read, so it has to know you."]
    with st.container(key="gate"):
        st.html(
            render.notice(
                title,
                *told,
                link,
                "Without a password? An address that signs you in once comes from your "
                "administrator; <code>citadel serve</code> prints one when it starts.",
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

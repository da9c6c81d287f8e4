"""What a reader thinks of an answer: a thumb, and a comment for whoever looks after Citadel."""

import streamlit as st

from rag.client import Problem
from rag.client.conversations import Rating
from ui import notes, render, session
from ui.turn import Turn

_MAX_COMMENT = 2_000
_CHOICES: tuple[tuple[Rating, str, str], ...] = (
    ("up", "Helpful", ":material/thumb_up:"),
    ("down", "Not helpful", ":material/thumb_down:"),
)


@st.fragment
def draw(turn: Turn) -> None:
    """A fragment: what is said of an answer redraws nothing else."""
    with st.container(key="rating", horizontal=True, vertical_alignment="center", gap="small"):
        for rating, name, icon in _CHOICES:
            chosen = turn.rating == rating
            pressed = st.button(
                f"{name}, noted" if chosen else name,
                key=f"{rating}-{turn.request_id}",
                icon=icon,
                type="primary" if chosen else "secondary",
            )
            if pressed and not chosen:  # said again it would take an earlier comment's place
                _give(turn, rating, turn.comment)
    if turn.rating is not None:
        _comment(turn, turn.rating)


def _comment(turn: Turn, rating: Rating) -> None:
    with st.form(f"comment-{turn.request_id}", border=False):
        comment = st.text_area(
            "Comment for your administrator (optional)",
            turn.comment,
            max_chars=_MAX_COMMENT,
            height=90,
        )
        if st.form_submit_button("Send the comment"):
            _give(turn, rating, comment.strip())
    if turn.comment:
        st.html(notes.done("Thank you; your comment was noted."))


def _give(turn: Turn, rating: Rating, comment: str) -> None:
    try:
        session.current().client.feedback.give(turn.request_id, rating, comment)
    except Problem as problem:
        st.html(render.problem(problem))
        return
    turn.rating, turn.comment = rating, comment
    st.rerun(scope="fragment")

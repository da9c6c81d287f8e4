"""The view "Documents": what Citadel knows, and the files that it could not read and why."""

import streamlit as st

from rag.client import Problem
from rag.client.documents import Filter
from rag.client.records import Document, Failure
from ui import render, session, viewer
from ui.session import Visit

_STEP = 50


def page() -> None:
    """Draw the view."""
    visit = session.current()
    main, side = viewer.beside()
    with main:
        st.html('<h1 class="view-title">Documents</h1>')
        try:
            _lists(visit, visit.client.failures())
        except Problem as problem:
            if problem.passing:
                session.retry_when_back(visit, problem, lambda: None)
            else:
                st.html(render.problem(problem))
    viewer.fill(side, visit)


def _lists(visit: Visit, failures: list[Failure]) -> None:
    if not visit.n_documents and not failures:
        st.html(render.nothing_ingested())
        return
    names = {
        "ready": f"Ready ({visit.n_documents or 0:,})",
        "failed": f"Not ingested ({len(failures):,})",
    }
    shown = st.segmented_control(
        "Which files",
        list(names),
        default="ready",
        required=True,
        key="which",
        format_func=names.__getitem__,
        label_visibility="collapsed",
    )
    if shown == "failed":
        _failures(failures)
    else:
        _documents(visit)


def _documents(visit: Visit) -> None:
    title = st.text_input(
        "Search by title",
        placeholder="Search by title",
        key="title",
        icon=":material/search:",
        label_visibility="collapsed",
        autocomplete="off",
    )
    rows, more = _rows(visit, (title or "").strip())
    st.html(render.listed(len(rows), more, (title or "").strip()))
    with st.container(key="documents", gap=None):
        for document in rows:
            _row(visit, document)
    if more:
        st.button("Show more", key="more", on_click=_more)


def _rows(visit: Visit, title: str) -> tuple[list[Document], bool]:
    """The documents that are listed, and whether there are more."""
    rows: list[Document] = []
    cursor = None
    while True:
        found = visit.client.documents.list(Filter(title), cursor=cursor, limit=_STEP)
        rows += found.documents
        cursor = found.next_cursor
        if cursor is None or len(rows) >= visit.listed:
            return rows, cursor is not None


def _more() -> None:
    session.current().listed += _STEP


def _row(visit: Visit, document: Document) -> None:
    with st.container(key=f"document-{document.id}", gap=None):
        st.button(
            render.label(document.title or document.name),
            key=f"read-{document.id}",
            type="tertiary",
            on_click=visit.open_document,
            args=(document.id,),
        )
        st.html(render.document_line(document))


def _failures(failures: list[Failure]) -> None:
    if not failures:
        st.html(render.notice("Every file was read", "There is nothing to do here."))
    for failure in failures:
        st.html(render.failure_card(failure))

"""The view "Documents": what Citadel knows, and the files that it could not read and why.

Who manages a collection brings documents into it and takes them out of it here.
"""

import streamlit as st

from rag.client import Problem
from rag.client.collections import Collection
from rag.client.documents import Filter
from rag.client.records import Document, Failure
from ui import door, feeding, notes, render, session, viewer
from ui.session import Visit

_STEP = 50
_ALL = "All collections"


def page() -> None:
    """Draw the view."""
    visit = session.current()
    main, side = viewer.beside()
    with main:
        st.html('<h1 class="view-title">Documents</h1>')
        try:
            _lists(visit, visit.client.collections.list(), visit.client.failures())
        except Problem as problem:
            if problem.passing:
                door.retry_when_back(visit, problem, lambda: None)
            else:
                st.html(render.problem(problem))
    viewer.fill(side, visit)


def _lists(visit: Visit, collections: tuple[Collection, ...], failures: list[Failure]) -> None:
    managed = [each.name for each in collections if each.right == "manage"]
    if visit.told:
        st.html(notes.done(visit.told))
        visit.told = ""
    if managed:
        feeding.draw(visit, managed)
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
        _documents(visit, collections, managed)


def _documents(visit: Visit, collections: tuple[Collection, ...], managed: list[str]) -> None:
    with st.container(horizontal=True, key="narrowing", gap="small"):
        title = st.text_input(
            "Search by title",
            placeholder="Search by title",
            key="title",
            icon=":material/search:",
            label_visibility="collapsed",
            autocomplete="off",
        )
        collection = _collection(collections)
    title = (title or "").strip()
    rows, more = _rows(visit, title, collection)
    st.html(render.listed(len(rows), more, title))
    with st.container(key="documents", gap=None):
        for document in rows:
            _row(visit, document, document.collection in managed)
    if more:
        st.button("Show more", key="more", on_click=_more)


def _collection(collections: tuple[Collection, ...]) -> str:
    """The collection that is chosen, where there are several; empty for all."""
    if len(collections) < 2:
        return ""
    counts = {each.name: each.n_documents for each in collections}
    chosen = st.selectbox(
        "Collection",
        [None, *counts],
        key="collection",
        format_func=lambda name: _ALL if name is None else f"{name} ({counts[name]:,})",
        label_visibility="collapsed",
    )
    return chosen or ""


def _rows(visit: Visit, title: str, collection: str) -> tuple[list[Document], bool]:
    """The documents that are listed, and whether there are more."""
    rows: list[Document] = []
    cursor = None
    while True:
        only = Filter(title, (collection,) if collection else ())
        found = visit.client.documents.list(only, cursor=cursor, limit=_STEP)
        rows += found.documents
        cursor = found.next_cursor
        if cursor is None or len(rows) >= visit.listed:
            return rows, cursor is not None


def _more() -> None:
    session.current().listed += _STEP


def _row(visit: Visit, document: Document, managed: bool) -> None:
    with st.container(key=f"document-{document.id}", gap=None):
        with st.container(key=f"head-{document.id}", horizontal=True):
            st.button(
                render.label(document.title or document.name),
                key=f"read-{document.id}",
                type="tertiary",
                on_click=visit.open_document,
                args=(document.id,),
            )
            if managed:
                feeding.delete_button(document)
        st.html(render.document_line(document))


def _failures(failures: list[Failure]) -> None:
    if not failures:
        st.html(render.notice("Every file was read", "There is nothing to do here."))
    for failure in failures:
        st.html(render.failure_card(failure))

"""A passage in its document: the page with the passage highlighted, or the text around it."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from rag.client import Client, Problem
from rag.client.records import Document
from ui import render, session
from ui.passage import passage
from ui.session import Spot, Visit

_ZOOMS = {1.0: "Fit", 1.5: "150%", 2.0: "200%"}
_FIT_PIXELS = 1_000  # at twice the zoom the widest that the API draws
_MAX_CONTEXT = 20_000


def beside() -> tuple[DeltaGenerator, DeltaGenerator]:
    """The place for the view itself and the one beside it, which style.css hides while empty.

    Both are always there: a view that moved from one place to another would lose what is typed.
    """
    with st.container(key="split"):
        main, side = st.columns(2, gap="large")
    return main, side


def fill(side: DeltaGenerator, visit: Visit) -> None:
    """Draw the viewer into its place, if something is open."""
    if visit.spot is not None:
        with side, st.container(key="viewer"):
            _show()


@st.fragment
def _show() -> None:
    """A fragment: turning a page or zooming redraws the viewer only."""
    visit = session.current()
    if visit.spot is None:
        st.rerun()
    spot = visit.spot
    try:
        _draw(visit.client, spot, visit.client.documents.read(spot.document_id))
    except Problem as problem:
        _close()
        st.html(render.problem(problem))


def _draw(client: Client, spot: Spot, document: Document) -> None:
    with st.container(key="viewer-top", horizontal=True, vertical_alignment="top", gap="small"):
        st.html(render.viewer_header(document, spot.headings))
        _close()
    _relatives(document)
    if document.has_images and document.n_pages:
        spot.page = min(max(spot.page or 1, 1), document.n_pages)
        _turning(spot, spot.page, document.n_pages)
        _page(client, spot, document, spot.page)
    else:
        _text(client, spot, document)


def _relatives(document: Document) -> None:
    """The mail that this was attached to, or what is attached to this mail."""
    near = [(ref.id, f"Attached: {ref.title}") for ref in document.attachments]
    if document.parent_id is not None:
        near.append((document.parent_id, "The mail that this was attached to"))
    for document_id, text in near:
        st.button(
            render.label(text),
            key=f"relative-{document_id}",
            icon=":material/attach_file:",
            type="tertiary",
            on_click=session.current().open_document,
            args=(document_id,),
        )


def _close() -> None:
    if st.button("Close", key="close", icon=":material/close:", type="tertiary"):
        session.current().close()
        st.rerun()


def _turning(spot: Spot, page: int, n_pages: int) -> None:
    def turn(step: int) -> None:
        spot.page = page + step

    def zoom() -> None:
        spot.zoom = st.session_state["zoom"] or 1.0

    with st.container(key="pager", horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            "Previous",
            key="previous",
            icon=":material/chevron_left:",
            disabled=page == 1,
            on_click=turn,
            args=(-1,),
        )
        st.html(f'<span class="page-number">Page {page} of {n_pages}</span>', width="content")
        st.button(
            "Next",
            key="next",
            icon=":material/chevron_right:",
            disabled=page == n_pages,
            on_click=turn,
            args=(1,),
        )
        st.session_state["zoom"] = spot.zoom
        st.segmented_control(
            "Zoom",
            list(_ZOOMS),
            key="zoom",
            required=True,
            format_func=_ZOOMS.__getitem__,
            label_visibility="collapsed",
            on_change=zoom,
        )


def _page(client: Client, spot: Spot, document: Document, number: int) -> None:
    width = int(_FIT_PIXELS * spot.zoom)
    png = client.documents.page_image(document.id, number, spot.span, width)
    caption = f"Page {number} of {document.title}"
    st.html(render.page_image(png, spot.zoom, caption, _highlight_top(client, spot, document)))
    _download(client, document)


def _highlight_top(client: Client, spot: Spot, document: Document) -> float | None:
    """How far down the page the highlight begins, as a share of its height."""
    if spot.top is None or spot.page != spot.top_page:
        return None
    heights = [p.height for p in client.documents.pages(document.id) if p.number == spot.page]
    return spot.top / heights[0] if heights and heights[0] else None


def _text(client: Client, spot: Spot, document: Document) -> None:
    def widen() -> None:
        spot.context = min(spot.context * 3, _MAX_CONTEXT)

    start, end = spot.span or (0, 0)
    found = client.documents.passage(document.id, start, end, spot.context)
    st.html(passage(found))
    whole = found.before_start == 0 and found.after_end == found.n_chars
    with st.container(key="viewer-foot", horizontal=True, vertical_alignment="center"):
        _download(client, document)
        if not whole and spot.context < _MAX_CONTEXT:
            st.button("Show more", key="widen", icon=":material/unfold_more:", on_click=widen)


def _download(client: Client, document: Document) -> None:
    st.download_button(
        "Download original",
        data=lambda: client.documents.original(document.id),
        file_name=document.name,
        mime="application/octet-stream",  # the browser keeps it as a file and never runs it
        key="download",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )

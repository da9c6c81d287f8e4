"""Entry point of the page, run by `streamlit run`; settings of Streamlit lie in `.streamlit`.

`CITADEL_API_URL` names the API as the page calls it, `CITADEL_PUBLIC_URL` as browsers do where that
is another address. The page holds no token: it acts with the visitor's session.
"""

from pathlib import Path

import streamlit as st

from ui import asking, documents, door, render, sidebar

_HERE = Path(__file__).parent


def main() -> None:
    """Draw the page for whoever is there."""
    mark = _HERE.joinpath("mark.svg").read_text(encoding="utf-8")
    st.set_page_config(page_title="Citadel", page_icon=mark, layout="wide")
    st.html(_HERE / "style.css")
    ask = st.Page(asking.page, title="Ask", url_path="ask", default=True)
    listed = st.Page(documents.page, title="Documents", url_path="documents")
    view = st.navigation([ask, listed], position="hidden")
    bar = st.container(key="top", horizontal=True, vertical_alignment="center")
    bar.html(render.brand(mark), width="content")
    visit = door.admitted()
    bar.page_link(ask, label="Ask")
    bar.page_link(listed, label="Documents")
    wants_ask, visit.wants_ask = visit.wants_ask, False
    if wants_ask and view is not ask:
        st.switch_page(ask)
    sidebar.draw(visit)
    view.run()


main()

"""Files brought in and documents taken out, for who manages a collection; others see none of it."""

import streamlit as st

from rag.client import Problem
from rag.client.records import Document
from ui import notes, render, session
from ui.session import Upload, Visit

_LOOK_S = 0.7


def draw(visit: Visit, managed: list[str]) -> None:
    """The form for files, and what became of those that were sent."""
    with st.container(key="feeding"):
        with st.expander("Add documents", expanded=bool(visit.uploads), icon=":material/upload:"):
            _form(visit, managed)
        if visit.uploads:
            _watched()


def delete_button(document: Document) -> None:
    """A way to remove a document, with a question before it is done."""
    if st.button("Delete", key=f"delete-{document.id}", icon=":material/delete:", type="tertiary"):
        _delete(document)


def _form(visit: Visit, managed: list[str]) -> None:
    with st.form("upload", border=False, clear_on_submit=True):
        collection = managed[0]
        if len(managed) > 1:
            collection = st.selectbox("Into the collection", managed, key="into")
        else:
            st.html(notes.into(collection))
        files = st.file_uploader(
            "Files", accept_multiple_files=True, key="files", label_visibility="collapsed"
        )
        if st.form_submit_button("Add these files", type="primary"):
            for file in files:
                visit.uploads.insert(0, _send(visit, collection, file.name, file.getvalue()))


def _send(visit: Visit, collection: str, name: str, content: bytes) -> Upload:
    try:
        sent = visit.client.uploads.add(collection, name, content)
    except Problem as problem:
        return Upload(name, problem=problem)
    return Upload(name, run=sent.run, document=sent.document)


def _watched() -> None:
    """What became of the files; looked at again and again as long as one is being read."""
    visit = session.current()
    reading = any(upload.coming for upload in visit.uploads)

    @st.fragment(run_every=_LOOK_S if reading else None)
    def watch() -> None:
        for upload in visit.uploads:
            _look(visit, upload)
        with st.container(key="uploads", gap=None):
            for number, upload in enumerate(visit.uploads):
                _upload(visit, upload, number)
        if reading and not any(upload.coming for upload in visit.uploads):
            st.rerun()  # there are documents to be listed, and nothing more to look at

    watch()


def _look(visit: Visit, upload: Upload) -> None:
    """See how far a file is. What cannot be seen just now is looked at again."""
    if upload.run is None or upload.run.ended:
        return
    try:
        upload.run = visit.client.runs.read(upload.run.id)
    except Problem as problem:
        if not problem.passing:
            upload.problem = problem


def _upload(visit: Visit, upload: Upload, number: int) -> None:
    st.html(notes.upload(upload))
    if (document_id := upload.document_id) is not None:
        st.button(
            "Read it",
            key=f"uploaded-{len(visit.uploads) - number}",
            type="tertiary",
            on_click=visit.open_document,
            args=(document_id,),
        )


@st.dialog("Delete this document?")
def _delete(document: Document) -> None:
    visit = session.current()
    with st.container(key="dialog-delete-document"):
        st.html(notes.to_be_deleted(document))
        if not st.button("Delete for good", key="really-delete", type="primary"):
            return
        try:
            visit.told = visit.client.uploads.delete(document.id).note
        except Problem as problem:
            if problem.status != 404:
                st.html(render.problem(problem))
                return
        visit.told = visit.told or f"“{document.title or document.name}” was deleted."
        visit.close()
        st.rerun()

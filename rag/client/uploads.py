"""Single documents brought in and taken out, for who manages their collection."""

from msgspec import Struct

from rag.client.records import DocumentRef
from rag.client.runs import Run
from rag.client.transport import Transport


class Uploaded(Struct, frozen=True):
    """The run that reads an uploaded file, or the document that has its content already."""

    document: DocumentRef | None
    run: Run | None


class Deleted(Struct, frozen=True):
    """What was deleted; `note` says what might bring it back."""

    document_id: int
    note: str = ""


class Uploads:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def add(self, collection: str, name: str, content: bytes) -> Uploaded:
        """Bring one file in. Another file of the same name is another document."""
        params = {"collection": collection, "name": name}
        return self._api.upload("/v1/documents", Uploaded, content, params)

    def delete(self, document_id: int) -> Deleted:
        """Remove a document and what came with it."""
        return self._api.delete(f"/v1/documents/{document_id}", Deleted)

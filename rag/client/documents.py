"""The documents that the caller may read: lists, texts, pages, originals."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from rag.client.records import Document, DocumentPage, Pages, PageSize, Passage
from rag.client.transport import Params, Tagged, Transport, from_cursor
from rag.client.uploads import Deleted


class Filter(Struct, frozen=True, omit_defaults=True):
    """Which documents; each field that is given narrows the list."""

    title: str = ""  # a part of it
    collections: tuple[str, ...] = ()
    media_type: str = ""
    language: str = ""  # ISO 639-1
    ingested_after: datetime | None = None  # with its time zone, as the next
    ingested_before: datetime | None = None
    source: str = ""  # a file, or a folder with all that is below it


class Text(Struct, frozen=True):
    """The text at `start:end`, which are what was returned, of the document's `n_chars`."""

    document_id: int
    start: int
    end: int
    n_chars: int
    text: str


ALL = Filter()


class Documents:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def list(
        self, only: Filter = ALL, *, cursor: str | None = None, limit: int = 50
    ) -> DocumentPage:
        """One page of the documents, oldest first."""
        params: Params = {**from_cursor(cursor, limit), **_narrowing(only)}
        return self._api.get("/v1/documents", DocumentPage, params)

    def every(self, only: Filter = ALL) -> Iterator[Document]:
        """All of them, a page at a time."""
        page = self.list(only)
        yield from page.documents
        while page.next_cursor is not None:
            page = self.list(only, cursor=page.next_cursor)
            yield from page.documents

    def read(self, document_id: int) -> Document:
        """One document without its text."""
        return self._api.get(f"/v1/documents/{document_id}", Document)

    def read_tagged(self, document_id: int, known: str = "") -> Tagged[Document] | None:
        """The same with its ETag; None where that is `known`, so that a copy is still right."""
        return self._api.tagged(f"/v1/documents/{document_id}", Document, known=known)

    def text(self, document_id: int, start: int = 0, end: int | None = None) -> Text:
        """The text at `start:end`, a million characters of it at most."""
        span = {"start": start} if end is None else {"start": start, "end": end}
        return self._api.get(f"/v1/documents/{document_id}/text", Text, span)

    def passage(self, document_id: int, start: int, end: int, context: int = 600) -> Passage:
        """The text at `start:end` with up to `context` characters on either side."""
        span = {"start": start, "end": end, "context": context}
        return self._api.get(f"/v1/documents/{document_id}/passage", Passage, span)

    def pages(self, document_id: int) -> tuple[PageSize, ...]:
        """The sizes of a document's pages; none where its format has no fixed layout."""
        return tuple(self._api.get(f"/v1/documents/{document_id}/pages", Pages).pages)

    def page_image(
        self, document_id: int, number: int, span: tuple[int, int] | None, width: int
    ) -> bytes:
        """A page as PNG, `width` pixels wide, with the text at `span` highlighted."""
        params = {"width": width}
        if span is not None:
            params |= {"start": span[0], "end": span[1]}
        return self._api.download(f"/v1/documents/{document_id}/pages/{number}.png", params)

    def original(self, document_id: int) -> bytes:
        """The file as it was ingested."""
        return self._api.download(f"/v1/documents/{document_id}/original")

    def delete(self, document_id: int) -> Deleted:
        """Remove a document and what came with it, where the caller manages its collection."""
        return self._api.delete(f"/v1/documents/{document_id}", Deleted)


def _narrowing(only: Filter) -> dict[str, str | list[str]]:
    """The filter as the API's parameters, without what narrows nothing."""
    times = {"ingested_after": only.ingested_after, "ingested_before": only.ingested_before}
    texts = {name: getattr(only, name) for name in ("title", "media_type", "language", "source")}
    texts |= {name: time.isoformat() for name, time in times.items() if time is not None}
    narrowing: dict[str, str | list[str]] = {name: text for name, text in texts.items() if text}
    return narrowing | ({"collection": [*only.collections]} if only.collections else {})

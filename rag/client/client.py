"""The API over HTTP, called with a key or as the visitor of a page.

The page has no rights of its own: each call carries the session cookie that the visitor's browser
sent, and the API decides. A client belongs to one caller and is never shared, because it would
carry a credential from one to the next.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Self

import msgspec

from rag.client.account import Account
from rag.client.conversations import Conversations
from rag.client.feedback import Feedback
from rag.client.records import (
    Asked,
    Collection,
    Collections,
    Document,
    DocumentPage,
    Event,
    Failure,
    Failures,
    Final,
    Notice,
    Pages,
    PageSize,
    Passage,
    Searched,
    Sentence,
    Status,
    Step,
)
from rag.client.runs import Runs
from rag.client.transport import Line, Params, Problem, Transport, in_words
from rag.client.uploads import Uploads

_EVENTS: dict[str, type[Event]] = {
    "step": Step,
    "searched": Searched,
    "notice": Notice,
    "sentence": Sentence,
    "final": Final,
}


class Client:
    """The API for one caller, who shows a key, or a browser's session.

    Every method, also of the subjects, raises `Problem` where the API cannot be reached, refuses or
    answers unusably.
    """

    def __init__(self, url: str, *, key: str = "", session: str = "") -> None:
        self._api = api = Transport(url, key=key, session=session)
        self.account = Account(api)
        self.conversations = Conversations(api)
        self.feedback = Feedback(api)
        self.runs = Runs(api)
        self.uploads = Uploads(api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def ask(self, asked: Asked, line: Line | None = None) -> Iterator[Event]:
        """The answer as it arrives; the last event is a `Final`. `line` can end it before."""
        body = msgspec.to_builtins(asked) | {"stream": True}
        with closing(self._api.stream("POST", "/v1/query", body, line)) as arriving:
            for name, data in arriving:
                kind = _EVENTS.get(name)
                if kind is None:  # one that this client does not know
                    continue
                with in_words():
                    event = msgspec.json.decode(data, type=kind)
                yield event
                if isinstance(event, Final):
                    return
        raise Problem("The answer broke off.", "The connection ended early.", "Ask again.")

    def status(self) -> Status:
        """How the server answers; one that doesn't say answers with quotes."""
        return self._api.get("/v1/status", Status)

    def collections(self) -> list[Collection]:
        """The collections that the caller may read."""
        return self._api.get("/v1/collections", Collections).collections

    def documents(
        self, title: str = "", *, collection: str = "", cursor: str | None = None, limit: int = 50
    ) -> DocumentPage:
        """One page of the documents whose title contains `title`, of one collection or of all."""
        narrowed = {"title": title, "collection": collection, "cursor": cursor}
        params: Params = {"limit": limit} | {name: text for name, text in narrowed.items() if text}
        return self._api.get("/v1/documents", DocumentPage, params)

    def document(self, document_id: int) -> Document:
        """One document without its text."""
        return self._api.get(f"/v1/documents/{document_id}", Document)

    def passage(self, document_id: int, start: int, end: int, context: int) -> Passage:
        """The text at `start:end` with up to `context` characters on either side."""
        span = {"start": start, "end": end, "context": context}
        return self._api.get(f"/v1/documents/{document_id}/passage", Passage, span)

    def pages(self, document_id: int) -> list[PageSize]:
        """The sizes of a document's pages."""
        return self._api.get(f"/v1/documents/{document_id}/pages", Pages).pages

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

    def failures(self) -> list[Failure]:
        """The files that were not ingested."""
        return self._api.get("/v1/failures", Failures).failures

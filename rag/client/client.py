"""The API over HTTP, called with a key or as the visitor of a page.

The page has no rights of its own: each call carries the session cookie that the visitor's browser
sent, and the API decides. A client belongs to one caller and is never shared, because it would
carry a credential from one to the next.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

import httpx
import msgspec

from rag.client.records import (
    Asked,
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
    ProblemDetails,
    Searched,
    Sentence,
    Status,
    Step,
)

SESSION_COOKIE = "citadel_session"
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265, 4.1.1
_TIMEOUT = httpx.Timeout(30.0, connect=3.0)
_ANSWER_TIMEOUT = httpx.Timeout(300.0, connect=3.0)  # a model may read for minutes
_EVENTS: dict[str, type[Event]] = {
    "step": Step,
    "searched": Searched,
    "notice": Notice,
    "sentence": Sentence,
    "final": Final,
}

T = TypeVar("T")


class Problem(Exception):  # noqa: N818  the term of RFC 9457
    """A call that failed, in words for the person before the page.

    `status` is the HTTP status, 0 where no usable response came.
    """

    def __init__(self, title: str, detail: str = "", hint: str = "", *, status: int = 0) -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.hint = hint
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether it is likely to be over in a moment, so that the page should try again."""
        return self.status in (0, 502, 503, 504)


class Line:
    """The connection that an answer comes by, so that another thread can hang up."""

    def __init__(self) -> None:
        self.cut = False
        self._socket: socket.socket | None = None

    def hang_up(self) -> None:
        """End the answer: nothing more comes, and the API stops working on it."""
        self.cut = True
        if self._socket is not None:
            with suppress(OSError):  # it has ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)

    def hold(self, response: httpx.Response) -> None:
        """The answer comes by this response."""
        self._socket = response.extensions["network_stream"].get_extra_info("socket")
        if self.cut:
            self.hang_up()


class Client:
    """The API for one caller, who shows a key, or a browser's session.

    Every method raises `Problem` where the API cannot be reached, refuses or answers unusably.
    """

    def __init__(self, url: str, *, key: str = "", session: str = "") -> None:
        self._http = httpx.Client(
            base_url=url,
            headers=_credential(key, session),
            timeout=_TIMEOUT,
            trust_env=False,  # a proxy named in the environment must not see documents
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, asked: Asked, line: Line | None = None) -> Iterator[Event]:
        """The answer as it arrives; the last event is a `Final`. `line` can end it before."""
        body = msgspec.to_builtins(asked) | {"stream": True}
        request = self._http.stream("POST", "/v1/query", json=body, timeout=_ANSWER_TIMEOUT)
        with _in_words(), request as response:
            if line is not None:
                line.hold(response)
            if not response.is_success:
                response.read()
                raise _problem(response.status_code, response.content)
            yield from _events(response.iter_lines())

    def status(self) -> Status:
        """How the server answers; one that doesn't say answers with quotes."""
        return self._record("/v1/status", Status)

    def documents(
        self, title: str = "", *, cursor: str | None = None, limit: int = 50
    ) -> DocumentPage:
        """One page of the documents whose title contains `title`."""
        params: dict[str, str | int] = {"limit": limit}
        if title:
            params["title"] = title
        if cursor:
            params["cursor"] = cursor
        return self._record("/v1/documents", DocumentPage, params)

    def document(self, document_id: int) -> Document:
        """One document without its text."""
        return self._record(f"/v1/documents/{document_id}", Document)

    def passage(self, document_id: int, start: int, end: int, context: int) -> Passage:
        """The text at `start:end` with up to `context` characters on either side."""
        span = {"start": start, "end": end, "context": context}
        return self._record(f"/v1/documents/{document_id}/passage", Passage, span)

    def pages(self, document_id: int) -> list[PageSize]:
        """The sizes of a document's pages."""
        return self._record(f"/v1/documents/{document_id}/pages", Pages).pages

    def page_image(
        self, document_id: int, number: int, span: tuple[int, int] | None, width: int
    ) -> bytes:
        """A page as PNG, `width` pixels wide, with the text at `span` highlighted."""
        params = {"width": width}
        if span is not None:
            params |= {"start": span[0], "end": span[1]}
        return self._bytes(f"/v1/documents/{document_id}/pages/{number}.png", params)

    def original(self, document_id: int) -> bytes:
        """The file as it was ingested."""
        return self._bytes(f"/v1/documents/{document_id}/original")

    def failures(self) -> list[Failure]:
        """The files that were not ingested."""
        return self._record("/v1/failures", Failures).failures

    def _record(self, path: str, kind: type[T], params: dict[str, Any] | None = None) -> T:
        with _in_words():
            return msgspec.json.decode(self._bytes(path, params), type=kind)

    def _bytes(self, path: str, params: dict[str, Any] | None = None) -> bytes:
        with _in_words():
            response = self._http.get(path, params=params)
            if not response.is_success:
                raise _problem(response.status_code, response.content)
            return response.content


def _credential(key: str, session: str) -> dict[str, str]:
    if key and _COOKIE_VALUE.fullmatch(key):
        return {"Authorization": f"Bearer {key}"}
    if not key and _COOKIE_VALUE.fullmatch(session):
        return {"Cookie": f"{SESSION_COOKIE}={session}"}
    raise Problem("This credential is not valid.", status=401)


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events up to and including the final one."""
    name, data = "", ""
    for line in lines:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
        elif not line and data:
            event = _event(name, data)
            if event is not None:
                yield event
            if isinstance(event, Final):
                return
            name, data = "", ""
    raise Problem("The answer broke off.", "The connection ended early.", "Ask again.")


def _event(name: str, data: str) -> Event | None:
    """The event as a record; None for one that this page does not know."""
    if name == "error":
        raise _problem(500, data.encode())
    kind = _EVENTS.get(name)
    return None if kind is None else msgspec.json.decode(data, type=kind)


def _problem(status: int, body: bytes) -> Problem:
    try:
        details = msgspec.json.decode(body, type=ProblemDetails)
    except msgspec.DecodeError:
        details = ProblemDetails()
    status = details.status or status
    title = details.title or f"The API answered with status {status}."
    return Problem(title, details.detail, details.hint, status=status)


@contextmanager
def _in_words() -> Iterator[None]:
    """Translate what the HTTP and JSON libraries raise."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Problem(
            "Citadel took too long to answer.", hint="It may be busy. Try again in a moment."
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Problem(
            "Citadel cannot be reached.",
            "This page is running, but the API behind it does not answer.",
            "If this lasts, ask your administrator to check that `citadel serve` is running.",
        ) from error
    except msgspec.DecodeError as error:
        raise Problem(
            "Citadel's answer could not be understood.",
            "The page and the API seem to be of different versions.",
            "Ask your administrator to restart `citadel serve`.",
            status=500,
        ) from error

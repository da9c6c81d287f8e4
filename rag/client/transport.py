"""HTTP for the client: a caller's credential on each call, failures in words, answers as records.

What is asked for and what comes back is the business of the modules beside this one; each subject
of the client (`client.conversations`, …) is an object over one `Transport`.
"""

import re
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from rag.client.records import ProblemDetails

SESSION_COOKIE = "citadel_session"
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265, 4.1.1
_TIMEOUT = httpx.Timeout(30.0, connect=3.0)
_STREAM_TIMEOUT = httpx.Timeout(300.0, connect=3.0)  # a model may read for minutes

ATTEMPTS = 3
MAX_WAIT_S = 10.0  # between two of them; a server that asks for more is left alone
_BACKOFF_S = 0.2  # after a first connection that failed; then twice as long each time
_KEY = "Idempotency-Key"
_ASKS_TO_WAIT = {409, 429, 503}  # where it says how long; 409: the same is being done right now

T = TypeVar("T")
Params = Mapping[str, str | int | list[str]]
Headers = Mapping[str, str]


class Tagged(msgspec.Struct, Generic[T], frozen=True):
    """What was read, and the ETag that names this state of it."""

    value: T
    etag: str


class Problem(Exception):  # noqa: N818  the term of RFC 9457
    """A call that failed, in words for the person before the page.

    `status` is the HTTP status, 0 where no usable response came. `retry_after_s` is how long the
    server asks to wait, if it does.
    """

    retry_after_s: float | None = None

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


class Transport:
    """Calls to one API by one caller. Every method raises `Problem`, and nothing else.

    What can be done twice without harm (a read, a write with an Idempotency-Key) is tried up to
    `attempts` times where the connection fails or the server asks to come back in a moment.
    """

    def __init__(
        self, url: str, *, key: str = "", session: str = "", attempts: int = ATTEMPTS
    ) -> None:
        self._attempts = attempts
        self._http = httpx.Client(
            base_url=url,
            headers=_credential(key, session),
            timeout=_TIMEOUT,
            trust_env=False,  # a proxy named in the environment must not see documents
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, kind: type[T], params: Params | None = None) -> T:
        """What stands at `path`, as a record."""
        return self._record(kind, "GET", path, params=params)

    def tagged(
        self, path: str, kind: type[T], params: Params | None = None, known: str = ""
    ) -> Tagged[T] | None:
        """The same with its ETag; None where that is `known`, so that a copy is still right."""
        headers = {"If-None-Match": known} if known else {}
        response = self._response("GET", path, params=params, headers=headers)
        if response.status_code == 304:
            return None
        with in_words():
            value = msgspec.json.decode(response.content, type=kind)
        return Tagged(value, response.headers.get("etag", ""))

    def send(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        headers: Headers | None = None,
    ) -> T:
        """Send `body` as JSON; returns the answer as a record."""
        return self._record(kind, method, path, json=_plain(body), headers=headers)

    def tell(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None
    ) -> None:
        """Send `body` as JSON, where the answer says no more than that it was done."""
        self._response(method, path, json=_plain(body), headers=headers)

    def delete(self, path: str, kind: type[T], params: Params | None = None) -> T:
        """Delete what `params` name, once; returns the answer as a record."""
        return self._record(kind, "DELETE", path, params=params, headers=once())

    def upload(self, path: str, kind: type[T], content: bytes, params: Params) -> T:
        """Send a file; returns the answer as a record."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._record(kind, "POST", path, content=content, params=params, headers=headers)

    def download(self, path: str, params: Params | None = None) -> bytes:
        """A file."""
        return self._response("GET", path, params=params).content

    def stream(
        self, method: str, path: str, body: Any = None, line: Line | None = None
    ) -> Generator[tuple[str, str], None, None]:
        """Server-sent events as (name, JSON), as they arrive. `line` can end them before."""
        request = self._http.stream(method, path, json=_plain(body), timeout=_STREAM_TIMEOUT)
        with in_words(), request as response:
            if line is not None:
                line.hold(response)
            if not response.is_success:
                response.read()
                raise _problem(response.status_code, response.content)
            for name, data in _events(response.iter_lines()):
                if name == "error":
                    raise _problem(500, data.encode())
                yield name, data

    def _record(self, kind: type[T], method: str, path: str, **sent: Any) -> T:
        content = self._response(method, path, **sent).content
        with in_words():
            return msgspec.json.decode(content, type=kind)

    def _response(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """What is answered, also that a copy is still right; tried again where that is harmless."""
        harmless = method == "GET" or _KEY in (sent.get("headers") or {})
        with in_words():
            for number in range(1, self._attempts if harmless else 1):
                try:
                    response = self._http.request(method, path, **sent)
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    time.sleep(_BACKOFF_S * 2 ** (number - 1))
                    continue
                wait_s = _asked_to_wait_s(response)
                if wait_s is None or wait_s > MAX_WAIT_S:
                    return _checked(response)
                time.sleep(wait_s)
            return _checked(self._http.request(method, path, **sent))


def once(if_match: str = "") -> dict[str, str]:
    """The headers of a write that is done once however often it is sent.

    With `if_match`, an ETag, it is done only where nothing has changed since that was read.
    """
    return {_KEY: str(uuid4())} | ({"If-Match": if_match} if if_match else {})


def from_cursor(cursor: str | None, limit: int) -> dict[str, str | int]:
    """The parameters of one page of a list."""
    return {"limit": limit} | ({"cursor": cursor} if cursor else {})


def segment(name: str) -> str:
    """A name as one part of a path, also where it is `..` or has a slash in it."""
    return quote(name, safe="").replace(".", "%2E")


@contextmanager
def in_words() -> Iterator[None]:
    """Translate what the HTTP and JSON libraries raise.

    Raises:
        Problem: in place of it.
    """
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


def _credential(key: str, session: str) -> dict[str, str]:
    if key and _COOKIE_VALUE.fullmatch(key):
        return {"Authorization": f"Bearer {key}"}
    if not key and _COOKIE_VALUE.fullmatch(session):
        return {"Cookie": f"{SESSION_COOKIE}={session}"}
    raise Problem("This credential is not valid.", status=401)


def _plain(body: Any) -> Any:
    """A record as JSON takes it."""
    return msgspec.to_builtins(body) if isinstance(body, msgspec.Struct) else body


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Server-sent events; comments, which only say that the server lives, are left out."""
    name, data = "", ""
    for line in lines:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
        elif not line and data:
            yield name, data
            name, data = "", ""


def _asked_to_wait_s(response: httpx.Response) -> float | None:
    """How long the server asks to wait before the same request is sent again."""
    said = response.headers.get("retry-after", "")
    return float(said) if response.status_code in _ASKS_TO_WAIT and said.isdecimal() else None


def _checked(response: httpx.Response) -> httpx.Response:
    """The response, if it has what was asked for, or says that a copy of it is still right."""
    if response.is_success or response.status_code == 304:
        return response
    problem = _problem(response.status_code, response.content)
    problem.retry_after_s = _asked_to_wait_s(response)
    raise problem


def _problem(status: int, body: bytes) -> Problem:
    try:
        details = msgspec.json.decode(body, type=ProblemDetails)
    except msgspec.DecodeError:
        details = ProblemDetails()
    status = details.status or status
    title = details.title or f"The API answered with status {status}."
    return Problem(title, details.detail, details.hint, status=status)

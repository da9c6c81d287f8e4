"""HTTP for the client: a caller's credential on each call, failures in words, answers as records.

What is asked for and what comes back is the business of the modules beside this one; each subject
of the client (`client.conversations`, …) is an object over one `Transport`.
"""

import re
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import httpx
import msgspec

from rag.client.records import ProblemDetails

SESSION_COOKIE = "citadel_session"
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # RFC 6265, 4.1.1
_TIMEOUT = httpx.Timeout(30.0, connect=3.0)
_STREAM_TIMEOUT = httpx.Timeout(300.0, connect=3.0)  # a model may read for minutes

T = TypeVar("T")
Params = Mapping[str, str | int | list[str]]


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


class Transport:
    """Calls to one API by one caller. Every method raises `Problem`, and nothing else."""

    def __init__(self, url: str, *, key: str = "", session: str = "") -> None:
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

    def send(self, method: str, path: str, kind: type[T], body: Any = None) -> T:
        """Send `body` as JSON; returns the answer as a record."""
        return self._record(kind, method, path, json=_plain(body))

    def tell(self, method: str, path: str, body: Any = None) -> None:
        """Send `body` as JSON, where the answer says no more than that it was done."""
        self._bytes(method, path, json=_plain(body))

    def upload(self, path: str, kind: type[T], content: bytes, params: Params) -> T:
        """Send a file; returns the answer as a record."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._record(kind, "POST", path, content=content, params=params, headers=headers)

    def download(self, path: str, params: Params | None = None) -> bytes:
        """A file."""
        return self._bytes("GET", path, params=params)

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
        content = self._bytes(method, path, **sent)
        with in_words():
            return msgspec.json.decode(content, type=kind)

    def _bytes(self, method: str, path: str, **sent: Any) -> bytes:
        with in_words():
            response = self._http.request(method, path, **sent)
            if not response.is_success:
                raise _problem(response.status_code, response.content)
            return response.content


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


def _problem(status: int, body: bytes) -> Problem:
    try:
        details = msgspec.json.decode(body, type=ProblemDetails)
    except msgspec.DecodeError:
        details = ProblemDetails()
    status = details.status or status
    title = details.title or f"The API answered with status {status}."
    return Problem(title, details.detail, details.hint, status=status)

"""What every request passes on its way in and every response on its way out.

In: a request id, a limit on the body, authentication, the caller's share. Out: the headers that
every response has, and a problem in place of whatever failed without one.
"""

import logging
import re
import secrets
from contextlib import AbstractContextManager, nullcontext

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.acting import Actor, acting
from rag.api.border.auth import OPEN_PATHS, Caller, Gate
from rag.api.border.problems import problem_response
from rag.api.border.proxied import address_of
from rag.api.border.quotas import Quotas
from rag.api.uploading import FORM_BYTES
from rag.errors import CitadelError

logger = logging.getLogger(__name__)

ANSWERING = frozenset({"/v1/query", "/v1/chat/completions"})
WATCHING = re.compile(r"/v1/ingest-runs/\d+/events")
MAX_BODY_BYTES = 1024**2
UPLOAD = ("POST", "/v1/documents")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-site",
}


class Border:
    """ASGI middleware; the outermost one, so that nothing goes round it."""

    def __init__(self, app: ASGIApp, gate: Gate, quotas: Quotas) -> None:
        self._app = app
        self._gate = gate
        self._quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; lifespan events pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        out = _Out(send, request_id, scope["path"])
        token = acting.set(_actor(scope, None))
        try:
            limited = _limited(Headers(scope=scope), receive, _max_body_bytes(scope))
            if scope["path"] in OPEN_PATHS:
                await self._app(scope, limited, out)
                return
            with self._held(scope["path"], await self._recognised(scope)):
                await self._app(scope, limited, out)
        except (CitadelError, HTTPException) as error:
            await _refuse(error, scope, receive, out)
        except ClientDisconnect:
            logger.debug("request %s: the caller has left", request_id)
        except Exception as error:  # the border: a caller gets a problem, the log all
            logger.exception("request %s failed: %s", request_id, scope["path"])
            await _refuse(error, scope, receive, out)
        finally:
            acting.reset(token)

    async def _recognised(self, scope: Scope) -> Caller:
        caller: Caller = await self._gate.authenticate(scope)
        scope["state"]["caller"] = caller
        acting.set(_actor(scope, caller))
        self._quotas.admit(caller)
        return caller

    def _held(self, path: str, caller: Caller) -> AbstractContextManager[None]:
        """One of the caller's places for what takes a while, where the request is for that."""
        if path in ANSWERING:
            return self._quotas.answering(caller)
        return self._quotas.place(caller) if WATCHING.fullmatch(path) else nullcontext()


def _actor(scope: Scope, caller: Caller | None) -> Actor:
    """Who acts in a request, for the audit records."""
    request_id, address = scope["state"]["request_id"], address_of(scope)
    if caller is None:
        return Actor("nobody", request_id=request_id, address=address)
    number = None if caller.owner == "operator" else caller.owner
    return Actor(
        "operator" if number is None else "user",
        number,
        how=caller.kind,
        credential=caller.credential,
        request_id=request_id,
        address=address,
    )


class _Out:
    """`send`, adding the headers that every response has."""

    def __init__(self, send: Send, request_id: str, path: str) -> None:
        self._send = send
        self._fixed = {"X-Request-Id": request_id, **ALWAYS}
        self._private = path.startswith(("/v1/", "/mcp"))
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in self._fixed.items():
                headers.setdefault(name, value)
            if self._private:
                headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


async def _refuse(error: Exception, scope: Scope, receive: Receive, out: _Out) -> None:
    if out.started:  # too late for a status; the connection is cut by the server
        raise error
    request_id = scope["state"]["request_id"]
    response = problem_response(error, instance=scope["path"], request_id=request_id)
    await response(scope, receive, out)


def _request_id(headers: Headers) -> str:
    """The caller's own id, for following a request through several systems, where it is sane."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(12)


def _max_body_bytes(scope: Scope) -> int:
    """How large the body of a request may be: an upload's as large as a file, if it can be read."""
    if (scope["method"], scope["path"]) != UPLOAD:
        return MAX_BODY_BYTES
    try:
        settings = scope["app"].state.backing.appliance().settings
    except CitadelError:  # which the route says in its own turn
        return MAX_BODY_BYTES
    return int(settings.max_file_bytes) + FORM_BYTES


def _limited(headers: Headers, receive: Receive, most: int) -> Receive:
    """`receive`, refusing a body that is too large by its announced or its actual size."""
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 18 or int(announced) > most:
        raise _too_large(most)
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise _too_large(most)
        return message

    return limited


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the request body is larger than {most:,} bytes")

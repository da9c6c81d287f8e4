"""`Idempotency-Key`: a write that is sent twice is done once.

Inside the border, which has recognised the caller, and around all routes. A key is its caller's
own. The same request with the same key gets the response that was kept, with
`Idempotency-Replayed: true`; another request with it 422, and 409 while the first is being done.
Only what succeeded is kept; what failed may be sent again with the same key.

Only the routes in `REPEATABLE` take a key, and all others refuse one rather than pass over it in
silence. A route is repeatable whose response is small JSON that may still be read tomorrow: it has
no secret in it (a login link, a new key) and no text of a document, which its reader may not be
allowed to read by then. `tests/api/test_api_idempotency.py` has every write in one of two tables.
"""

import hashlib
import json
import re

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.api.border.auth import SAFE_METHODS, Caller, number_of
from rag.errors import BadRequest
from rag.store import Store
from rag.store.idempotency import KeptResponse

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
REPEATABLE = frozenset(
    {
        ("POST", "/v1/conversations"),
        ("PATCH", "/v1/conversations/{conversation_id}"),
        ("DELETE", "/v1/conversations/{conversation_id}"),
        ("PUT", "/v1/feedback"),
        ("DELETE", "/v1/sessions/{session_id}"),
        ("DELETE", "/v1/keys/{key_id}"),
        ("POST", "/v1/collections"),
        ("DELETE", "/v1/collections/{name:path}"),
        ("PUT", "/v1/grants"),
        ("DELETE", "/v1/grants"),
        ("PUT", "/v1/limits"),
        ("DELETE", "/v1/limits"),
        ("POST", "/v1/users"),
        ("PATCH", "/v1/users/{name}"),
        ("DELETE", "/v1/users/{name}"),
        ("PUT", "/v1/users/{name}/roles/{role}"),
        ("DELETE", "/v1/users/{name}/roles/{role}"),
        ("POST", "/v1/groups"),
        ("DELETE", "/v1/groups/{name}"),
        ("PUT", "/v1/groups/{name}/members/{user}"),
        ("DELETE", "/v1/groups/{name}/members/{user}"),
        ("POST", "/v1/ingest-runs"),
        ("DELETE", "/v1/documents/{document_id}"),
    }
)
KEPT_HEADERS = ("content-type", "etag", "location")


def _pattern(path: str) -> str:
    """A route's path as a regular expression."""
    return re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\w+:path\}", ".+", path))


_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_PATTERNS = [(method, re.compile(_pattern(path))) for method, path in REPEATABLE]


class Idempotency:
    """ASGI middleware; inside the border."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; those without a key pass."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        key = Headers(scope=scope).get(HEADER)
        if key is None or "caller" not in scope["state"]:
            await self._app(scope, receive, send)
            return
        _check(key, scope)
        store: Store = scope["app"].state.backing.appliance().store
        caller: Caller = scope["state"]["caller"]
        body = await _whole(receive)
        owner = await to_thread.run_sync(number_of, caller, store)
        request = request_sha256(scope, caller, body)
        known = await to_thread.run_sync(store.idempotency.claim, owner, key, request)
        if known is not None:
            await _replay(known)(scope, receive, send)
            return
        await self._once(scope, _again(body, receive), send, _Claim(store, owner, key))

    async def _once(self, scope: Scope, receive: Receive, send: Send, claim: "_Claim") -> None:
        """Do it, and keep its response before anybody gets it; or give the key up."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        try:
            await self._app(scope, receive, collect)
        except BaseException:
            await to_thread.run_sync(claim.release)
            raise
        await to_thread.run_sync(claim.end, messages)
        for message in messages:
            await send(message)


class _Claim:
    """A key that this request has taken."""

    def __init__(self, store: Store, owner: int, key: str) -> None:
        self._keys, self._owner, self._key = store.idempotency, owner, key

    def end(self, messages: list[Message]) -> None:
        """Keep a response that says that it was done; blocks on the store."""
        start, *rest = messages
        if not 200 <= start["status"] < 300:
            self.release()
            return
        headers = Headers(raw=start["headers"])
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        text = b"".join(message.get("body", b"") for message in rest).decode()
        self._keys.keep(self._owner, self._key, KeptResponse(start["status"], kept, text))

    def release(self) -> None:
        """Give it up; blocks on the store."""
        self._keys.release(self._owner, self._key)


def is_repeatable(method: str, path: str) -> bool:
    """Whether a write takes a key."""
    return any(method == each and at.fullmatch(path) is not None for each, at in _PATTERNS)


def request_sha256(scope: Scope, caller: Caller, body: bytes) -> str:
    """What makes a request the same: all that decides about it, what its caller may do included.

    So a response is not replayed to a credential of the same person that may do less.
    """
    method, path, query = scope["method"], scope["path"], scope["query_string"].decode("latin-1")
    condition = Headers(scope=scope).get("if-match", "")
    said = [method, path, query, condition, sorted(caller.rights), sorted(caller.roles)]
    return hashlib.sha256(json.dumps(said).encode() + b"\n" + body).hexdigest()


def _check(key: str, scope: Scope) -> None:
    if not _KEY.fullmatch(key):
        raise BadRequest(
            "the Idempotency-Key is not one",
            hint="1 to 200 printable ASCII characters without blanks, a UUID for instance.",
        )
    if not is_repeatable(scope["method"], scope["path"]):
        raise BadRequest(
            "this address takes no Idempotency-Key: its response is not kept",
            hint="Send the request without the header.",
        )


async def _whole(receive: Receive) -> bytes:
    """The body; the border has limited it."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` for whoever reads the body once more."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _replay(known: KeptResponse) -> Response:
    response = Response(known.body, known.status)
    headers = MutableHeaders(raw=response.raw_headers)
    headers.update(known.headers | {REPLAYED: "true"})
    if known.status == 204:
        del headers["content-length"]
    return response

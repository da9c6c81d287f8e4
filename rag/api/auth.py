"""Who is calling, and what that caller may read. Closed by default.

A request needs one of three:

1. `Authorization: Bearer <token>`: the API token, for programs.
2. The cookie `citadel_session`, which a browser gets for a one-time login link. Cookies know no
   ports, so a page of another server on this machine could make the browser send it: a request
   that changes something must come from this origin or from the page's, and one that another site
   caused is refused whatever it is.
3. Nothing, where the caller is this server's own user on this machine. That takes all of: the
   connection comes from a loopback address; the `Host` is a loopback name (a foreign name that
   resolves to 127.0.0.1 is DNS rebinding); no proxy header (behind a proxy every request comes
   from loopback); no foreign origin (a web page open in this user's browser is not this user); and
   the socket at the other end belongs to the same operating-system user as the server. That user
   could read the API token from its file anyway. Another user's process on the machine could not,
   nor could a proxy that runs as another user and forgets the headers.

The first and the last are the operator, who may read everything. A link, and the session that it
gives, is the operator's or a user's; a user reads what is granted, as of each request.

A credential that is wrong is refused and never falls back to 3: the page calls from this very
machine and user, with the cookie of a visitor who may be anyone.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from rag.api import peer, tokens
from rag.errors import Forbidden, NotFound, Unauthorized
from rag.store import Role, Store
from rag.types import Access

COOKIE = "citadel_session"
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
PROXY_HEADERS = ("forwarded", "x-real-ip", "via")  # and every X-Forwarded-*
HINT = (
    "Send the token that `citadel token` prints as 'Authorization: Bearer …', or open the login "
    "link that `citadel serve` printed."
)
ASK_ADMIN = "Ask your administrator."
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>\d{1,5}))?")


Right = Literal["search", "query", "ingest", "admin"]
ALL_RIGHTS: frozenset[Right] = frozenset(get_args(Right))


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller, by the way that it was recognised.

    `rights` is what the credential may be used for: all but with an API key, which has its scopes.
    What the person behind it may read or manage is another question; both have to allow a call.
    """

    kind: Literal["bearer", "session", "same_user", "key"]
    owner: tokens.Owner
    rights: frozenset[Right] = ALL_RIGHTS
    roles: frozenset[Role] = frozenset()  # the operator needs none


class Gate:
    """Authenticates requests, and keeps the login links and sessions that were given out."""

    def __init__(
        self, token: str, *, port: int, ui_port: int, public_url: str | None = None
    ) -> None:
        self._token = tokens.digest(token)
        self._ports = (port, ui_port)
        self._public_origin = public_url and public_url.lower()
        self.links = tokens.Issued(tokens.LINK_TTL_S)
        self.sessions = tokens.Issued(tokens.SESSION_TTL_S)

    async def authenticate(self, scope: Scope) -> Caller:
        """The request's caller.

        Raises:
            Unauthorized: it showed no credential, or a wrong one.
        """
        headers = Headers(scope=scope)
        if "authorization" in headers:
            return self._bearer(headers["authorization"])
        session = HTTPConnection(scope).cookies.get(COOKIE)
        if session is not None:
            return self._session(session, headers, scope["method"])
        if await is_same_user(scope, headers):
            return Caller("same_user", "operator")
        raise Unauthorized("this request shows no valid credential", hint=HINT)

    def _bearer(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and tokens.matches(token.strip(), self._token):
            return Caller("bearer", "operator")
        raise Unauthorized("the token is not valid", hint=HINT)

    def _session(self, session: str, headers: Headers, method: str) -> Caller:
        owner = self.sessions.owner(session)
        if owner is None:
            raise Unauthorized(
                "the session has ended",
                hint="Open a new login link: `citadel serve` prints one when it starts.",
            )
        if not self._may_use_cookie(headers, method):
            raise Unauthorized("another site caused this request", hint=HINT)
        return Caller("session", owner)

    def _may_use_cookie(self, headers: Headers, method: str) -> bool:
        if headers.get("sec-fetch-site") == "cross-site":
            return False
        if method in SAFE_METHODS or _own_origin(headers, self._ports):
            return True
        return headers.get("origin", "").lower() == self._public_origin


async def is_same_user(scope: Scope, headers: Headers) -> bool:
    """Whether rule 3 of this module holds for the request."""
    peer_end, server_end = _ends(scope)
    if peer_end is None or server_end is None or not peer_end.address.is_loopback:
        return False
    if not _is_direct(headers):
        return False
    # The kernel takes milliseconds to list its sockets; other requests go on meanwhile.
    return await to_thread.run_sync(peer.owner_uid, peer_end, server_end) == os.geteuid()


def host_name(headers: Headers) -> str:
    """The name or address in the `Host` header without its port; empty where it is malformed."""
    match = _HOST.fullmatch(headers.get("host", ""))
    return match["name"].strip("[]").lower() if match else ""


def is_loopback_name(name: str) -> bool:
    """Whether a host name or address always means this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    end = peer.endpoint(name, 0)
    return end is not None and end.address.is_loopback


def access_of(caller: Caller, store: Store, collections: Sequence[str] | None) -> Access:
    """What `caller` may read, narrowed to `collections` where the request names some.

    Raises:
        Unauthorized: the caller's account has been disabled or removed.
        NotFound: one of them does not exist or may not be read.
    """
    everything = _access_of(caller, store)
    if collections is None:
        return everything
    unknown = sorted(set(collections) - everything.collections)
    if unknown:
        raise NotFound(
            f"no collection {', '.join(map(repr, unknown))}",
            hint="GET /v1/collections lists those that you may search.",
        )
    return everything.within(collections)


def _access_of(caller: Caller, store: Store) -> Access:
    if caller.owner == "operator":
        return store.access_to_all()
    access = store.access_of_number(caller.owner)
    if not access.principals:
        raise Unauthorized("this account is no longer in use", hint=ASK_ADMIN)
    return access


def number_of(caller: Caller, store: Store) -> int:
    """The number of the caller in the store: whose a conversation, a key or a run is."""
    return store.operator_number() if caller.owner == "operator" else caller.owner


def for_rights(caller: Caller, *rights: Right) -> None:
    """Let only credentials pass that may be used for one of these.

    Raises:
        Forbidden: this one may not.
    """
    if caller.rights.isdisjoint(rights):
        raise Forbidden(
            f"this key may not be used for {' or '.join(rights)}",
            hint="Ask your administrator for a key with that scope.",
        )


def for_role(caller: Caller, role: Role) -> None:
    """Let only those pass who have a role, and the operator.

    Raises:
        Forbidden: the caller has not.
    """
    if caller.owner != "operator" and role not in caller.roles:
        raise Forbidden(f"this is for those with the role {role!r}", hint=ASK_ADMIN)


def for_operator(caller: Caller) -> None:
    """Let nobody else pass.

    Raises:
        Forbidden: the caller is a user.
    """
    if caller.owner != "operator":
        raise Forbidden("this is for the operator of the server", hint=ASK_ADMIN)


def _ends(scope: Scope) -> tuple[peer.Endpoint | None, peer.Endpoint | None]:
    client, server = scope.get("client"), scope.get("server")
    if not client or not server or server[1] is None:
        return None, None
    return peer.endpoint(*client), peer.endpoint(*server)


def _is_direct(headers: Headers) -> bool:
    """Whether a request calls this machine by a name of its own, through no proxy and for no page
    of another origin."""
    return (
        is_loopback_name(host_name(headers))
        and not any(_is_proxy_header(name) for name in headers)
        and headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        and _own_origin(headers, _host_ports(headers))
    )


def _is_proxy_header(name: str) -> bool:
    return name in PROXY_HEADERS or name.startswith("x-forwarded")


def _own_origin(headers: Headers, ports: Sequence[int]) -> bool:
    """Whether the page behind the request, if it is one, is on this host and one of `ports`."""
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, -1)
    except ValueError:
        return False
    return (parts.hostname or "").lower() == host_name(headers) != "" and port in ports


def _host_ports(headers: Headers) -> tuple[int]:
    match = _HOST.fullmatch(headers.get("host", ""))
    return (int(match["port"]) if match and match["port"] else 80,)

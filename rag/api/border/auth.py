"""Who is calling, and what that caller may read. Closed by default.

A request needs one of three:

1. `Authorization: Bearer <token>`: the API token, or an API key of a user or of the operator, which
   may be used for what its scopes say. A key with the scope `act_as` acts for the user that the
   header `X-Citadel-User` names, while its owner is an admin or the operator; whoever else sends
   that header is refused, so that nobody reads as himself what was meant to be read as another.
2. The cookie `citadel_session`, which a browser gets when it signs in. Cookies know no ports, so a
   page of another server on this machine could make the browser send it: a request that changes
   something must come from this origin or from the page's, and one that another site caused is
   refused whatever it is.
3. Nothing, where the caller is this server's own user on this machine. That takes all of: the
   connection comes from a loopback address; the `Host` is a loopback name (a foreign name that
   resolves to 127.0.0.1 is DNS rebinding); no proxy header (behind a proxy every request comes
   from loopback); no foreign origin (a web page open in this user's browser is not this user); and
   the socket at the other end belongs to the same operating-system user as the server. That user
   could read the API token from its file anyway. Another user's process on the machine could not,
   nor could a proxy that runs as another user and forgets the headers.

The API token and the last are the operator, who may read everything. A session or a key is the
operator's or a user's; a user reads what is granted, as of each request. Whether the account, the
session and the key still hold is asked of the store at each request, too.

Where `trusted_proxies` names a proxy, the user that it names goes before all of these (`proxied`),
under the same rules for pages of other sites as the cookie, and 3 does not hold for its address.

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

from rag.api.border import peer, tokens
from rag.api.border.proxied import Proxied
from rag.errors import Forbidden, NotFound, Unauthorized
from rag.store import KEY_PREFIX, Owner, Role, Store
from rag.types import Access

COOKIE = "citadel_session"
ACT_FOR = "x-citadel-user"
OPEN_PATHS = frozenset(
    {"/", "/healthz", "/readyz", "/login", "/login/oidc", "/login/oidc/callback", "/login/proxy"}
)
SAFE_METHODS = frozenset({"GET", "HEAD"})
PROXY_HEADERS = ("forwarded", "x-real-ip", "via")  # and every X-Forwarded-*
HINT = (
    "Sign in at /login, or send an API key as 'Authorization: Bearer …'; your administrator "
    "has both to give."
)
HERE = "On this machine, `citadel token` prints the operator's."
ASK_ADMIN = "Ask your administrator."
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>\d{1,5}))?")


Kind = Literal["bearer", "session", "same_user", "key"]
Right = Literal["search", "query", "ingest", "admin"]
ALL_RIGHTS: frozenset[Right] = frozenset(get_args(Right))


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller, by the way that it was recognised.

    `rights` is what the credential may be used for: all but with an API key, which has its scopes.
    What the person behind it may read or manage is another question; both have to allow a call.
    """

    kind: Kind
    owner: Owner
    rights: frozenset[Right] = ALL_RIGHTS
    roles: frozenset[Role] = frozenset()  # the operator needs none
    credential: int | None = None  # the number of the session or key in the store


class Gate:
    """Authenticates requests."""

    def __init__(
        self, token: str, *, port: int, ui_port: int, public_url: str | None = None
    ) -> None:
        self._token = tokens.digest(token)
        self._ports = (port, ui_port)
        self._public_origin = public_url and public_url.lower()
        self.proxied: Proxied | None = None

    async def authenticate(self, scope: Scope) -> Caller:
        """The request's caller.

        Raises:
            Unauthorized: it showed no credential, or one that is wrong or holds no more.
            Forbidden: it names a user to act for, and may not.
            NotReady: it showed a session or a key, and the store is still being loaded.
        """
        headers = Headers(scope=scope)
        caller = await self._recognised(scope, headers)
        if ACT_FOR in headers and caller.kind != "key":
            raise _may_not_act()
        return caller

    async def _recognised(self, scope: Scope, headers: Headers) -> Caller:
        if self.proxied is not None and self.proxied.concerns(headers):
            self._refuse_other_sites(headers, scope["method"])
            number, roles = await self.proxied.holder(scope)
            return Caller("session", number, roles=roles)
        if "authorization" in headers:
            return await self._bearer(scope, headers)
        session = HTTPConnection(scope).cookies.get(COOKIE)
        if session is not None:
            self._refuse_other_sites(headers, scope["method"])
            return await to_thread.run_sync(_of_session, _store(scope), session)
        by_proxy = self.proxied is not None and self.proxied.is_from_proxy(scope)
        if not by_proxy and await is_same_user(scope, headers):
            return Caller("same_user", "operator")
        raise Unauthorized(
            "this request shows no valid credential", hint=hint_for(scope, HINT, HERE)
        )

    async def _bearer(self, scope: Scope, headers: Headers) -> Caller:
        scheme, _, token = headers["authorization"].partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer" and tokens.matches(token, self._token):
            return Caller("bearer", "operator")
        if scheme.lower() == "bearer" and token.startswith(KEY_PREFIX):
            return await to_thread.run_sync(_of_key, _store(scope), token, _named(headers))
        raise Unauthorized("the token is not valid", hint=hint_for(scope, HINT, HERE))

    def _refuse_other_sites(self, headers: Headers, method: str) -> None:
        """What a browser sends unasked (a cookie, a proxy's word) counts for our own pages only."""
        if not self.is_caused_by_us(headers, method):
            raise Unauthorized("another site caused this request", hint=HINT)

    def is_caused_by_us(self, headers: Headers, method: str) -> bool:
        """Whether a browser that sends this was made to by a page of ours, not by another's."""
        if headers.get("sec-fetch-site") == "cross-site":
            return False
        if method in SAFE_METHODS or _own_origin(headers, self._ports):
            return True
        return headers.get("origin", "").lower() == self._public_origin


def _store(scope: Scope) -> Store:
    store: Store = scope["app"].state.backing.appliance().store
    return store


def _of_session(store: Store, token: str) -> Caller:
    signed_in = store.signing.session(token)
    if signed_in is None:
        raise Unauthorized(
            "the session has ended",
            hint="Sign in again at /login, or ask your administrator for a link.",
        )
    return Caller("session", signed_in.owner, roles=signed_in.roles, credential=signed_in.id)


def _of_key(store: Store, token: str, act_for: str | None) -> Caller:
    """The owner of a key, within its scopes; or the user whom it acts for.

    Who is acted for lends the key what may be read, but no role: nobody administers in disguise.
    """
    held = store.keys.held(token)
    if held is None:
        raise Unauthorized(
            "the key is not valid, or not any more", hint="Ask your administrator for another."
        )
    rights = frozenset(right for right in ALL_RIGHTS if right in held.scopes)
    if act_for is None:
        return Caller("key", held.owner, rights, held.roles, held.id)
    number = store.accounts.enabled_user(act_for) if held.may_act else None
    if number is None:
        raise _may_not_act()
    return Caller("key", number, rights - {"admin"}, credential=held.id)


def _named(headers: Headers) -> str | None:
    """Whom the request wants to act for; headers arrive as Latin-1, names are UTF-8."""
    name = headers.get(ACT_FOR)
    return None if name is None else name.encode("latin-1").decode(errors="replace")


def _may_not_act() -> Forbidden:
    """The same for a missing scope and a missing user: keys do not find out who there is."""
    return Forbidden(
        "this credential may not act for that user",
        hint="It takes a key with the scope act_as, and a user who is enabled.",
    )


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
    if not has_role(caller, role):
        raise Forbidden(f"this is for those with the role {role!r}", hint=ASK_ADMIN)


def has_role(caller: Caller, role: Role) -> bool:
    """Whether a caller has a role, or needs none."""
    return caller.owner == "operator" or role in caller.roles


def for_operator(caller: Caller) -> None:
    """Let nobody else pass, and keys of the operator only with the scope `admin`.

    Raises:
        Forbidden: the caller is a user, or the key is for other things.
    """
    for_rights(caller, "admin")
    if caller.owner != "operator":
        raise Forbidden("this is for the operator of the server", hint=ASK_ADMIN)


def hint_for(scope: Scope, said: str, command: str) -> str:
    """What is said to everybody, and the operator's command to who is on this machine."""
    caller, _ = _ends(scope)
    near = caller is not None and caller.address.is_loopback
    forwarded = any(_is_proxy_header(name) for name in Headers(scope=scope))
    return f"{said} {command}" if near and not forwarded else said


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

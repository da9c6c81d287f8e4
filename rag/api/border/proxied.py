"""A reverse proxy that has signed people in already and names them in a header.

Anybody can send a header. This one is believed where the connection itself comes from an address
that `trusted_proxies` names, and a request that carries it from elsewhere is refused. The proxy has
to strip the header from what its own callers send; one that comes twice is refused as well.
"""

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import Scope

from rag.api.border import peer
from rag.errors import Unauthorized
from rag.settings import Settings
from rag.store import Role, Store, Terms, Vouched

ISSUER = "proxy"
HINT = "CITADEL_TRUSTED_PROXIES names the addresses of the proxies that may."


def address_of(scope: Scope) -> str:
    """The address that a request comes from; a trusted proxy says whom it passes on."""
    proxied: Proxied | None = scope["app"].state.company.proxied
    if proxied is not None and proxied.is_from_proxy(scope):
        return proxied.passes_on(Headers(scope=scope))
    client = scope.get("client")
    return client[0] if client else ""


class Proxied:
    """The proxies that the settings name, and what they say of a request."""

    def __init__(self, settings: Settings, terms: Terms) -> None:
        self._networks = settings.trusted_proxies
        self._user_header = settings.proxy_user_header
        self._groups_header = settings.proxy_groups_header
        self._terms = terms

    def concerns(self, headers: Headers) -> bool:
        """Whether a request carries what only a proxy may say."""
        named = (self._user_header, self._groups_header)
        return any(name in headers for name in named if name is not None)

    def is_from_proxy(self, scope: Scope) -> bool:
        """Whether a connection comes from one of the proxies."""
        client = scope.get("client")
        end = peer.endpoint(*client) if client else None
        return end is not None and any(end.address in network for network in self._networks)

    def passes_on(self, headers: Headers) -> str:
        """The address whose request a proxy of ours passes on: the last one, which it added."""
        return ",".join(headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()[:100]

    async def holder(self, scope: Scope) -> tuple[int, frozenset[Role]]:
        """The user whom the proxy names, by number, and that user's roles.

        Raises:
            Unauthorized: it is no proxy of ours that says so, it names nobody, or the user has been
                disabled.
            Forbidden: nobody may sign up, or the name is another user's.
            BadRequest: the name cannot be one here.
        """
        if not self.is_from_proxy(scope):
            raise Unauthorized("this address may not say who is calling", hint=HINT)
        store: Store = scope["app"].state.backing.appliance().store
        vouched = self._vouched(Headers(scope=scope))
        number = await to_thread.run_sync(store.directory.known_as, vouched, self._terms)
        roles = await to_thread.run_sync(store.accounts.standing, number)
        return number, roles or frozenset()

    def _vouched(self, headers: Headers) -> Vouched:
        names = _texts(headers, self._user_header)
        if len(names) != 1 or not names[0]:
            raise Unauthorized(
                f"the proxy names {len(names)} users in {self._user_header}",
                hint="It must name one, and strip the header from what its own callers send.",
            )
        groups = None
        if self._groups_header is not None:
            listed = ",".join(_texts(headers, self._groups_header)).split(",")
            groups = tuple(group.strip() for group in listed if group.strip())
        return Vouched(ISSUER, names[0], names[0], groups)


def _texts(headers: Headers, name: str) -> list[str]:
    """The values of a header, which are UTF-8."""
    try:
        return [text.encode("latin-1").decode().strip() for text in headers.getlist(name)]
    except UnicodeDecodeError as error:
        raise Unauthorized(f"{name} is no UTF-8", hint="Correct the proxy.") from error

"""An LDAP directory, asked by binding as the person who signs in.

The person's entry is found by a template (`ldap_user_dn`) or by an account that may look people up
(`ldap_bind_dn`). What a person types is escaped wherever it goes: it can neither widen a filter nor
leave its place in a name. A password is never sent empty, which a server would take for an
anonymous bind and answer with success. No referral is followed: it would name another host.
"""

import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from rag.directory.trust import is_loopback, trusted
from rag.errors import ConfigError, DirectoryError
from rag.settings import Settings
from rag.store import Store, Terms, Vouched

with warnings.catch_warnings():  # it uses names of pyasn1 that have newer ones
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException, LDAPSASLPrepError
    from ldap3.utils.conv import escape_filter_chars
    from ldap3.utils.dn import escape_rdn

ISSUER = "ldap"  # there is one; what an `ldap_id_attribute` says is unique beyond it
MAX_CHARS = 256  # of a name or a password
EVERYTHING = "(objectClass=*)"
SUCCESS = 0
# Wrong credentials; and an account that is locked, or is none, or has no password.
REFUSED = (49, 19, 32, 34, 48, 53)
HINT = "Try again in a moment; if it stays so, tell your administrator."

Entry = dict[str, Any]


def ldap_sign_in(store: Store, settings: Settings, name: str, password: str) -> int | None:
    """The number of the user who has this name and password in the company's LDAP directory.

    None where they are wrong, and where there is no such directory. Takes the time of some round
    trips: not for the event loop.

    Raises:
        DirectoryError: the directory cannot be reached or used.
        Unauthorized, Forbidden, BadRequest: see `Directory.known_as`.
    """
    if settings.ldap_url is None:
        return None
    vouched = Ldap(settings).authenticate(name, password)
    if vouched is None:
        return None
    terms = Terms(settings.company_sign_up, settings.company_create_groups)
    return store.directory.known_as(vouched, terms)


class Ldap:
    """The directory that the settings name."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigError: they do not say how to find people, or would send passwords in clear.
        """
        self._settings = settings
        url = urlsplit(settings.ldap_url or "")
        self._host, secure = url.hostname or "", url.scheme == "ldaps"
        self._start_tls = settings.ldap_start_tls and not secure
        _check(settings, encrypted=secure or self._start_tls, host=self._host)
        tls = _Tls(trusted(settings.company_ca_file)) if secure or self._start_tls else None
        self._server = ldap3.Server(
            self._host,
            port=url.port or (636 if secure else 389),
            use_ssl=secure,
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=settings.ldap_timeout_s,
        )

    def authenticate(self, name: str, password: str) -> Vouched | None:
        """Who has this name and password; None where they are wrong.

        Raises:
            DirectoryError: the directory cannot be reached or used.
        """
        name = name.strip(" ")
        if not (_is_sane(name) and password and len(password) <= MAX_CHARS):
            return None
        try:
            return self._authenticate(name, password)
        except LDAPSASLPrepError:
            return None  # no password is made of what this one is made of
        except (LDAPException, OSError) as error:
            raise DirectoryError(
                f"the LDAP server {self._host} cannot be used: {_in_short(error)}", hint=HINT
            ) from error

    def _authenticate(self, name: str, password: str) -> Vouched | None:
        account, base = self._settings.ldap_bind_dn, self._settings.ldap_user_base or ""
        if account is None:
            template = self._settings.ldap_user_dn or ""
            dn = template.replace("{name}", escape_rdn(name))
            with self._bound(dn, password) as own:
                return self._vouched(own, _only(own, dn, EVERYTHING)) if _let_in(own) else None
        with self._bound(account, _plain(self._settings.ldap_bind_password)) as looking:
            if not _let_in(looking):
                raise LDAPException(f"it does not let {account} in")
            wanted = self._settings.ldap_user_filter.replace("{name}", escape_filter_chars(name))
            entry = _only(looking, base, wanted)
            if entry is None:
                return None
            with self._bound(entry["dn"], password) as own:
                return self._vouched(looking, entry) if _let_in(own) else None

    @contextmanager
    def _bound(self, dn: str, password: str) -> Iterator[Any]:
        """A connection that has asked to be let in; closed at the end."""
        connection = ldap3.Connection(
            self._server,
            user=dn,
            password=password,
            auto_referrals=False,
            receive_timeout=self._settings.ldap_timeout_s,
            read_only=True,
        )
        try:
            connection.open(read_server_info=False)
            if self._start_tls:
                connection.start_tls(read_server_info=False)
            connection.bind(read_server_info=False)
            yield connection
        finally:
            with suppress(LDAPException, OSError):  # what went wrong before says more
                connection.unbind()
            if connection.socket is not None:  # left open where there was no answer
                connection.socket.close()

    def _vouched(self, connection: Any, entry: Entry | None) -> Vouched:
        if entry is None:
            raise LDAPException("people may not read their own entry; set CITADEL_LDAP_BIND_DN")
        name = _value(entry, self._settings.ldap_name_attribute)
        subject = _value(entry, self._settings.ldap_id_attribute)
        return Vouched(ISSUER, subject, name, self._groups(connection, entry["dn"], name))

    def _groups(self, connection: Any, dn: str, name: str) -> tuple[str, ...] | None:
        if self._settings.ldap_group_base is None:
            return None
        wanted = self._settings.ldap_group_filter.replace("{dn}", escape_filter_chars(dn))
        wanted = wanted.replace("{name}", escape_filter_chars(name))
        attribute = self._settings.ldap_group_attribute
        found = _found(connection, self._settings.ldap_group_base, wanted, attribute)
        return tuple(sorted(_value(entry, attribute) for entry in found))


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """TLS by Python's own checks of certificate and host name."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        connection.socket = self._context.wrap_socket(
            connection.socket,
            do_handshake_on_connect=do_handshake,
            server_hostname=connection.server.host,
        )


def _check(settings: Settings, *, encrypted: bool, host: str) -> None:
    by_account = settings.ldap_bind_dn and settings.ldap_bind_password and settings.ldap_user_base
    place = settings.ldap_user_filter if by_account else settings.ldap_user_dn
    if not by_account and (settings.ldap_bind_dn or not settings.ldap_user_dn):
        raise ConfigError(
            "nothing says how people are found in the LDAP directory",
            hint="Set CITADEL_LDAP_USER_DN, or CITADEL_LDAP_BIND_DN, CITADEL_LDAP_BIND_PASSWORD"
            " and CITADEL_LDAP_USER_BASE.",
        )
    if "{name}" not in (place or ""):
        raise ConfigError(
            f"{place!r} would find the same person whoever signs in",
            hint="Put {name} where the name belongs.",
        )
    if not encrypted and not is_loopback(host):
        raise ConfigError(
            f"passwords would go to {host} in clear",
            hint="Use ldaps://, or leave CITADEL_LDAP_START_TLS on.",
        )


def _is_sane(name: str) -> bool:
    return 0 < len(name) <= MAX_CHARS and name.isprintable()


def _let_in(connection: Any) -> bool:
    """Whether the server has let in who asked; False where name or password are wrong."""
    code, description = connection.result["result"], connection.result["description"]
    if code not in (SUCCESS, *REFUSED):
        raise LDAPException(f"{description} {connection.result['message']}".strip())
    return bool(code == SUCCESS)


def _only(connection: Any, base: str, wanted: str) -> Entry | None:
    """The one entry that a filter finds; None where there is none.

    What is looked for exactly, by `EVERYTHING`, is the entry `base` itself.
    """
    found = _found(connection, base, wanted, "*", "+", below=wanted != EVERYTHING)
    if len(found) > 1:
        raise LDAPException(f"{wanted} finds {len(found)} people")
    return found[0] if found else None


def _found(
    connection: Any, base: str, wanted: str, *attributes: str, below: bool = True
) -> list[Entry]:
    scope = ldap3.SUBTREE if below else ldap3.BASE
    connection.search(base, wanted, search_scope=scope, attributes=list(attributes))
    if connection.result["result"] != SUCCESS:
        raise LDAPException(f"searching {base} for {wanted}: {connection.result['description']}")
    return [entry for entry in connection.response if entry["type"] == "searchResEntry"]


def _value(entry: Entry, attribute: str) -> str:
    """The first value of an attribute; bytes that are no text, such as a GUID's, in hexadecimal."""
    values = {name.lower(): found for name, found in entry["raw_attributes"].items()}
    first: bytes = next(iter(values.get(attribute.lower(), ())), b"")
    if not first:
        raise LDAPException(f"{entry['dn']} has no attribute {attribute}")
    try:
        text = first.decode()
    except UnicodeDecodeError:
        return first.hex()
    return text if text.isprintable() else first.hex()


def _plain(password: SecretStr | None) -> str:
    return password.get_secret_value() if password else ""


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

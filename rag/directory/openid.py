"""An OpenID Connect provider: sending a browser there, and reading what it brings back.

The authorisation code flow with PKCE. What the provider says of a person is believed where its ID
token is signed with a key that the provider publishes, was made for Citadel, has not expired and
carries the nonce of this very sign-in. Only the issuer's own host is ever asked for anything.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from rag.directory.trust import is_loopback, trusted
from rag.errors import ConfigError, DirectoryError, Unauthorized
from rag.settings import Settings
from rag.store import Vouched

logger = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
BASIC, POST = "client_secret_basic", "client_secret_post"
KEPT_S = 3600  # how long what the provider says of itself is believed
CLOCK_SKEW_S = 60
TIMEOUT_S = 10.0
HINT = "Try again in a moment; if it stays so, tell your administrator."
AGAIN = "Sign in again; if it stays so, tell your administrator."

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Transaction:
    """One sign-in that has begun, known to the browser that began it only."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Transaction":
        """A transaction that nobody can guess."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


class Provider:
    """The provider that the settings name. Belongs to the event loop."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigError: there is no client id, or the issuer's address is not safe.
        """
        self.issuer = settings.oidc_issuer or ""
        self._client_id = settings.oidc_client_id
        self._settings = settings
        url = urlsplit(self.issuer)
        self._host, self._secure = url.hostname or "", url.scheme == "https"
        if not self._secure and not is_loopback(self._host):
            raise ConfigError(
                f"{self.issuer} would be asked without encryption", hint="Use its https:// address."
            )
        if not self._client_id:
            raise ConfigError(
                "CITADEL_OIDC_ISSUER is set without CITADEL_OIDC_CLIENT_ID",
                hint="Register Citadel with the provider, which gives it a client id.",
            )
        self._verify = trusted(settings.company_ca_file) if self._secure else False
        self._metadata = _Kept(self._discover)
        self._keys = _Kept(self._fetch_keys)

    async def address(self, transaction: Transaction, redirect_uri: str) -> str:
        """Where the browser goes to sign in.

        Raises:
            DirectoryError: the provider cannot be reached or used.
        """
        metadata = await self._metadata.newest()
        async with self._client(redirect_uri) as client:
            address, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=transaction.state,
                nonce=transaction.nonce,
                code_verifier=transaction.verifier,
            )
        return str(address)

    async def vouched(self, transaction: Transaction, redirect_uri: str, code: str) -> Vouched:
        """Who has signed in, by the code that the browser has brought.

        Raises:
            DirectoryError: the provider cannot be reached or used.
            Unauthorized: it does not know the code, or its token is not to be believed.
        """
        token = await self._redeem(transaction, redirect_uri, code)
        claims = await self._believed(token, transaction.nonce)
        name = claims.get(self._settings.oidc_name_claim)
        if not isinstance(name, str) or not name:
            raise DirectoryError(
                f"the provider's token has no {self._settings.oidc_name_claim!r}",
                hint="CITADEL_OIDC_NAME_CLAIM names the claim that becomes the user's name.",
            )
        return Vouched(self.issuer, claims["sub"], name, self._groups(claims))

    def _groups(self, claims: Json) -> tuple[str, ...] | None:
        """No claim where one is expected means no groups: the groups that were are left."""
        if self._settings.oidc_groups_claim is None:
            return None
        groups = claims.get(self._settings.oidc_groups_claim, [])
        listed = [groups] if isinstance(groups, str) else groups
        if not isinstance(listed, list) or not all(isinstance(group, str) for group in listed):
            raise DirectoryError(
                f"{self._settings.oidc_groups_claim!r} in the provider's token is no list of names",
                hint="CITADEL_OIDC_GROUPS_CLAIM names the claim that lists the user's groups.",
            )
        return tuple(listed)

    async def _redeem(self, transaction: Transaction, redirect_uri: str, code: str) -> Json:
        metadata = await self._metadata.newest()
        methods = metadata.get("token_endpoint_auth_methods_supported") or [BASIC]
        try:
            async with self._client(redirect_uri) as client:
                if client.client_secret and BASIC not in methods:
                    client.token_endpoint_auth_method = POST
                token: Json = await client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=transaction.verifier,
                )
        except OAuthError as error:
            logger.warning("the provider refused a code: %r", str(error))
            if error.error != "invalid_grant":  # it is Citadel that it does not accept
                raise self._unusable(error) from error
            raise Unauthorized("the provider does not know this sign-in", hint=AGAIN) from error
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unusable(error) from error
        return token

    async def _believed(self, token: Json, nonce: str) -> Json:
        """The claims of the ID token, once all of it has been checked."""
        encoded = token.get("id_token")
        if not isinstance(encoded, str):
            raise DirectoryError("the provider gave no ID token", hint=HINT)
        try:
            decoded = await self._decoded(encoded)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self._client_id},
                },
                {
                    "nonce": nonce,
                    "client_id": self._client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(leeway=CLOCK_SKEW_S)
        except (JoseError, ValueError) as error:
            logger.warning("an ID token is not to be believed: %r", str(error))
            raise Unauthorized("the provider's token is not to be believed", hint=AGAIN) from error
        return dict(claims)

    async def _decoded(self, encoded: str) -> jwt.Token:
        try:
            return jwt.decode(encoded, await self._keys.newest(), ALGORITHMS)
        except InvalidKeyIdError:  # perhaps the provider has changed its keys
            return jwt.decode(encoded, await self._keys.fresh(), ALGORITHMS)

    async def _discover(self) -> Json:
        metadata = await self._get(self.issuer.rstrip("/") + WELL_KNOWN)
        if metadata.get("issuer") != self.issuer:
            raise DirectoryError(
                f"the provider calls itself {metadata.get('issuer')!r}, not {self.issuer!r}",
                hint="CITADEL_OIDC_ISSUER must be, letter for letter, what it calls itself.",
            )
        for name in ENDPOINTS:
            self._check_endpoint(name, metadata.get(name))
        return metadata

    def _check_endpoint(self, name: str, address: object) -> None:
        url = urlsplit(address if isinstance(address, str) else "")
        if url.hostname != self._host or (url.scheme == "https") < self._secure:
            raise DirectoryError(
                f"the provider's {name} is {address!r}, which is not at {self._host}",
                hint="Citadel asks no other host than the issuer's, and that by https.",
            )

    async def _fetch_keys(self) -> KeySet:
        metadata = await self._metadata.newest()
        keys = await self._get(metadata["jwks_uri"])
        try:
            return KeySet.import_key_set(keys)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise self._unusable(error) from error

    async def _get(self, address: str) -> Json:
        try:
            async with httpx2.AsyncClient(**self._connection()) as client:
                response = await client.get(address)
                response.raise_for_status()
                answer = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unusable(error) from error
        if not isinstance(answer, dict):
            raise self._unusable(ValueError(f"{address} is no JSON object"))
        return answer

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        secret = self._settings.oidc_client_secret
        return AsyncOAuth2Client(
            self._client_id,
            secret.get_secret_value() if secret else None,
            scope=self._settings.oidc_scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            **self._connection(),
        )

    def _connection(self) -> Json:
        """How the provider is reached: nothing from the environment, no redirect followed."""
        return {
            "verify": self._verify,
            "trust_env": False,
            "follow_redirects": False,
            "timeout": TIMEOUT_S,
        }

    def _unusable(self, error: Exception) -> DirectoryError:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        return DirectoryError(f"the provider {self._host} cannot be used: {what}", hint=HINT)


class _Kept(Generic[T]):
    """Something that is fetched when it is needed, and again when it has grown old."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._found: T | None = None
        self._old_at = 0.0

    async def newest(self) -> T:
        """What was fetched within the last hour."""
        if self._found is None or time.monotonic() > self._old_at:
            return await self.fresh()
        return self._found

    async def fresh(self) -> T:
        """What is there now."""
        self._found = await self._fetch()
        self._old_at = time.monotonic() + KEPT_S
        return self._found

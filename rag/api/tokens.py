"""Tokens: made by `secrets`, one purpose each, kept in memory only as their SHA-256.

The API token is the exception: it lies in a file that only its owner can read, because the command
line and the page must be able to show it.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from rag.errors import ConfigError
from rag.secret import kept_secret
from rag.settings import Settings

TOKEN_BYTES = 32
TOKEN_FILE = "api.token"  # noqa: S105  a file's name
MIN_TOKEN_CHARS = 16  # of one that a person has set
LINK_TTL_S = 3600
SESSION_TTL_S = 12 * 3600
MAX_LIVE = 10_000  # of one kind at a time; the oldest makes room


def api_token(settings: Settings) -> str:
    """The token that programs send: the one that is set, else the one kept in `data_dir`.

    Made on first use, readable by its owner only.

    Raises:
        ConfigError: it is too short, or others can read it or have written it.
    """
    if settings.token is not None:
        return _long_enough(settings.token.get_secret_value())
    return _long_enough(kept_secret(settings.data_dir / TOKEN_FILE))


def _long_enough(token: str) -> str:
    if len(token) < MIN_TOKEN_CHARS or not token.isascii() or not token.isprintable():
        raise ConfigError(
            f"the API token must have {MIN_TOKEN_CHARS} or more printable ASCII characters",
            hint='Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return token


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def matches(token: str, expected: bytes) -> bool:
    """Whether `expected` is the token's digest; takes the same time wherever they differ."""
    return hmac.compare_digest(digest(token), expected)


class Issued:
    """Tokens given out for a limited time. Not thread-safe: belongs to the event loop."""

    def __init__(self, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl_s = ttl_s
        self._clock = clock
        self._expires: dict[bytes, float] = {}  # by digest, oldest first

    def issue(self) -> str:
        """A new token, valid for `ttl_s`."""
        now = self._clock()
        self._expires = {key: end for key, end in self._expires.items() if end > now}
        while len(self._expires) >= MAX_LIVE:
            del self._expires[next(iter(self._expires))]
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._expires[digest(token)] = now + self.ttl_s
        return token

    def valid(self, token: str) -> bool:
        """Whether the token was issued here and has not expired."""
        return self._expires.get(digest(token), 0.0) > self._clock()

    def redeem(self, token: str) -> bool:
        """Use a token up; True where it was valid."""
        valid = self.valid(token)
        self._expires.pop(digest(token), None)
        return valid

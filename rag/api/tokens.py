"""Tokens: made by `secrets`, one purpose each, kept in memory only as their SHA-256.

The API token is the exception: it lies in a file that only its owner can read, because the command
line and the page must be able to show it.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Literal

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


Owner = int | Literal["operator"]  # a user's number in the store


class Issued:
    """Tokens given out for a limited time. Not thread-safe: belongs to the event loop."""

    def __init__(self, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl_s = ttl_s
        self._clock = clock
        self._live: dict[bytes, tuple[Owner, float]] = {}  # by digest, oldest first: until when

    def issue(self, owner: Owner) -> str:
        """A new token for whom it is meant, valid for `ttl_s`."""
        now = self._clock()
        self._live = {key: live for key, live in self._live.items() if live[1] > now}
        while len(self._live) >= MAX_LIVE:
            del self._live[next(iter(self._live))]
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._live[digest(token)] = (owner, now + self.ttl_s)
        return token

    def owner(self, token: str) -> Owner | None:
        """Whom a token was issued for; None where it wasn't issued here or has expired."""
        owner, end = self._live.get(digest(token), (None, 0.0))
        return owner if end > self._clock() else None

    def redeem(self, token: str) -> Owner | None:
        """The same, and the token is used up."""
        owner = self.owner(token)
        self._live.pop(digest(token), None)
        return owner

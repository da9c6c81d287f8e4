"""The API token: the operator's, for programs.

It lies in a file that only its owner can read, because the command line must be able to show it.
All other tokens are the store's, which keeps no more of them than their SHA-256.
"""

import hashlib
import hmac

from rag.errors import ConfigError
from rag.secret import kept_secret
from rag.settings import Settings

TOKEN_FILE = "api.token"  # noqa: S105  a file's name
MIN_TOKEN_CHARS = 16  # of one that a person has set


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

"""Tokens of sessions and links: random, for one purpose each, and kept only as their SHA-256.

Each carries a signature with a secret of the installation, so that one which was made up is refused
before the database is asked.
"""

import hashlib
import hmac
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal

from rag.secret import kept_secret

TOKEN_BYTES = 32
SIGNATURE_CHARS = 32  # 128 bits in hexadecimal
SECRET_FILE = "session.secret"  # noqa: S105  a file's name

Purpose = Literal["session", "link"]


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


class Mint:
    """Makes tokens, and knows its own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / SECRET_FILE

    def token(self, purpose: Purpose) -> str:
        """A new token.

        Raises:
            ConfigError: the secret cannot be kept, or others can read it.
        """
        random = secrets.token_urlsafe(TOKEN_BYTES)
        return f"{random}.{self._signature(purpose, random)}"

    def made(self, purpose: Purpose, token: str) -> bool:
        """Whether a token was made here, for this purpose.

        Raises:
            ConfigError: the secret cannot be kept, or others can read it.
        """
        random, _, signature = token.rpartition(".")
        expected = self._signature(purpose, random)
        return hmac.compare_digest(signature.encode(errors="replace"), expected.encode())

    def _signature(self, purpose: Purpose, random: str) -> str:
        message = f"{purpose}:{random}".encode(errors="replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:SIGNATURE_CHARS]

    @cached_property
    def _secret(self) -> bytes:
        """Made when first needed: most commands need none."""
        return kept_secret(self._file).encode()

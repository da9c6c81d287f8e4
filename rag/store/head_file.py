"""The newest audit record, kept outside of the database and signed: `audit.head`.

Whoever can write the database, and not this folder, can't cut off the end of the chain unnoticed.
The file may be behind the chain, after a crash, but never ahead of it.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
from pathlib import Path

from rag.errors import StoreError
from rag.secret import kept_secret
from rag.store.audit import Head

logger = logging.getLogger(__name__)

HEAD_FILE = "audit.head"
SECRET_FILE = "audit.secret"  # noqa: S105  a file's name


class HeadFile:
    """Writes and reads the file; safe between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / HEAD_FILE
        self._secret_path = folder / SECRET_FILE
        self._secret: bytes | None = None

    def keyed(self, text: str) -> str:
        """A hash of a text that cannot be tried out without the secret of this installation."""
        return _hmac(self._key(), text)

    def signed(self, text: str) -> str:
        """The signature of an audit record. The key is another than that of `keyed`, which is given
        texts of anybody's."""
        return _hmac(_hmac(self._key(), "citadel audit record").encode(), text)

    def write(self, head: Head) -> None:
        """Keep a newer head. What cannot be written is logged: the record itself is stored."""
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}")
        try:
            known = self._read()
            if known is not None and known[0].seq >= head.seq:
                return
            text = json.dumps({"head": str(head), "signature": self.keyed(str(head))})
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:  # noqa: PTH123  a descriptor
                file.write(text + "\n")
            draft.rename(self._path)
        except OSError as error:
            logger.warning("cannot keep %s: %s", self._path, error.strerror)
            with contextlib.suppress(OSError):
                draft.unlink()

    def read(self) -> Head | None:
        """The head that was kept; None where there is no file.

        Raises:
            StoreError: the file was not written by this installation.
        """
        found = self._read()
        if found is None:
            return None
        head, signature = found
        if not hmac.compare_digest(signature, self.keyed(str(head))):
            raise StoreError(
                f"{self._path} was not written by this installation",
                hint="Somebody has changed it, or audit.secret beside it is another one.",
            )
        return head

    def _key(self) -> bytes:
        if self._secret is None:
            self._secret = kept_secret(self._secret_path).encode()
        return self._secret

    def _read(self) -> tuple[Head, str] | None:
        try:
            found = json.loads(self._path.read_text())
            return parsed_head(found["head"]), str(found["signature"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return Head(0, ""), ""  # no signature fits


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="replace"), hashlib.sha256).hexdigest()


def parsed_head(text: str) -> Head:
    """`SEQ:HASH` as `citadel audit head` prints it.

    Raises:
        ValueError: it is none.
    """
    seq, _, sha256 = text.strip().partition(":")
    if not seq.isdecimal() or len(seq) > 18 or len(sha256) != 64:
        raise ValueError(f"{text!r} is no SEQ:HASH")
    return Head(int(seq), sha256.lower())

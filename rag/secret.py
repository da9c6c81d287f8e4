"""Secrets that an installation makes for itself, in files that only their owner can read."""

import os
import secrets
from pathlib import Path

from rag.errors import ConfigError

SECRET_BYTES = 32


def kept_secret(path: Path) -> str:
    """The secret in `path`, made at random on first use.

    Raises:
        ConfigError: it cannot be kept there, or others can read it or have written it.
    """
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise ConfigError(
            f"cannot keep a secret in {path}: {error.strerror}",
            hint="Check the permissions of the data directory.",
        ) from error


def _create(path: Path) -> None:
    """Write a new secret under a name of its own, then publish it: nobody reads half of one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w") as file:  # noqa: PTH123  a descriptor
            file.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its secret counts
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    state = path.stat()
    if state.st_mode & 0o077 or state.st_uid != os.geteuid():
        raise ConfigError(
            f"{path} can be read by others, or belongs to someone else",
            hint=f"Delete it and start again: a new one is made. (rm {path})",
        )
    return path.read_text().strip()

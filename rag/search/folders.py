"""Folders that belong to a running process, told from those that a killed one has left.

The claim is a lock on the folder itself, which ends with the process however that ends. Unlike a
process id it holds across containers that share a data directory.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def claim_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder that is not among the `unclaimed` until the returned descriptor is closed."""
    parent.mkdir(parents=True, exist_ok=True)
    with locked(parent):
        folder = parent / f"{prefix}-{secrets.token_hex(6)}"
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return folder, descriptor


def unclaimed(parent: Path) -> Iterator[Path]:
    """The folders in `parent` that nobody claims; none is claimed anew while this goes on."""
    if not parent.is_dir():
        return
    with locked(parent):
        for folder in sorted(parent.iterdir()):
            with contextlib.suppress(OSError), locked(folder, wait=False):
                yield folder


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder's lock; BlockingIOError if another has it and `wait` is not wanted."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)

"""Where a server is, as it tells the commands that run beside it.

While it runs, a server holds a lock on a file of the data directory that says its addresses. The
kernel takes the lock away however the server ends, so nobody believes one that is gone.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

ADDRESS_FILE = "server.address"
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound to
ELSEWHERE = ("192.0.2.1", 9)  # of no machine; nothing is sent there


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address on its own machine, and as others reach it; the same behind a proxy."""

    here: str
    elsewhere: str


def base_url(host: str, port: int) -> str:
    """The address of a server that listens on `host`, as a browser on this machine reaches it."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def names_elsewhere(host: str) -> list[str]:
    """What other machines call this one by, where a server listens on all its addresses."""
    if host not in ANY_ADDRESS:
        return []
    names = [socket.gethostname()]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(ELSEWHERE)  # which only chooses the way out
        names.append(asking.getsockname()[0])
    return names


@contextmanager
def published(data_dir: Path, address: Address) -> Iterator[None]:
    """Let commands know the address meanwhile; of two servers the first is the one they know."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / ADDRESS_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor, fcntl.LOCK_EX):
            yield
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(address)).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def running(data_dir: Path) -> Address | None:
    """The address of the server that runs on this data directory now; None where none does."""
    try:
        descriptor = os.open(data_dir / ADDRESS_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return Address(**json.loads(os.pread(descriptor, 4096, 0)))
    except ValueError:  # it is starting or ending at this moment
        return None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

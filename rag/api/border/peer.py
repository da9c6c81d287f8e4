"""Who is at the other end of a loopback connection: the user that owns the peer's socket.

Linux lists every TCP socket of the network namespace with its owner in /proc/net/tcp and tcp6. A
connection over loopback appears there twice, once from each end; the line whose local address is
the peer's is the peer's own socket.
"""

import ipaddress
import struct
from pathlib import Path
from typing import NamedTuple

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED = "01"
OVERFLOW_UID = 65534  # what users that this namespace cannot name are shown as: says nothing

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Endpoint(NamedTuple):
    """One end of a connection."""

    address: Address
    port: int


def endpoint(host: str, port: int) -> Endpoint | None:
    """An endpoint from its text; None where `host` is no IP address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return Endpoint(_unmapped(address), port)


def owner_uid(peer: Endpoint, server: Endpoint) -> int | None:
    """Uid that owns the socket at `peer` connected to `server`; None where it cannot be known.

    Only a connection that is open at the peer's end counts: the kernel shows a socket that its
    process has closed already as owned by root.
    """
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:  # not Linux, or no IPv6
            continue
        for line in lines:
            fields = line.split()
            if _port(fields[1]) != peer.port or fields[3] != ESTABLISHED:
                continue
            if _parse(fields[1]) == peer and _parse(fields[2]) == server:
                return _known_uid(int(fields[7]), inode=int(fields[9]))
    return None


def _known_uid(uid: int, *, inode: int) -> int | None:
    return None if inode == 0 or uid == OVERFLOW_UID else uid


def _port(text: str) -> int:
    return int(text.rpartition(":")[2], 16)


def _parse(text: str) -> Endpoint:
    """`0100007F:1F90` is 127.0.0.1:8000: words of 32 bits in the machine's byte order."""
    host, _, port = text.partition(":")
    raw = bytes.fromhex(host)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    packed = struct.pack(f"={len(words)}I", *words)
    return Endpoint(_unmapped(ipaddress.ip_address(packed)), int(port, 16))


def _unmapped(address: Address) -> Address:
    """::ffff:127.0.0.1, as a server on both families sees an IPv4 peer, is 127.0.0.1."""
    return getattr(address, "ipv4_mapped", None) or address

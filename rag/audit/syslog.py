"""Lines to a syslog server (RFC 5424) over UDP (RFC 5426), TCP (RFC 6587) or a Unix socket."""

import os
import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

from rag.closing import Closing
from rag.errors import AuditError

TIMEOUT_S = 10
MAX_DATAGRAM_BYTES = 60_000
_LOG_AUDIT, _NOTICE = 13, 5
PRIORITY = _LOG_AUDIT * 8 + _NOTICE


class Syslog(Closing):
    """A connection to a server such as `tcp://host:601`, `udp://host:514` or `unix:/dev/log`."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            AuditError: there is nobody.
        """
        self._address = address
        self._host = socket.gethostname() or "-"
        try:
            self._socket, self._is_stream = _connected(address)
        except OSError as error:
            raise self._failure(error) from error

    def send(self, at: datetime, message_id: str, text: str) -> None:
        """Send one line.

        Raises:
            AuditError: it could not be sent. Over UDP nobody learns of a line that got lost.
        """
        stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        header = f"<{PRIORITY}>1 {stamp} {self._host} citadel {os.getpid()} {message_id[:32]} -"
        line = f"{header} {text}".encode()
        try:
            if self._is_stream:  # each line with its length before it
                self._socket.sendall(b"%d %s" % (len(line), line))
            else:
                self._socket.send(line[:MAX_DATAGRAM_BYTES])
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _failure(self, error: OSError) -> AuditError:
        return AuditError(
            f"cannot send audit records to {self._address}: {error.strerror or error}",
            hint="Check that the syslog server runs; what was not sent is sent later.",
        )


def _connected(address: str) -> tuple[socket.socket, bool]:
    """A socket, and whether lines need their length before them."""
    if address.startswith("unix:"):
        return _unix(address.removeprefix("unix:"))
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 0
    if parts.scheme == "tcp":
        return socket.create_connection((host, port), TIMEOUT_S), True
    family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    made = socket.socket(family, kind, protocol)
    made.connect(where)
    return made, False


def _unix(path: str) -> tuple[socket.socket, bool]:
    """Usually of datagrams, as /dev/log is."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.connect(path)
    except OSError:
        made.close()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(TIMEOUT_S)
        try:
            made.connect(path)
        except OSError:
            made.close()
            raise
        return made, True
    return made, False

"""Pages as images, drawn one at a time by a process that may be lost."""

import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection

import msgspec

from rag.api.draw import MAX_PIXELS, Drawing, Drawn
from rag.errors import RenderError

TIMEOUT_S = 20.0
MAX_REPLY_BYTES = 4 * MAX_PIXELS
HINT = "Open the original, or read the passage as text."


class Renderer:
    """Draws pages in a process of its own, started on first use. Thread-safe.

    pdfium may not be used by two threads at once, and one page takes some 50 ms: callers queue.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def png(self, drawing: Drawing) -> bytes:
        """The page as a PNG.

        Raises:
            RenderError: the file is damaged, or too much for the time or memory allowed.
        """
        with self._lock:
            drawn = self._ask(drawing)
        if drawn.error:
            raise RenderError(f"this page cannot be drawn: {drawn.error}", hint=HINT)
        return drawn.png

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _ask(self, drawing: Drawing) -> Drawn:
        connection = self._started()
        try:
            connection.send_bytes(msgspec.msgpack.encode(drawing))
            if not connection.poll(self._timeout_s):
                raise TimeoutError(f"it took longer than {self._timeout_s:g} s")
            return msgspec.msgpack.decode(connection.recv_bytes(MAX_REPLY_BYTES), type=Drawn)
        except TimeoutError as error:
            self._stop()
            return Drawn(error=str(error))
        except (EOFError, OSError, msgspec.DecodeError):
            self._stop()
            return Drawn(error="the file made the drawing process fail")

    def _started(self) -> Connection:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._connection is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "rag.api.draw", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            self._connection = Connection(ours.detach())
        return self._connection

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None

"""A real HTTP server on loopback that answers each route with what a test gives it."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Answer = tuple[int, str, bytes | Iterable[bytes]]


@dataclass
class Canned:
    """Routes to answers, and what was asked of them. A route that is not there is a 404.

    A body in pieces is sent piece by piece, and closed early where the client leaves.
    """

    routes: dict[str, Answer] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def canned_api(routes: dict[str, Answer]) -> Iterator[Canned]:
    """Serve `routes` (`"GET /path"` to status, content type and body) on a free port."""
    canned = Canned(dict(routes))

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(size)
            canned.seen.append((f"{self.command} {self.path}", dict(self.headers), body))
            missing: Answer = (
                404,
                "application/problem+json",
                b'{"title": "Not found", "status": 404}',
            )
            route = f"{self.command} {urlsplit(self.path).path}"
            status, kind, content = canned.routes.get(route, missing)
            self.send_response(status)
            self.send_header("content-type", kind)
            if isinstance(content, bytes):
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            pieces = iter([content] if isinstance(content, bytes) else content)
            with suppress(ConnectionError):
                for piece in pieces:
                    self.wfile.write(piece)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  http.server's names

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    canned.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield canned
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

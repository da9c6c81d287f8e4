"""A real HTTP server on loopback that answers each route with what a test gives it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Canned:
    """Routes to answers, and what was asked of them. A route that is not there is a 404."""

    routes: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def canned_api(routes: dict[str, tuple[int, str, bytes]]) -> Iterator[Canned]:
    """Serve `routes` (`"GET /path"` to status, content type and body) on a free port."""
    canned = Canned(dict(routes))

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(size)
            canned.seen.append((f"{self.command} {self.path}", dict(self.headers), body))
            missing = (404, "application/problem+json", b'{"title": "Not found", "status": 404}')
            route = f"{self.command} {urlsplit(self.path).path}"
            status, kind, content = canned.routes.get(route, missing)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  the name is http.server's

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

"""The HTTP side of the fake of vLLM: a server in a thread, and the client of one request."""

import asyncio
import json
import socket
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Send

from .vllm_wire import Json

WAIT_S = 20
JSON, HTML, TEXT = "application/json", "text/html", "text/plain; version=0.0.4"
Said = tuple[int, Json | str | bytes, dict[str, str]]  # status, body, further headers


class Client:
    """The other end of one request: whether it is still there, writing to it, cutting it off."""

    def __init__(self, receive: Receive, send: Send, closing: asyncio.Event) -> None:
        self.send = send
        self._transport = send.__self__.transport  # type: ignore[attr-defined]  # uvicorn's
        self._ended = False  # by us
        self._leaving = asyncio.create_task(self._watch(receive))
        self._closing = asyncio.create_task(closing.wait())

    @staticmethod
    async def _watch(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def gone(self, within_s: float | None) -> bool:
        """Wait that long; True as soon as the client has left or the server is being killed."""
        ends = {self._leaving, self._closing}
        done, _ = await asyncio.wait(ends, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    @property
    def left(self) -> bool:
        """Whether it closed the connection before the answer's end."""
        return self._leaving.done() and not self._ended

    async def start(self, status: int, kind: str, headers: dict[str, str]) -> None:
        """Send the head of the answer."""
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        pairs.append((b"content-type", kind.encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes) -> None:
        """Send a piece of the answer."""
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last piece."""
        self._ended = True
        await self.send({"type": "http.response.body", "body": data})

    async def say(self, said: Said) -> None:
        """Send a whole answer: JSON, text or, as bytes, a web page."""
        status, body, headers = said
        kind = {str: TEXT, bytes: HTML}.get(type(body), JSON)
        data = body.encode() if isinstance(body, str) else body
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        await self.start(status, kind, {**headers, "content-length": str(len(data))})
        await self.end(data)

    async def cut(self) -> None:
        """Close the connection without a word."""
        self._ended = self._ended or not self._leaving.done()
        self._transport.abort()
        await self._leaving

    async def release(self) -> None:
        """End the request; a server that is being killed cuts it off."""
        if self._closing.done():
            await self.cut()
        self._leaving.cancel()
        self._closing.cancel()


async def body_of(receive: Receive) -> bytes:
    """The body of a request."""
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        if not message.get("more_body"):
            return data


class Server(uvicorn.Server):
    """A server in a thread; when the constructor returns it listens."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.closing = asyncio.Event()
        self._ready = threading.Event()
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                proxy_headers=False,
            )
        )
        self._thread = threading.Thread(target=self.run, args=([self.socket],))
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it listens."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    async def main_loop(self) -> None:
        """Run until `stop()`; uvicorn's own loop would look for it ten times a second."""
        await self.on_tick(0)
        await self.closing.wait()

    def stop(self) -> None:
        """Close the port, cut every connection and end the thread."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self.closing.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

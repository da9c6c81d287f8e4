"""Answers that take a while: as server-sent events, and given up when the caller leaves."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag.answer.events import Event, Notice, Searched, Sentence, Step
from rag.api.border.problems import Problem, problem_of
from rag.errors import CitadelError
from rag.wire import final_json, notice_json, searched_json, sentence_json, step_json

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def while_connected(receive: Receive, work: Awaitable[T]) -> T:
    """Do the work, or give it up when the caller leaves.

    Raises:
        ClientDisconnect: the caller has left; the work has been cancelled and has ended.
    """
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        finished = task.done()
    finally:
        task.cancel()
        left.cancel()
        await asyncio.gather(task, left, return_exceptions=True)
    if not finished:
        raise ClientDisconnect
    return task.result()


class Form(Protocol):
    """How a stream is written: which text an event becomes, and a problem in the middle of it."""

    def event_text(self, event: Event) -> str:
        """What is sent for an event; may be nothing."""
        ...

    def problem_text(self, problem: Problem) -> str:
        """What is sent for a failure, as the last thing."""
        ...


class OwnForm:
    """The events as they are, each by its name."""

    def event_text(self, event: Event) -> str:
        """An event of an answer as a server-sent event."""
        if isinstance(event, Searched):
            return sse("searched", searched_json(event))
        if isinstance(event, Step):
            return sse("step", step_json(event))
        if isinstance(event, Notice):
            return sse("notice", notice_json(event))
        if isinstance(event, Sentence):
            return sse("sentence", sentence_json(event))
        return sse("final", final_json(event))

    def problem_text(self, problem: Problem) -> str:
        """An `error` event."""
        return sse("error", problem)


class EventStream(Response):
    """The rest of an answer as server-sent events, after its first event is known.

    A failure from here on is the stream's last event: the status has already been sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        first: Event,
        rest: AsyncGenerator[Event, None],
        *,
        request_id: str,
        form: Form | None = None,
    ) -> None:
        self._first = first
        self._rest = rest
        self._request_id = request_id
        self._form: Form = form or OwnForm()
        # Proxies hold back what they take for a page.
        super().__init__(headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, or stop when the caller leaves."""
        await while_connected(receive, self._stream(scope["path"], send))

    async def _stream(self, path: str, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async with aclosing(self._rest):
            try:
                await _send(send, self._form.event_text(self._first))
                async for event in self._rest:
                    await _send(send, self._form.event_text(event))
            except CitadelError as error:
                await _send(send, self._failure(error, path))
            except Exception as error:
                await _send(send, self._failure(error, path))
                logger.exception("request %s failed: %s", self._request_id, path)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _failure(self, error: Exception, path: str) -> str:
        problem = problem_of(error, instance=path, request_id=self._request_id)
        return self._form.problem_text(problem)


def sse(name: str, data: dict[str, Any]) -> str:
    """A server-sent event; JSON on one line, so that one `data:` is enough."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _send(send: Send, text: str) -> None:
    if text:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

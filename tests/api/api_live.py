"""The API as the tests run it: in a thread, on a free port of this machine."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import api_samples
import httpx
import uvicorn
from fastapi import FastAPI

from rag.api.app import create_app
from rag.api.border.quotas import Shares
from rag.api.serve import bound_socket, server_config
from rag.appliance import Appliance
from rag.store import Owner, Store

TOKEN = "a-token-for-the-tests-only"
REQUEST_ID = "request-of-a-kept-turn"
START_TIMEOUT_S = 30
UI_PORT = 8501
PLENTY = Shares(10**6, 10**9, 10**3)  # so that no test is slowed by another


@dataclass(frozen=True)
class Live:
    """A server that is running."""

    app: FastAPI
    port: int
    ids: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        # Loading certificates takes longer than most tests, and there is no TLS here.
        return httpx.Client(base_url=self.url, trust_env=False, verify=False, timeout=30, **options)

    def session(self, owner: Owner = "operator") -> str:
        """A new browser session, made by the server itself."""
        return self.store.signing.begin(owner, "link")

    @property
    def store(self) -> Store:
        """The server's own store."""
        store: Store = self.app.state.backing.appliance().store
        return store

    def filled(self, path: str, owner: int | None = None) -> str:
        """A path with the ids of what there is to be called, made where a call may use it up.

        A conversation is new, its owner's (else the operator's), and has one answered turn.
        """
        if "{conversation}" not in path and "feedback" not in path:
            return path.format(**self.ids)
        talks, owner = self.store.conversations, owner or self.store.operator_number()
        conversation = talks.create(owner)
        talks.append(owner, conversation.id, api_samples.kept_answer(self.ids["pdf"], REQUEST_ID))
        return path.format(**self.ids, conversation=conversation.id)


@contextmanager
def running(
    load: Callable[[], Appliance], ids: dict[str, int], shares: Shares = PLENTY
) -> Iterator[Live]:
    """The API in a thread of this process."""
    where = {"token": TOKEN, "host": "127.0.0.1", "ui_port": UI_PORT, "shares": shares}
    with serving(lambda port: create_app(load, port=port, **where)) as (app, port):
        yield Live(app, port, ids)


@contextmanager
def serving(make: Callable[[int], FastAPI]) -> Iterator[tuple[FastAPI, int]]:
    """An application on a free port."""
    with bound_socket("127.0.0.1", 0, "--port") as bound:
        port = bound.getsockname()[1]
        app = make(port)
        server = uvicorn.Server(server_config(app))
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield app, port
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT_S)
    assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""The official clients of other people's protocols, and a user to try them as."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx2
import openai
from api_live import TOKEN, Live
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

T = TypeVar("T")
BEARER = {"Authorization": f"Bearer {TOKEN}"}

QUESTION = "How many days of paid annual leave does every employee receive per calendar year?"
UNANSWERABLE = "Which telescope photographed the moons of Neptune?"


def openai_client(url: str, **options: Any) -> openai.OpenAI:
    """With the API token, unless other headers say something else."""
    # Loading certificates takes longer than most tests, and there is no TLS here.
    http = httpx2.Client(trust_env=False, verify=False, timeout=30)
    options = {"api_key": TOKEN, "max_retries": 0} | options
    return openai.OpenAI(base_url=f"{url}/v1", http_client=http, **options)


@asynccontextmanager
async def mcp_client(
    url: str, headers: dict[str, str], mode: Any = "auto"
) -> AsyncIterator[Client]:
    http = httpx2.AsyncClient(trust_env=False, verify=False, headers=headers, timeout=30)
    async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as c:
        yield c


def with_mcp_client(
    url: str,
    do: Callable[[Client], Awaitable[T]],
    headers: dict[str, str] = BEARER,
    mode: str = "auto",
) -> T:
    """What `do` gives with a client that is connected, as the operator by default."""

    async def run() -> T:
        async with mcp_client(url, headers, mode) as client:
            return await do(client)

    return asyncio.run(run())


@contextmanager
def user(live: Live, name: str, collection: str | None = None) -> Iterator[dict[str, str]]:
    """The headers of a user who may read the collection, or nothing."""
    store = live.app.state.backing.appliance().store
    store.permissions.add_principal("user", name)
    try:
        if collection is not None:
            store.permissions.grant(collection, f"user:{name}", "read")
        session = live.session(store.user_number(name))
        yield {"Cookie": f"citadel_session={session}", "Host": f"127.0.0.1:{live.port}"}
    finally:
        store.permissions.remove_principal("user", name)

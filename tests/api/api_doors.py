"""Every way out for what a document says: what a caller gets of one document by each of them."""

import re
from collections.abc import Callable
from typing import Any

import httpx
from api_clients import QUESTION
from api_samples import LEAVE

Door = Callable[[httpx.Client, int], httpx.Response]

TRACES = (LEAVE, "28 days", "Handbook", "handbook.pdf")  # of the document, in whatever shape


def tool(client: httpx.Client, name: str, **arguments: Any) -> httpx.Response:
    """What an MCP tool says to who calls it without a client."""
    call = {"name": name, "arguments": arguments}
    sent = {"jsonrpc": "2.0", "id": "a call", "method": "tools/call", "params": call}
    return client.post("/mcp", json=sent, headers={"Accept": "application/json"})


def chat(client: httpx.Client, question: str, **more: Any) -> httpx.Response:
    """What a program for OpenAI's API gets."""
    body = {"model": "citadel", "messages": [{"role": "user", "content": question}], **more}
    return client.post("/v1/chat/completions", json=body)


# By what is asked: these find the handbook for who may read it.
ASKED: dict[str, Door] = {
    "search": lambda client, _: client.post("/v1/search", json={"query": QUESTION, "k": 100}),
    "query": lambda client, _: client.post("/v1/query", json={"question": QUESTION}),
    "query, streamed": lambda client, _: client.post(
        "/v1/query", json={"question": QUESTION, "stream": True}
    ),
    "chat": lambda client, _: chat(client, QUESTION),
    "chat, streamed": lambda client, _: chat(client, QUESTION, stream=True),
    "mcp search": lambda client, _: tool(client, "search", query=QUESTION, k=20),
    "mcp ask": lambda client, _: tool(client, "ask", question=QUESTION),
    "documents": lambda client, _: client.get("/v1/documents?limit=200"),
}


def _at(path: str) -> Door:
    return lambda client, document: client.get(f"/v1/documents/{document}{path}")


# By its number.
NAMED: dict[str, Door] = {
    "document": _at(""),
    "text": _at("/text"),
    "part of the text": _at("/text?start=0&end=9"),
    "passage": _at("/passage?start=0&end=90"),
    "pages": _at("/pages"),
    "page image": _at("/pages/1.png?width=100"),
    "marked page image": _at("/pages/1.png?width=100&start=0&end=9"),
    "original": _at("/original"),
    "mcp fetch": lambda client, document: tool(client, "fetch", id=str(document)),
    "mcp fetch a span": lambda client, document: tool(client, "fetch", id=f"{document}:0-90"),
}
DOORS = ASKED | NAMED


def betrayed(response: httpx.Response, document: int) -> list[str]:
    """What of the handbook a response has in it."""
    told = response.text
    found = [trace for trace in TRACES if trace in told]
    if re.search(rf'"document_id\\?":\s*{document}\b|documents/{document}/', told):
        # A problem repeats the number that was asked for and nothing else.
        found += [str(document)] if response.status_code == 200 else []
    return found


def shows(door: str, response: httpx.Response) -> bool:
    """Whether a door let its caller see the handbook: so that nothing is proved by silence."""
    if response.status_code != 200 or '"isError":true' in response.text.replace(" ", ""):
        return False
    if door in NAMED:
        return True
    return LEAVE in response.text or "handbook.pdf" in response.text

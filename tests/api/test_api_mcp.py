"""The official MCP client over streamable HTTP, against the API."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx
import jsonschema
import pytest
from api_clients import BEARER, QUESTION, UNANSWERABLE, user, with_mcp_client
from api_live import Live, running, wait_for
from api_samples import LEAVE, NOTES
from mcp import Client, MCPError
from mcp.types import CallToolResult

from rag.api.bodies import shown
from rag.api.bodies.models import Answer
from rag.api.border.auth import Caller
from rag.api.routes import mcp_tools
from rag.appliance import Appliance
from rag.settings import Settings
from tests.fakes.vllm import fake_vllm

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
JSON = {"Content-Type": "application/json"}


def call(
    live: Live, tool: str, headers: dict[str, str] = BEARER, **arguments: Any
) -> CallToolResult:
    return with_mcp_client(live.url, lambda client: client.call_tool(tool, arguments), headers)


def text_of(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if part.type == "text")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_search_leads_to_fetch_and_ask_to_a_cited_answer(live: Live, mode: str) -> None:
    async def through(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["search", "fetch", "ask"]
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
        found = await client.call_tool("search", {"query": "annual leave", "k": 2})
        first = found.structured_content["results"][0]
        assert first.keys() >= {"id", "title", "url"}
        assert (first["title"], len(found.structured_content["results"])) == (
            "Handbook, pages 1-2",
            2,
        )
        assert json.loads(text_of(found)) == found.structured_content
        read = await client.call_tool("fetch", {"id": first["id"]})
        passage = read.structured_content
        assert passage.keys() == {"id", "title", "text", "url", "metadata"}
        assert (passage["id"], passage["text"]) == (first["id"], first["text"])
        whole = await client.call_tool("fetch", {"id": first["id"].split(":")[0]})
        assert passage["text"] in whole.structured_content["text"]
        answer = await client.call_tool("ask", {"question": QUESTION})
        final = Answer.model_validate(answer.structured_content)
        assert LEAVE in final.answer and final.citations
        assert f"{LEAVE} [1]" in text_of(answer) and shown.SOURCES in text_of(answer)
        for name, result in (("search", found), ("fetch", read), ("ask", answer)):
            jsonschema.validate(result.structured_content, tools[name].output_schema or {})

    with_mcp_client(live.url, through, mode=mode)


def test_the_addresses_lead_to_the_passages(live: Live, client: httpx.Client) -> None:
    found = call(live, "search", query="office in Lisbon", k=1).structured_content["results"][0]
    assert client.get(found["url"]).json()["text"] == found["text"]
    assert "opens at eight" in found["text"]


def test_a_passage_comes_with_what_stands_around_it_and_a_long_text_in_parts(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = call(live, "fetch", id=f"{live.ids['text']}:14-67").structured_content
    metadata = read["metadata"]
    assert metadata["before"] + read["text"] + metadata["after"] == NOTES
    assert (metadata["collection"], metadata["id"]) == ("hr", live.ids["text"])
    monkeypatch.setattr(mcp_tools, "MAX_FETCHED_CHARS", 30)
    text, name = "", str(live.ids["text"])
    while name:
        part = call(live, "fetch", id=name).structured_content
        text, name = text + part["text"], part["metadata"].get("next_id", "")
    assert text == NOTES


def test_what_the_documents_do_not_say_is_said(live: Live) -> None:
    answer = call(live, "ask", question=UNANSWERABLE)
    assert not answer.is_error
    assert (answer.structured_content["status"], text_of(answer)) == (
        "no_evidence",
        shown.NOT_FOUND,
    )


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("fetch", {"id": "999999"}, "no document 999999"),
    ("fetch", {"id": "../etc/passwd"}, "Take ids as `search` gives them"),
    ("fetch", {"id": "1:5-99999999"}, "no span 5-99999999"),
    ("fetch", {"id": "9" * 19}, "no document"),
    ("search", {"query": " "}, "query: must not be empty"),
    ("search", {"query": "leave", "k": 1000}, "k: input should be less than or equal to 50"),
    ("search", {"query": "leave", "colection": "hr"}, "colection: extra inputs"),
    ("ask", {"question": QUESTION, "collection": "secret"}, "no collection 'secret'"),
    ("ask", {}, "question: field required"),
    ("delete", {}, "there is no tool 'delete'"),
]


@pytest.mark.parametrize(("tool", "arguments", "told"), WRONG)
def test_what_makes_no_sense_is_told_to_the_model(
    live: Live, tool: str, arguments: dict[str, Any], told: str
) -> None:
    result = call(live, tool, **arguments)
    assert result.is_error
    assert told in text_of(result)
    assert "Traceback" not in text_of(result)


def test_a_bug_is_told_without_a_word_of_it(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(mcp_tools, "hit_json", broken)
    result = call(live, "search", query="leave")
    assert result.is_error
    assert "request id" in text_of(result) and "secret" not in text_of(result)


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer wrong"}, {"Host": "evil.example"}])
def test_who_is_not_let_in_gets_no_answer(live: Live, headers: dict[str, str]) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        call(live, "search", headers, query="leave")
    assert isinstance(_innermost(caught.value), MCPError)
    with live.client(headers=headers) as http:
        response = http.post("/mcp", json=LIST)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "citadel token" in response.json()["hint"]


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def test_a_user_finds_what_is_granted_and_nothing_else(live: Live) -> None:
    def seen(headers: dict[str, str]) -> tuple[Any, ...]:
        found = call(live, "search", headers, query="annual leave").structured_content["results"]
        read = call(live, "fetch", headers, id=str(live.ids["pdf"]))
        answer = call(live, "ask", headers, question=QUESTION)
        documents = {result["hit"]["document_id"] for result in found}
        return documents, read.is_error, answer.structured_content["status"]

    with user(live, "ria", "hr") as headers:
        documents, hidden, status = seen(headers)
        assert live.ids["pdf"] in documents and (hidden, status) == (False, "answered")
    with user(live, "flo", "finance") as headers:
        documents, hidden, status = seen(headers)
        assert documents <= {live.ids[name] for name in ("html", "mail", "attached")}
        assert (hidden, status) == (True, "no_evidence")
        missing = text_of(call(live, "fetch", headers, id="999999"))
        kept = text_of(call(live, "fetch", headers, id=str(live.ids["pdf"])))
        assert kept == missing.replace("999999", str(live.ids["pdf"]))
    with user(live, "nil") as headers:
        assert seen(headers) == (set(), True, "no_evidence")


@pytest.mark.parametrize(
    ("rights", "tools"),
    [({"search"}, ["search", "fetch"]), ({"query"}, ["fetch", "ask"]), ({"ingest"}, None)],
)
def test_a_key_is_good_for_the_tools_of_its_scopes(
    live: Live, monkeypatch: pytest.MonkeyPatch, rights: set[Any], tools: list[str] | None
) -> None:
    caller = Caller("key", "operator", frozenset(rights))

    async def authenticate(_scope: Any) -> Caller:
        return caller

    monkeypatch.setattr(live.app.state.gate, "authenticate", authenticate)

    async def listed(client: Client) -> list[str]:
        for name in {"search", "ask"} - set(tools or ()):
            refused = await client.call_tool(name, {})
            assert refused.is_error and "a key with that scope" in text_of(refused)
        return [tool.name for tool in (await client.list_tools()).tools]

    if tools is None:
        with live.client(headers=BEARER) as http:
            assert http.post("/mcp", json=LIST).status_code == 403
    else:
        assert with_mcp_client(live.url, listed) == tools


def test_there_is_nothing_to_listen_to_and_no_session_to_end(client: httpx.Client) -> None:
    for method in ("GET", "DELETE"):
        response = client.request(method, "/mcp")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


def message(tool: str, version: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A call as the protocol's version has it, where a client would not make it."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def routed(tool: str, version: str) -> dict[str, str]:
    """The headers of that call."""
    version_and_tool = {"MCP-Protocol-Version": version, "MCP-Name": tool}
    return version_and_tool | {"MCP-Method": "tools/call", "Accept": "*/*"}


@pytest.mark.parametrize("arguments", [{"query": "\ud800"}, {"query": "x", "\ud800": 1}])
def test_what_is_no_text_is_told_as_well(client: httpx.Client, arguments: dict[str, Any]) -> None:
    sent = json.dumps(message("search", "2026-07-28", arguments))
    response = client.post("/mcp", content=sent, headers=JSON | routed("search", "2026-07-28"))
    assert response.status_code == 200
    assert response.json()["result"]["isError"]


def test_what_is_no_message_is_refused(client: httpx.Client) -> None:
    for content in (b"{", b"[]", b'{"jsonrpc": "2.0"}'):
        response = client.post(
            "/mcp", content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 400
        assert "Traceback" not in response.text


# With an engine


def write(body: dict[str, Any]) -> str:
    prompt = body["messages"][-1]["content"]
    keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
    return f"{LEAVE} [{keys[-1]}]"


@pytest.fixture(scope="module")
def written(settings: Settings, ids: dict[str, int]) -> Iterator[tuple[Live, Any]]:
    """A server with an engine, and the engine; its guard stops what asks for poison."""

    def judge(messages: list[dict[str, Any]]) -> str:
        return "unsafe\nS1" if any("poison" in m["content"] for m in messages) else "safe"

    with fake_vllm(answer=write) as engine, fake_vllm(judge=judge) as guard:
        changes = {"engine_url": engine.url, "guard_url": guard.url}
        with running(lambda: Appliance(settings.model_copy(update=changes)), ids) as live:
            with live.client() as http:
                wait_for(lambda: http.get("/readyz").status_code == 200)
            yield live, engine


def test_what_the_guard_stops_is_told_by_its_category(written: tuple[Live, Any]) -> None:
    answer = call(written[0], "ask", question=f"{QUESTION} And which poison?")
    assert text_of(answer) == "Blocked by the guard: violent crimes."
    assert answer.structured_content["status"] == "blocked"
    assert answer.structured_content["answer"] == ""


@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
def test_a_caller_that_leaves_ends_the_answer(written: tuple[Live, Any], version: str) -> None:
    live, engine = written
    engine.fail("hang")
    body = json.dumps(message("ask", version, {"question": QUESTION}))
    n_before = len(engine.received)
    leaving = HTTPConnection("127.0.0.1", live.port)
    try:
        leaving.request("POST", "/mcp", body, BEARER | JSON | routed("ask", version))
        wait_for(lambda: len(engine.received) > n_before)
        leaving.close()
        wait_for(engine.received[-1].left.is_set)
    finally:
        leaving.close()
        engine.heal()

"""The same question by every protocol has the same answer with the same citations."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_clients import QUESTION, UNANSWERABLE, openai_client, with_mcp_client
from api_live import TOKEN, Live
from api_samples import LEAVE
from httpx_sse import connect_sse

from rag.api.bodies.models import Answer

PROGRAMS = Path(__file__).parents[2] / "docs" / "programs.md"
CHANGING = ("request_id", "timings_ms")


def by_query(client: httpx.Client, question: str) -> Any:
    return client.post("/v1/query", json={"question": question}).json()


def by_query_streamed(client: httpx.Client, question: str) -> Any:
    body = {"question": question, "stream": True}
    with connect_sse(client, "POST", "/v1/query", json=body) as source:
        return list(source.iter_sse())[-1].json()


def by_curl(live: Live, question: str) -> Any:
    headers = (f"Authorization: Bearer {TOKEN}", "Content-Type: application/json")
    options = [option for header in headers for option in ("-H", header)]
    body = json.dumps({"question": question})
    command = ["curl", "-sS", "--noproxy", "*", f"{live.url}/v1/query", *options, "-d", body]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return json.loads(done.stdout)


def by_openai(live: Live, question: str) -> Any:
    messages: list[Any] = [{"role": "user", "content": question}]
    with openai_client(live.url) as client:
        completion: Any = client.chat.completions.create(
            model="citadel", messages=messages, extra_body={"citadel": {"markers": False}}
        )
    message = completion.choices[0].message
    if completion.citadel["status"] == "answered":
        assert message.content == completion.citadel["answer"]
    assert len(message.annotations) == len(completion.citadel["citations"])
    return completion.citadel


def by_openai_streamed(live: Live, question: str) -> Any:
    messages: list[Any] = [{"role": "user", "content": question}]
    with openai_client(live.url) as client:
        chunks: Any = client.chat.completions.create(
            model="citadel", messages=messages, stream=True
        )
        return list(chunks)[-1].citadel


def by_mcp(live: Live, question: str) -> Any:
    result = with_mcp_client(live.url, lambda c: c.call_tool("ask", {"question": question}))
    return result.structured_content


@pytest.mark.parametrize("question", [QUESTION, UNANSWERABLE])
def test_every_protocol_gives_the_same_answer_with_the_same_citations(
    live: Live, client: httpx.Client, question: str
) -> None:
    answers = [
        by_query(client, question),
        by_query_streamed(client, question),
        by_curl(live, question),
        by_openai(live, question),
        by_openai_streamed(live, question),
        by_mcp(live, question),
    ]
    for answer in answers:
        Answer.model_validate(answer)
        for changing in CHANGING:
            del answer[changing]
    assert answers == answers[:1] * len(answers)
    assert bool(answers[0]["citations"]) == (question == QUESTION)


def readme(live: Live, language: str) -> str:
    """The example of the documentation in that language, for this server."""
    section = PROGRAMS.read_text().split("## From other programs\n")[1].split("\n## ")[0]
    code = section.split(f"```{language}\n")[1].split("```")[0]
    for theirs, ours in (
        ("http://localhost:8000", live.url),
        ("<what `citadel token` prints>", TOKEN),
        ("How long is the notice period?", QUESTION),
    ):
        code = code.replace(theirs, ours)
    return code


def test_the_example_for_openai_runs(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    names: dict[str, Any] = {}
    exec(readme(live, "python"), names)
    names["client"].close()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{LEAVE} [1]"
    assert LEAVE in printed, "as it stands in the document"
    assert any(line.startswith(f"{LEAVE} Handbook, pages 1-2 {live.url}/v1/") for line in printed)


def test_the_example_for_mcp_connects(live: Live) -> None:
    server = json.loads(readme(live, "json"))["mcpServers"]["citadel"]
    assert server["url"] == f"{live.url}/mcp"
    listed = with_mcp_client(live.url, lambda client: client.list_tools(), server["headers"])
    assert [tool.name for tool in listed.tools] == ["search", "fetch", "ask"]

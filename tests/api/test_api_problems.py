"""Every failure is a problem in words."""

import json
from typing import Any

import httpx
import pytest
from api_live import Live

from rag.api.bodies.models import Problem

QUERY = {"question": "How long is the leave?"}


def problem(response: httpx.Response, status: int) -> Problem:
    """The response's problem, which must be one."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(response.json())
    assert found.status == status
    assert found.detail and found.title and found.type.startswith("urn:citadel:problem:")
    assert found.request_id == response.headers["x-request-id"]
    assert found.instance == response.request.url.path
    return found


@pytest.mark.parametrize(
    ("body", "where", "says"),
    [
        ({"question": ""}, "question", "must not be empty"),
        ({"question": " \n\t "}, "question", "must not be empty"),
        ({"question": "a" * 4001}, "question", "at most 4,000 characters; this has 4,001"),
        ({"question": "a\0b"}, "question", "NUL"),
        ({"question": 7}, "question", "string"),
        ({}, "question", "required"),
        (QUERY | {"k": 3}, "k", "not permitted"),
        (QUERY | {"collection": []}, "collection", "at least 1"),
        (QUERY | {"collection": "a\0b"}, "collection.0", "NUL"),
        ([], "body", "valid"),
    ],
)
def test_a_wrong_question_is_explained(
    client: httpx.Client, body: Any, where: str, says: str
) -> None:
    found = problem(client.post("/v1/query", json=body), 422)
    assert found.errors is not None
    assert [e.where for e in found.errors] == [where]
    assert says in found.detail
    assert found.hint


def test_half_a_character_is_refused(client: httpx.Client) -> None:
    body = rb'{"question": "\ud800"}'
    headers = {"Content-Type": "application/json"}
    problem(client.post("/v1/query", content=body, headers=headers), 422)


def test_a_question_of_4000_characters_is_answered(client: httpx.Client) -> None:
    response = client.post("/v1/query", json={"question": "leave " * 666 + "days"})
    assert response.status_code == 200


@pytest.mark.parametrize("k", [0, 101, "many"])
def test_k_has_limits(client: httpx.Client, k: object) -> None:
    assert problem(client.post("/v1/search", json={"query": "leave", "k": k}), 422).errors


def test_what_is_not_json_is_explained(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    found = problem(client.post("/v1/query", content=b"{'question'", headers=headers), 422)
    assert "not JSON" in found.detail


def test_a_form_is_not_taken_for_json(client: httpx.Client) -> None:
    # What another site's page can send without asking the browser's leave.
    headers = {"Content-Type": "text/plain"}
    problem(client.post("/v1/query", content=json.dumps(QUERY), headers=headers), 422)


def test_an_unknown_address_is_a_problem(client: httpx.Client) -> None:
    assert "/docs" in problem(client.get("/v1/nothing"), 404).hint


def test_another_method_is_a_problem(client: httpx.Client) -> None:
    response = client.get("/v1/query")
    problem(response, 405)
    assert response.headers["allow"] == "POST"


def test_a_large_body_is_refused(client: httpx.Client) -> None:
    problem(client.post("/v1/query", content=b" " * (1024**2 + 1)), 413)


def test_a_large_body_that_does_not_say_its_size_is_refused(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    blocks = iter([b" " * 65536] * 17)
    problem(client.post("/v1/query", content=blocks, headers=headers), 413)


def test_an_unknown_collection_is_named(client: httpx.Client) -> None:
    body = {"query": "leave", "collection": ["hr", "secret"]}
    assert "'secret'" in problem(client.post("/v1/search", json=body), 404).detail
    problem(client.post("/v1/query", json=QUERY | {"collection": "secret"}), 404)
    problem(client.get("/v1/documents?collection=secret"), 404)


@pytest.mark.parametrize("identifier", ["0", "-1", "x", str(2**63), "9" * 5000])
def test_an_id_that_cannot_be_one_is_refused(client: httpx.Client, identifier: str) -> None:
    problem(client.get(f"/v1/documents/{identifier}"), 422)


@pytest.mark.parametrize("path", ["", "/text", "/passage?start=0&end=1", "/pages", "/pages/1.png"])
def test_a_document_that_is_not_there_is_a_problem(client: httpx.Client, path: str) -> None:
    problem(client.get(f"/v1/documents/{2**63 - 1}{path}"), 404)


def test_a_sane_request_id_is_kept_and_another_replaced(client: httpx.Client) -> None:
    kept = client.get("/v1/status", headers={"X-Request-Id": "job-2026.03_17"})
    assert kept.headers["x-request-id"] == "job-2026.03_17"
    for odd in ("short", "x" * 65, "a b c d e f", "<script>alert(1)"):
        given = client.get("/v1/status", headers={"X-Request-Id": odd})
        assert given.headers["x-request-id"] != odd


def test_every_response_has_the_protecting_headers(live: Live, client: httpx.Client) -> None:
    for path in ("/v1/status", "/v1/nothing", "/healthz", "/docs", "/login?token=x"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-request-id"]
    assert client.get("/v1/status").headers["cache-control"] == "no-store"
    with live.client() as stranger:
        refused = stranger.get("/v1/status", headers={"Host": "evil.example"})
    assert refused.headers["cache-control"] == "no-store"
    assert "server" not in refused.headers

"""Idempotency keys: a write that is sent twice is done once."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from api_live import Live
from sqlalchemy import select, update
from test_api_access import ROUTES

from rag.api.border.auth import SAFE_METHODS
from rag.api.border.idempotency import REPEATABLE, is_repeatable
from rag.store import tables

# Writes whose response is not kept, each with why.
NOT_KEPT = {
    ("POST", "/v1/search"): "changes nothing, and has documents' text in it",
    ("POST", "/v1/query"): "has documents' text in it: what may be read is decided anew each time",
    ("POST", "/v1/chat/completions"): "as /v1/query",
    ("POST", "/mcp"): "as /v1/query, and changes nothing",
    ("POST", "/v1/login-links"): "has a secret in it",
    ("POST", "/v1/documents"): "has a file in it; the same file twice is one document",
    ("POST", "/v1/ingest-runs/{run_id}/cancel"): "names files, and does nothing twice by itself",
    ("POST", "/v1/keys"): "has a secret in it",
    ("POST", "/v1/me/password"): "has a secret in its request",
    ("POST", "/v1/sign-out"): "who sends it again is nobody by then",
}


@pytest.fixture(scope="module")
def users(live: Live) -> Iterator[dict[str, httpx.Client]]:
    """Two users, signed in."""
    clients = {}
    for name in ("kay", "lee"):
        live.store.permissions.add_principal("user", name)
        session = live.session(live.store.user_number(name))
        cookie = {"Cookie": f"citadel_session={session}", "Host": f"127.0.0.1:{live.port}"}
        clients[name] = live.client(headers=cookie)
    yield clients
    for name, client in clients.items():
        client.close()
        live.store.permissions.remove_principal("user", name)


@pytest.fixture
def kay(users: dict[str, httpx.Client]) -> httpx.Client:
    return users["kay"]


def post(client: httpx.Client, key: str, title: str = "Leave") -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return client.post("/v1/conversations", json={"title": title}, headers=headers)


def n_conversations(client: httpx.Client) -> int:
    return len(client.get("/v1/conversations?limit=200").json()["conversations"])


def test_every_write_is_in_one_of_the_two_tables() -> None:
    writes = {route for route in ROUTES if route[0] not in SAFE_METHODS}
    assert writes == REPEATABLE | NOT_KEPT.keys()
    assert not REPEATABLE & NOT_KEPT.keys()
    assert not any(is_repeatable(method, path) for method, path in NOT_KEPT)


def test_a_write_that_is_sent_again_is_answered_as_before_and_not_done_again(
    kay: httpx.Client,
) -> None:
    before = n_conversations(kay)
    first, again = post(kay, "again"), post(kay, "again")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("content-type", "etag", "location", "x-content-type-options", "cache-control"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert n_conversations(kay) == before + 1
    assert post(kay, "another").json()["id"] != first.json()["id"]


def test_a_deletion_that_is_sent_again_is_not_told_that_there_is_nothing(
    kay: httpx.Client,
) -> None:
    path = post(kay, "made").headers["location"]
    headers = {"Idempotency-Key": "gone"}
    first, again = kay.delete(path, headers=headers), kay.delete(path, headers=headers)
    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert again.headers["idempotency-replayed"] == "true"
    assert kay.delete(path).status_code == 404


def test_changes_and_feedback_take_keys_too(kay: httpx.Client) -> None:
    path = post(kay, "made-to-change").headers["location"]
    headers = {"Idempotency-Key": "change"}
    tags = {
        kay.patch(path, json={"title": "Second"}, headers=headers).headers["etag"] for _ in range(2)
    }
    assert len(tags) == 1, "the version was counted once"
    said = {"request_id": "request-of-nobody", "rating": "up"}
    refused = kay.put("/v1/feedback", json=said, headers={"Idempotency-Key": "said"})
    assert refused.status_code == 404


@pytest.mark.parametrize("change", ["body", "path", "method", "query", "condition"])
def test_a_key_with_another_request_is_refused(kay: httpx.Client, change: str) -> None:
    key = f"other {change}".replace(" ", "-")
    headers = {"Idempotency-Key": key}
    path = post(kay, f"{key}-made").headers["location"]
    kay.patch(path, json={"title": "x"}, headers=headers)
    method, body = "PATCH", {"title": "x"}
    if change == "body":
        body = {"title": "y"}
    elif change == "path":
        path += "0"
    elif change == "query":
        path += "?x=1"
    elif change == "condition":
        headers["If-Match"] = "*"
    else:
        method = "DELETE"
    refused = kay.request(method, path, json=body, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:citadel:problem:key-reused"


def test_a_key_is_its_callers_own(users: dict[str, httpx.Client]) -> None:
    made = {name: post(client, "shared").json()["id"] for name, client in users.items()}
    assert made["kay"] != made["lee"]
    assert post(users["lee"], "shared").json()["id"] == made["lee"]


def test_what_failed_may_be_sent_again_with_its_key(kay: httpx.Client) -> None:
    refused = kay.patch(
        "/v1/conversations/999999", json={"title": "x"}, headers={"Idempotency-Key": "failed"}
    )
    assert refused.status_code == 404
    assert post(kay, "failed").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "ä".encode(), "x" * 201])
def test_what_is_no_key_is_refused(kay: httpx.Client, key: Any) -> None:
    refused = post(kay, key)
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.json()["detail"]


@pytest.mark.parametrize("route", NOT_KEPT, ids=" ".join)
def test_a_route_whose_response_is_not_kept_takes_no_key(
    client: httpx.Client, live: Live, route: tuple[str, str]
) -> None:
    headers = {"Idempotency-Key": "not-kept"}
    call = ROUTES[route]
    refused = client.request(route[0], call.path, json=call.body, headers=headers)
    assert refused.status_code == 400
    assert "without the header" in refused.json()["hint"]
    with live.store._database.read() as connection:
        keys = connection.scalars(select(tables.idempotency.c.key)).all()
    assert "not-kept" not in keys


def test_reading_passes_over_a_key(kay: httpx.Client) -> None:
    response = kay.get("/v1/conversations", headers={"Idempotency-Key": "reading"})
    assert response.status_code == 200


def test_the_same_write_at_the_same_time_is_done_once(live: Live, kay: httpx.Client) -> None:
    before, responses = n_conversations(kay), []

    def send() -> None:
        with live.client(headers=kay.headers) as own:
            responses.append(post(own, "at-once"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {response.status_code for response in responses} <= {201, 409}
    made = [r for r in responses if r.status_code == 201]
    assert len({response.json()["id"] for response in made}) == 1
    assert sum("idempotency-replayed" not in response.headers for response in made) == 1
    assert n_conversations(kay) == before + 1


def test_a_write_that_is_being_done_is_a_conflict(live: Live, kay: httpx.Client) -> None:
    post(kay, "in-work")
    with live.store._database.write() as connection:
        own = tables.idempotency.c.key == "in-work"
        values = {"status": 0, "created_at": datetime.now(UTC)}
        connection.execute(update(tables.idempotency).where(own).values(**values))
    refused = post(kay, "in-work")
    assert refused.status_code == 409
    assert "same key" in refused.json()["hint"]


def test_a_credential_that_may_do_less_gets_no_response_of_one_that_may_do_more(
    live: Live,
) -> None:
    """The route would have refused it; a replay doesn't come by the route."""
    from rag.api.border.auth import Caller
    from rag.api.border.idempotency import request_sha256

    scope = {"method": "POST", "path": "/v1/x", "query_string": b"", "headers": []}
    owner = live.store.operator_number()
    callers = [
        Caller("session", owner),
        Caller("key", owner, frozenset({"query"})),
        Caller("session", owner, roles=frozenset({"admin"})),
    ]
    assert len({request_sha256(scope, caller, b"{}") for caller in callers}) == 3


def test_who_shows_no_credential_is_not_told_about_keys(live: Live) -> None:
    with live.client(headers={"Authorization": "Bearer wrong"}) as nobody:
        assert post(nobody, "again").status_code == 401


def test_the_documentation_says_which_writes_take_a_key(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    taking = {
        (method.upper(), path)
        for path, item in paths.items()
        for method, operation in item.items()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    }
    assert taking == {(method, path.replace(":path", "")) for method, path in REPEATABLE}

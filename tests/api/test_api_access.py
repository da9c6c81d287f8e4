"""Every route times every kind of caller."""

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import httpx
import pytest
from api_live import REQUEST_ID, TOKEN, UI_PORT, Live
from fastapi.routing import APIRoute
from starlette.routing import Route


class Call(NamedTuple):
    """A request that succeeds for who is let in.

    `{pdf}` stands for a document's id, `{conversation}` for a new conversation's.
    """

    path: str
    body: dict[str, Any] | None = None
    status: int = 200


ROUTES = {
    ("POST", "/v1/search"): Call("/v1/search", {"query": "leave"}),
    ("POST", "/v1/query"): Call("/v1/query", {"question": "How long is the leave?"}),
    ("POST", "/v1/conversations"): Call("/v1/conversations", {"title": "Leave"}, 201),
    ("GET", "/v1/conversations"): Call("/v1/conversations"),
    ("GET", "/v1/conversations/{conversation_id}"): Call("/v1/conversations/{conversation}"),
    ("PATCH", "/v1/conversations/{conversation_id}"): Call(
        "/v1/conversations/{conversation}", {"title": "Leave in 2026"}
    ),
    ("DELETE", "/v1/conversations/{conversation_id}"): Call(
        "/v1/conversations/{conversation}", status=204
    ),
    ("GET", "/v1/conversations/{conversation_id}/export"): Call(
        "/v1/conversations/{conversation}/export?format=markdown"
    ),
    ("PUT", "/v1/feedback"): Call(
        "/v1/feedback", {"request_id": REQUEST_ID, "rating": "up", "comment": ""}
    ),
    ("GET", "/v1/feedback"): Call("/v1/feedback"),
    ("POST", "/v1/chat/completions"): Call(
        "/v1/chat/completions",
        {
            "model": "citadel",
            "messages": [{"role": "user", "content": "How long is the leave?"}],
        },
    ),
    ("GET", "/v1/models"): Call("/v1/models"),
    ("GET", "/v1/models/{model}"): Call("/v1/models/citadel"),
    ("POST", "/mcp"): Call("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    ("GET", "/v1/documents"): Call("/v1/documents"),
    ("GET", "/v1/documents/{document_id}"): Call("/v1/documents/{pdf}"),
    ("GET", "/v1/documents/{document_id}/text"): Call("/v1/documents/{pdf}/text"),
    ("GET", "/v1/documents/{document_id}/passage"): Call(
        "/v1/documents/{pdf}/passage?start=0&end=5"
    ),
    ("GET", "/v1/documents/{document_id}/pages"): Call("/v1/documents/{pdf}/pages"),
    ("GET", "/v1/documents/{document_id}/pages/{number}.png"): Call(
        "/v1/documents/{pdf}/pages/1.png?width=100"
    ),
    ("GET", "/v1/documents/{document_id}/original"): Call("/v1/documents/{pdf}/original"),
    ("GET", "/v1/collections"): Call("/v1/collections"),
    ("GET", "/v1/failures"): Call("/v1/failures"),
    ("GET", "/v1/status"): Call("/v1/status"),
    # These change nothing: what they name is not there, or may not be.
    ("POST", "/v1/documents"): Call("/v1/documents?collection=hr", status=400),
    ("DELETE", "/v1/documents/{document_id}"): Call("/v1/documents/999", status=404),
    ("GET", "/v1/ingest-runs"): Call("/v1/ingest-runs"),
    ("POST", "/v1/ingest-runs"): Call(
        "/v1/ingest-runs", {"collection": "nowhere", "paths": ["/srv"]}, 404
    ),
    ("GET", "/v1/ingest-runs/{run_id}"): Call("/v1/ingest-runs/999", status=404),
    ("GET", "/v1/ingest-runs/{run_id}/events"): Call("/v1/ingest-runs/999/events", status=404),
    ("POST", "/v1/ingest-runs/{run_id}/cancel"): Call("/v1/ingest-runs/999/cancel", status=404),
    ("POST", "/v1/collections"): Call("/v1/collections", {"name": "no/name"}, 400),
    ("DELETE", "/v1/collections/{name:path}"): Call("/v1/collections/nowhere", status=404),
    ("GET", "/v1/grants"): Call("/v1/grants"),
    ("PUT", "/v1/grants"): Call(
        "/v1/grants", {"collection": "nowhere", "principal": "user:ann", "right": "read"}, 404
    ),
    ("DELETE", "/v1/grants"): Call("/v1/grants?collection=nowhere&principal=user:ann", status=404),
    ("GET", "/v1/limits"): Call("/v1/limits"),
    ("PUT", "/v1/limits"): Call(
        "/v1/limits", {"collection": "nowhere", "uri": "/srv", "principals": []}, 404
    ),
    ("DELETE", "/v1/limits"): Call("/v1/limits?collection=nowhere&uri=/srv", status=404),
    ("GET", "/v1/users"): Call("/v1/users"),
    ("POST", "/v1/users"): Call("/v1/users", {"name": "no name"}, 400),
    ("GET", "/v1/users/{name}"): Call("/v1/users/nobody", status=404),
    ("PATCH", "/v1/users/{name}"): Call("/v1/users/nobody", {"disabled": True}, 404),
    ("DELETE", "/v1/users/{name}"): Call("/v1/users/nobody", status=404),
    ("PUT", "/v1/users/{name}/roles/{role}"): Call("/v1/users/nobody/roles/admin", status=404),
    ("DELETE", "/v1/users/{name}/roles/{role}"): Call("/v1/users/nobody/roles/admin", status=404),
    ("GET", "/v1/groups"): Call("/v1/groups"),
    ("POST", "/v1/groups"): Call("/v1/groups", {"name": "no name"}, 400),
    ("GET", "/v1/groups/{name}"): Call("/v1/groups/nobody", status=404),
    ("DELETE", "/v1/groups/{name}"): Call("/v1/groups/nobody", status=404),
    ("PUT", "/v1/groups/{name}/members/{user}"): Call("/v1/groups/no/members/nobody", status=404),
    ("DELETE", "/v1/groups/{name}/members/{user}"): Call(
        "/v1/groups/no/members/nobody", status=404
    ),
    ("GET", "/v1/settings"): Call("/v1/settings"),
    ("GET", "/v1/audit"): Call("/v1/audit?limit=1"),
    ("POST", "/v1/login-links"): Call("/v1/login-links"),
    ("GET", "/v1/me"): Call("/v1/me"),
    ("POST", "/v1/me/password"): Call("/v1/me/password", {"password": "short"}, status=403),
    ("GET", "/v1/sessions"): Call("/v1/sessions"),
    ("DELETE", "/v1/sessions/{session_id}"): Call("/v1/sessions/123456789", status=404),
    ("POST", "/v1/sign-out"): Call("/v1/sign-out", status=204),
    ("GET", "/v1/keys"): Call("/v1/keys"),
    ("POST", "/v1/keys"): Call("/v1/keys", {"name": "a test", "scopes": ["query"]}, status=201),
    ("DELETE", "/v1/keys/{key_id}"): Call("/v1/keys/123456789", status=404),
    ("GET", "/metrics"): Call("/metrics"),
    ("GET", "/docs"): Call("/docs"),
    ("GET", "/docs/{name}"): Call("/docs/swagger-ui.css"),
    ("GET", "/openapi.json"): Call("/openapi.json"),
    # Not a route at all: who is not let in does not learn which addresses exist.
    ("GET", "(none)"): Call("/v1/no-such-thing", status=404),
}
OPEN_ROUTES = {
    ("GET", "/"): Call("/", status=404),  # to a program
    ("GET", "/healthz"): Call("/healthz"),
    ("GET", "/readyz"): Call("/readyz"),
    ("GET", "/login"): Call("/login?token=wrong", status=401),
    ("POST", "/login"): Call("/login", status=400),
    ("GET", "/login/oidc"): Call("/login/oidc", status=404),  # no directory is set up here
    ("GET", "/login/oidc/callback"): Call("/login/oidc/callback", status=404),
    ("GET", "/login/proxy"): Call("/login/proxy", status=404),
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LET_IN = {
    "same user": {},
    "same user by name": {"Host": "localhost:{port}"},
    "same user, typed into a browser": {"Sec-Fetch-Site": "none"},
    "same user, own origin": {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    "token": BEARER,
    "token behind a proxy": BEARER | {"X-Forwarded-For": "203.0.113.9", "Host": "citadel.example"},
    "session": {"Cookie": "citadel_session={session}"},
    "session from the page": {
        "Cookie": "citadel_session={session}",
        "Origin": f"http://127.0.0.1:{UI_PORT}",
        "Sec-Fetch-Site": "same-site",
    },
    "session by another name": {"Cookie": "a=b; citadel_session={session}", "Host": "box.example"},
}
SHUT_OUT = {
    "foreign host": {"Host": "evil.example"},
    "foreign host that looks like ours": {"Host": "127.0.0.1.evil.example:{port}"},
    "malformed host": {"Host": "127.0.0.1:{port}@evil.example"},
    "proxy, X-Forwarded-For": {"X-Forwarded-For": "127.0.0.1"},
    "proxy, X-Forwarded-Host": {"X-Forwarded-Host": "127.0.0.1"},
    "proxy, Forwarded": {"Forwarded": "for=127.0.0.1"},
    "proxy, Via": {"Via": "1.1 squid"},
    "foreign origin": {"Origin": "https://evil.example"},
    "opaque origin": {"Origin": "null"},
    "origin of another port": {"Origin": "http://127.0.0.1:3000"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port of this host": {"Sec-Fetch-Site": "same-site"},
    "wrong token": {"Authorization": "Bearer wrong"},
    "token cut short": {"Authorization": f"Bearer {TOKEN[:-1]}"},
    "no token": {"Authorization": "Bearer"},
    "other scheme": {"Authorization": f"Basic {TOKEN}"},
    "key that was made up": {"Authorization": "Bearer ck_q1w2e3r4t5y6u7i8o9p0"},
    "wrong session": {"Cookie": "citadel_session=wrong"},
    "empty session": {"Cookie": "citadel_session="},
    "session that is the token": {"Cookie": f"citadel_session={TOKEN}"},
    "token that is a session": {"Authorization": "Bearer {session}"},
    "wrong token with a good session": {
        "Authorization": "Bearer wrong",
        "Cookie": "citadel_session={session}",
    },
    "session, another site": {
        "Cookie": "citadel_session={session}",
        "Sec-Fetch-Site": "cross-site",
    },
}

FROM_ELSEWHERE = {
    "foreign origin",
    "opaque origin",
    "origin of another port",
    "another site",
    "session, another site",
}


def answers(
    live: Live, routes: dict[tuple[str, str], Call], headers: dict[str, str]
) -> dict[str, httpx.Response]:
    """What each route answers to a call with headers in which `{port}` and `{session}` are
    filled in; each call has a session of its own, as one of them ends it."""
    found = {}
    with live.client() as client:
        for (method, path), call in routes.items():
            fill = {"port": live.port, "session": live.session()}
            filled = {name: value.format(**fill) for name, value in headers.items()}
            response = client.request(
                method, live.filled(call.path), json=call.body, headers=filled
            )
            client.cookies.clear()
            found[f"{method} {path}"] = response
    return found


def test_every_route_has_a_row_in_the_table(live: Live) -> None:
    served = set()
    for route in _routes(live.app.routes):
        served |= {(m, route.path) for m in route.methods or () if m != "HEAD"}
    assert served == (ROUTES | OPEN_ROUTES).keys() - {("GET", "(none)")}


def _routes(routes: list[Any]) -> list[Route | APIRoute]:
    """The routes themselves, also of routers inside of routers."""
    found: list[Any] = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        found += _routes(inner.routes) if inner is not None else [route]
    return found


@pytest.mark.parametrize("caller", LET_IN)
def test_who_shows_a_credential_is_let_in(live: Live, caller: str) -> None:
    expected = {" ".join(route): call.status for route, call in ROUTES.items()}
    if caller.startswith("session"):
        expected["POST /v1/login-links"] = 403
    found = answers(live, ROUTES, LET_IN[caller])
    assert {route: response.status_code for route, response in found.items()} == expected


@pytest.mark.parametrize("caller", SHUT_OUT)
def test_everyone_else_is_shut_out(live: Live, caller: str) -> None:
    found = answers(live, ROUTES, SHUT_OUT[caller])
    assert {route for route, response in found.items() if response.status_code != 401} == set()
    for response in found.values():
        assert response.headers["content-type"] == "application/problem+json"
        assert "administrator" in response.json()["hint"]
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:3000", "null"])
def test_a_session_cannot_be_used_by_a_page_of_another_origin(live: Live, origin: str) -> None:
    changing = {route: call for route, call in ROUTES.items() if route[0] != "GET"}
    headers = {"Cookie": "citadel_session={session}", "Origin": origin}
    found = answers(live, changing, headers)
    assert {route for route, response in found.items() if response.status_code != 401} == set()


@pytest.mark.parametrize("caller", LET_IN | SHUT_OUT)
def test_open_routes_answer_everyone_alike(live: Live, caller: str) -> None:
    headers = (LET_IN | SHUT_OUT)[caller]
    expected = {" ".join(route): call.status for route, call in OPEN_ROUTES.items()}
    if "citadel_session={session}" in headers.get("Cookie", ""):
        # A used link just leads who is signed in to the page.
        expected["GET /login"] = 303
    if caller in FROM_ELSEWHERE:
        expected["POST /login"] = 403
    found = answers(live, OPEN_ROUTES, headers)
    assert {route: response.status_code for route, response in found.items()} == expected


OTHER_USER = """
import encodings.idna, http.client, json, os, sys  # none can be loaded afterwards
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
port, calls = json.load(sys.stdin)
for method, path, body in calls:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, body and json.dumps(body), headers)
    print(connection.getresponse().status)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_of_this_machine_is_shut_out(live: Live) -> None:
    calls = [(route[0], live.filled(c.path), c.body) for route, c in ROUTES.items()]
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", OTHER_USER],
        input=json.dumps([live.port, calls]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["401"] * len(calls)

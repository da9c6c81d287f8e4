"""What a user's session opens: every route times every kind of user, and no word beyond a grant."""

import json
from collections.abc import Iterator
from pathlib import Path

import api_samples
import httpx
import pytest
from api_live import TOKEN, Live, running, wait_for
from test_api_access import ROUTES

from rag.appliance import Appliance
from rag.search.embed import load_embedder
from rag.settings import load_settings
from rag.store import Store

BEARER = {"Authorization": f"Bearer {TOKEN}"}
OPERATORS = {("GET", "/metrics"), ("POST", "/v1/login-links")}
ADMINS = {
    route
    for route in ROUTES
    if route[1].startswith(("/v1/users", "/v1/groups", "/v1/settings"))
    or route in {("GET", "/v1/feedback"), ("POST", "/v1/collections")}
}
AUDITORS = {("GET", "/v1/audit")}
READERS = ("ann", "meg")  # of hr
UPLOADS = ("POST", "/v1/documents")
ABOUT_A_DOCUMENT = {route for route in ROUTES if "{document_id}" in route[1]}
ANNS = {route for route in ROUTES if "{conversation_id}" in route[1]} | {("PUT", "/v1/feedback")}
LEAVE = {"question": "How many days of paid annual leave does every employee receive?"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Store]:
    """Two collections; ann may read hr, meg manages it, bob may read finance, cyd nothing, adi
    neither, who is an admin and an auditor; and dan is disabled."""
    data_dir = tmp_path_factory.mktemp("people") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    settings = load_settings(data_dir=data_dir, token=TOKEN)
    with Store.open(settings.url, data_dir=data_dir) as store:
        store.ids = api_samples.fill(store, load_embedder(settings))  # type: ignore[attr-defined]
        for name in ("ann", "meg", "bob", "cyd", "adi", "dan"):
            store.permissions.add_principal("user", name)
        store.permissions.add_principal("group", "people")
        store.permissions.join_group("people", ["ann", "dan"])
        store.permissions.grant("hr", "group:people", "read")
        store.permissions.grant("hr", "user:meg", "manage")
        store.permissions.grant("finance", "user:bob", "read")
        store.accounts.give_role("user:adi", "admin")
        store.accounts.give_role("user:adi", "auditor")
        yield store


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Live]:
    settings = load_settings(data_dir=store.data_dir, token=TOKEN)
    with running(lambda: Appliance(settings), store.ids) as live:  # type: ignore[attr-defined]
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


def signed_in(server: Live, store: Store, name: str) -> httpx.Client:
    store.permissions.set_disabled(name, False)
    session = server.session(store.user_number(name))
    if name == "dan":
        store.permissions.set_disabled(name, True)
    cookie = {"Cookie": f"citadel_session={session}", "Host": f"127.0.0.1:{server.port}"}
    return server.client(headers=cookie)


def expected(name: str, route: tuple[str, str], usual: int) -> int:
    if name == "dan":
        return 401
    if route in OPERATORS or (route in ADMINS | AUDITORS and name != "adi"):
        return 403
    if route[1] == "/v1/me/password":
        return 400
    if route == UPLOADS:
        return {"ann": 403, "meg": usual}.get(name, 404)
    if route in ANNS and name != "ann":
        return 404
    return 404 if name not in READERS and route in ABOUT_A_DOCUMENT else usual


@pytest.mark.parametrize("name", ["ann", "meg", "bob", "cyd", "adi", "dan"])
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_route_answers_every_user_as_it_should(
    server: Live, store: Store, name: str, route: tuple[str, str]
) -> None:
    call = ROUTES[route]
    url = server.filled(call.path, store.user_number("ann"))
    with signed_in(server, store, name) as client:
        response = client.request(route[0], url, json=call.body)
    assert response.status_code == expected(name, route, call.status), response.text
    if name not in READERS:
        assert api_samples.LEAVE not in response.text


def test_counts_say_nothing_of_what_may_not_be_read(server: Live, store: Store) -> None:
    def counted(name: str) -> tuple[object, ...]:
        with signed_in(server, store, name) as client:
            status = client.get("/v1/status").json()
            listed = client.get("/v1/documents").json()
            collections = client.get("/v1/collections").json()["collections"]
            failures = client.get("/v1/failures").json()["failures"]
        seen = (status["n_documents"], status["n_collections"], listed["total"], collections)
        hidden = (status["n_failures"], status["head"], status["indexed"], failures)
        assert hidden == (None, None, None, [])
        return seen

    assert counted("ann") == (
        *(4, 1, 4),
        [{"name": "hr", "n_documents": 4, "n_chunks": 4, "right": "read"}],
    )
    assert counted("cyd") == (0, 0, 0, [])
    with server.client(headers=BEARER) as client:
        status = client.get("/v1/status").json()
    assert (status["n_documents"], status["n_failures"]) == (7, 1)


def test_the_same_question_has_two_answers_and_another_after_a_revoked_grant(
    server: Live, store: Store
) -> None:
    def asked(name: str) -> str:
        with signed_in(server, store, name) as client:
            return str(client.post("/v1/query", json=LEAVE).json()["status"])

    assert (asked("ann"), asked("bob")) == ("answered", "no_evidence")
    store.permissions.limit("hr", "/srv/documents/handbook.pdf", ["user:bob"])
    assert asked("ann") == "no_evidence"
    store.permissions.grant("hr", "user:bob", "read")
    assert asked("bob") == "answered"
    store.permissions.revoke("hr", "user:bob")
    assert asked("bob") == "no_evidence"
    store.permissions.limit("hr", "/srv/documents/handbook.pdf", None)
    assert asked("ann") == "answered"


def test_a_collection_that_may_not_be_read_is_one_that_is_not_there(
    server: Live, store: Store
) -> None:
    with signed_in(server, store, "bob") as client:
        hidden, missing = (
            client.post("/v1/search", json={"query": "leave", "collection": [name]})
            for name in ("hr", "nowhere")
        )
    assert hidden.status_code == missing.status_code == 404
    assert (
        hidden.text.replace("hr", "nowhere").split('"request_id"')[0]
        == (missing.text.split('"request_id"')[0])
    )


@pytest.mark.parametrize("route", sorted(ABOUT_A_DOCUMENT), ids=" ".join)
def test_no_header_tells_a_hidden_document_from_a_missing_one(
    server: Live, store: Store, route: tuple[str, str]
) -> None:
    method, path = route[0], ROUTES[route].path
    with signed_in(server, store, "bob") as client:
        hidden, missing = (
            client.request(method, path.format(pdf=number)) for number in (server.ids["pdf"], 999)
        )
    told = [
        {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id")}
        for answer in (hidden, missing)
    ]
    for headers in told:
        headers.pop("content-length")  # of the body, in which the number stands
    assert told[0] == told[1]
    assert not any("tim" in name for name in told[0]), "how long it took is nobody's to read"


def test_a_link_for_a_user_signs_that_user_in(server: Live, store: Store) -> None:
    with server.client(headers=BEARER) as operator:
        made = operator.post("/v1/login-links", json={"user": "bob"})
        assert made.status_code == 200
        assert operator.post("/v1/login-links", json={"user": "eve"}).status_code == 404
        assert operator.post("/v1/login-links", json={"name": "bob"}).status_code == 422
    with server.client() as browser:
        assert browser.get(made.json()["url"]).status_code == 303
        shown = browser.get("/v1/collections", headers={"Host": f"127.0.0.1:{server.port}"})
    assert [collection["name"] for collection in shown.json()["collections"]] == ["finance"]


def test_a_session_ends_with_its_account_also_where_the_name_comes_back(
    server: Live, store: Store
) -> None:
    store.permissions.add_principal("user", "eve")
    with signed_in(server, store, "eve") as client:
        assert client.get("/v1/status").status_code == 200
        store.permissions.set_disabled("eve", True)
        refused = client.get("/v1/status")
        assert refused.status_code == 401
        assert "the session has ended" in json.dumps(refused.json())
        store.permissions.set_disabled("eve", False)
        assert client.get("/v1/status").status_code == 401, "sessions do not come back"
        store.permissions.remove_principal("user", "eve")
        store.permissions.add_principal("user", "eve")
        store.permissions.grant("hr", "user:eve", "read")
        assert client.get("/v1/status").status_code == 401

"""Every route times every credential that is good for something, for less, or for no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import get_args

import httpx
import pytest
from api_live import TOKEN, Live
from test_api_access import ROUTES

from rag.store import Scope, Store

ANYTHING = frozenset({"search", "query", "ingest", "admin"})
ADMIN = frozenset({"admin"})
FEEDING = frozenset({"ingest"})
ASKING = frozenset({"query"})
READING = frozenset({"search", "query"})
NEEDS: dict[tuple[str, str], frozenset[str]] = {
    ("POST", "/v1/search"): frozenset({"search"}),
    ("POST", "/v1/query"): ASKING,
    ("POST", "/v1/chat/completions"): ASKING,
    ("GET", "/v1/models"): ASKING,
    ("GET", "/v1/models/{model}"): ASKING,
    ("POST", "/mcp"): READING,
    ("POST", "/v1/conversations"): ASKING,
    ("GET", "/v1/conversations"): ASKING,
    ("GET", "/v1/conversations/{conversation_id}"): ASKING,
    ("PATCH", "/v1/conversations/{conversation_id}"): ASKING,
    ("DELETE", "/v1/conversations/{conversation_id}"): ASKING,
    ("GET", "/v1/conversations/{conversation_id}/export"): ASKING,
    ("PUT", "/v1/feedback"): ASKING,
    ("GET", "/v1/feedback"): ADMIN,
    ("GET", "/v1/documents"): READING,
    ("GET", "/v1/documents/{document_id}"): READING,
    ("GET", "/v1/documents/{document_id}/text"): READING,
    ("GET", "/v1/documents/{document_id}/passage"): READING,
    ("GET", "/v1/documents/{document_id}/pages"): READING,
    ("GET", "/v1/documents/{document_id}/pages/{number}.png"): READING,
    ("GET", "/v1/documents/{document_id}/original"): READING,
    ("GET", "/v1/collections"): READING,
    ("GET", "/v1/failures"): READING,
    ("GET", "/v1/status"): READING,
    ("POST", "/v1/documents"): FEEDING,
    ("DELETE", "/v1/documents/{document_id}"): FEEDING,
    ("GET", "/v1/ingest-runs"): FEEDING,
    ("POST", "/v1/ingest-runs"): FEEDING,
    ("GET", "/v1/ingest-runs/{run_id}"): FEEDING,
    ("GET", "/v1/ingest-runs/{run_id}/events"): FEEDING,
    ("POST", "/v1/ingest-runs/{run_id}/cancel"): FEEDING,
    ("POST", "/v1/collections"): ADMIN,
    ("DELETE", "/v1/collections/{name:path}"): ADMIN,
    ("GET", "/v1/grants"): ADMIN,
    ("PUT", "/v1/grants"): ADMIN,
    ("DELETE", "/v1/grants"): ADMIN,
    ("GET", "/v1/limits"): ADMIN,
    ("PUT", "/v1/limits"): ADMIN,
    ("DELETE", "/v1/limits"): ADMIN,
    ("GET", "/v1/users"): ADMIN,
    ("POST", "/v1/users"): ADMIN,
    ("GET", "/v1/users/{name}"): ADMIN,
    ("PATCH", "/v1/users/{name}"): ADMIN,
    ("DELETE", "/v1/users/{name}"): ADMIN,
    ("PUT", "/v1/users/{name}/roles/{role}"): ADMIN,
    ("DELETE", "/v1/users/{name}/roles/{role}"): ADMIN,
    ("GET", "/v1/groups"): ADMIN,
    ("POST", "/v1/groups"): ADMIN,
    ("GET", "/v1/groups/{name}"): ADMIN,
    ("DELETE", "/v1/groups/{name}"): ADMIN,
    ("PUT", "/v1/groups/{name}/members/{user}"): ADMIN,
    ("DELETE", "/v1/groups/{name}/members/{user}"): ADMIN,
    ("GET", "/v1/settings"): ADMIN,
    ("GET", "/v1/audit"): ADMIN,
    ("POST", "/v1/login-links"): frozenset(),  # not for keys at all
    ("GET", "/v1/me"): ANYTHING,
    ("POST", "/v1/me/password"): frozenset(),
    ("GET", "/v1/sessions"): ADMIN,
    ("DELETE", "/v1/sessions/{session_id}"): ADMIN,
    ("POST", "/v1/sign-out"): ANYTHING,
    ("GET", "/v1/keys"): ADMIN,
    ("POST", "/v1/keys"): frozenset(),  # for what this key may not do itself
    ("DELETE", "/v1/keys/{key_id}"): ADMIN,
    ("GET", "/metrics"): ADMIN,
    ("GET", "/docs"): ANYTHING,
    ("GET", "/docs/{name}"): ANYTHING,
    ("GET", "/openapi.json"): ANYTHING,
    ("GET", "(none)"): ANYTHING,
}
ENDED = (
    *("expired session", "idle session", "ended session", "disabled user's session"),
    *("expired key", "revoked key", "disabled user's key", "removed user's key"),
)


@pytest.fixture(scope="module")
def people(live: Live) -> Iterator[Store]:
    """ida may read hr and is an admin, jim may read nothing, käthe finance; max is disabled."""
    store = live.store
    names = ("ida", "jim", "käthe", "max")
    for name in names:
        store.permissions.add_principal("user", name)
    store.permissions.grant("hr", "user:ida", "read")
    store.permissions.grant("finance", "user:käthe", "read")
    store.accounts.give_role("user:ida", "admin")
    store.permissions.set_disabled("max", True)
    yield store
    for name in names:
        store.permissions.remove_principal("user", name)


def key_of(store: Store, owner: str, *scopes: Scope) -> str:
    number = "operator" if owner == "operator" else store.user_number(owner)
    return store.keys.add(number, "a test", scopes)[1]


@contextmanager
def shown(live: Live, key: str, **headers: str) -> Iterator[httpx.Client]:
    """A program that shows a key."""
    with live.client(headers={"Authorization": f"Bearer {key}"} | headers) as client:
        yield client


def answers(live: Live, headers: dict[str, str]) -> dict[tuple[str, str], httpx.Response]:
    """What every route says to who sends these headers."""
    with live.client(headers=headers) as client:
        return {
            route: client.request(route[0], live.filled(call.path), json=call.body)
            for route, call in ROUTES.items()
        }


def test_every_route_says_which_keys_it_takes() -> None:
    assert NEEDS.keys() == ROUTES.keys()


@pytest.mark.parametrize("scope", get_args(Scope))
def test_a_key_may_be_used_for_its_scope_and_for_nothing_else(
    live: Live, people: Store, scope: Scope
) -> None:
    scopes: list[Scope] = [scope] if scope != "act_as" else ["act_as", "ingest"]
    key = key_of(people, "operator", *scopes)
    for route, answer in answers(live, {"Authorization": f"Bearer {key}"}).items():
        allowed = not NEEDS[route].isdisjoint(scopes)
        expected = ROUTES[route].status if allowed else 403
        assert answer.status_code == expected, (route, answer.text)


def headers_of(live: Live, store: Store, how: str) -> dict[str, str]:
    """A credential that was good once."""
    if how.endswith("session"):
        return {"Cookie": f"citadel_session={_ended_session(live, store, how)}"}
    return {"Authorization": f"Bearer {_ended_key(store, how)}"}


def _ended_session(live: Live, store: Store, how: str) -> str:
    past = datetime.now(UTC) - timedelta(
        hours={"expired session": 13, "idle session": 5}.get(how, 0)
    )
    store.permissions.set_disabled("max", False)
    number = store.user_number("max")
    with Store.open(
        f"sqlite:///{store.data_dir / 'citadel.db'}", data_dir=store.data_dir, clock=lambda: past
    ) as earlier:
        token = earlier.signing.begin(number, "password")
    if how == "ended session":
        store.signing.end_all(number)
    store.permissions.set_disabled("max", how.startswith("disabled"))
    return token


def _ended_key(store: Store, how: str) -> str:
    name = "gone" if how.startswith("removed") else "max"
    if name == "gone":
        store.permissions.add_principal("user", name)
    store.permissions.set_disabled(name, False)
    valid_for = timedelta(0) if how.startswith("expired") else None
    key, text = store.keys.add(store.user_number(name), how, ["query"], valid_for=valid_for)
    if how.startswith("revoked"):
        store.keys.revoke(key.id)
    store.permissions.set_disabled(name, how.startswith("disabled"))
    if name == "gone":
        store.permissions.remove_principal("user", name)
    return text


@pytest.mark.parametrize("how", ENDED)
def test_what_has_ended_opens_nothing(live: Live, people: Store, how: str) -> None:
    for route, answer in answers(live, headers_of(live, people, how)).items():
        assert answer.status_code == 401, route
        assert answer.json()["type"] == "urn:citadel:problem:unauthorized"


def test_a_key_reads_what_its_owner_may(live: Live, people: Store) -> None:
    key = key_of(people, "ida", "query", "search")
    with shown(live, key) as client:
        me = client.get("/v1/me").json()
        assert (me["name"], me["kind"], me["rights"]) == ("ida", "key", ["query", "search"])
        assert me["collections"] == [{"name": "hr", "right": "read"}]
        assert client.get("/v1/documents").json()["total"] == 4
        assert client.get(f"/v1/documents/{live.ids['html']}").status_code == 404
        people.permissions.revoke("hr", "user:ida")
        assert client.get("/v1/documents").json()["total"] == 0
        people.permissions.grant("hr", "user:ida", "read")


def test_a_key_stops_with_its_owner_and_when_it_is_revoked(live: Live, people: Store) -> None:
    key = key_of(people, "jim", "search")
    with shown(live, key) as client, live.client() as operator:
        assert client.get("/v1/me").status_code == 200
        people.permissions.set_disabled("jim", True)
        assert client.get("/v1/me").status_code == 401
        people.permissions.set_disabled("jim", False)
        assert client.get("/v1/me").status_code == 200
        [listed] = operator.get("/v1/keys?user=jim").json()["keys"]
        assert listed["used_at"] is not None
        assert operator.delete(f"/v1/keys/{listed['id']}").status_code == 204
        assert client.get("/v1/me").status_code == 401


def test_a_key_acts_for_the_user_that_a_request_names(live: Live, people: Store) -> None:
    people.accounts.give_role("user:jim", "admin")
    key = key_of(people, "jim", "query", "search", "admin", "act_as")
    with shown(live, key) as client:
        assert client.get("/v1/documents").json()["total"] == 0
        for name, total in (("ida", 4), ("käthe".encode(), 3)):
            headers = {"X-Citadel-User": name}
            assert client.get("/v1/documents", headers=headers).json()["total"] == total
        me = client.get("/v1/me", headers={"X-Citadel-User": "ida"}).json()
        assert (me["name"], me["roles"], me["rights"]) == ("ida", [], ["query", "search"])
        for path in ("/v1/keys", "/v1/sessions", "/metrics"):
            answer = client.get(path, headers={"X-Citadel-User": "ida"})
            assert answer.status_code == 403, "nobody administers in disguise"
        assert client.get("/v1/me").json()["name"] == "jim"
        people.accounts.take_role("user:jim", "admin")
        answer = client.get("/v1/documents", headers={"X-Citadel-User": "ida"})
        assert answer.status_code == 403, "a key acts no longer than its owner is an admin"
        assert client.get("/v1/documents").json()["total"] == 0


def test_nobody_else_acts_for_a_user_and_keys_do_not_learn_who_there_is(
    live: Live, people: Store
) -> None:
    acting = {"Authorization": f"Bearer {key_of(people, 'operator', 'query', 'act_as')}"}
    plain = {"Authorization": f"Bearer {key_of(people, 'operator', 'query')}"}
    session = {"Cookie": f"citadel_session={live.session()}"}
    said = set()
    people.permissions.set_disabled("max", True)
    for headers, name in (
        *((acting, "max"), (acting, "nobody"), (acting, ""), (acting, "operator")),
        *((plain, "ida"), (plain, "nobody"), ({}, "ida"), (session, "ida")),
        ({"Authorization": f"Bearer {TOKEN}"}, "ida"),
    ):
        with live.client(headers=headers | {"X-Citadel-User": name}) as client:
            answer = client.get("/v1/documents")
        assert answer.status_code == 403
        said.add((answer.json()["detail"], answer.json()["hint"]))
    assert len(said) == 1


def made(client: httpx.Client, *scopes: str, **fields: object) -> httpx.Response:
    return client.post("/v1/keys", json={"name": "made", "scopes": list(scopes), **fields})


def test_users_make_keys_to_read_with_and_admins_all(live: Live, people: Store) -> None:
    def session(name: str) -> httpx.Client:
        token = live.session(people.user_number(name))
        return live.client(headers={"Cookie": f"citadel_session={token}"})

    with session("jim") as jim, session("ida") as ida:
        answer = made(jim, "search", "query", valid_days=1)
        assert answer.status_code == 201
        key = answer.json()
        assert key["owner"] == "jim"
        assert datetime.fromisoformat(key["expires_at"]) > datetime.now(UTC)
        for scope in ("ingest", "admin", "act_as"):
            assert made(jim, "query", scope).status_code == 403
        assert made(jim, "query", user="ida").status_code == 403
        listed = jim.get("/v1/keys").json()["keys"][0]
        assert listed == {name: key[name] for name in listed}
        assert key["key"] not in jim.get("/v1/keys").text
        assert jim.get("/v1/keys?all=true").status_code == 403
        assert made(ida, "ingest", user="jim").json()["owner"] == "jim"
        assert made(ida, "query", "act_as", user="jim").status_code == 403, "jim is no admin"
        assert made(ida, "query", "act_as").json()["owner"] == "ida"
        assert made(ida, "query", user="eve").status_code == 404
        people.permissions.set_disabled("max", True)
        assert made(ida, "query", user="max").status_code == 403
        assert {k["owner"] for k in ida.get("/v1/keys?all=true").json()["keys"]} >= {"operator"}
        for body in ({"scopes": ["query"]}, {"name": "x", "scopes": ["root"]}):
            assert ida.post("/v1/keys", json=body).status_code == 422
        own = made(ida, "admin").json()
        assert jim.delete(f"/v1/keys/{own['id']}").status_code == 404
        assert ida.delete(f"/v1/keys/{key['id']}").status_code == 204
        with shown(live, own["key"]) as client:
            assert made(client, "admin").status_code == 201
            assert made(client, "query").status_code == 403, "a key makes none that may more"
            assert made(client, "admin", "act_as").status_code == 403
            people.accounts.take_role("user:ida", "admin")
            assert client.get("/v1/keys?all=true").status_code == 403
            people.accounts.give_role("user:ida", "admin")


def test_admins_take_nothing_from_the_operator(live: Live, people: Store) -> None:
    key, text = people.keys.add("operator", "a test", ["search"])
    session = live.session()
    [current, *_] = people.signing.sessions(people.operator_number())
    admin = {"Cookie": f"citadel_session={live.session(people.user_number('ida'))}"}
    with live.client(headers=admin) as ida, shown(live, text) as program:
        assert ida.delete(f"/v1/keys/{key.id}").status_code == 404
        assert ida.delete(f"/v1/sessions/{current.id}").status_code == 404
        assert program.get("/v1/me").status_code == 200
    with live.client(headers={"Cookie": f"citadel_session={session}"}) as operator:
        assert operator.delete(f"/v1/keys/{key.id}").status_code == 204
        assert operator.delete(f"/v1/sessions/{current.id}").status_code == 204

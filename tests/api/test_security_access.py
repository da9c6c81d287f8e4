"""Who may not read, reads nothing: by no interface, no number, no filter and no lying index."""

import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_doors import ASKED, DOORS, betrayed, chat, shows, tool
from api_house import House, open_house
from api_samples import kept_answer
from test_api_access import ROUTES

from rag.api.border.auth import Caller
from rag.search.indexes import Indexes

ANNS_REQUEST = "request-of-anns"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    """The house, with nil in it, to whom nothing is granted at all."""
    with open_house(tmp_path_factory.mktemp("closed"), models) as house:
        house.store.permissions.add_principal("user", "nil")
        yield house


def handbook(house: House) -> int:
    return house.live.ids["pdf"]


@pytest.mark.parametrize("door", DOORS)
def test_no_interface_passes_over_who_may_read(house: House, door: str) -> None:
    """Row: one way of retrieving did not ask the list of readers that the others asked."""
    for name in ("ann", "bob", "ada"):
        with house.signed_in(name) as client:
            response = DOORS[door](client, handbook(house))
        assert shows(door, response) == (name == "ann"), response.text
        assert name == "ann" or betrayed(response, handbook(house)) == []


@pytest.mark.parametrize("door", DOORS)
def test_who_has_no_grant_at_all_sees_nothing(house: House, door: str) -> None:
    """Row: no list of principals was taken to mean no restriction."""
    with house.signed_in("nil") as client:
        response = DOORS[door](client, handbook(house))
    assert not shows(door, response) and betrayed(response, handbook(house)) == []
    assert not re.search(r'document_id\\?":\s*\d', response.text), "nor of any other document"


@pytest.mark.parametrize("door", DOORS)
def test_who_is_gone_before_the_access_is_asked_for_sees_nothing(
    house: House, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: no list of principals was taken to mean no restriction; here, of a user who is gone."""

    async def authenticate(_scope: object) -> Caller:
        return Caller("session", 999_999)

    monkeypatch.setattr(house.live.app.state.gate, "authenticate", authenticate)
    with house.live.client() as client:
        response = DOORS[door](client, handbook(house))
    assert not shows(door, response) and betrayed(response, handbook(house)) == []


# Numbers and names of others, wherever a request may have one

NAMING = {  # what may be named in a request: where bob must not find it, and where nothing is
    "document_id": ("{pdf}", "999999"),
    "conversation_id": ("{conversation}", "999999"),
    "request_id": (ANNS_REQUEST, "request-of-nobody"),
    "run_id": ("{run}", "999999"),
    "session_id": ("{session}", "999999"),
    "key_id": ("{key}", "999999"),
    "collection": ("hr", "nowhere"),
    "citadel": ({"collection": ["hr"]}, {"collection": ["nowhere"]}),
    "user": ("ann", "nobody"),
    "principal": ("user:ann", "user:nobody"),
    "uri": ("/srv/documents/handbook.pdf", "/srv/documents/nothing.pdf"),
    "users/{name}": ("ann", "nobody"),
    "groups/{name}": ("people", "nobody"),
    "collections/{name:path}": ("hr", "nowhere"),
    "number": ("1", "1"),
    "role": ("admin", "admin"),
}
NO_SECRETS = {"/v1/models/{model}", "/docs/{name}"}  # which any caller may name


@pytest.fixture(scope="module")
def foreign(house: House) -> dict[str, int]:
    """What is ann's own, and a run of max's."""
    store, ann = house.store, house.store.user_number("ann")
    conversation = store.conversations.create(ann)
    answer = kept_answer(handbook(house), ANNS_REQUEST)
    store.conversations.append(ann, conversation.id, answer)
    house.live.session(ann)
    [session, *_] = store.signing.sessions(ann)
    key, _ = store.keys.add(ann, "anns", ["query"])
    run = store.runs.add("hr", store.user_number("max"), ["/srv/documents"])
    store.permissions.add_principal("group", "people")
    ids = {"conversation": conversation.id, "session": session.id, "key": key.id, "run": run}
    return ids | house.live.ids


Request = tuple[str, str, dict[str, Any] | None]


def requests(house: House, ids: dict[str, int], which: int) -> dict[tuple[str, ...], Request]:
    """Every request that names something, with all names of what is foreign or of nothing."""
    found: dict[tuple[str, ...], Request] = {}
    for (method, route), call in ROUTES.items():
        if route == "(none)" or route in NO_SECRETS:
            continue
        path = _path(route, ids, which)
        query = call.path.partition("?")[2]
        if path != route:
            found[method, route] = (method, f"{path}?{query}", call.body)
        for place, field in _fields(house, method, route):
            value = _value(NAMING[field][which], ids)
            if place == "query":
                others = [part for part in query.split("&") if part and part[: len(field)] != field]
                sent = "&".join([*others, f"{field}={value}"])
                found[method, route, field] = (method, f"{path}?{sent}", call.body)
            else:
                body = (call.body or {}) | {field: value}
                found[method, route, field] = (method, f"{path}?{query}", body)
    return found


def _path(route: str, ids: dict[str, int], which: int) -> str:
    """A route with its parameters filled in; a new one's has to be added above."""

    def filled(parameter: re.Match[str]) -> str:
        by_route = route[: parameter.end()].removeprefix("/v1/")
        name = by_route if by_route in NAMING else parameter["name"]
        return f"/{_value(NAMING[name][which], ids)}"

    return re.sub(r"/\{(?P<name>\w+)(:path)?\}", filled, route)


def _value(value: Any, ids: dict[str, int]) -> Any:
    return value.format(**ids) if isinstance(value, str) else value


def _fields(house: House, method: str, route: str) -> list[tuple[str, str]]:
    """What the API's own description says that a request may name, beside its path."""
    described = house.live.app.openapi()
    operation = described["paths"].get(route.replace(":path", ""), {}).get(method.lower(), {})
    fields = [(p["in"], p["name"]) for p in operation.get("parameters", []) if p["in"] == "query"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        schema = described["components"]["schemas"].get(name, {})
        fields += [("body", field) for field in schema.get("properties", {})]
    unknown = {f for _, f in fields if f.endswith("_id") or f in ("principals", "id", "ids")}
    assert unknown <= NAMING.keys() | {"principals"}, f"{method} {route} names something new"
    return [(place, field) for place, field in fields if field in NAMING]


def without(told: str, *names: Any) -> str:
    """A response without what differs between two requests for different things."""
    told = re.sub(r'"request_id": ?"[^"]*"|"created": ?\d+', "", told)
    return re.sub("|".join(rf"\b{re.escape(str(name))}\b" for name in names), "…", told)


@pytest.mark.parametrize("by", ["session", "key"])
def test_what_is_anothers_is_what_is_not_there_whoever_names_it_wherever(
    house: House, foreign: dict[str, int], by: str
) -> None:
    """Row: the number of another's file was taken unchecked, and its text was read through it."""
    theirs, nothings = (requests(house, foreign, which) for which in (0, 1))
    names = [name for pair in NAMING.values() for name in pair if isinstance(name, str)]
    names = [_value(name, foreign) for name in names if name not in ("1", "admin")]
    before = state(house, foreign)
    assert len(theirs) > 40
    with caller(house, "bob", by) as bob:
        for which, request in theirs.items():
            method, path, body = request
            hidden = bob.request(method, path, json=body)
            method, path, body = nothings[which]
            missing = bob.request(method, path, json=body)
            assert hidden.status_code == missing.status_code, (which, hidden.text)
            assert without(hidden.text, *names) == without(missing.text, *names), which
            assert betrayed(hidden, handbook(house)) == [], which
            assert hidden.status_code in (400, 403, 404), (which, hidden.text)
    assert state(house, foreign) == before


def caller(house: House, name: str, by: str) -> Any:
    """A client with somebody's session, or with a key that is good for everything."""
    if by == "session":
        return house.signed_in(name)
    number = house.store.user_number(name)
    _, key = house.store.keys.add(number, "all", ["search", "query", "ingest", "admin"])
    return house.live.client(headers={"Authorization": f"Bearer {key}"})


def state(house: House, ids: dict[str, int]) -> list[Any]:
    """What bob must not have changed."""
    store, ann = house.store, house.store.user_number("ann")
    talk = house.asked("ann", "GET", f"/v1/conversations/{ids['conversation']}")
    sessions = {session.id for session in store.signing.sessions(ann)} & {ids["session"]}
    read = house.asked("ann", "GET", f"/v1/documents/{ids['pdf']}/text").text
    rules = [
        store.permissions.grants(),
        store.permissions.limits(),
        store.permissions.people(),
        store.permissions.groups(),
    ]
    run = store.runs.one(ids["run"]).state == "cancelled"
    return [talk.text, sessions, [k.id for k in store.keys.listed(ann)], read, rules, run]


def test_names_inside_of_other_protocols_are_checked_too(house: House) -> None:
    """Row: the number of another's file was taken unchecked; here, by MCP and OpenAI's API."""
    number, nowhere = str(handbook(house)), "999999"
    with house.signed_in("bob") as bob:
        for suffix in ("", ":0-90", ":0-0"):
            hidden = tool(bob, "fetch", id=f"{number}{suffix}").text
            missing = tool(bob, "fetch", id=f"{nowhere}{suffix}").text
            assert '"isError":true' in hidden.replace(" ", "")
            assert without(hidden, number) == without(missing, nowhere)
        for name, about in (("search", "query"), ("ask", "question")):
            said = [
                without(tool(bob, name, **{about: "leave"}, collection=[c]).text, c)
                for c in ("hr", "nowhere")
            ]
            assert said[0] == said[1] and "no collection" in said[0]
        for stream in (False, True):
            refused = chat(bob, "Leave?", stream=stream, citadel={"collection": ["hr"]})
            assert refused.status_code == 404


# Filters


def test_a_filter_in_a_request_takes_away_and_never_adds(house: House) -> None:
    """Row: filters that came with a request let it past the set of documents it was for."""
    values = {
        "collection": ("hr", "finance", "nowhere"),
        "title": ("", "Handbook", "%"),
        "media_type": ("", "application/pdf"),
        "source": ("", "/srv/documents", "/srv/documents/handbook.pdf"),
    }
    with house.signed_in("bob") as bob:
        whole = listed(bob, {})
        assert whole and handbook(house) not in whole
        for chosen in product(*values.values()):
            params = {name: value for name, value in zip(values, chosen, strict=True) if value}
            assert listed(bob, params) <= whole, params
        for names in (["hr"], ["finance", "hr"], [""], ["finance,hr"], ["*"], ["%"], []):
            response = bob.post("/v1/search", json={"query": "annual leave", "collection": names})
            assert response.status_code in (404, 422), names
            response = bob.post("/v1/query", json={"question": "Leave?", "collection": names})
            assert response.status_code in (404, 422), names


def listed(client: httpx.Client, params: dict[str, str]) -> set[int]:
    response = client.get("/v1/documents", params=params)
    assert response.status_code in (200, 404)
    return {document["id"] for document in response.json().get("documents", [])}


# An index that lies

Liar = Callable[[Indexes, pytest.MonkeyPatch], None]


def _everything(indexes: Indexes, patch: pytest.MonkeyPatch) -> None:
    """It passes over the filter: every chunk that there is, as the best there could be."""
    every = [(chunk_id, 1.0) for chunk_id in indexes.dense.ids()]
    patch.setattr(indexes.dense, "search", lambda *_: every)
    patch.setattr(indexes.lexical, "search", lambda *_: every)


def _made_up(indexes: Indexes, patch: pytest.MonkeyPatch) -> None:
    """It answers with numbers that were never given out, beside all that were."""
    every = [(n, 1.0) for n in (*range(-2, 60), 2**62)]
    patch.setattr(indexes.dense, "search", lambda *_: every)
    patch.setattr(indexes.lexical, "search", lambda *_: every)


@pytest.mark.parametrize("lie", [_everything, _made_up])
@pytest.mark.parametrize("door", ASKED)
def test_what_an_index_should_not_have_found_does_not_leave(
    house: House, door: str, lie: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: the index dropped the filter without a word, and what it found was handed out."""
    lie(house.live.app.state.backing.appliance().indexes, monkeypatch)
    for name in ("ann", "bob", "nil"):
        with house.signed_in(name) as client:
            response = ASKED[door](client, handbook(house))
        assert shows(door, response) == (name == "ann"), response.text
        assert name == "ann" or betrayed(response, handbook(house)) == []

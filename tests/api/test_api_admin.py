"""People, groups, roles, collections, grants, limits and settings over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_house import House, open_house
from api_live import TOKEN

from rag.api.bodies import models, people_models
from rag.api.routes.people import settings_json
from rag.settings import Settings

LEAVE = {"query": "annual leave", "collection": ["hr"]}
GRANT = {"collection": "hr", "principal": "group:team", "right": "read"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("admin"), models) as house:
        yield house


def test_an_admin_adds_changes_and_removes_users(house: House) -> None:
    with house.signed_in("ada") as ada:
        added = ada.post("/v1/users", json={"name": "zoë.b+c@d"})
        assert added.status_code == 201
        user = people_models.User.model_validate(added.json())
        assert (user.name, user.disabled, user.groups, user.roles) == ("zoë.b+c@d", False, [], [])
        assert ada.post("/v1/users", json={"name": "zoë.b+c@d"}).status_code == 400
        path = "/v1/users/zoë.b+c@d"
        assert ada.patch(path, json={"disabled": True}).json()["disabled"] is True
        assert ada.get(path).json()["disabled"] is True
        listed = people_models.UserList.model_validate(ada.get("/v1/users").json())
        assert [u.name for u in listed.users if u.disabled] == ["zoë.b+c@d"]
        assert ada.delete(path).json() == {"done": True}
        assert ada.get(path).status_code == ada.delete(path).status_code == 404


def test_a_disabled_user_is_shut_out_at_the_next_request(house: House) -> None:
    with house.signed_in("ann") as ann, house.signed_in("ada") as ada:
        assert ann.get("/v1/documents").status_code == 200
        ada.patch("/v1/users/ann", json={"disabled": True})
        assert ann.get("/v1/documents").status_code == 401
        ada.patch("/v1/users/ann", json={"disabled": False})
        assert ann.get("/v1/documents").status_code == 401, "that session has ended"
    with house.signed_in("ann") as ann:
        assert ann.get("/v1/documents").status_code == 200


def test_a_group_is_granted_and_its_members_come_and_go(house: House) -> None:
    with house.signed_in("ada") as ada, house.signed_in("bob") as bob:
        assert ada.post("/v1/groups", json={"name": "team"}).status_code == 201
        assert ada.put("/v1/grants", json=GRANT).json() == GRANT
        assert bob.post("/v1/search", json=LEAVE).status_code == 404
        joined = ada.put("/v1/groups/team/members/bob")
        assert joined.json() == {"name": "team", "members": ["bob"]}
        assert bob.post("/v1/search", json=LEAVE).json()["hits"]
        assert ada.get("/v1/users/bob").json()["groups"] == ["team"]
        assert ada.delete("/v1/groups/team/members/bob").json()["members"] == []
        assert bob.post("/v1/search", json=LEAVE).status_code == 404
        assert ada.get("/v1/groups").json() == {"groups": [{"name": "team", "members": []}]}
        assert ada.delete("/v1/groups/team").status_code == 200
        assert ada.get("/v1/groups/team").status_code == 404


def test_a_role_is_given_and_taken_back_and_opens_no_document(house: House) -> None:
    with house.signed_in("ada") as ada, house.signed_in("bob") as bob:
        assert bob.get("/v1/users").status_code == 403
        assert ada.put("/v1/users/bob/roles/admin").json()["roles"] == ["admin"]
        assert bob.get("/v1/users").status_code == 200
        assert ada.put("/v1/users/bob/roles/admin").json()["roles"] == ["admin"], "twice is once"
        assert ada.delete("/v1/users/bob/roles/admin").json()["roles"] == []
        assert bob.get("/v1/users").status_code == 403
        assert ada.put("/v1/users/bob/roles/king").status_code == 422
        assert ada.get("/v1/documents").json()["documents"] == []
        assert ada.get(f"/v1/documents/{house.live.ids['pdf']}").status_code == 404


def test_who_manages_a_collection_says_who_may_read_it_and_nothing_else(house: House) -> None:
    grant = {"collection": "hr", "principal": "user:bob", "right": "manage"}
    with house.signed_in("max") as manager:
        listed = people_models.GrantList.model_validate(manager.get("/v1/grants").json())
        assert {g.collection for g in listed.grants} == {"hr"}
        assert {g.principal for g in listed.grants} == {"operator", "user:max", "user:ann"}
        assert manager.put("/v1/grants", json=grant).status_code == 200
        shown = house.asked("bob", "GET", "/v1/collections").json()["collections"]
        assert {c["name"]: c["right"] for c in shown} == {"finance": "read", "hr": "manage"}
        params = {"collection": "hr", "principal": "user:bob"}
        assert manager.delete("/v1/grants", params=params).json() == {"done": True}
        assert manager.delete("/v1/grants", params=params).json() == {"done": False}
        assert manager.put("/v1/grants", json=grant | {"collection": "finance"}).status_code == 404
        assert manager.get("/v1/grants?collection=finance").status_code == 404
        for path in ("/v1/users", "/v1/groups", "/v1/settings"):
            assert manager.get(path).status_code == 403
    for path in ("/v1/grants", "/v1/limits"):
        assert house.asked("ann", "GET", path).json() in ({"grants": []}, {"limits": []})
        assert house.asked("ann", "GET", f"{path}?collection=hr").status_code == 403
    assert house.asked("ann", "PUT", "/v1/grants", json=grant).status_code == 403
    assert house.asked("bob", "PUT", "/v1/grants", json=grant).status_code == 404
    assert house.asked("ada", "GET", "/v1/grants?collection=finance").status_code == 200


def test_a_limit_holds_from_the_next_request_on(house: House) -> None:
    limit = {"collection": "hr", "uri": "/srv/documents/handbook.pdf", "principals": ["user:max"]}
    path = f"/v1/documents/{house.live.ids['pdf']}"
    assert house.asked("ann", "GET", path).status_code == 200
    assert house.asked("ann", "PUT", "/v1/limits", json=limit).status_code == 403
    assert house.asked("max", "PUT", "/v1/limits", json=limit).json() == limit
    assert house.asked("ann", "GET", path).status_code == 404
    listed = people_models.LimitList.model_validate(house.asked("ada", "GET", "/v1/limits").json())
    assert [entry.uri for entry in listed.limits] == [limit["uri"]]
    nobody = house.asked("max", "PUT", "/v1/limits", json=limit | {"principals": []})
    assert nobody.status_code == 200
    assert house.asked("max", "GET", path).status_code == 404, "a manager is not above a limit"
    assert house.asked("max", "DELETE", path).status_code == 404
    params = {"collection": "hr", "uri": limit["uri"]}
    assert house.asked("max", "DELETE", "/v1/limits", params=params).json() == {"done": True}
    assert house.asked("ann", "GET", path).status_code == 200


def test_a_collection_is_made_granted_and_removed_with_what_it_holds(house: House) -> None:
    with house.signed_in("ada") as ada:
        made = ada.post("/v1/collections", json={"name": "legal & co".replace("&", "+")})
        assert made.status_code == 201
        assert ada.post("/v1/collections", json={"name": "legal + co"}).status_code == 409
        assert ada.get("/v1/collections").json()["collections"] == []
        assert ada.delete("/v1/collections/legal + co").json()["n_documents_removed"] == 0
        assert ada.delete("/v1/collections/legal + co").status_code == 404
    assert house.asked("max", "POST", "/v1/collections", json={"name": "own"}).status_code == 403
    path = "/v1/collections/finance"
    assert house.asked("bob", "DELETE", path).status_code == 403
    assert house.asked("ann", "DELETE", path).status_code == 404
    refused = house.asked("ada", "DELETE", path)
    assert refused.status_code == 409 and "force" in refused.json()["hint"]
    removed = house.asked("ada", "DELETE", f"{path}?force=true")
    assert removed.json() == {"name": "finance", "n_documents_removed": 3}
    assert house.asked("bob", "GET", "/v1/documents").json()["documents"] == []


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\tb", "ü" * 101, "..\\x", " a"])
@pytest.mark.parametrize("path", ["/v1/users", "/v1/groups", "/v1/collections"])
def test_a_name_that_is_none_is_refused(house: House, path: str, name: str) -> None:
    assert house.asked("ada", "POST", path, json={"name": name}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/users", {"name": "a\0b"}),
        ("POST", "/v1/users", {"name": "a" * 501}),
        ("GET", "/v1/users/%00", None),
        ("DELETE", "/v1/collections/%00", None),
        ("DELETE", "/v1/grants?collection=hr&principal=%00", None),
        ("PUT", "/v1/grants", {"collection": "hr", "principal": "user:ann", "right": "own"}),
        ("PUT", "/v1/limits", {"collection": "hr", "uri": "/" * 2001, "principals": []}),
        ("DELETE", "/v1/limits?collection=hr&uri=%00", None),
        ("PATCH", "/v1/users/ann", {}),
    ],
)
def test_what_no_database_takes_is_refused(
    house: House, method: str, path: str, body: dict[str, object] | None
) -> None:
    assert house.asked("ada", method, path, json=body).status_code == 422


@pytest.mark.parametrize("principal", ["ann", "user:", "operator", "group:nobody", "user:%"])
def test_a_principal_that_is_none_is_refused(house: House, principal: str) -> None:
    body = {"collection": "hr", "principal": principal, "right": "read"}
    assert house.asked("ada", "PUT", "/v1/grants", json=body).status_code in (400, 404)


def test_settings_are_shown_without_secrets(house: House) -> None:
    response = house.asked("ada", "GET", "/v1/settings")
    listed = people_models.SettingList.model_validate(response.json()).settings
    assert {setting.name for setting in listed} == set(Settings.model_fields)
    assert {s.value for s in listed if s.name == "token"} == {"(set)"}
    assert TOKEN not in response.text
    url = "postgresql://citadel:hunter2@db.example/citadel?sslpassword=hunter2&x=1"
    shown = settings_json(Settings(database_url=url, engine_url="http://me:hunter2@10.0.0.5/v1"))
    assert "hunter2" not in str(shown)
    assert "db.example" in str(shown) and "10.0.0.5" in str(shown)


def test_collections_say_what_one_may_do_with_each(house: House) -> None:
    def right(name: str) -> list[tuple[str, str]]:
        response = house.asked(name, "GET", "/v1/collections").json()
        listed = models.CollectionList.model_validate(response).collections
        return [(c.name, c.right) for c in listed]

    assert ("hr", "read") in right("ann")
    assert ("hr", "manage") in right("max")
    assert ("hr", "manage") in right("operator")

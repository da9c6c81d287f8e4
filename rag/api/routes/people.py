"""Routes about users, groups and roles, and the settings as seen. All for admins alone."""

import re
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as InPath
from pydantic import SecretStr
from starlette.responses import JSONResponse

from rag.api.backing import Loaded
from rag.api.bodies import people_models as models
from rag.api.bodies import requests
from rag.api.border.callers import Admin
from rag.api.routes.docs import documented
from rag.errors import NotFound
from rag.settings import Settings
from rag.store import Role, Store

router = APIRouter(tags=["people"])

# What an address may carry besides the host: names and passwords, before an @ or as a parameter.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@|(?<=password=)[^&\s]+", re.IGNORECASE)

Name = Annotated[requests.Plain, InPath(min_length=1)]


@router.get("/v1/users", response_model=models.UserList, responses=documented(403))
def list_users(appliance: Loaded, caller: Admin) -> JSONResponse:
    """All users by name, with their groups and roles."""
    return JSONResponse({"users": _users(appliance.store)})


@router.post(
    "/v1/users", status_code=201, response_model=models.User, responses=documented(400, 403)
)
def add_user(appliance: Loaded, caller: Admin, body: models.NewPrincipal) -> JSONResponse:
    """Add a user, who may read nothing until something is granted."""
    appliance.store.permissions.add_principal("user", body.name)
    return JSONResponse(_user(appliance.store, body.name), status_code=201)


@router.get("/v1/users/{name}", response_model=models.User, responses=documented(403, 404))
def get_user(appliance: Loaded, caller: Admin, name: Name) -> JSONResponse:
    """One user, with the user's groups and roles."""
    return JSONResponse(_user(appliance.store, name))


@router.patch("/v1/users/{name}", response_model=models.User, responses=documented(400, 403, 404))
def change_user(
    appliance: Loaded, caller: Admin, name: Name, body: models.UserChange
) -> JSONResponse:
    """Disable a user, who is shut out from the next request on, or enable one again."""
    appliance.store.permissions.set_disabled(name, body.disabled)
    return JSONResponse(_user(appliance.store, name))


@router.delete("/v1/users/{name}", response_model=models.Done, responses=documented(403, 404))
def remove_user(appliance: Loaded, caller: Admin, name: Name) -> JSONResponse:
    """Remove a user with all that was granted; who comes by that name later inherits nothing."""
    appliance.store.permissions.remove_principal("user", name)
    return _done()


@router.put(
    "/v1/users/{name}/roles/{role}", response_model=models.User, responses=documented(403, 404)
)
def give_role(appliance: Loaded, caller: Admin, name: Name, role: Role) -> JSONResponse:
    """Make a user an admin or an auditor. Neither role opens a document by itself."""
    appliance.store.accounts.give_role(f"user:{name}", role)
    return JSONResponse(_user(appliance.store, name))


@router.delete(
    "/v1/users/{name}/roles/{role}", response_model=models.User, responses=documented(403, 404)
)
def take_role(appliance: Loaded, caller: Admin, name: Name, role: Role) -> JSONResponse:
    """Take a role back. The last admin may go: the operator of the server can make another."""
    appliance.store.accounts.take_role(f"user:{name}", role)
    return JSONResponse(_user(appliance.store, name))


@router.get("/v1/groups", response_model=models.GroupList, responses=documented(403))
def list_groups(appliance: Loaded, caller: Admin) -> JSONResponse:
    """All groups by name, with their members."""
    return JSONResponse({"groups": _groups(appliance.store)})


@router.post(
    "/v1/groups", status_code=201, response_model=models.Group, responses=documented(400, 403)
)
def add_group(appliance: Loaded, caller: Admin, body: models.NewPrincipal) -> JSONResponse:
    """Add a group without members."""
    appliance.store.permissions.add_principal("group", body.name)
    return JSONResponse(_group(appliance.store, body.name), status_code=201)


@router.get("/v1/groups/{name}", response_model=models.Group, responses=documented(403, 404))
def get_group(appliance: Loaded, caller: Admin, name: Name) -> JSONResponse:
    """One group, with its members."""
    return JSONResponse(_group(appliance.store, name))


@router.delete("/v1/groups/{name}", response_model=models.Done, responses=documented(403, 404))
def remove_group(appliance: Loaded, caller: Admin, name: Name) -> JSONResponse:
    """Remove a group with all that was granted to it; its members stay."""
    appliance.store.permissions.remove_principal("group", name)
    return _done()


@router.put(
    "/v1/groups/{name}/members/{user}", response_model=models.Group, responses=documented(403, 404)
)
def join_group(appliance: Loaded, caller: Admin, name: Name, user: Name) -> JSONResponse:
    """Put a user into a group."""
    appliance.store.permissions.join_group(name, [user])
    return JSONResponse(_group(appliance.store, name))


@router.delete(
    "/v1/groups/{name}/members/{user}", response_model=models.Group, responses=documented(403, 404)
)
def leave_group(appliance: Loaded, caller: Admin, name: Name, user: Name) -> JSONResponse:
    """Take a user out of a group; in force from the next request on."""
    appliance.store.permissions.leave_group(name, [user])
    return JSONResponse(_group(appliance.store, name))


@router.get("/v1/settings", response_model=models.SettingList, responses=documented(403))
def list_settings(appliance: Loaded, caller: Admin) -> JSONResponse:
    """Every setting as this server sees it; of secrets only whether they are set."""
    return JSONResponse({"settings": settings_json(appliance.settings)})


def settings_json(settings: Settings) -> list[dict[str, Any]]:
    """The settings as they may be shown."""
    plain = settings.model_dump(mode="json")
    return [
        {
            "name": name,
            "value": _shown(getattr(settings, name), plain[name]),
            "description": field.description,
        }
        for name, field in type(settings).model_fields.items()
    ]


def _shown(value: object, plain: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(set)"
    return _CREDENTIALS.sub("…@", plain) if isinstance(plain, str) else plain


def _users(store: Store) -> list[dict[str, Any]]:
    return [
        {"name": p.name, "disabled": p.disabled, "groups": list(p.groups), "roles": list(p.roles)}
        for p in store.permissions.people()
    ]


def _user(store: Store, name: str) -> dict[str, Any]:
    found = next((user for user in _users(store) if user["name"] == name), None)
    if found is None:
        raise NotFound(f"there is no user {name!r}", hint="GET /v1/users lists them.")
    return found


def _groups(store: Store) -> list[dict[str, Any]]:
    return [{"name": g.name, "members": list(g.members)} for g in store.permissions.groups()]


def _group(store: Store, name: str) -> dict[str, Any]:
    found = next((group for group in _groups(store) if group["name"] == name), None)
    if found is None:
        raise NotFound(f"there is no group {name!r}", hint="GET /v1/groups lists them.")
    return found


def _done() -> JSONResponse:
    return JSONResponse({"done": True})

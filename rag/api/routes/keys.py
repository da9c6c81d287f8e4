"""Routes about API keys. The text of a key is in the answer that makes it, and nowhere else."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from rag.api.backing import Loaded
from rag.api.bodies import credentials, requests
from rag.api.border.auth import Caller, for_role
from rag.api.border.callers import Holder
from rag.api.routes.docs import documented
from rag.api.routes.me import OfUser, whose, whose_to_end
from rag.errors import Forbidden
from rag.store import Key, Scope
from rag.times import time_json, time_json_or_none

router = APIRouter(tags=["account"])

OWN_SCOPES: frozenset[Scope] = frozenset({"search", "query"})  # that a user gives by himself


@router.get("/v1/keys", response_model=credentials.KeyList, responses=documented(403, 404))
def list_keys(
    appliance: Loaded,
    caller: Holder,
    user: OfUser = None,
    everyone: Annotated[bool, Query(alias="all", description="Everybody's, for admins.")] = False,
) -> JSONResponse:
    """Your API keys, newest first, without their text."""
    store = appliance.store
    if everyone:
        for_role(caller, "admin")
    found = store.keys.listed(None if everyone else whose(caller, store, user))
    return JSONResponse({"keys": [key_json(key) for key in found]})


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=credentials.MadeKey,
    responses=documented(400, 403, 404),
)
def make_key(appliance: Loaded, caller: Holder, body: credentials.NewKey) -> JSONResponse:
    """Make an API key. Its text is shown this once.

    By yourself you give a key the scopes `search` and `query`. Admins give every scope, and keys
    for any user. A key never reads more than its owner may.
    """
    _may_give(caller, body.scopes)
    store = appliance.store
    owner = caller.owner if body.user is None else whose(caller, store, body.user)
    valid_for = None if body.valid_days is None else timedelta(days=body.valid_days)
    key, text = store.keys.add(owner, body.name, body.scopes, valid_for=valid_for)
    return JSONResponse(key_json(key) | {"key": text}, 201)


@router.delete("/v1/keys/{key_id}", status_code=204, responses=documented(403, 404))
def revoke_key(appliance: Loaded, caller: Holder, key_id: requests.Id) -> Response:
    """Revoke one of your keys at once; admins revoke anybody's but the operator's."""
    store = appliance.store
    store.keys.revoke(key_id, *whose_to_end(caller, store))
    return Response(status_code=204)


def _may_give(caller: Caller, scopes: list[Scope]) -> None:
    """A user gives what is harmless, an admin all, and a key no more than it has itself.

    Raises:
        Forbidden: one of the scopes is more than that.
    """
    if not OWN_SCOPES.issuperset(scopes):
        for_role(caller, "admin")
    if caller.kind == "key" and not caller.rights.issuperset(scopes):
        raise Forbidden(
            "a key cannot make one that may be used for more than itself",
            hint="Sign in and make it, or ask your administrator for it.",
        )


def key_json(key: Key) -> dict[str, object]:
    """A key as the API shows it."""
    return {
        "id": key.id,
        "owner": key.owner,
        "name": key.name,
        "shown": key.shown,
        "scopes": list(key.scopes),
        "created_at": time_json(key.created_at),
        "used_at": time_json_or_none(key.used_at),
        "expires_at": time_json_or_none(key.expires_at),
        "revoked_at": time_json_or_none(key.revoked_at),
    }

"""Routes about collections and who may read them: for admins, and for who manages one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from starlette.responses import JSONResponse

from rag.api.backing import Loaded
from rag.api.bodies import people_models as models
from rag.api.bodies import requests
from rag.api.border.auth import Caller
from rag.api.border.callers import Admin, Steward
from rag.api.border.managing import for_steward, stewarded
from rag.api.routes.docs import documented
from rag.store import Store

router = APIRouter(tags=["permissions"])

Collection = Annotated[requests.Plain, Query(min_length=1)]
Collections = Annotated[
    list[requests.Plain] | None, Query(description="One or several; all where unset.")
]


@router.post(
    "/v1/collections",
    status_code=201,
    response_model=models.MadeCollection,
    responses=documented(400, 403, 409),
)
def make_collection(appliance: Loaded, caller: Admin, body: models.NewCollection) -> JSONResponse:
    """Make an empty collection. Nobody but the operator may read it until it is granted."""
    appliance.store.create_collection(body.name)
    return JSONResponse({"name": body.name}, status_code=201)


@router.delete(
    "/v1/collections/{name:path}",
    response_model=models.RemovedCollection,
    responses=documented(403, 404, 409),
)
def remove_collection(
    appliance: Loaded,
    caller: Steward,
    name: Annotated[requests.Plain, InPath(min_length=1)],
    force: Annotated[bool, Query(description="Remove what it holds as well.")] = False,
) -> JSONResponse:
    """Remove a collection with its grants and limits; one that holds files only with `force`."""
    for_steward(caller, appliance.store, name)
    removed = appliance.store.remove_collection(name, with_documents=force)
    return JSONResponse({"name": name, "n_documents_removed": removed})


@router.get("/v1/grants", response_model=models.GrantList, responses=documented(403, 404))
def list_grants(appliance: Loaded, caller: Steward, collection: Collections = None) -> JSONResponse:
    """Who may read or manage the collections that you manage; an admin's: all."""
    store = appliance.store
    shown = _asked_for(caller, store, collection)
    return JSONResponse(
        {
            "grants": [
                {"collection": g.collection, "principal": g.principal, "right": g.right}
                for g in store.permissions.grants()
                if g.collection in shown
            ]
        }
    )


@router.put("/v1/grants", response_model=models.Grant, responses=documented(400, 403, 404))
def put_grant(appliance: Loaded, caller: Steward, body: models.GrantRequest) -> JSONResponse:
    """Let a user or group read a collection, or manage it; in force from the next request on."""
    for_steward(caller, appliance.store, body.collection)
    appliance.store.permissions.grant(body.collection, body.principal, body.right)
    return JSONResponse(body.model_dump())


@router.delete("/v1/grants", response_model=models.Done, responses=documented(400, 403, 404))
def delete_grant(
    appliance: Loaded,
    caller: Steward,
    collection: Collection,
    principal: Annotated[requests.Plain, Query(description="user:NAME or group:NAME.")],
) -> JSONResponse:
    """Take a grant back; in force from the next request on. Not `done` where there was none."""
    for_steward(caller, appliance.store, collection)
    return JSONResponse({"done": appliance.store.permissions.revoke(collection, principal)})


@router.get("/v1/limits", response_model=models.LimitList, responses=documented(403, 404))
def list_limits(appliance: Loaded, caller: Steward, collection: Collections = None) -> JSONResponse:
    """The files and folders that not everyone may read who may the collection."""
    store = appliance.store
    shown = _asked_for(caller, store, collection)
    return JSONResponse(
        {
            "limits": [
                _limit(limit.collection, limit.uri, limit.principals) | {"origin": limit.origin}
                for limit in store.permissions.limits()
                if limit.collection in shown
            ]
        }
    )


@router.put("/v1/limits", response_model=models.Limit, responses=documented(400, 403, 404))
def put_limit(appliance: Loaded, caller: Steward, body: models.LimitRequest) -> JSONResponse:
    """Let only these read a file, or what is and will be below a folder, of who may the collection.

    What was said of places below it before holds no longer.
    """
    for_steward(caller, appliance.store, body.collection)
    appliance.store.permissions.limit(body.collection, body.uri, body.principals)
    return JSONResponse(_limit(body.collection, body.uri, body.principals))


@router.delete("/v1/limits", response_model=models.Done, responses=documented(400, 403, 404))
def delete_limit(
    appliance: Loaded,
    caller: Steward,
    collection: Collection,
    uri: Annotated[requests.Path, Query(min_length=1, description="A file or folder.")],
) -> JSONResponse:
    """Let everyone who may read the collection read a file, or what is below a folder, again."""
    for_steward(caller, appliance.store, collection)
    appliance.store.permissions.limit(collection, uri, None)
    return JSONResponse({"done": True})


def _asked_for(caller: Caller, store: Store, collections: list[str] | None) -> frozenset[str]:
    """Those of the collections that the caller has a say in; where some are named, just them."""
    if collections is None:
        return stewarded(caller, store)
    for name in collections:
        for_steward(caller, store, name)
    return frozenset(collections)


def _limit(collection: str, uri: str, principals: Any) -> dict[str, Any]:
    return {
        "collection": collection,
        "uri": uri,
        "principals": None if principals is None else list(principals),
    }

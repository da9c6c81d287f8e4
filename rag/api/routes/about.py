"""Routes about the server and what it holds, and those that a supervisor asks."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from rag.api.backing import Loaded
from rag.api.bodies import models, requests
from rag.api.border.auth import access_of, number_of
from rag.api.border.callers import Reader
from rag.api.routes.docs import documented

router = APIRouter(tags=["about"])

DISTRIBUTION = "citadel-rag"


@router.get("/v1/collections", response_model=models.CollectionList, responses=documented())
def list_collections(appliance: Loaded, caller: Reader) -> JSONResponse:
    """The collections that you may read, by name, with what you may do with each."""
    access = access_of(caller, appliance.store, None)
    managed = appliance.store.manageable(number_of(caller, appliance.store))
    return JSONResponse(
        {
            "collections": [
                asdict(info) | {"right": "manage" if info.name in managed else "read"}
                for info in appliance.store.readable_collections(access)
            ]
        }
    )


@router.get("/v1/failures", response_model=models.FailureList, responses=documented(404))
def list_failures(
    appliance: Loaded,
    caller: Reader,
    collection: Annotated[list[requests.Plain] | None, Query(description=requests.NARROW)] = None,
) -> JSONResponse:
    """The files that were not ingested, each with the reason and what to do about it.

    Of the collections that you manage: who only reads one may not read every file in it.
    """
    store = appliance.store
    access = access_of(caller, store, collection)
    shown = access.collections & store.manageable(number_of(caller, store))
    fields = ("error", "hint", "size_bytes", "retry")
    return JSONResponse(
        {
            "failures": [
                {"collection": name, "path": source.uri}
                | {field: getattr(source, field) for field in fields}
                for name, source in store.failures()
                if name in shown
            ]
        }
    )


@router.get("/v1/status", response_model=models.Status, responses=documented())
def get_status(appliance: Loaded, caller: Reader) -> JSONResponse:
    """What this server is and how much of what it holds you may read."""
    store = appliance.store
    held = store.readable_collections(access_of(caller, store, None))
    operator = caller.owner == "operator"
    return JSONResponse(
        {
            "version": version(DISTRIBUTION),
            "model_id": appliance.embedder.model_id,
            "n_collections": len(held),
            "n_documents": sum(info.n_documents for info in held),
            "n_chunks": sum(info.n_chunks for info in held),
            "n_failures": store.stats().failed if operator else None,
            "head": store.head() if operator else None,
            "indexed": appliance.indexes.seq if operator else None,
            "answers": appliance.answers,
            "guard": appliance.guarding,
            "depth": None if appliance.engine is None else appliance.settings.answer_depth,
        }
    )


@router.get("/healthz", response_model=models.Health)
async def is_alive() -> JSONResponse:
    """The process lives. Needs no credential."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=models.Readiness, responses={503: documented()[503]})
async def is_ready(appliance: Loaded) -> JSONResponse:
    """Store, indexes and model are loaded. Needs no credential."""
    return JSONResponse(
        {"status": "ready", "answers": appliance.answers, "guard": appliance.guarding}
    )

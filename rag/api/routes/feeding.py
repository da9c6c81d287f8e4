"""Routes that bring documents in and take them out: uploads, deletions, ingest runs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, StreamingResponse

from rag.api.backing import Loaded
from rag.api.bodies import feeding_models, requests
from rag.api.border.auth import Caller, access_of, number_of
from rag.api.border.callers import Feeder
from rag.api.border.managing import for_manager, sight_of
from rag.api.border.problems import problem_of
from rag.api.border.standing import Standing
from rag.api.routes.docs import BINARY, EVENTS, RUN_EVENTS, documented
from rag.api.routes.documents import file_name
from rag.api.runner import Runner
from rag.api.streams import sse
from rag.api.uploading import receive
from rag.errors import CitadelError, TooManyRequests
from rag.folders import allowed
from rag.settings import Settings
from rag.store import UPLOAD, Run, Store
from rag.times import time_json, time_json_or_none
from rag.types import Access, Document

router = APIRouter(tags=["ingest"])

UPLOADS_RETRY_S = 10  # some file has been read by then
LOOK_EVERY_S = 0.3  # at a run that somebody watches
SIGN_EVERY_S = 15.0  # of life, where nothing changes
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "title": "UploadForm",
                    "type": "object",
                    "properties": {"file": BINARY["schema"]},
                    "required": ["file"],
                },
            },
            "application/octet-stream": BINARY,
        },
    }
}

Name = Annotated[requests.Plain, Query(min_length=1)]


@router.post(
    "/v1/documents",
    status_code=202,
    response_model=feeding_models.Uploaded,
    responses=documented(400, 403, 404, 409, 413)
    | {200: {"model": feeding_models.Uploaded, "description": "It was there already."}},
    openapi_extra=FORM,
)
async def upload_document(
    request: Request,
    appliance: Loaded,
    caller: Feeder,
    collection: Name,
    name: Annotated[
        requests.Plain, Query(description="The file's name; else what the form says.")
    ] = "",
) -> JSONResponse:
    """Bring one file into a collection that you manage.

    It is read by an ingest run like every other file; the answer names the run. A name never
    decides what is replaced: another file of the same name is another document. Where you may read
    the very same content in this collection already, the answer names that document instead.
    """
    store, settings = appliance.store, appliance.settings
    access = await to_thread.run_sync(for_manager, caller, store, collection)
    await to_thread.run_sync(_refuse_too_many, store, number_of(caller, store), settings)
    with store.originals.arriving() as arriving:
        said = await receive(request, arriving, settings.max_file_bytes)
        sha256 = await to_thread.run_sync(arriving.keep)
    safe_name = file_name(name or said)

    def begin() -> tuple[Document | None, Run | None]:
        there = store.document_of(access, collection, sha256=sha256)
        if there is not None:
            return there, None
        number = number_of(caller, store)
        coming = store.runs.unended_upload(collection, number, sha256)
        if coming is not None:
            return None, coming
        added = store.runs.add_upload(collection, number, safe_name, sha256)
        return None, store.runs.one(added)

    document, run = await to_thread.run_sync(begin)
    _wake_runner(request)
    return JSONResponse(
        {
            "document": document and {"id": document.id, "title": document.title},
            "run": run and run_json(run, None),
        },
        status_code=202 if run else 200,
    )


def _refuse_too_many(store: Store, number: int, settings: Settings) -> None:
    if store.runs.n_waiting(number) >= settings.caller_uploads_waiting:
        raise TooManyRequests(
            f"{settings.caller_uploads_waiting:,} uploads of yours wait to be read",
            hint="Wait until some have been, or ask your administrator to raise "
            "CITADEL_CALLER_UPLOADS_WAITING.",
            retry_after_s=UPLOADS_RETRY_S,
        )


@router.delete(
    "/v1/documents/{document_id}",
    response_model=feeding_models.Deleted,
    responses=documented(403, 404, 409),
)
def delete_document(appliance: Loaded, caller: Feeder, document_id: requests.Id) -> JSONResponse:
    """Remove a document of a collection that you manage, and what came with it.

    No question that is asked from now on finds it. A file in a folder is left as it is, and comes
    back when its folder is ingested again: `note` says so.
    """
    store = appliance.store
    access = access_of(caller, store, None)
    document = store.document(access, document_id)
    for_manager(caller, store, document.collection)
    store.remove_document(access, document_id)
    note = ""
    if not document.source_uri.startswith(UPLOAD):
        note = (
            f"The file {document.source_uri} is left as it is. If it is still there when its "
            "folder is ingested again, it comes back: remove it, or list it in .citadelignore."
        )
    return JSONResponse({"document_id": document_id, "note": note})


@router.post(
    "/v1/ingest-runs",
    status_code=202,
    response_model=feeding_models.Run,
    responses=documented(400, 403, 404),
)
def start_run(
    request: Request, appliance: Loaded, caller: Feeder, body: feeding_models.RunRequest
) -> JSONResponse:
    """Bring a collection that you manage level with files and folders on the server.

    They have to lie below a folder that the server's settings name (CITADEL_INGEST_ROOTS).
    """
    store = appliance.store
    for_manager(caller, store, body.collection)
    paths = [str(allowed(path, appliance.settings)) for path in body.paths]
    number = store.runs.add(body.collection, number_of(caller, store), paths)
    _wake_runner(request)
    return JSONResponse(run_json(store.runs.one(number), None), status_code=202)


@router.get("/v1/ingest-runs", response_model=feeding_models.RunList, responses=documented())
def list_runs(
    appliance: Loaded,
    caller: Feeder,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[
        str | None, Query(pattern=r"^\d{1,18}$", description="`next_cursor`.")
    ] = None,
) -> JSONResponse:
    """Your ingest runs and those of collections that you manage, newest first; an admin's: all.

    Who does not manage the collection of a run now is not told its files, but for own uploads.
    """
    store = appliance.store
    before = None if cursor is None else int(cursor)
    found = store.runs.listed(sight_of(caller, store), limit + 1, before)
    more = len(found) > limit
    access = access_of(caller, store, None)
    listed = [run_json(run, _document_id(store, access, run)) for run in found[:limit]]
    return JSONResponse({"runs": listed, "next_cursor": str(listed[-1]["id"]) if more else None})


@router.get(
    "/v1/ingest-runs/{run_id}", response_model=feeding_models.Run, responses=documented(404)
)
def get_run(appliance: Loaded, caller: Feeder, run_id: requests.Id) -> JSONResponse:
    """How far an ingest run is, and what it could not read and why."""
    return JSONResponse(_look(appliance.store, caller, run_id))


@router.get(
    "/v1/ingest-runs/{run_id}/events",
    response_class=StreamingResponse,
    responses=documented(404, 429)
    | {
        200: {
            "description": "`run` whenever something has changed, and last when it has ended.",
            "content": {"text/event-stream": EVENTS | {"example": RUN_EVENTS}},
        }
    },
)
async def watch_run(
    request: Request, appliance: Loaded, caller: Feeder, run_id: requests.Id
) -> StreamingResponse:
    """Watch an ingest run until it ends, by server-sent events that each have all of it."""
    first = await to_thread.run_sync(_look, appliance.store, caller, run_id)
    return StreamingResponse(
        _changes(request, appliance.store, first),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


@router.post(
    "/v1/ingest-runs/{run_id}/cancel",
    status_code=202,
    response_model=feeding_models.Run,
    responses=documented(404),
)
def cancel_run(appliance: Loaded, caller: Feeder, run_id: requests.Id) -> JSONResponse:
    """Stop an ingest run: at once where it waits, else after the file that is being committed.

    What was committed stays. A run that has ended stays as it is.
    """
    store = appliance.store
    store.runs.cancel(store.runs.one(run_id, sight_of(caller, store)).id)
    return JSONResponse(_look(store, caller, run_id), status_code=202)


def run_json(run: Run, document_id: int | None) -> dict[str, Any]:
    """An ingest run as it leaves the API."""
    return {
        "id": run.id,
        "kind": "upload" if run.is_upload else "folders",
        "collection": run.collection,
        "started_by": run.started_by,
        "paths": list(run.paths),
        "state": run.state,
        "counts": asdict(run.counts),
        "failures": list(run.failures),
        "message": run.message,
        "hint": run.hint,
        "document_id": document_id,
        "created_at": time_json(run.created_at),
        "ended_at": time_json_or_none(run.ended_at),
    }


def _look(store: Store, caller: Caller, run_id: int) -> dict[str, Any]:
    run = store.runs.one(run_id, sight_of(caller, store))
    return run_json(run, _document_id(store, access_of(caller, store, None), run))


def _document_id(store: Store, access: Access, run: Run) -> int | None:
    """What an upload has become, where the caller may read it and is told what was uploaded."""
    if not run.is_upload or run.state != "done" or not run.paths:
        return None
    document = store.document_of(access, run.collection, uri=run.paths[0])
    return None if document is None else document.id


async def _changes(request: Request, store: Store, seen: dict[str, Any]) -> AsyncIterator[str]:
    """Who the caller is, and may see of a run, is asked anew each time, as if by a new request."""
    standing = Standing(request, "ingest")
    yield sse("run", seen)
    silent_s = 0.0
    try:
        while seen["ended_at"] is None:
            await asyncio.sleep(LOOK_EVERY_S)
            silent_s += LOOK_EVERY_S
            now = await to_thread.run_sync(_look, store, await standing.check(), seen["id"])
            if now != seen:
                yield sse("run", now)
            elif silent_s > SIGN_EVERY_S:
                yield ": still at it\n\n"
            else:
                continue
            seen, silent_s = now, 0.0
    except CitadelError as error:
        request_id = request.state.request_id
        yield sse("error", problem_of(error, instance=request.url.path, request_id=request_id))


def _wake_runner(request: Request) -> None:
    runner: Runner | None = request.app.state.runner
    if runner is not None:  # else it is being started, and looks for what waits by itself
        runner.poke()

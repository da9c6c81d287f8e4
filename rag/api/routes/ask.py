"""Routes that search and answer."""

from contextlib import aclosing

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from rag.answer.options import Options
from rag.answer.pipeline import collect
from rag.api.backing import Loaded
from rag.api.bodies import models, requests
from rag.api.border.auth import access_of
from rag.api.border.callers import Asker, Searcher
from rag.api.border.standing import Standing
from rag.api.routes.docs import EVENTS, documented
from rag.api.streams import EventStream, while_connected
from rag.api.turns import keeping, said_before
from rag.wire import final_json, hit_json, timings_json

router = APIRouter(tags=["ask"])


@router.post(
    "/v1/search", response_model=models.SearchResponse, responses=documented(400, 404, 413)
)
def search(appliance: Loaded, caller: Searcher, body: requests.SearchRequest) -> JSONResponse:
    """The passages nearest to a query, best first."""
    access = access_of(caller, appliance.store, body.collection)
    result = appliance.search(body.query, access, body.k)
    return JSONResponse(
        {
            "query": result.query,
            "hits": [hit_json(hit) for hit in result.hits],
            "timings_ms": timings_json(result.timings_ms),
        }
    )


@router.post(
    "/v1/query",
    response_model=models.Answer,
    responses=documented(400, 404, 413, 429) | {200: {"content": {"text/event-stream": EVENTS}}},
)
async def query(
    request: Request, appliance: Loaded, caller: Asker, body: requests.QueryRequest
) -> Response:
    """The answer to a question: sentences with the passages of your documents that they rest on.

    With `"stream": true` it arrives as server-sent events: any number of `step` (of a research),
    `searched`, any number of `notice` and `sentence`, then `final` with the whole answer, or
    `error` with a problem. A caller that leaves ends it, and so does one who may read less by then
    or is not let in any more.

    With `conversation_id` it continues a conversation of yours and becomes its next turn, which
    `turn_id` names; an answer whose caller has left before its end is not kept.
    """
    access = await to_thread.run_sync(access_of, caller, appliance.store, body.collection)
    talk, history = await to_thread.run_sync(said_before, caller, appliance.store, body)
    request_id = request.state.request_id
    options = Options(
        depth=body.depth,
        history=history,
        rewrite=body.rewrite,
        research=body.research,
    )
    answer = appliance.answer(body.question, access, request_id=request_id, options=options)
    counted = request.app.state.quotas.counted(caller, answer)
    events = Standing(request, "query").watched(counted, appliance.store, access)
    if talk is not None:
        events = keeping(events, talk)
    if body.stream:
        first = await while_connected(request.receive, anext(events))
        return EventStream(first, events, request_id=request_id)
    async with aclosing(events):
        final = await while_connected(request.receive, collect(events))
    return JSONResponse(final_json(final))

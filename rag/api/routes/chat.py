"""Routes that speak OpenAI's protocol: the appliance as a model that answers with citations.

The question takes the way of `POST /v1/query`; only the shape of what comes back is another.
"""

import json
import time
from contextlib import aclosing
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from rag.answer.engine import Usage
from rag.answer.events import Event, Final
from rag.answer.pipeline import collect
from rag.api.backing import Loaded
from rag.api.bodies import chat_models
from rag.api.bodies.chat_models import DEPTHS, MODEL, ChatRequest
from rag.api.bodies.shown import Shown, named, passage_url, whole
from rag.api.border.auth import access_of
from rag.api.border.callers import Asker
from rag.api.border.problems import Problem
from rag.api.border.standing import Standing
from rag.api.routes.docs import CHUNKS, documented
from rag.api.routes.login import api_url
from rag.api.streams import EventStream, while_connected
from rag.appliance import Appliance
from rag.errors import NotFound
from rag.wire import Json, final_json

router = APIRouter(tags=["openai"])

_DONE = "data: [DONE]\n\n"


@router.post(
    "/v1/chat/completions",
    response_model=chat_models.ChatCompletion,
    responses=documented(400, 403, 404, 413, 429)
    | {200: {"content": {"text/event-stream": CHUNKS}}},
)
async def complete_chat(
    request: Request, appliance: Loaded, caller: Asker, body: ChatRequest
) -> Response:
    """The answer to the last message, for programs made for OpenAI.

    The content has `[1]` behind each sentence and the sources at its end; `annotations` are the
    citations as those programs know them, and `citadel` is the whole answer as `POST /v1/query`
    gives it. Failures have an `error` as those programs read it. The stream's last chunk has the
    finish reason and `citadel`, the one before it the annotations.
    """
    _check(body.model, appliance)
    chosen = body.chosen
    access = await to_thread.run_sync(access_of, caller, appliance.store, chosen.collection)
    request_id, base = request.state.request_id, api_url(request)
    answer = appliance.answer(body.question, access, request_id=request_id, options=body.options())
    counted = request.app.state.quotas.counted(caller, answer)
    events = Standing(request, "query").watched(counted, appliance.store, access)
    completion = _head(request_id, body.model)
    if body.stream:
        shown = Shown(base, markers=chosen.markers)
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        form = Chunks(completion, shown, with_usage=with_usage)
        first = await while_connected(request.receive, anext(events))
        return EventStream(first, events, request_id=request_id, form=form)
    async with aclosing(events):
        final = await while_connected(request.receive, collect(events))
    shown = whole(final, base, markers=chosen.markers)
    return JSONResponse(completion | _completed(final, shown))


@router.get("/v1/models", response_model=chat_models.ModelList, responses=documented(403))
def list_models(appliance: Loaded, caller: Asker) -> JSONResponse:
    """The names to ask by at `/v1/chat/completions`."""
    return JSONResponse({"object": "list", "data": [_model(n) for n in _names(appliance)]})


@router.get("/v1/models/{model}", response_model=chat_models.Model, responses=documented(403, 404))
def get_model(appliance: Loaded, caller: Asker, model: str) -> JSONResponse:
    """One of the names to ask by."""
    _check(model, appliance)
    return JSONResponse(_model(model))


class Chunks:
    """An answer as a stream of chunks: what was shown grows, and each chunk has what was added."""

    def __init__(self, head: Json, shown: Shown, *, with_usage: bool) -> None:
        self._head = head | {"object": "chat.completion.chunk"}
        self._shown = shown
        self._with_usage = with_usage
        self._begun = False

    def event_text(self, event: Event) -> str:
        """The chunks that an event makes."""
        text = "" if self._begun else self._delta({"role": "assistant", "content": ""})
        self._begun = True
        if added := self._shown.add(event):
            text += self._delta({"content": added})
        return text + self._end(event) if isinstance(event, Final) else text

    def problem_text(self, problem: Problem) -> str:
        """The problem as OpenAI's clients raise it."""
        return _data({"error": problem["error"]}) + _DONE

    def _end(self, final: Final) -> str:
        text = ""
        if annotations := annotations_json(self._shown):
            text += self._delta({"annotations": annotations})
        text += self._delta({}, finish_reason(final), {"citadel": final_json(final)})
        if self._with_usage:
            text += _data(self._head | {"choices": [], "usage": _usage_json(final.usage)})
        return text + _DONE

    def _delta(self, delta: Json, finish: str | None = None, more: Json | None = None) -> str:
        chunk = self._head | {"choices": [_choice("delta", delta, finish)]} | (more or {})
        return _data(chunk | {"usage": None} if self._with_usage else chunk)


def annotations_json(shown: Shown) -> list[Json]:
    """The citations of what is shown, as OpenAI's clients know them."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": cited.start,
                "end_index": cited.end,
                "title": named(cited.citation),
                "url": passage_url(shown.base, cited.citation),
            },
        }
        for cited in shown.cited
    ]


def finish_reason(final: Final) -> str:
    """Why there is no more of the answer."""
    return "content_filter" if final.status in ("blocked", "no_verdict") else "stop"


def _completed(final: Final, shown: Shown) -> Json:
    message = {
        "role": "assistant",
        "content": shown.text,
        "refusal": None,
        "annotations": annotations_json(shown),
    }
    return {
        "object": "chat.completion",
        "choices": [_choice("message", message, finish_reason(final))],
        "usage": _usage_json(final.usage),
        "citadel": final_json(final),
    }


def _head(request_id: str, model: str) -> Json:
    return {"id": f"chatcmpl-{request_id}", "created": int(time.time()), "model": model}


def _choice(kind: str, said: Json, finish: str | None) -> Json:
    return {"index": 0, kind: said, "finish_reason": finish, "logprobs": None}


def _usage_json(usage: Usage | None) -> Json:
    """Tokens of the engine; quotes cost none."""
    read, written = (usage.prompt_tokens, usage.answer_tokens) if usage else (0, 0)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _data(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _names(appliance: Appliance) -> list[str]:
    """Only an engine reads more or less; quotes are always the same."""
    return [MODEL] if appliance.engine is None else list(DEPTHS)


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": "citadel"}


def _check(model: str, appliance: Appliance) -> None:
    if model not in _names(appliance):
        raise NotFound(f"no model {model[:80]!r}", hint="GET /v1/models lists those there are.")

"""The API's own documentation: OpenAPI, and Swagger UI from local files."""

import re
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse

from rag.api.bodies import examples
from rag.api.border.idempotency import REPEATABLE
from rag.api.border.problems import MEDIA_TYPE

router = APIRouter(include_in_schema=False)

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# Swagger UI starts by an inline script and styles itself inline; nothing comes from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
MEANINGS = {
    400: "The request makes no sense.",
    401: "No valid credential.",
    403: "Not allowed to this caller.",
    404: "There is no such thing, or none that you may see.",
    409: "The same is being done at this moment, or it contradicts what is there.",
    412: "It has been changed since you have read it.",
    413: "The request body is too large.",
    429: "More than your share, or too much at once; see Retry-After.",
    422: "The request is not valid.",
    500: "Something failed inside the server.",
    503: "Still loading, or a part is not available; see Retry-After.",
}
WITH_A_KEY = (400, 409)  # which is none, or whose request is being done
WITH_A_BODY = (400, 413)
ALWAYS = (401, 403, 422, 429, 500, 503)
BINARY: dict[str, Any] = {"schema": {"title": "Bytes", "type": "string", "format": "binary"}}
TEXT: dict[str, Any] = {"schema": {"title": "PlainText", "type": "string"}}
PNG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The page.", "content": {"image/png": BINARY}},
    304: {"description": "Your copy is still right."},
}
EVENTS: dict[str, Any] = {
    "schema": {
        "title": "Event",
        "description": "Each server-sent event; `data` is JSON on one line.",
        "type": "object",
        "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
        "required": ["event", "data"],
    },
    "example": "event: searched\ndata: {…}\n\nevent: final\ndata: {…}\n\n",
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key, within a day, the same request is not done again"
    " but answered as before, with `Idempotency-Replayed: true`.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
CHUNKS: dict[str, Any] = {
    "schema": {
        "title": "Chunk",
        "description": "Each server-sent event; `data` is JSON on one line, `[DONE]` at the end.",
        "type": "object",
        "properties": {"data": {"type": "string"}},
        "required": ["data"],
    },
    "example": "data: {…}\n\ndata: {…}\n\ndata: [DONE]\n\n",
}


RUN_EVENTS = "event: run\ndata: {…}\n\nevent: run\ndata: {…}\n\n"


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for `responses=`."""
    return {status: _problem(status) for status in (*ALWAYS, *statuses)}


def operation_id(route: APIRoute) -> str:
    """An operation's name for programs that generate clients: its function's."""
    return route.name


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: what FastAPI derives, and the problems and credentials it cannot."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    for method, path in REPEATABLE:
        operation = document["paths"][path.replace(":path", "")][method.lower()]
        operation.setdefault("parameters", []).append(KEY)
        for status in WITH_A_KEY:
            operation["responses"].setdefault(str(status), _problem(status))
    components = document["components"]
    components["schemas"] |= _problem_schemas()
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "citadel_session"},
    }
    for operation in (each for path in document["paths"].values() for each in path.values()):
        operation["summary"] = _first_sentence(operation["description"])
        if "requestBody" in operation:  # which may be no text at all, or too much of it
            for status in WITH_A_BODY:
                operation["responses"].setdefault(str(status), _problem(status))
    document["security"] = [{"token": []}, {"session": []}]
    shapes = components["schemas"]
    for shape in shapes.values():
        if "examples" in shape:
            shape["examples"] = [_with_nulls(each, shape, shapes) for each in shape["examples"]]
    return document


def _first_sentence(text: str) -> str:
    """What an operation is listed by; FastAPI would list it by its function's name."""
    return re.split(r"\.(?:\s|$)", " ".join(text.split()), maxsplit=1)[0]


@router.get("/docs")
async def swagger() -> HTMLResponse:
    """Swagger UI."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Citadel API",
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
    )
    page.headers["Content-Security-Policy"] = POLICY
    return page


@router.get("/docs/{name}")
async def asset(request: Request, name: str) -> FileResponse:
    """A file of Swagger UI."""
    if name not in ASSETS:
        raise HTTPException(404)
    path = str(files("fastapi_offline") / "static" / name)
    return FileResponse(path, media_type=ASSETS[name])


def _with_nulls(example: Any, schema: dict[str, Any], shapes: dict[str, Any]) -> Any:
    """The example as it was before FastAPI dropped its nulls.

    Nothing else that is required can be missing: the tests hold the examples against their models.
    """
    schema = next((each for each in schema.get("anyOf", ()) if each != {"type": "null"}), schema)
    if "$ref" in schema:
        schema = shapes[schema["$ref"].rpartition("/")[2]]
    if isinstance(example, list):
        return [_with_nulls(each, schema.get("items", {}), shapes) for each in example]
    if not isinstance(example, dict):
        return example
    inner = schema.get("properties", {})
    whole = dict.fromkeys(schema.get("required", ())) | example
    return {name: _with_nulls(each, inner.get(name, {}), shapes) for name, each in whole.items()}


def _problem(status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status == 404:
        content["example"] = examples.PROBLEM
    return {"description": MEANINGS[status], "content": {MEDIA_TYPE: content}}


def _problem_schemas() -> dict[str, Any]:
    from rag.api.bodies.models import Problem

    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    nested: dict[str, Any] = schema.pop("$defs", {})
    return nested | {"Problem": schema}

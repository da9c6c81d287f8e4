"""Failures as RFC 9457 problems: the one shape of every error that leaves the API.

`type` is `urn:citadel:problem:<name>`, a stable name that programs may test; the other members are
for people.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from rag.errors import CitadelError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
HINTS = {
    400: "Send JSON, encoded as UTF-8.",
    404: "GET /docs lists every address there is.",
    405: "The Allow header names the methods that this address takes.",
    413: "Send less: a file may have CITADEL_MAX_FILE_BYTES, every other body 1 MiB.",
    422: "Compare the request with the examples at /docs.",
}
OPENAI_PATHS = ("/v1/chat/", "/v1/models")
PREFIXES = ("Value error, ", "Assertion failed, ")

Problem = dict[str, Any]


def problem_of(error: Exception, *, instance: str, request_id: str) -> Problem:
    """The problem that describes an error. What is not meant for callers is not in it."""
    problem = _problem_of(error)
    if instance.startswith(OPENAI_PATHS):
        problem = _as_of_openai(problem)
    return problem | {"instance": instance, "request_id": request_id}


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, CitadelError):
        return _problem(error.status, error.message, error.hint, name=type(error).__name__)
    if isinstance(error, RequestValidationError):
        errors = [_invalid(entry) for entry in error.errors()]
        return _problem(422, _told(errors), name="Invalid") | {"errors": errors}
    if isinstance(error, HTTPException):
        return _problem(error.status_code, _sentence(error))
    hint = "Give the request id to your administrator; the server's log says more."
    return _problem(500, "something went wrong inside the server", hint)


def _as_of_openai(problem: Problem) -> Problem:
    """The same with an `error` as OpenAI's clients read it; they show its message."""
    status = problem["status"]
    if status == 422:
        status = 400
        problem = problem | {"status": status, "title": HTTPStatus(status).phrase}
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = "server_error" if status >= 500 else kinds.get(status, "invalid_request_error")
    name = problem["type"].rpartition(":")[2].replace("-", "_")
    error = {
        "message": f"{problem['detail']}. {problem['hint']}".removesuffix(". "),
        "type": kind,
        "param": problem["errors"][0]["where"] if "errors" in problem else None,
        "code": "invalid_api_key" if status == 401 else name,
    }
    return problem | {"error": error}


def problem_response(error: Exception, *, instance: str, request_id: str) -> JSONResponse:
    """The problem as a response."""
    body = problem_of(error, instance=instance, request_id=request_id)
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers |= dict(error.headers or {})
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="citadel"'
    if getattr(error, "retryable", False):
        headers["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    return JSONResponse(body, body["status"], headers, MEDIA_TYPE)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """The framework's exception handler for all errors that have a status."""
    request_id = request.state.request_id
    return problem_response(error, instance=request.url.path, request_id=request_id)


def _problem(status: int, detail: str, hint: str = "", *, name: str = "") -> Problem:
    title = HTTPStatus(status).phrase
    return {
        "type": f"urn:citadel:problem:{_kebab(name or title)}",
        "title": title,
        "status": status,
        "detail": detail,
        "hint": hint or HINTS.get(status, ""),
    }


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+", "-", name).lower()


def validation_text(error: ValidationError) -> str:
    """What is wrong with something that was to be valid, in words, without its values."""
    entries = error.errors(include_url=False, include_input=False)
    return _told([_invalid({**entry, "loc": ("body", *entry["loc"])}) for entry in entries])


def _told(errors: list[dict[str, str]]) -> str:
    return "; ".join(f"{e['where']}: {e['message']}" for e in errors)


def _invalid(entry: Mapping[str, Any]) -> dict[str, str]:
    """One finding of the validation, without the value: it may be long, and not even be text."""
    *_, last = where = [str(part) for part in entry["loc"]]
    message = entry["msg"]
    if entry["type"] == "json_invalid":
        return {"where": "body", "message": f"this is not JSON: {entry['ctx']['error']}"}
    for prefix in PREFIXES:
        message = message.removeprefix(prefix)
    place = ".".join(where[1:]) if len(where) > 1 else last
    return {"where": place, "message": message[:1].lower() + message[1:]}


def _sentence(error: HTTPException) -> str:
    if error.status_code == 400:
        return "the body cannot be read"
    sentences = {404: "there is nothing at this address", 405: "this address takes other methods"}
    return sentences.get(error.status_code, error.detail)

"""From a one-time link to a browser's session."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, RedirectResponse

from rag.api import models
from rag.api.auth import COOKIE, Caller, Gate, host_name, is_loopback_name
from rag.api.backing import caller_of
from rag.api.docs import documented
from rag.api.tokens import LINK_TTL_S, SESSION_TTL_S
from rag.errors import Forbidden, Unauthorized

router = APIRouter(tags=["login"])

ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound to


def base_url(host: str, port: int) -> str:
    """The address of a server that listens on `host`, as a browser on this machine reaches it."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


@router.post("/v1/login-links", response_model=models.LoginLink, responses=documented(403))
async def make_login_link(
    request: Request, caller: Annotated[Caller, Depends(caller_of)]
) -> JSONResponse:
    """Another link that logs one browser in, once, within the hour. Not for browsers to ask."""
    if caller.kind == "session":
        raise Forbidden(
            "a browser session cannot make login links",
            hint="Use the API token, or run `citadel serve` again.",
        )
    gate: Gate = request.app.state.gate
    base = request.app.state.public_url or base_url(_host_of(request), request.app.state.port)
    link = f"{base}/login?token={gate.links.issue()}"
    return JSONResponse({"url": link, "expires_in_s": LINK_TTL_S}, status_code=200)


@router.get(
    "/login",
    response_class=RedirectResponse,
    status_code=303,
    responses=documented() | {303: {"description": "To the page, with a session cookie."}},
)
async def log_in(
    request: Request, token: Annotated[str, Query(max_length=200)]
) -> RedirectResponse:
    """Exchange a one-time token for a session that lasts twelve hours."""
    gate: Gate = request.app.state.gate
    public: str | None = request.app.state.public_url
    page = public or base_url(_host_of(request), request.app.state.ui_port)
    response = RedirectResponse(f"{page}/", 303, headers={"Cache-Control": "no-store"})
    if gate.links.redeem(token):
        response.set_cookie(
            COOKIE,
            gate.sessions.issue(),
            max_age=SESSION_TTL_S,
            httponly=True,
            samesite="strict",
            secure=page.startswith("https:"),
        )
    elif not gate.sessions.valid(request.cookies.get(COOKIE, "")):
        raise Unauthorized(
            "this login link has been used or has expired",
            hint="Start `citadel serve` again for a new one: each works once, within an hour.",
        )
    return response  # who opens a used link again, but is still signed in, just gets the page


def _host_of(request: Request) -> str:
    """The name that the caller knows this server by, where it may be ours; else the setting."""
    configured: str = request.app.state.host
    name = host_name(request.headers)
    if name and (configured in ANY_ADDRESS or is_loopback_name(name)):
        return name
    return configured

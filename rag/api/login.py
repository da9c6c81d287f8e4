"""From a one-time link to a browser's session."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from rag.api import models, requests
from rag.api.auth import COOKIE, Caller, Gate, host_name, is_loopback_name
from rag.api.backing import appliance_of, caller_of
from rag.api.docs import documented
from rag.api.tokens import LINK_TTL_S, SESSION_TTL_S, Owner
from rag.errors import Forbidden, Unauthorized

router = APIRouter(tags=["login"])

ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not bound to


def base_url(host: str, port: int) -> str:
    """The address of a server that listens on `host`, as a browser on this machine reaches it."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


@router.post("/v1/login-links", response_model=models.LoginLink, responses=documented(403, 404))
async def make_login_link(
    request: Request,
    caller: Annotated[Caller, Depends(caller_of)],
    body: requests.LoginLinkRequest | None = None,
) -> JSONResponse:
    """Another link that logs one browser in, once, within the hour. Not for browsers to ask.

    For the named user, who then reads what is granted to that user; for the operator, who reads
    everything, where none is named.
    """
    if caller.kind == "session":
        raise Forbidden(
            "a browser session cannot make login links",
            hint="Use the API token, or run `citadel serve` again.",
        )
    gate: Gate = request.app.state.gate
    owner: Owner = "operator"
    if body is not None and body.user is not None:
        appliance = await appliance_of(request)
        owner = await to_thread.run_sync(appliance.store.user_number, body.user)
    link = f"{api_url(request)}/login?token={gate.links.issue(owner)}"
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
    response = to_the_page(request)
    owner = gate.links.redeem(token)
    if owner is not None:
        begin_session(request, response, owner)
    elif gate.sessions.owner(request.cookies.get(COOKIE, "")) is None:
        raise Unauthorized(
            "this login link has been used or has expired",
            hint="Start `citadel serve` again for a new one: each works once, within an hour.",
        )
    return response  # who opens a used link again, but is still signed in, just gets the page


def api_url(request: Request) -> str:
    """The address of the API, as the caller reaches it."""
    public: str | None = request.app.state.public_url
    return public or base_url(_host_of(request), request.app.state.port)


def page_url(request: Request) -> str:
    """The address of the page, as the caller's browser reaches it."""
    public: str | None = request.app.state.public_url
    return public or base_url(_host_of(request), request.app.state.ui_port)


def to_the_page(request: Request) -> RedirectResponse:
    """Where a browser goes that has signed in."""
    return RedirectResponse(f"{page_url(request)}/", 303, headers={"Cache-Control": "no-store"})


def begin_session(request: Request, response: Response, owner: Owner) -> None:
    """Sign the browser in that gets this response."""
    gate: Gate = request.app.state.gate
    response.set_cookie(
        COOKIE,
        gate.sessions.issue(owner),
        max_age=SESSION_TTL_S,
        httponly=True,
        samesite="strict",
        secure=page_url(request).startswith("https:"),
    )


def _host_of(request: Request) -> str:
    """The name that the caller knows this server by, where it may be ours; else the setting."""
    configured: str = request.app.state.host
    name = host_name(request.headers)
    if name and (configured in ANY_ADDRESS or is_loopback_name(name)):
        return name
    return configured

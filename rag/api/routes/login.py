"""Signing in: from a link, or a name and a password, to a browser's session."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Form, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from rag.api.address import ANY_ADDRESS, base_url
from rag.api.backing import appliance_of
from rag.api.bodies import models, requests
from rag.api.border.auth import COOKIE, Gate, hint_for, host_name, is_loopback_name
from rag.api.border.callers import Anyone
from rag.api.border.proxied import address_of
from rag.api.border.throttle import Attempts
from rag.api.form import link_page, sign_in_form
from rag.api.routes.docs import documented
from rag.errors import BadRequest, CitadelError, Forbidden, Unauthorized
from rag.store import LINK_TTL, SESSION_TTL, How, Owner, Store

logger = logging.getLogger(__name__)
router = APIRouter(tags=["login"])

LINK_HINT = "Ask your administrator for another: each works once, within an hour."
LINK_HERE = "On this machine `citadel user link` makes one, and `citadel serve` when it starts."
OWN_SITES = ("none", "same-origin")  # what opened a link: a person, or a page of ours
AT_ONCE = 2  # passwords that are checked: each takes 64 MiB and a core
FORM = {"text/html": {"schema": {"type": "string"}}}


class SignIn:
    """What the sign-in of one server keeps in memory."""

    def __init__(self, options: Sequence[tuple[str, str]] = ()) -> None:
        self.attempts = Attempts()
        self.options = list(options)  # other ways, as (label, address), for the form
        self.at_once = CapacityLimiter(AT_ONCE)


@router.post("/v1/login-links", response_model=models.LoginLink, responses=documented(403, 404))
async def make_login_link(
    request: Request, caller: Anyone, body: requests.LoginLinkRequest | None = None
) -> JSONResponse:
    """Another link that logs one browser in, once, within the hour. Not for browsers to ask.

    For the named user, who then reads what is granted to that user; for the operator, who reads
    everything, where none is named.
    """
    if caller.kind not in ("bearer", "same_user"):
        raise Forbidden(
            "a browser session or a key cannot make login links",
            hint=hint_for(
                request.scope, "Ask your administrator.", "On this machine: `citadel user link`."
            ),
        )
    store = (await appliance_of(request)).store
    owner: Owner = "operator"
    if body is not None and body.user is not None:
        owner = await to_thread.run_sync(store.user_number, body.user)
    link = f"{api_url(request)}/login?token={await to_thread.run_sync(store.signing.link, owner)}"
    return JSONResponse({"url": link, "expires_in_s": int(LINK_TTL.total_seconds())})


@router.get(
    "/login",
    response_class=RedirectResponse,
    status_code=303,
    responses=documented()
    | {
        200: {"description": "The sign-in form, or a button to go on.", "content": FORM},
        303: {"description": "To the page, with a session cookie."},
    },
)
async def log_in(
    request: Request, token: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Exchange a one-time token for a session of twelve hours; without one, a sign-in form.

    A link that another site has opened, or that would end the session of somebody else, signs
    nobody in by itself: a button has to be pressed first.
    """
    if token is None:
        return _form(request)
    store = (await appliance_of(request)).store
    of_link, now = await to_thread.run_sync(_both, store, token, request.cookies.get(COOKIE, ""))
    if of_link is None:
        return await _after_bad_link(request, store, token, signed_in=now is not None)
    others = request.headers.get("sec-fetch-site", "none") not in OWN_SITES
    if others or now not in (None, of_link):
        names = await to_thread.run_sync(_named, store, of_link, now)
        return link_page(page_url(request), token, *names)
    return await _by_link(request, store, token)


async def _by_link(request: Request, store: Store, token: str) -> Response:
    """A session for the link, or what is said of one that is no good."""
    owner = await to_thread.run_sync(store.signing.redeem, token)
    if owner is None:
        return await _after_bad_link(request, store, token, signed_in=False)
    response = to_the_page(request)
    await begin_session(request, response, owner, "link")
    return response


async def _after_bad_link(
    request: Request, store: Store, token: str, *, signed_in: bool
) -> Response:
    if signed_in:  # who opens a used link again, but is still signed in, just gets the page
        return to_the_page(request)
    if store.signing.made_link(token):  # what anybody makes up leaves nothing behind
        state: SignIn = request.app.state.sign_in
        state.attempts.link_failed(address_of(request.scope))
        await _record_failure(store, "link")
    error = Unauthorized(
        "this login link has been used or has expired",
        hint=hint_for(request.scope, LINK_HINT, LINK_HERE),
    )
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    return _form(request, error=error)


def _both(store: Store, token: str, session: str) -> tuple[Owner | None, Owner | None]:
    """Whom a link would sign in, and who is signed in."""
    signed_in = store.signing.session(session)
    return store.signing.of_link(token), None if signed_in is None else signed_in.owner


def _named(store: Store, *owners: Owner | None) -> list[str]:
    """The names of owners; "" for nobody."""
    numbers = [store.operator_number() if owner == "operator" else owner for owner in owners]
    return ["" if each is None else store.accounts.account(each).name for each in numbers]


@router.get("/", include_in_schema=False)
async def front_door(request: Request) -> RedirectResponse:
    """A browser that was given this address alone goes to the page, or to sign in first.

    Raises:
        HTTPException: it is a program, for which there is nothing here.
    """
    one_address = page_url(request) == api_url(request)  # a proxy hands this over to the page
    if one_address or "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(404)
    store, token = (await appliance_of(request)).store, request.cookies.get(COOKIE, "")
    signed_in = await to_thread.run_sync(store.signing.session, token)
    return RedirectResponse("/login" if signed_in is None else page_url(request), 303)


def api_url(request: Request) -> str:
    """The address of the API, as the caller reaches it."""
    public: str | None = request.app.state.public_url
    return public or base_url(_host_of(request), request.app.state.port)


@router.post("/login", include_in_schema=False)
async def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    token: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """What the form sends: a session, or the form again with what is wrong."""
    gate: Gate = request.app.state.gate
    if not gate.is_caused_by_us(request.headers, request.method):
        raise Forbidden("another site caused this request", hint="Sign in at /login.")
    if token:
        return await _by_link(request, (await appliance_of(request)).store, token)
    name = name.strip()
    try:
        if not name or not password:
            raise BadRequest("Type your name and your password.")
        owner, how = await checked(request, name, password)
        response = to_the_page(request)
        await begin_session(request, response, owner, how)
    except CitadelError as error:
        return _form(request, name=name, error=error)
    return response


async def checked(request: Request, name: str, password: str) -> tuple[int, How]:
    """The number of the user whose name and password these are, and who knew them.

    Raises:
        Unauthorized: they are nobody's; whether there is such a name is not said.
        TooManyRequests: too many attempts have failed.
        NotReady: the store is still being loaded.
        DirectoryError: the company's directory cannot be asked.
    """
    appliance = await appliance_of(request)
    store = appliance.store
    state: SignIn = request.app.state.sign_in
    address = address_of(request.scope)
    state.attempts.begin(name, address)
    how: How = "password"
    number = await to_thread.run_sync(store.passwords.check, name, password, limiter=state.at_once)
    if number is None and appliance.settings.ldap_url is not None:
        from rag.directory.ldap import ldap_sign_in

        how = "ldap"
        asked = (store, appliance.settings, name, password)
        number = await to_thread.run_sync(ldap_sign_in, *asked, limiter=state.at_once)
    if number is None:
        await _record_failure(store, "password", name=name)
        logger.warning("sign-in as %r from %s: wrong name or password", name, address)
        raise Unauthorized("the name or the password is wrong", hint="Both are case-sensitive.")
    state.attempts.succeeded(name, address)
    return number, how


def _form(request: Request, *, name: str = "", error: CitadelError | None = None) -> Response:
    state: SignIn = request.app.state.sign_in
    url = page_url(request)
    if error is None:
        return sign_in_form(url, options=state.options)
    message = f"{error.message[:1].upper()}{error.message[1:].rstrip('.')}. {error.hint}".strip()
    wait = getattr(error, "retry_after_s", 1) if error.retryable else None
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return sign_in_form(
        url, options=state.options, status=error.status, name=name, message=message, headers=headers
    )


def page_url(request: Request) -> str:
    """The address of the page, as the caller's browser reaches it."""
    public: str | None = request.app.state.public_url
    return public or base_url(_host_of(request), request.app.state.ui_port)


async def _record_failure(store: Store, how: How, **private: str) -> None:
    """Leave a record of a sign-in that was refused; one that succeeds leaves its own."""
    record = partial(store.audit.record, "sign_in", {"how": how}, outcome="failure")
    await to_thread.run_sync(partial(record, private=private))


def to_the_page(request: Request) -> RedirectResponse:
    """Where a browser goes that has signed in."""
    return RedirectResponse(f"{page_url(request)}/", 303, headers={"Cache-Control": "no-store"})


async def begin_session(request: Request, response: Response, owner: Owner, how: How) -> None:
    """Sign the browser in that gets this response.

    Raises:
        Forbidden: the account is disabled or gone.
    """
    store: Store = (await appliance_of(request)).store
    begin = partial(
        store.signing.begin,
        owner,
        how,
        address=address_of(request.scope),
        agent=request.headers.get("user-agent", ""),
        instead_of=request.cookies.get(COOKIE, ""),
    )
    response.set_cookie(
        COOKIE,
        await to_thread.run_sync(begin),
        max_age=int(SESSION_TTL.total_seconds()),
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

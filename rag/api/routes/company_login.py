"""From the company's own sign-in to a browser's session.

A browser comes back from a provider because another site has sent it, and would not send a
`SameSite=strict` cookie on that way. So what a sign-in has begun with lies in a short-lived `lax`
cookie of its own, and the answer that sets the session's cookie is a small page that leads on: the
next request is this site's own.
"""

import time
from html import escape
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from rag.api.backing import appliance_of
from rag.api.company import Company
from rag.api.routes.login import api_url, begin_session, page_url
from rag.errors import CitadelError, NotFound, Unauthorized
from rag.store import How

if TYPE_CHECKING:
    from rag.directory.openid import Provider, Transaction

router = APIRouter(include_in_schema=False)  # for browsers on their way, not for programs

COOKIE = "citadel_signing_in"
PATH = "/login/oidc"
CALLBACK = f"{PATH}/callback"
BEGUN_S = 600  # how long a person may take at the provider
NO_PROVIDER = "CITADEL_OIDC_ISSUER names an OpenID Connect provider."
NO_PROXY = "CITADEL_TRUSTED_PROXIES names the proxies that say who is calling."
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Citadel</title>{refresh}</head>
<body><h1>{title}</h1><p>{text}</p><p><a href="{address}">{link}</a></p></body></html>
"""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@router.get(PATH)
async def begin(request: Request) -> Response:
    """Send the browser to the provider."""
    from rag.directory.openid import Transaction

    company: Company = request.app.state.company
    transaction = Transaction.new()
    try:
        address = await _provider(company).address(transaction, api_url(request) + CALLBACK)
    except CitadelError as failure:
        return _refused(request, failure)
    response = RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        _sealed(transaction, company.secret),
        max_age=BEGUN_S,
        path=PATH,
        httponly=True,
        samesite="lax",
        secure=api_url(request).startswith("https:"),
    )
    return response


@router.get(CALLBACK)
async def come_back(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Sign the browser in that the provider has sent back."""
    try:
        transaction = _begun(request, state)
        if error or not code:
            raise Unauthorized(
                f"the provider has not signed you in: {error or 'it gave no code'}",
                hint="Sign in again; if it stays so, tell your administrator.",
            )
        owner = await _owner(request, transaction, code)
    except CitadelError as failure:
        return _refused(request, failure)
    response = await _signed_in(request, owner, "oidc")
    response.delete_cookie(COOKIE, path=PATH)
    return response


@router.get("/login/proxy")
async def log_in_by_proxy(request: Request) -> Response:
    """Give the browser a session of the user whom the proxy names, and lead it to the page."""
    proxied = request.app.state.company.proxied
    if proxied is None:
        raise NotFound("no proxy signs people in here", hint=NO_PROXY)
    number, _ = await proxied.holder(request.scope)
    return await _signed_in(request, number, "proxy")


def _provider(company: Company) -> "Provider":
    if company.provider is None:
        raise NotFound("no provider signs people in here", hint=NO_PROVIDER)
    return company.provider


async def _owner(request: Request, transaction: "Transaction", code: str) -> int:
    """The number of the user who has signed in."""
    company: Company = request.app.state.company
    vouched = await _provider(company).vouched(transaction, api_url(request) + CALLBACK, code)
    store = (await appliance_of(request)).store
    owner = await to_thread.run_sync(store.directory.known_as, vouched, company.terms)
    _spend(company.spent, transaction.state)
    return owner


def _begun(request: Request, state: str) -> "Transaction":
    """What this browser has begun with; it can be finished once.

    Raises:
        NotFound: no provider signs people in here.
        Unauthorized: another browser has begun it, or it has been finished, or it took too long.
    """
    company: Company = request.app.state.company
    _provider(company)
    transaction = _opened(request.cookies.get(COOKIE, ""), company.secret)
    if transaction is None or transaction.state != state or state in company.spent:
        raise Unauthorized(
            "this sign-in was not begun in this browser, or is over, or took too long",
            hint=f"Begin again at {api_url(request)}{PATH}.",
        )
    return transaction


def _spend(spent: dict[str, float], state: str) -> None:
    """See to it that a sign-in that has succeeded is not finished twice."""
    now = time.monotonic()
    for old in [each for each, end in spent.items() if end < now]:
        del spent[old]
    spent[state] = now + BEGUN_S


def _sealed(transaction: "Transaction", secret: str) -> str:
    """A transaction as only this installation can have written it."""
    from joserfc import jwt
    from joserfc.jwk import OctKey

    claims = {
        "state": transaction.state,
        "nonce": transaction.nonce,
        "verifier": transaction.verifier,
        "exp": int(time.time()) + BEGUN_S,
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))


def _opened(sealed: str, secret: str) -> "Transaction | None":
    """The transaction; None where it is another's, has been changed, or is too old."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

    from rag.directory.openid import Transaction

    try:
        claims: dict[str, Any] = jwt.decode(sealed, OctKey.import_key(secret), ["HS256"]).claims
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
    except (JoseError, ValueError):
        return None
    return Transaction(claims["state"], claims["nonce"], claims["verifier"])


async def _signed_in(request: Request, owner: int, how: How) -> HTMLResponse:
    """The page that signs a browser in and leads it on."""
    address = escape(f"{page_url(request)}/")
    refresh = f'<meta http-equiv="refresh" content="0; url={address}">'
    told = {"title": "You are signed in", "text": "", "link": "Go on", "address": address}
    response = HTMLResponse(PAGE.format(refresh=refresh, **told), headers=HEADERS)
    await begin_session(request, response, owner, how)
    return response


def _refused(request: Request, failure: CitadelError) -> HTMLResponse:
    """What a browser shows in place of a problem, which is for programs."""
    if "text/html" not in request.headers.get("accept", ""):
        raise failure
    text = f"{failure.message[:1].upper()}{failure.message[1:]}. {failure.hint}"
    told = {"title": "You are not signed in", "text": escape(text), "link": "Sign in again"}
    content = PAGE.format(refresh="", address=PATH, **told)
    return HTMLResponse(content, failure.status, HEADERS)

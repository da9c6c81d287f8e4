"""Routes about the caller's own account: who it is, its sessions, its password."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from rag.api.backing import Loaded
from rag.api.bodies import credentials, requests
from rag.api.border.auth import ASK_ADMIN, COOKIE, Caller, for_role, has_role, number_of
from rag.api.border.callers import Anyone, Holder
from rag.api.routes.docs import documented
from rag.api.routes.login import checked
from rag.errors import Forbidden, Unauthorized
from rag.store import Session, Store
from rag.times import time_json

router = APIRouter(tags=["account"])

OfUser = Annotated[requests.Plain | None, Query(description="A user's, for admins; else yours.")]


@router.get("/v1/me", response_model=credentials.Me, responses=documented())
def get_me(appliance: Loaded, caller: Anyone) -> JSONResponse:
    """Who you are to this server, and what you may do with what you have shown."""
    store = appliance.store
    number = number_of(caller, store)
    account = store.accounts.account(number)
    collections = [{"name": name, "right": r} for name, r in account.collections.items()]
    return JSONResponse(
        {
            "name": account.name,
            "kind": caller.kind,
            "roles": sorted(caller.roles),
            "rights": sorted(caller.rights),
            "groups": list(account.groups),
            "collections": collections,
            "has_password": store.passwords.has(number),
        }
    )


@router.get("/v1/sessions", response_model=credentials.SessionList, responses=documented(403, 404))
def list_sessions(appliance: Loaded, caller: Holder, user: OfUser = None) -> JSONResponse:
    """Where you are signed in, newest first."""
    number = whose(caller, appliance.store, user)
    current = caller.credential if caller.kind == "session" else None
    found = appliance.store.signing.sessions(number)
    return JSONResponse({"sessions": [_session_json(each, current) for each in found]})


@router.delete("/v1/sessions/{session_id}", status_code=204, responses=documented(403, 404))
def end_session(appliance: Loaded, caller: Holder, session_id: requests.Id) -> Response:
    """End one of your sessions at once; admins end anybody's but the operator's."""
    store = appliance.store
    store.signing.end(session_id, *whose_to_end(caller, store))
    return Response(status_code=204)


@router.post("/v1/sign-out", status_code=204, responses=documented())
def sign_out(appliance: Loaded, caller: Anyone) -> Response:
    """End this session. Without one, nothing happens."""
    response = Response(status_code=204)
    if caller.kind == "session" and caller.credential is not None:
        appliance.store.signing.end(caller.credential)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.post("/v1/me/password", status_code=204, responses=documented(400, 403, 429))
async def set_password(
    request: Request, appliance: Loaded, caller: Holder, body: credentials.NewPassword
) -> Response:
    """Change your password, for those who are signed in. Your other sessions end."""
    if caller.kind != "session" or caller.owner == "operator":
        raise Forbidden(
            "only a user who has signed in has a password to change",
            hint="Sign in by name first; your administrator can set anybody's.",
        )
    store = appliance.store
    name, has_one, how = await to_thread.run_sync(_signed_in, store, caller)
    if has_one:
        number, _ = await checked(request, name, body.current)
        if number != caller.owner:  # the company's directory may know somebody else by that name
            raise Unauthorized("the name or the password is wrong", hint="Both are case-sensitive.")
    elif how != "link":
        raise Forbidden("you sign in without a password of this server", hint=ASK_ADMIN)
    change = partial(store.passwords.set, name, body.password, keep_session=caller.credential)
    await to_thread.run_sync(change, limiter=request.app.state.sign_in.at_once)
    return Response(status_code=204)


def whose(caller: Caller, store: Store, user: str | None) -> int:
    """The number of the user who is meant, or the caller's; others are for admins.

    Raises:
        Forbidden: the caller is no admin.
        NotFound: there is no such user.
    """
    if user is None:
        return number_of(caller, store)
    for_role(caller, "admin")
    return store.user_number(user)


def whose_to_end(caller: Caller, store: Store) -> tuple[int | None, bool]:
    """Whose sessions and keys the caller may end: whose number (None: anybody's), and whether the
    operator's are among them, whose access no admin may take away."""
    number = None if has_role(caller, "admin") else number_of(caller, store)
    return number, caller.owner == "operator"


def _signed_in(store: Store, caller: Caller) -> tuple[str, bool, str]:
    """The name, whether there is a password, and how the caller has signed in."""
    number = number_of(caller, store)
    found = {session.id: session.how for session in store.signing.sessions(number)}
    how = found.get(caller.credential or 0, "")
    return store.accounts.account(number).name, store.passwords.has(number), how


def _session_json(session: Session, current: int | None) -> dict[str, object]:
    return {
        "id": session.id,
        "how": session.how,
        "address": session.address,
        "agent": session.agent,
        "created_at": time_json(session.created_at),
        "used_at": time_json(session.used_at),
        "expires_at": time_json(session.expires_at),
        "current": session.id == current,
    }

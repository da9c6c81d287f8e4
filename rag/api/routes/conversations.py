"""Routes of conversations: each is its owner's alone.

Another's is answered like one that never was. Only where the setting says so may admins read those
of others: nothing but read, and of the answers what they may read themselves.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import JSONResponse, Response

from rag.api.backing import Loaded
from rag.api.bodies import cursors, requests, tags, talk_models
from rag.api.border.auth import ASK_ADMIN, Caller, access_of, number_of
from rag.api.border.callers import Asker
from rag.api.exports import Format, export_response
from rag.api.routes.docs import TEXT, documented
from rag.appliance import Appliance
from rag.errors import Forbidden
from rag.store import Store
from rag.store.conversations import Conversation, KeptTurn
from rag.store.kept_answers import documents_of
from rag.times import time_json

router = APIRouter(tags=["conversations"])

LIST = "conversations"
RATINGS = {1: "up", -1: "down", None: None}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Your copy is still right."},
}

Cursor = Annotated[
    str | None, Query(max_length=cursors.MAX_CHARS, description="`next_cursor` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=200)]
IfMatch = Annotated[str | None, Header(max_length=500, description="The ETag that you have read.")]
IfNoneMatch = Annotated[str | None, Header(max_length=500, description="The ETag that you have.")]


@router.post(
    "/v1/conversations",
    status_code=201,
    response_model=talk_models.Conversation,
    responses=documented(400, 409, 413),
)
def create_conversation(
    appliance: Loaded, caller: Asker, body: talk_models.ConversationRequest
) -> JSONResponse:
    """Begin a conversation: ask with its number as `conversation_id`, and it is kept."""
    store = appliance.store
    made = store.conversations.create(number_of(caller, store), body.title)
    return _response(made, 201, {"Location": f"/v1/conversations/{made.id}"})


@router.get(
    "/v1/conversations",
    response_model=talk_models.ConversationList,
    responses=documented(400, 403, 404),
)
def list_conversations(
    appliance: Loaded,
    caller: Asker,
    limit: Limit = 50,
    cursor: Cursor = None,
    user: Annotated[
        requests.Plain | None,
        Query(description="Another's, for admins where the server's settings allow it."),
    ] = None,
) -> JSONResponse:
    """Your conversations, the one last changed first."""
    owner, before = _listed_owner(caller, appliance, user), None
    if cursor is not None:
        changed, last = cursors.place(LIST, cursor, 2)
        before = (cursors.time_of(changed), last)
    found = appliance.store.conversations.listed(owner, limit + 1, before)
    if owner != number_of(caller, appliance.store):
        _record(appliance.store, "conversations", {"principal": owner})
    return JSONResponse(
        {
            "conversations": [conversation_json(each) for each in found[:limit]],
            "next_cursor": _after(found[limit - 1]) if len(found) > limit else None,
        }
    )


@router.get(
    "/v1/conversations/{conversation_id}",
    response_model=talk_models.ConversationRead,
    responses=documented(400, 404) | NOT_MODIFIED,
)
def get_conversation(
    appliance: Loaded,
    caller: Asker,
    conversation_id: requests.Id,
    limit: Limit = 100,
    cursor: Cursor = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A conversation with its turns, oldest first.

    What an answer quotes is shown as far as you may read it now; the rest is left out, and
    `withheld` says that it is.
    """
    [after] = cursors.place("turns", cursor, 1) if cursor is not None else [0]
    found = _found(caller, appliance, conversation_id)
    turns = _turns(caller, appliance, found, after=after, limit=limit + 1)
    body = read_json(found, turns[:limit], yours=_is_own(caller, appliance, found))
    if len(turns) > limit:
        body["next_cursor"] = cursors.cursor("turns", turns[limit - 1].ordinal)
    headers = {"ETag": tags.etag(found.version, body)}
    if tags.is_known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    _opened(appliance.store, found, body, "conversation")
    return JSONResponse(body, headers=headers)


@router.patch(
    "/v1/conversations/{conversation_id}",
    response_model=talk_models.Conversation,
    responses=documented(400, 404, 409, 412, 413),
)
def rename_conversation(
    appliance: Loaded,
    caller: Asker,
    conversation_id: requests.Id,
    body: talk_models.RenameRequest,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Give a conversation another title; with If-Match only if nothing has changed in it."""
    store = appliance.store
    owner = number_of(caller, store)
    version = _wanted(appliance, owner, conversation_id, if_match)
    return _response(store.conversations.rename(owner, conversation_id, body.title, version))


@router.delete(
    "/v1/conversations/{conversation_id}",
    status_code=204,
    response_class=Response,
    responses=documented(400, 404, 409, 412),
)
def delete_conversation(
    appliance: Loaded, caller: Asker, conversation_id: requests.Id, if_match: IfMatch = None
) -> Response:
    """Delete a conversation with all that was asked and answered in it, and your feedback on it."""
    store = appliance.store
    owner = number_of(caller, store)
    version = _wanted(appliance, owner, conversation_id, if_match)
    store.conversations.delete(owner, conversation_id, version)
    return Response(status_code=204)


@router.get(
    "/v1/conversations/{conversation_id}/export",
    response_class=Response,
    responses=documented(404)
    | {
        200: {
            "description": "The file.",
            "model": talk_models.ConversationRead,
            "content": {"text/markdown": TEXT},
        }
    },
)
def export_conversation(
    appliance: Loaded,
    caller: Asker,
    conversation_id: requests.Id,
    format: Annotated[Format, Query(description="Of the file.")] = "json",
) -> Response:
    """A whole conversation as a file to keep, as far as you may read now what it quotes."""
    found = _found(caller, appliance, conversation_id)
    turns = _turns(caller, appliance, found)
    body = read_json(found, turns, yours=_is_own(caller, appliance, found))
    _opened(appliance.store, found, body, "conversation_export")
    return export_response(body, format)


def conversation_json(conversation: Conversation) -> dict[str, Any]:
    """A conversation without its turns, as it leaves the API."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created_at": time_json(conversation.created_at),
        "updated_at": time_json(conversation.updated_at),
        "n_turns": conversation.n_turns,
    }


def read_json(found: Conversation, turns: Sequence[KeptTurn], *, yours: bool) -> dict[str, Any]:
    """A conversation with turns, as it leaves the API."""
    return conversation_json(found) | {
        "owner": found.owner_name,
        "yours": yours,
        "turns": [_turn_json(turn) for turn in turns],
        "next_cursor": None,
    }


def may_read_others(caller: Caller, appliance: Appliance) -> bool:
    """Whether somebody may read the conversations of others."""
    is_admin = caller.owner == "operator" or "admin" in caller.roles
    allowed = appliance.settings.conversations_readable_by_admins
    return allowed and is_admin and "admin" in caller.rights


def _opened(store: Store, found: Conversation, body: dict[str, Any], what: str) -> None:
    """Record that a conversation is shown, before it is: another's, or one that quotes."""
    quoted = sorted({number for turn in body["turns"] for number in documents_of(turn["answer"])})
    if quoted or not body["yours"]:
        detail = {"conversation": found.id, "principal": found.owner, "documents": quoted}
        _record(store, what, detail)


def _record(store: Store, what: str, detail: dict[str, Any]) -> None:
    store.audit.record("opened", {"what": what, **detail})


def _turn_json(turn: KeptTurn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "request_id": turn.request_id,
        "created_at": time_json(turn.created_at),
        "question": turn.question,
        "answer": turn.answer,
        "withheld": bool(turn.withheld),
        "reason": turn.withheld,
        "rating": RATINGS[turn.rating],
    }


def _response(
    conversation: Conversation, status: int = 200, headers: dict[str, str] | None = None
) -> JSONResponse:
    body = conversation_json(conversation)
    tag = {"ETag": tags.etag(conversation.version, body)}
    return JSONResponse(body, status, tag | (headers or {}))


def _after(conversation: Conversation) -> str:
    changed = cursors.microseconds(conversation.updated_at)
    return cursors.cursor(LIST, changed, conversation.id)


def _is_own(caller: Caller, appliance: Appliance, found: Conversation) -> bool:
    return found.owner == number_of(caller, appliance.store)


def _found(caller: Caller, appliance: Appliance, conversation_id: int) -> Conversation:
    """The caller's conversation, or another's where the caller may read it."""
    store = appliance.store
    owner = number_of(caller, store)
    if may_read_others(caller, appliance):
        owner = store.conversations.owner_of(conversation_id)
    return store.conversations.one(owner, conversation_id)


def _turns(
    caller: Caller,
    appliance: Appliance,
    found: Conversation,
    *,
    after: int = 0,
    limit: int | None = None,
) -> list[KeptTurn]:
    """Turns as the caller may see them, whoever's they are."""
    store = appliance.store
    access = access_of(caller, store, None)
    return store.conversations.turns(access, found.owner, found.id, after=after, limit=limit)


def _listed_owner(caller: Caller, appliance: Appliance, user: str | None) -> int:
    """Whose conversations are listed.

    Raises:
        Forbidden: another's, which this caller may not read; whether there is such a user is not
            said.
        NotFound: there is no such user.
    """
    if user is None:
        return number_of(caller, appliance.store)
    if not may_read_others(caller, appliance):
        raise Forbidden("conversations are their owners' alone", hint=ASK_ADMIN)
    return appliance.store.user_number(user)


def _wanted(
    appliance: Appliance, owner: int, conversation_id: int, if_match: str | None
) -> int | None:
    """The version that a change is meant for, None where it is for any."""
    present = appliance.store.conversations.one(owner, conversation_id).version
    return tags.wanted_version(if_match, present)

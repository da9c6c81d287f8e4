"""Routes of feedback: said by who asked, read by admins without question and answer."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from rag.api.backing import Loaded
from rag.api.bodies import cursors, talk_models
from rag.api.border.auth import number_of
from rag.api.border.callers import Admin, Asker
from rag.api.routes.conversations import RATINGS, Cursor, Limit
from rag.api.routes.docs import documented
from rag.store.feedback import Feedback
from rag.times import time_json

router = APIRouter(tags=["conversations"])

LIST = "feedback"
NUMBERS = {"up": 1, "down": -1}


@router.put(
    "/v1/feedback",
    response_model=talk_models.Feedback,
    responses=documented(400, 404, 409, 413),
)
def give_feedback(
    appliance: Loaded, caller: Asker, body: talk_models.FeedbackRequest
) -> JSONResponse:
    """Say what you think of an answer in one of your conversations; said again, it is replaced."""
    owner = number_of(caller, appliance.store)
    given = appliance.store.feedback.give(
        owner, body.request_id, NUMBERS[body.rating], body.comment
    )
    return JSONResponse(_feedback_json(given, owner))


@router.get("/v1/feedback", response_model=talk_models.FeedbackList, responses=documented(400, 403))
def list_feedback(
    appliance: Loaded, caller: Admin, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """What everybody said of their answers, newest first, without the questions and answers."""
    before = cursors.place(LIST, cursor, 1)[0] if cursor is not None else None
    found = appliance.store.feedback.listed(limit + 1, before)
    owner = number_of(caller, appliance.store)
    more = len(found) > limit
    return JSONResponse(
        {
            "feedback": [_feedback_json(each, owner) for each in found[:limit]],
            "next_cursor": cursors.cursor(LIST, found[limit - 1].id) if more else None,
        }
    )


def _feedback_json(given: Feedback, owner: int) -> dict[str, Any]:
    return {
        "id": given.id,
        "user": given.user,
        "request_id": given.request_id,
        "rating": RATINGS[given.rating],
        "comment": given.comment,
        "created_at": time_json(given.created_at),
        "yours": given.owner == owner,
    }

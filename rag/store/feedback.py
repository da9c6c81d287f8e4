"""What people say of answers: by those who asked, of what is in their own conversations."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select

from rag.errors import NotFound
from rag.store import audit, tables
from rag.store.database import Database
from rag.store.documents import MAX_ID

_feedback, _turns, _principals = tables.feedback, tables.turns, tables.principals


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of an answer, without question and answer. `rating` is 1 or -1."""

    id: int
    owner: int
    user: str
    request_id: str
    rating: int
    comment: str
    created_at: datetime


class Feedbacks:
    """The feedback in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(self, owner: int, request_id: str, rating: int, comment: str) -> Feedback:
        """Say something of an answer; what was said of it before is replaced.

        Raises:
            NotFound: no conversation of this owner has a turn with this request id.
        """
        values = {"principal_id": owner, "request_id": request_id, "rating": rating}
        row = insert(_feedback).values(**values, comment=comment, created_at=datetime.now(UTC))
        with self._database.write() as connection:
            _check_asked(connection, owner, request_id)
            same = (_feedback.c.principal_id == owner) & (_feedback.c.request_id == request_id)
            connection.execute(delete(_feedback).where(same))
            number = connection.execute(row.returning(_feedback.c.id)).scalar_one()
            detail = {"request": request_id, "rating": rating}  # not the comment
            audit.append(connection, "feedback_given", detail)
            return _listed(connection, 1, number + 1)[0]

    def listed(self, limit: int, before_id: int | None = None) -> list[Feedback]:
        """The newest feedback of everybody, before the number `before_id` where it is given."""
        with self._database.read() as connection:
            return _listed(connection, limit, before_id)


def _check_asked(connection: Connection, owner: int, request_id: str) -> None:
    asked = select(_turns.c.id).join(tables.conversations)
    own = tables.conversations.c.principal_id == owner
    if connection.execute(asked.where(own, _turns.c.request_id == request_id)).first() is None:
        raise NotFound(
            f"no answer of yours has the request id {request_id!r}",
            hint="Only answers in your conversations can be rated: ask with a conversation_id.",
        )


def _listed(connection: Connection, limit: int, before_id: int | None) -> list[Feedback]:
    columns = _feedback.c
    query = select(
        columns.id,
        columns.principal_id,
        _principals.c.name,
        columns.request_id,
        columns.rating,
        columns.comment,
        columns.created_at,
    ).select_from(_feedback.join(_principals))
    if before_id is not None:
        query = query.where(columns.id < max(0, min(before_id, MAX_ID)))
    rows = connection.execute(query.order_by(columns.id.desc()).limit(limit))
    return [Feedback(*row) for row in rows]

"""Conversations: what somebody has asked, and what was answered.

A conversation is its owner's alone: every call names the owner, and another's conversation is one
that is not there. What was answered leaves only through `kept_answers.shown`, held against what its
reader may read at that moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from rag.errors import NotFound, PreconditionFailed
from rag.store import audit, documents, tables
from rag.store.database import Database
from rag.store.documents import MAX_ID
from rag.store.kept_answers import Json, documents_of, kept, shown
from rag.types import Access

MAX_TITLE_CHARS = 200
NAMED_CHARS = 80  # of the first question, which names a conversation that has no title
CUT = "…"

_conversations, _turns, _quoted = tables.conversations, tables.turns, tables.turn_documents
_READ = _turns.c.answer["read"]  # the documents that were read for a turn
_feedback = tables.feedback


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its turns; `version` counts what was changed in it."""

    id: int
    owner: int
    owner_name: str
    title: str
    created_at: datetime
    updated_at: datetime
    version: int
    n_turns: int


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A question and what its reader may see of the answer.

    `withheld` says why something of it is missing, "" where nothing is. `rating` is the owner's.
    """

    id: int
    ordinal: int
    request_id: str
    created_at: datetime
    question: str
    answer: Json
    withheld: str
    rating: int | None


class Conversations:
    """The conversations in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, owner: int, title: str = "") -> Conversation:
        """Begin a conversation; one without a title is named by its first question."""
        now = datetime.now(UTC)
        values = {"principal_id": owner, "title": title[:MAX_TITLE_CHARS], "version": 1}
        row = insert(_conversations).values(**values, created_at=now, updated_at=now)
        with self._database.write() as connection:
            number = connection.execute(row.returning(_conversations.c.id)).scalar_one()
            audit.append(connection, "conversation_added", {"conversation": number})
            return _one(connection, owner, number)

    def listed(
        self, owner: int, limit: int, before: tuple[datetime, int] | None = None
    ) -> list[Conversation]:
        """Somebody's conversations, the one last changed first.

        `before` is time and id of the last one of the page before.
        """
        changed, number = _conversations.c.updated_at, _conversations.c.id
        query = _selected(owner).order_by(changed.desc(), number.desc()).limit(limit)
        if before is not None:
            at, last = before
            query = query.where((changed < at) | ((changed == at) & (number < min(last, MAX_ID))))
        with self._database.read() as connection:
            rows = connection.execute(query)
            return [Conversation(*row) for row in rows]

    def one(self, owner: int, conversation_id: int) -> Conversation:
        """One conversation.

        Raises:
            NotFound: there is none, or it is another's.
        """
        with self._database.read() as connection:
            return _one(connection, owner, conversation_id)

    def owner_of(self, conversation_id: int) -> int:
        """Whose a conversation is, for who may read those of others.

        Raises:
            NotFound: there is none.
        """
        query = select(_conversations.c.principal_id).where(
            _conversations.c.id == min(conversation_id, MAX_ID)
        )
        with self._database.read() as connection:
            owner: int | None = connection.execute(query).scalar_one_or_none()
        if owner is None:
            raise _not_found(conversation_id)
        return owner

    def turns(
        self,
        access: Access,
        owner: int,
        conversation_id: int,
        *,
        after: int = 0,
        limit: int | None = None,
    ) -> list[KeptTurn]:
        """Its turns, oldest first, from after the ordinal `after`, as `access` lets them be seen.

        Raises:
            NotFound: there is no such conversation, or it is another's.
        """
        with self._database.read_snapshot() as connection:
            _one(connection, owner, conversation_id)
            query = _with_ratings(owner, conversation_id).where(_turns.c.ordinal > after)
            rows = connection.execute(query.order_by(_turns.c.ordinal).limit(limit)).all()
            return _as_seen(connection, access, conversation_id, rows)

    def history(
        self, access: Access, owner: int, conversation_id: int, limit: int
    ) -> list[tuple[str, str]]:
        """The latest questions that were answered, each with its answer, oldest first.

        What `access` may not see is not in it: whatever is written next would know it.

        Raises:
            NotFound: there is no such conversation, or it is another's.
        """
        with self._database.read_snapshot() as connection:
            _one(connection, owner, conversation_id)
            query = _with_ratings(owner, conversation_id).order_by(_turns.c.ordinal.desc())
            rows = list(reversed(connection.execute(query.limit(limit)).all()))
            seen = _as_seen(connection, access, conversation_id, rows)
        answered = (turn for turn in seen if turn.answer["status"] == "answered")
        return [(turn.question, turn.answer["answer"]) for turn in answered]

    def rename(
        self, owner: int, conversation_id: int, title: str, version: int | None = None
    ) -> Conversation:
        """Give it another title, if it still is in this version where one is named.

        Raises:
            NotFound: there is no such conversation, or it is another's.
            PreconditionFailed: it has been changed since that version.
        """
        with self._database.write() as connection:
            found = _one(connection, owner, conversation_id)
            _check_version(found, version)
            _changed(connection, found, title[:MAX_TITLE_CHARS])
            audit.append(connection, "conversation_renamed", {"conversation": found.id})
            return _one(connection, owner, conversation_id)

    def delete(self, owner: int, conversation_id: int, version: int | None = None) -> None:
        """Delete it with its turns, and what its owner has said of its answers.

        Raises:
            NotFound: there is no such conversation, or it is another's.
            PreconditionFailed: it has been changed since that version.
        """
        with self._database.write() as connection:
            found = _one(connection, owner, conversation_id)
            _check_version(found, version)
            asked = select(_turns.c.request_id).where(_turns.c.conversation_id == found.id)
            said = _feedback.c.principal_id == owner
            connection.execute(delete(_feedback).where(said, _feedback.c.request_id.in_(asked)))
            connection.execute(delete(_conversations).where(_conversations.c.id == found.id))
            audit.append(connection, "conversation_removed", {"conversation": found.id})

    def append(
        self, owner: int, conversation_id: int, answer: Json, read: Iterable[int] = ()
    ) -> int:
        """Add a turn: an answer as `rag.wire.final_json` writes it. Returns the turn's number.

        `read` are the documents that were read for it, whether it quotes them or not.

        Raises:
            NotFound: there is no such conversation, or it is another's.
        """
        with self._database.write() as connection:
            found = _one(connection, owner, conversation_id)
            number = _appended(connection, found, kept(answer, read))
            _changed(connection, found, found.title or _named(answer["question"]))
        return number


def _selected(owner: int) -> Select[Any]:
    turns = select(func.count()).where(_turns.c.conversation_id == _conversations.c.id)
    columns = _conversations.c
    query = select(
        columns.id,
        columns.principal_id,
        tables.principals.c.name,
        columns.title,
        columns.created_at,
        columns.updated_at,
        columns.version,
        turns.scalar_subquery(),
    )
    owned = _conversations.join(tables.principals)
    return query.select_from(owned).where(columns.principal_id == owner)


def _one(connection: Connection, owner: int, conversation_id: int) -> Conversation:
    query = _selected(owner).where(_conversations.c.id == min(conversation_id, MAX_ID))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _not_found(conversation_id)
    return Conversation(*row)


def _not_found(conversation_id: int) -> NotFound:
    return NotFound(
        f"no conversation {conversation_id}",
        hint="It may have been deleted; GET /v1/conversations lists yours.",
    )


def _check_version(found: Conversation, version: int | None) -> None:
    if version is not None and version != found.version:
        raise PreconditionFailed(
            f"conversation {found.id} has been changed in the meantime",
            hint="Read it again, and send its new ETag as If-Match.",
        )


def _changed(connection: Connection, found: Conversation, title: str) -> None:
    values = {"title": title, "version": found.version + 1, "updated_at": datetime.now(UTC)}
    own = _conversations.c.id == found.id
    connection.execute(update(_conversations).where(own).values(**values))


def _appended(connection: Connection, found: Conversation, answer: Json) -> int:
    latest = select(func.coalesce(func.max(_turns.c.ordinal), 0)).where(
        _turns.c.conversation_id == found.id
    )
    values = {
        "conversation_id": found.id,
        "ordinal": connection.execute(latest).scalar_one() + 1,
        "request_id": answer["request_id"],
        "created_at": datetime.now(UTC),
        "question": answer["question"],
        "answer": answer,
    }
    row = insert(_turns).values(**values).returning(_turns.c.id)
    number: int = connection.execute(row).scalar_one()
    rows = [{"turn_id": number, "document_id": each} for each in sorted(documents_of(answer))]
    if rows:
        connection.execute(insert(_quoted), rows)
    return number


def _with_ratings(owner: int, conversation_id: int) -> Select[Any]:
    own = (_feedback.c.request_id == _turns.c.request_id) & (_feedback.c.principal_id == owner)
    query = select(_turns, _feedback.c.rating).select_from(_turns.outerjoin(_feedback, own))
    return query.where(_turns.c.conversation_id == conversation_id)


def _as_seen(
    connection: Connection, access: Access, conversation_id: int, rows: Sequence[Row[Any]]
) -> list[KeptTurn]:
    """The rows as `access` lets them be seen.

    What was read for a turn, cited or not, was before the model that wrote the next one's query.
    """
    in_it = _turns.c.conversation_id == conversation_id
    quoted = select(_turns.c.ordinal, _quoted.c.document_id).join(_quoted).where(in_it)
    pairs = [(ordinal, number) for ordinal, number in connection.execute(quoted)]
    for ordinal, read in connection.execute(select(_turns.c.ordinal, _READ).where(in_it)):
        pairs += [(ordinal, number) for number in read]
    readable = documents.readable_ids(connection, access, {number for _, number in pairs})
    closed = min((ordinal for ordinal, number in pairs if number not in readable), default=None)
    return [
        _seen(row, access, readable, leans=closed is not None and closed < row.ordinal)
        for row in rows
    ]


def _seen(row: Row[Any], access: Access, readable: set[int], *, leans: bool) -> KeptTurn:
    seen = shown(row.answer, readable, access.collections, leans=leans)
    return KeptTurn(
        id=row.id,
        ordinal=row.ordinal,
        request_id=row.request_id,
        created_at=row.created_at,
        question=row.question,
        answer=seen.answer,
        withheld=seen.reason,
        rating=row.rating,
    )


def _named(question: str) -> str:
    """The beginning of a question as a title."""
    line = " ".join(question.split())
    return line if len(line) <= NAMED_CHARS else line[: NAMED_CHARS - 1].rstrip() + CUT

"""Forgetting: what goes out of the tables, all of it in one transaction, and the journal of it.

What is to be forgotten is in `deletions` before the first step until after the last, in numbers and
hashes, so that a run that was killed is finished by the next. What is done here is the step that
counts: from its commit on no query finds anything. The others only clear what nobody reads any
more.
"""

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from rag.errors import NotFound
from rag.store import audit, ingestion, people, sources, tables
from rag.store.documents import MAX_ID
from rag.store.forget_people import erase_user
from rag.store.forget_rows import BATCH, NOTICE, erase_private, walk
from rag.store.quoting import Quotes

Kind = Literal["documents", "user"]
FIRST, LAST = "content", "space"
_deletions, _documents, _sources = tables.deletions, tables.documents, tables.sources
_private, _turns, _withheld = tables.audit_private, tables.turns, tables.withheld


@dataclass(frozen=True, slots=True)
class Deletion:
    """A row of the journal: `step` is the next one."""

    id: int
    kind: Kind
    step: str
    detail: dict[str, Any]


# What was named


def sources_of(connection: Connection, document_id: int) -> list[int]:
    """The file that a document was made from, with its copies.

    Raises:
        NotFound: there is no such document.
    """
    query = select(_documents.c.source_id).where(_documents.c.id == min(document_id, MAX_ID))
    found = list(connection.scalars(query)) if document_id > 0 else []
    if not found:
        hint = "`citadel documents` lists them with their numbers."
        raise NotFound(f"there is no document {document_id}", hint=hint)
    return _with_copies(connection, found)


def sources_at(connection: Connection, uri: str) -> list[int]:
    """What was ingested from a file or from below a folder, in every collection, with its copies.

    Raises:
        NotFound: nothing was.
    """
    attached = _sources.c.uri.startswith(f"{uri}#", autoescape=True)
    there = or_(sources.at_or_below(_sources.c.uri, uri), attached)
    found = list(connection.scalars(select(_sources.c.id).where(there)))
    if not found:
        hint = "`citadel documents` lists what there is, with its path."
        raise NotFound(f"nothing was ingested from {uri}", hint=hint)
    return _with_copies(connection, found)


def _with_copies(connection: Connection, ids: Sequence[int]) -> list[int]:
    """The sources and all with the same content: a copy elsewhere would be the same again."""
    same = select(_sources.c.content_sha256).where(_sources.c.id.in_(ids))
    hashes = set(connection.scalars(same)) - {""}
    copies = connection.scalars(select(_sources.c.id).where(_sources.c.content_sha256.in_(hashes)))
    return sorted({*ids, *copies})


def documents_of(connection: Connection, source_ids: Sequence[int]) -> list[Row[Any]]:
    """Number, title, place and content's hash of all that was made from these sources."""
    columns = (_documents.c.id, _documents.c.title, _documents.c.source_uri)
    query = select(*columns, _documents.c.content_sha256)
    return list(connection.execute(query.where(_documents.c.source_id.in_(source_ids))))


# The journal


def begin_documents(connection: Connection, source_ids: Sequence[int]) -> Deletion:
    """Write down that these sources are to be forgotten."""
    made = documents_of(connection, source_ids)
    query = select(_sources.c.content_sha256).where(_sources.c.id.in_(source_ids))
    own = set(connection.scalars(query)) - {""}
    detail = {
        "sources": sorted(source_ids),
        "documents": [row.id for row in made],
        "sha256s": sorted(own | {row.content_sha256 for row in made} - {""}),
        "refused": sorted(own),  # what must not come in again; a mail's logo may
    }
    return _begin(connection, "documents", detail)


def begin_user(connection: Connection, name: str) -> Deletion:
    """Write down that a user is to be forgotten.

    Raises:
        NotFound: there is no such user, and there was none.
    """
    return _begin(connection, "user", {"users": users(connection, name)})


def users(connection: Connection, name: str) -> list[int]:
    """The numbers of the user of this name, and of those who had it and were removed.

    Raises:
        NotFound: there are none.
    """
    gone, here = tables.audit_names, tables.principals
    past = select(gone.c.principal_id).where(gone.c.kind == "user", gone.c.name == name)
    present = select(here.c.id).where(here.c.kind == "user", here.c.name == name)
    numbers = sorted({*connection.scalars(past), *connection.scalars(present)})
    return numbers or [people.find(connection, "user", name)]


def _begin(connection: Connection, kind: Kind, detail: dict[str, Any]) -> Deletion:
    values = {"kind": kind, "step": FIRST, "detail": detail, "created_at": datetime.now(UTC)}
    row = insert(_deletions).values(**values).returning(_deletions.c.id)
    number: int = connection.execute(row).scalar_one()
    return Deletion(number, kind, FIRST, detail)


def unfinished(connection: Connection) -> list[Deletion]:
    """What was begun and not ended, by number."""
    query = select(_deletions.c.id, _deletions.c.kind, _deletions.c.step, _deletions.c.detail)
    rows = connection.execute(
        query.where(_deletions.c.ended_at.is_(None)).order_by(_deletions.c.id)
    )
    return [Deletion(*row) for row in rows]


def newest_erased(connection: Connection) -> int:
    """The number of the newest deletion that no snapshot of an index holds any more; 0 before."""
    query = select(func.max(_deletions.c.id)).where(_deletions.c.step == LAST)
    return connection.execute(query).scalar_one() or 0


def advance(connection: Connection, deletion: Deletion, done: str, following: str | None) -> None:
    """Note the step that follows the one that is done, None after the last.

    Where two processes finish the same deletion the one that is behind notes nothing.
    """
    values = {"ended_at": datetime.now(UTC)} if following is None else {"step": following}
    own = update(_deletions).where(_deletions.c.id == deletion.id, _deletions.c.step == done)
    connection.execute(own.values(**values))


# The step that counts


def erase(connection: Connection, deletion: Deletion) -> None:
    """Remove all that the tables hold, and leave a record of it that says nothing of the content.

    Nothing happens where it has been done already.
    """
    if deletion.kind == "user":
        for number in deletion.detail["users"]:
            erase_user(connection, number)
    else:
        _erase_documents(connection, deletion.detail)


def _erase_documents(connection: Connection, detail: dict[str, Any]) -> None:
    ids = detail["sources"]
    query = select(tables.collections.c.name, _sources.c.uri).join_from(
        _sources, tables.collections, _sources.c.collection_id == tables.collections.c.id
    )
    places = [tuple(row) for row in connection.execute(query.where(_sources.c.id.in_(ids)))]
    if not places:
        return
    quotes, uris = _quotes(connection, ids, [uri for _, uri in places])
    turns = _erase_turns(connection, quotes, detail["documents"])
    commented = _erase_rows(connection, tables.feedback, "comment", quotes)
    told = {
        "turns": len(turns),
        "blocked": _erase_withheld(connection, quotes, {row.request_id for row in turns}),
        "replies": _erase_rows(connection, tables.idempotency, "response", quotes),
        "comments": commented + _erase_said_of(connection, turns),
    }
    _erase_titles(connection, quotes)
    _erase_runs(connection, quotes)
    rules = tables.access_rules
    connection.execute(delete(rules).where(rules.c.uri.in_(uris)))
    for collection in sorted({name for name, _ in places}):
        there = [uri for name, uri in places if name == collection]
        for start in range(0, len(there), BATCH):
            ingestion.take_out(connection, collection, there[start : start + BATCH])
    _refuse(connection, detail["refused"])
    erased = erase_private(connection, _private_of(connection, uris, quotes))
    numbers = {name: detail[name] for name in ("sources", "documents", "sha256s")}
    audit.append(connection, "forget", {"of": "documents", **numbers, **told, "records": erased})


def _quotes(
    connection: Connection, source_ids: Sequence[int], places: Sequence[str]
) -> tuple[Quotes, list[str]]:
    """What finds quotes of the sources' documents, and the documents' URIs."""
    found = documents_of(connection, source_ids)
    texts = select(_documents.c.text).where(_documents.c.source_id.in_(source_ids))
    uris = sorted({*places, *(row.source_uri for row in found)})
    names = {*uris, *(row.title for row in found)}
    return Quotes(connection.scalars(texts), names, [row.id for row in found]), uris


def _erase_turns(
    connection: Connection, quotes: Quotes, documents: Sequence[int]
) -> list[Row[Any]]:
    """Write a notice over the turns that quote, cite or rest on them; returns these turns.

    What was written after one in the same conversation was written with that in sight.
    """
    erased: list[Row[Any]] = []
    cited, begun, gone = _citing(connection, documents), set(), set(documents)
    for row in walk(connection, _turns):
        question_too = quotes.has(row.question)
        answer_too = row.id in cited or quotes.anywhere(row.answer)
        answer_too = answer_too or not gone.isdisjoint(row.answer.get("read", ()))
        leans = row.conversation_id in begun and _may_lean(row)
        if question_too or answer_too or leans:
            _write_over(connection, row, NOTICE if question_too else row.question)
            begun.add(row.conversation_id)
            erased.append(row)
    return erased


def _may_lean(row: Row[Any]) -> bool:
    """Whether something of the turns before may be in a turn: an engine has read them for it."""
    searched = row.answer.get("searched") or {}
    rewritten = searched.get("query", row.question) != row.question
    return rewritten or row.answer.get("depth") is not None


def _write_over(connection: Connection, row: Row[Any], question: str) -> None:
    values = {"question": question, "answer": _blank(row.answer, question)}
    connection.execute(update(_turns).where(_turns.c.id == row.id).values(**values))
    own = tables.turn_documents.c.turn_id == row.id
    connection.execute(delete(tables.turn_documents).where(own))
    conversation = tables.conversations
    changed = update(conversation).where(conversation.c.id == row.conversation_id)
    connection.execute(changed.values(version=conversation.c.version + 1))


def _erase_said_of(connection: Connection, turns: Sequence[Row[Any]]) -> int:
    """Delete what was said of these turns by who asked; returns of how many."""
    table, conversations, n_deleted = tables.feedback, tables.conversations, 0
    for row in turns:
        owner = select(conversations.c.principal_id).where(
            conversations.c.id == row.conversation_id
        )
        of_owner = delete(table).where(table.c.principal_id == owner.scalar_subquery())
        said = of_owner.where(table.c.request_id == row.request_id)
        n_deleted += connection.execute(said).rowcount
    return n_deleted


def _citing(connection: Connection, documents: Sequence[int]) -> set[int]:
    """The turns that are noted as quoting one of the documents."""
    table, found = tables.turn_documents, set()
    for start in range(0, len(documents), BATCH):
        batch = table.c.document_id.in_(documents[start : start + BATCH])
        found |= set(connection.scalars(select(table.c.turn_id).where(batch)))
    return found


def _blank(answer: Any, question: str) -> dict[str, Any]:
    """An answer of the same shape that says nothing."""
    kept = answer if isinstance(answer, dict) else {}
    lists: dict[str, Any] = {name: [] for name, value in kept.items() if isinstance(value, list)}
    searched = kept.get("searched")
    query = {"searched": {**searched, "query": ""}} if isinstance(searched, dict) else {}
    return {**kept, **lists, **query, "question": question, "answer": NOTICE}


def _erase_withheld(connection: Connection, quotes: Quotes, requests: Set[str]) -> int:
    """Delete what was blocked and quotes, or belongs to one of these requests; returns how many."""
    ids = [
        row.id
        for row in walk(connection, _withheld)
        if row.request_id in requests or quotes.has(row.text) or quotes.has(row.question)
    ]
    for start in range(0, len(ids), BATCH):
        connection.execute(delete(_withheld).where(_withheld.c.id.in_(ids[start : start + BATCH])))
    return len(ids)


def _erase_rows(connection: Connection, table: Table, column: str, quotes: Quotes) -> int:
    """Delete the rows of a table whose column quotes; returns how many."""
    keys = list(table.primary_key)
    rows = connection.execute(select(*keys, table.c[column])).all()
    found = [row for row in rows if quotes.anywhere(row._mapping[column])]
    for row in found:
        own = [key == row._mapping[key.name] for key in keys]
        connection.execute(delete(table).where(*own))
    return len(found)


def _erase_titles(connection: Connection, quotes: Quotes) -> None:
    table = tables.conversations
    for number, title in connection.execute(select(table.c.id, table.c.title)).all():
        if quotes.has(title):
            connection.execute(update(table).where(table.c.id == number).values(title=NOTICE))


def _erase_runs(connection: Connection, quotes: Quotes) -> None:
    """An ingest run may have been given the very file."""
    table = tables.ingest_runs
    columns = (table.c.id, table.c.paths, table.c.failures, table.c.message)
    for row in connection.execute(select(*columns)).all():
        left = {
            "paths": [NOTICE if quotes.has(str(path)) else path for path in row.paths],
            "failures": [each for each in row.failures if not quotes.anywhere(each)],
            "message": NOTICE if quotes.has(row.message) else row.message,
        }
        if any(value != row._mapping[name] for name, value in left.items()):
            connection.execute(update(table).where(table.c.id == row.id).values(**left))


def _refuse(connection: Connection, hashes: Sequence[str]) -> None:
    """Let these contents not come in again."""
    table, now = tables.forgotten, datetime.now(UTC)
    known = set(connection.scalars(select(table.c.content_sha256)))
    rows = [{"content_sha256": h, "forgotten_at": now} for h in hashes if h not in known]
    if rows:
        connection.execute(insert(table), rows)


# Beside the audit records


def _private_of(connection: Connection, uris: Sequence[str], quotes: Quotes) -> set[int]:
    """The records with something of the documents beside them: their paths, or a question."""
    found: set[int] = set()
    asked = _private.c.texts.contains('"question"')
    query = select(_private.c.seq, _private.c.texts).where(asked)
    for seq, texts in connection.execute(query):
        if quotes.has(json.loads(texts).get("question", "")):
            found.add(seq)
    for start in range(0, len(uris), BATCH):
        named: list[ColumnElement[bool]] = [
            _private.c.texts.contains(json.dumps(uri)[1:-1], autoescape=True)
            for uri in uris[start : start + BATCH]
        ]
        found |= set(connection.scalars(select(_private.c.seq).where(or_(*named))))
    return found

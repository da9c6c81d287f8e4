"""Forgetting people: a user with all that was the user's, also where others' rows name them.

The chain keeps a number that means nobody.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Connection, delete, select, update

from rag.store import audit, tables
from rag.store.forget_rows import erase_private, walk

UNNAMED = "[This belonged to somebody who has been forgotten.]"
FROM_WHERE = frozenset({"address", "account"})  # what lies beside a record is of whoever acted
_private, _withheld = tables.audit_private, tables.withheld


def erase_user(connection: Connection, number: int) -> None:
    """Remove a user, and leave a record of it; nothing happens where it has been done already."""
    principals, known = tables.principals, audit.names(connection, [number]).get(number)
    if known is None:
        return
    name = known.removeprefix("user:")
    requests = _requests_of(connection, number)
    ids = [row.id for row in walk(connection, _withheld) if row.request_id in requests]
    connection.execute(delete(_withheld).where(_withheld.c.id.in_(ids)))
    _erase_runs(connection, number)
    replies = _erase_replies(connection, name)
    seqs = set(connection.scalars(_beside_acts_of(number)))
    seqs |= _naming(connection, name) | _about(connection, number)
    connection.execute(delete(principals).where(principals.c.id == number))
    names = tables.audit_names
    connection.execute(delete(names).where(names.c.principal_id == number))
    told = {"of": "user", "principal": number, "blocked": len(ids), "replies": replies}
    audit.append(connection, "forget", {**told, "records": erase_private(connection, seqs)})


def _requests_of(connection: Connection, number: int) -> set[str]:
    query = select(tables.audit.c.record).where(tables.audit.c.actor_id == number)
    found = {json.loads(record)["actor"].get("request_id") for record in connection.scalars(query)}
    return found - {None}


def _erase_runs(connection: Connection, number: int) -> None:
    """A user's ingest runs stay as counts, without the names of what was brought in."""
    table = tables.ingest_runs
    for row in connection.execute(select(table).where(table.c.principal_id == number)).all():
        left: dict[str, Any] = {"paths": [UNNAMED for _ in row.paths], "failures": []}
        message = UNNAMED if row.message else ""
        run = update(table).where(table.c.id == row.id)
        connection.execute(run.values(**left, message=message))


def _erase_replies(connection: Connection, name: str) -> int:
    """Delete responses kept for others' repeated requests that name the user; returns how many."""
    table, n_deleted = tables.idempotency, 0
    whole = re.compile(rf"(?<![\w.@+-]){re.escape(name)}(?![\w.@+-])")
    for row in connection.execute(select(table)).all():
        if any(whole.search(unquote(text)) for text in _strings(row.response)):
            own = (table.c.principal_id == row.principal_id, table.c.key == row.key)
            n_deleted += connection.execute(delete(table).where(*own)).rowcount
    return n_deleted


def _strings(value: Any) -> Iterator[str]:
    """Every string in JSON, also in JSON that is a string in it."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
    elif isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            inner = None
        if isinstance(inner, dict | list):
            yield from _strings(inner)
        else:
            yield value


# Beside the audit records


def _beside_acts_of(number: int) -> Any:
    acts = _private.join(tables.audit, tables.audit.c.seq == _private.c.seq)
    return select(_private.c.seq).select_from(acts).where(tables.audit.c.actor_id == number)


def _naming(connection: Connection, name: str) -> set[int]:
    """Records with the name itself beside them: of sign-ins that failed, say."""
    written = json.dumps(name)
    query = select(_private.c.seq).where(_private.c.texts.contains(written, autoescape=True))
    return set(connection.scalars(query))


def _about(connection: Connection, number: int) -> set[int]:
    """Records of what was done to the user, with something of the user's beside them: who that is
    to a directory, what a key is called. Where the one who acted came from is not the user's,
    unless nobody knew then who it was."""
    said = tables.audit.c.record
    beside = _private.join(tables.audit, tables.audit.c.seq == _private.c.seq)
    query = select(_private.c.seq, _private.c.texts, said).select_from(beside)
    found = set()
    for seq, texts, record in connection.execute(query.where(said.contains('"principal":'))):
        whole = json.loads(record)
        theirs = whole["actor"]["kind"] == "nobody" or json.loads(texts).keys() - FROM_WHERE
        if whole["detail"].get("principal") == number and theirs:
            found.add(seq)
    return found

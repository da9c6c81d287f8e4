"""Lists of who may read something: sets of principals, each with a number.

A list never changes: another set is another list. So an index that knows a document's list can be
told which lists to let through.
"""

import hashlib
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select

from rag.store import mapped, people, tables
from rag.store.mapped import Readers

_entries, _lists = tables.access_entries, tables.access_lists


def number(connection: Connection, principals: Iterable[int]) -> int:
    """The list of these principals and the operator, which is made where there is none."""
    members = sorted({*principals, people.operator(connection)})
    sha256 = hashlib.sha256(",".join(map(str, members)).encode()).hexdigest()
    known = select(_lists.c.id).where(_lists.c.sha256 == sha256)
    found: int | None = connection.execute(known).scalar_one_or_none()
    if found is not None:
        return found
    row = insert(_lists).values(sha256=sha256).returning(_lists.c.id)
    made: int = connection.execute(row).scalar_one()
    rows = [{"list_id": made, "principal_id": each} for each in members]
    connection.execute(insert(_entries), rows)
    return made


def principals_in(connection: Connection, list_id: int | None) -> list[int] | None:
    """The principals in a list; None where nothing is limited."""
    if list_id is None:
        return None
    query = select(_entries.c.principal_id).where(_entries.c.list_id == list_id)
    return sorted(connection.scalars(query))


def named(connection: Connection) -> dict[int, tuple[str, ...]]:
    """Who stands in each list, but for the operator."""
    principals = tables.principals
    query = (
        select(_entries.c.list_id, principals.c.kind, principals.c.name)
        .select_from(_entries.join(principals))
        .where(principals.c.kind != people.OPERATOR)
    )
    found: dict[int, list[str]] = {}
    for list_id, kind, name in connection.execute(query):
        found.setdefault(list_id, []).append(people.written(kind, name))
    return {list_id: tuple(sorted(names)) for list_id, names in found.items()}


def by_group(connection: Connection) -> mapped.Members:
    """The users in each group."""
    return {group.name: frozenset(group.members) for group in people.groups(connection)}


def numbered(connection: Connection, wanted: Mapping[str, Readers]) -> dict[str, int | None]:
    """The same with numbers of lists. Who is no longer there is left out."""
    principals = tables.principals
    query = select(principals.c.id, principals.c.kind, principals.c.name)
    numbers = {people.written(kind, name): at for at, kind, name in connection.execute(query)}
    made: dict[Readers, int | None] = {None: None}
    for readers in set(wanted.values()) - {None}:
        known = [numbers[who] for who in readers or () if who in numbers]
        made[readers] = number(connection, known)
    return {uri: made[readers] for uri, readers in wanted.items()}

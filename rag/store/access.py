"""What the rule in `rag.store.rule` is about: grants on collections, and limits within them.

Grants go to users and groups. A limit on a file or folder has a list of users and groups, and only
those of them with a grant may read what is there. The operator, who runs the commands on the
machine, has a grant on every collection and stands in every list: the rule has no exception.

A list is a set of principals and never changes: another set is another list. So an index that knows
a document's list can be told which lists to let through.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from sqlalchemy import Connection, delete, insert, or_, select, update

from rag.store import audit, changes, mapped, people, sources, tables
from rag.store.documents import IN_LIMIT
from rag.store.mapped import Readers, Said
from rag.types import Access

Right = Literal["read", "manage"]
FEW = 100  # places whose sources are looked up one by one rather than all together
RECORDED = 200  # places that one audit record names
_grants, _entries, _lists = tables.grants, tables.access_entries, tables.access_lists
_rules, _sources, _collections = tables.access_rules, tables.sources, tables.collections


@dataclass(frozen=True, slots=True)
class Grant:
    """What a principal may do with a collection."""

    collection: str
    principal: str  # user:NAME, group:NAME, or operator
    right: Right


@dataclass(frozen=True, slots=True)
class Limit:
    """A file, or a folder with all below it, that not everyone may read who may its collection."""

    collection: str
    uri: str
    principals: tuple[str, ...] | None  # who may, and the operator; None: everyone, again


class _Rule(NamedTuple):
    uri: str
    list_id: int | None
    origin: str


def access_of(connection: Connection, principals: frozenset[int]) -> Access:
    """What these principals may read now."""
    granted = (
        select(_collections.c.name).join(_grants).where(_grants.c.principal_id.in_(principals))
    )
    named = select(_entries.c.list_id).where(_entries.c.principal_id.in_(principals))
    collections, lists = connection.scalars(granted), connection.scalars(named)
    return Access(frozenset(collections), principals, frozenset(lists))


def manageable(connection: Connection, principals: frozenset[int]) -> frozenset[str]:
    """The collections that these principals may manage now.

    Who manages a collection may read it, bring documents in, take them out, and say who else may
    read or manage it. A limit in it holds for its managers as well, until one of them lifts it.
    """
    query = (
        select(_collections.c.name)
        .join(_grants)
        .where(_grants.c.principal_id.in_(principals), _grants.c.right == "manage")
    )
    return frozenset(connection.scalars(query))


# Grants


def grant(connection: Connection, collection: str, principal: str, right: Right) -> None:
    """Let a principal read a collection, or manage it, which includes reading.

    Raises:
        NotFound: there is no such collection or principal.
        BadRequest: the principal is written wrongly.
    """
    ids = _both(connection, collection, principal)
    _take_back(connection, ids)
    connection.execute(insert(_grants).values(**ids, right=right))
    detail = {"collection": collection, "principal": ids["principal_id"], "right": right}
    audit.append(connection, "granted", detail)


def revoke(connection: Connection, collection: str, principal: str) -> bool:
    """Take the grant back; False where there was none.

    Raises:
        NotFound: there is no such collection or principal.
        BadRequest: the principal is written wrongly.
    """
    ids = _both(connection, collection, principal)
    had = _take_back(connection, ids)
    if had:
        detail = {"collection": collection, "principal": ids["principal_id"]}
        audit.append(connection, "revoked", detail)
    return had


def _take_back(connection: Connection, ids: Mapping[str, int]) -> bool:
    same = [_grants.c[name] == value for name, value in ids.items()]
    return connection.execute(delete(_grants).where(*same)).rowcount > 0


def grants(connection: Connection) -> list[Grant]:
    """All grants by collection and principal."""
    named = tables.principals
    query = select(_collections.c.name, named.c.kind, named.c.name, _grants.c.right).select_from(
        _grants.join(_collections).join(named)
    )
    found = [
        Grant(collection, _written(kind, name), right)
        for collection, kind, name, right in connection.execute(query)
    ]
    return sorted(found, key=lambda each: (each.collection, each.principal))


def _both(connection: Connection, collection: str, principal: str) -> dict[str, int]:
    return {
        "collection_id": sources.existing_collection(connection, collection),
        "principal_id": people.find(connection, *people.parsed(principal)),
    }


# Limits


def limit(
    connection: Connection, collection: str, uri: str, principals: Sequence[str] | None
) -> int:
    """Let only these principals read the file at `uri`, or all that is or will be below it.

    None lets everyone who may read the collection. What was said of places below `uri` before is
    no longer true, but for the permissions of a file system: with them, what is below loses
    readers at once, and gains some with the next sync. Returns the number of sources that others
    may read now than before.

    Raises:
        NotFound: there is no such collection or principal.
        BadRequest: a principal is written wrongly.
    """
    collection_id, uri = sources.existing_collection(connection, collection), uri.rstrip("/") or "/"
    list_id = None
    if principals is not None:
        list_id = _list(connection, people.numbers(connection, principals))
    narrowed = _narrowed(connection, collection_id, uri, list_id)
    here = (_rules.c.collection_id == collection_id, sources.at_or_below(_rules.c.uri, uri))
    connection.execute(delete(_rules).where(*here, ~_rules.c.uri.endswith(mapped.mark(""))))
    if list_id is not None or sources.list_at(connection, collection_id, uri) is not None:
        _put(connection, collection_id, {uri: list_id}, "command")
    _put(connection, collection_id, narrowed, "file")
    n_changed = _settle(connection, collection_id, [uri])
    detail = {"collection": collection, "principals": _numbers_in(connection, list_id)}
    audit.append(connection, "limited", detail | {"files": n_changed}, private={"uri": uri})
    return n_changed


def _narrowed(
    connection: Connection, collection_id: int, uri: str, list_id: int | None
) -> dict[str, int | None]:
    """The lists of sources below `uri` that keep out whom their permissions keep out already."""
    over = _rules.c.uri.in_(mapped.marks_over(uri))
    ours = _rules.c.collection_id == collection_id
    if connection.execute(select(_rules.c.uri).where(ours, over)).first() is None:
        return {}
    names, members = _members(connection), _by_group(connection)
    there = select(_sources.c.uri, _sources.c.list_id).where(
        _sources.c.collection_id == collection_id, sources.at_or_below(_sources.c.uri, uri)
    )
    new = _readers(names, list_id)
    kept = {
        row.uri: mapped.meet(_readers(names, row.list_id), new, members)
        for row in connection.execute(there)
        if row.uri != uri
    }
    return _numbered(connection, {uri: named for uri, named in kept.items() if named != new})


def sync(connection: Connection, collection: str, said: Said, *, prune: bool) -> int:
    """Bring the limits that folders' own files and permissions set level with what those say now.

    Without `prune`, those of places that are gone, and of folders whose file is, stay. Returns the
    number of sources whose list changed.

    Raises:
        NotFound: a principal that a file names does not exist.
        BadRequest: it is written wrongly.
    """
    collection_id = sources.ensure_collection(connection, collection)
    for named in said.by_file.values():
        people.numbers(connection, named or ())
    found = _rules_at(connection, collection_id, said)
    wanted = _wanted(connection, said, found)
    known: dict[str, int | None] = {row.uri: row.list_id for row in found if row.origin == "file"}
    gone = [
        uri
        for uri in sorted(known.keys() - wanted.keys())
        if (prune or uri in said.by_system) and not said.holds_on(uri)
    ]
    new = {uri: number for uri, number in wanted.items() if known.get(uri, 0) != number}
    changed = [*gone, *new]
    ours = _rules.c.collection_id == collection_id
    for start in range(0, len(changed), IN_LIMIT):
        batch = changed[start : start + IN_LIMIT]
        connection.execute(delete(_rules).where(ours, _rules.c.uri.in_(batch)))
    _put(connection, collection_id, new, "file")
    n_changed = _settle(connection, collection_id, changed)
    if gone or new:
        detail = {"collection": collection, "set": len(new), "lifted": len(gone)}
        lists = {uri: _numbers_in(connection, number) for uri, number in new.items()}
        aside = {"set": dict(islice(lists.items(), RECORDED)), "lifted": gone[:RECORDED]}
        audit.append(connection, "limits_synced", detail | {"files": n_changed}, private=aside)
    return n_changed


def _numbers_in(connection: Connection, list_id: int | None) -> list[int] | None:
    """The principals in a list; None where nothing is limited."""
    if list_id is None:
        return None
    query = select(_entries.c.principal_id).where(_entries.c.list_id == list_id)
    return sorted(connection.scalars(query))


def _rules_at(connection: Connection, collection_id: int, said: Said) -> list[_Rule]:
    """The rules at, above and below the roots."""
    above = {folder for root in said.roots for folder in mapped.places(root)[1:]}
    below = (sources.at_or_below(_rules.c.uri, root) for root in said.roots)
    query = select(_rules.c.uri, _rules.c.list_id, _rules.c.origin).where(
        _rules.c.collection_id == collection_id, or_(_rules.c.uri.in_(above), *below)
    )
    return [_Rule(*row) for row in connection.execute(query)]


def _wanted(connection: Connection, said: Said, found: Sequence[_Rule]) -> dict[str, int | None]:
    """The rules that shall be there, as numbers of lists."""
    names = _members(connection)
    commands: dict[str, Readers] = {}
    kept: dict[str, Readers] = {}
    for row in found:
        if row.origin == "command" or said.holds_on(row.uri):
            (commands if row.origin == "command" else kept)[row.uri] = _readers(names, row.list_id)
    return _numbered(connection, mapped.rules(said, commands, kept, _by_group(connection)))


def mapped_roots(connection: Connection, collection: str) -> list[str]:
    """The roots in which a file system's permissions limit who may read."""
    query = select(_rules.c.uri).join(_collections).where(_collections.c.name == collection)
    marks = query.where(_rules.c.uri.endswith(mapped.mark("")))
    return sorted(root for uri in connection.scalars(marks) if (root := mapped.marked(uri)))


def _put(
    connection: Connection, collection_id: int, rules: Mapping[str, int | None], origin: str
) -> None:
    rows = [
        {"collection_id": collection_id, "uri": uri, "list_id": list_id, "origin": origin}
        for uri, list_id in rules.items()
    ]
    if rows:
        connection.execute(insert(_rules), rows)


def _settle(connection: Connection, collection_id: int, places: Sequence[str]) -> int:
    """Give every source at or below the places the list of its nearest rule, and tell the log."""
    if not places:
        return 0
    query = select(_rules.c.uri, _rules.c.list_id).where(_rules.c.collection_id == collection_id)
    rules: dict[str, int | None] = {row.uri: row.list_id for row in connection.execute(query)}
    after: dict[int, int | None] = {}  # list by source
    for number, uri, before in _sources_at(connection, collection_id, places):
        nearest = _nearest(rules, uri)
        if nearest != before:
            after[number] = nearest
    for list_id in set(after.values()):
        numbers = [number for number, its_list in after.items() if its_list == list_id]
        for start in range(0, len(numbers), IN_LIMIT):
            batch = numbers[start : start + IN_LIMIT]
            listed = update(_sources).where(_sources.c.id.in_(batch))
            connection.execute(listed.values(list_id=list_id))
            changes.append(connection, changes.put_again(connection, batch))
    return len(after)


def _sources_at(
    connection: Connection, collection_id: int, uris: Sequence[str]
) -> Iterator[tuple[int, str, int | None]]:
    """Number, URI and list of the sources at and below."""
    query = select(_sources.c.id, _sources.c.uri, _sources.c.list_id)
    ours = query.where(_sources.c.collection_id == collection_id)
    if len(uris) <= FEW:
        for uri in uris:
            for row in connection.execute(ours.where(sources.at_or_below(_sources.c.uri, uri))):
                yield row.id, row.uri, row.list_id
        return
    wanted = set(uris)
    for row in connection.execute(ours):
        if not wanted.isdisjoint(mapped.places(row.uri)):
            yield row.id, row.uri, row.list_id


def _nearest(rules: Mapping[str, int | None], uri: str) -> int | None:
    """As `sources.list_at`, for many."""
    return next((rules[place] for place in mapped.places(uri) if place in rules), None)


def limits(connection: Connection) -> list[Limit]:
    """What is limited, by collection and URI."""
    members = _members(connection)
    query = select(_collections.c.name, _rules.c.uri, _rules.c.list_id)
    rows = connection.execute(query.select_from(_rules.join(_collections)))
    found = [
        Limit(collection, uri, _readers(members, list_id))
        for collection, uri, list_id in rows
        if mapped.marked(uri) is None
    ]
    return sorted(found, key=lambda each: (each.collection, each.uri))


def _members(connection: Connection) -> dict[int, tuple[str, ...]]:
    """Who stands in each list, but for the operator."""
    named = tables.principals
    query = (
        select(_entries.c.list_id, named.c.kind, named.c.name)
        .select_from(_entries.join(named))
        .where(named.c.kind != people.OPERATOR)
    )
    found: dict[int, list[str]] = {}
    for list_id, kind, name in connection.execute(query):
        found.setdefault(list_id, []).append(_written(kind, name))
    return {list_id: tuple(sorted(names)) for list_id, names in found.items()}


def _readers(members: Mapping[int, tuple[str, ...]], list_id: int | None) -> Readers:
    return None if list_id is None else members.get(list_id, ())


def _by_group(connection: Connection) -> mapped.Members:
    return {group.name: frozenset(group.members) for group in people.groups(connection)}


def _numbered(connection: Connection, wanted: Mapping[str, Readers]) -> dict[str, int | None]:
    """The same with numbers of lists. Who is no longer there is left out."""
    numbers = {
        _written(kind, name): number
        for number, kind, name in connection.execute(
            select(tables.principals.c.id, tables.principals.c.kind, tables.principals.c.name)
        )
    }
    made: dict[Readers, int | None] = {None: None}
    for named in set(wanted.values()) - {None}:
        made[named] = _list(connection, [numbers[who] for who in named or () if who in numbers])
    return {uri: made[named] for uri, named in wanted.items()}


def _list(connection: Connection, principals: Iterable[int]) -> int:
    """The list of these principals and the operator, which is made where there is none."""
    members = sorted({*principals, people.operator(connection)})
    sha256 = hashlib.sha256(",".join(map(str, members)).encode()).hexdigest()
    known = select(_lists.c.id).where(_lists.c.sha256 == sha256)
    found: int | None = connection.execute(known).scalar_one_or_none()
    if found is not None:
        return found
    row = insert(_lists).values(sha256=sha256).returning(_lists.c.id)
    made: int = connection.execute(row).scalar_one()
    rows = [{"list_id": made, "principal_id": number} for number in members]
    connection.execute(insert(_entries), rows)
    return made


def _written(kind: str, name: str) -> str:
    return name if kind == people.OPERATOR else f"{kind}:{name}"

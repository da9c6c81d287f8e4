"""What the rule in `rag.store.rule` is about: grants on collections, and limits within them.

Grants go to users and groups. A limit on a file or folder has a list of users and groups, and only
those of them with a grant may read what is there. The operator, who runs the commands on the
machine, has a grant on every collection and stands in every list: the rule has no exception.

How limits come about is in `rag.store.limits`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from rag.store import audit, people, sources, tables
from rag.types import Access

Right = Literal["read", "manage"]
_grants, _entries, _collections = tables.grants, tables.access_entries, tables.collections


@dataclass(frozen=True, slots=True)
class Grant:
    """What a principal may do with a collection."""

    collection: str
    principal: str  # user:NAME, group:NAME, or operator
    right: Right


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
        Grant(collection, people.written(kind, name), right)
        for collection, kind, name, right in connection.execute(query)
    ]
    return sorted(found, key=lambda each: (each.collection, each.principal))


def _both(connection: Connection, collection: str, principal: str) -> dict[str, int]:
    return {
        "collection_id": sources.existing_collection(connection, collection),
        "principal_id": people.find(connection, *people.parsed(principal)),
    }

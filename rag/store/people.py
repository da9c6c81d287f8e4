"""People and groups: the principals that may be granted something.

A principal is written as `user:NAME` or `group:NAME`. Numbers are never given twice, so whoever is
added under a name that was removed inherits nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from rag.errors import BadRequest, NotFound
from rag.store import audit, tables
from rag.store import names as names_of

Kind = Literal["user", "group"]
Role = Literal["admin", "auditor"]
Owner = int | Literal["operator"]  # of a session or a key: a user's number, or the operator
OPERATOR = names_of.OPERATOR  # made with the tables
_NAME = re.compile(r"[\w.@+-]{1,100}")
_principals, _memberships, _roles = tables.principals, tables.memberships, tables.roles


@dataclass(frozen=True, slots=True)
class Person:
    """A user, with the groups that the user is in."""

    name: str
    disabled: bool
    groups: tuple[str, ...]
    roles: tuple[Role, ...] = ()  # the user's own


@dataclass(frozen=True, slots=True)
class Group:
    """A group, with its members."""

    name: str
    members: tuple[str, ...]


def add(connection: Connection, kind: Kind, name: str) -> int:
    """Add a user or a group; returns its number.

    Raises:
        BadRequest: the name is taken, would be confused with one that is, or is none.
    """
    if not is_name(name):
        raise BadRequest(
            f"{name!r} is no name for a {kind}",
            hint="Letters, digits and any of . _ @ + - make a name, 100 at the most.",
        )
    if names_of.twin_of(name, [OPERATOR]):
        raise BadRequest(f"{name!r} is who runs the commands", hint="Choose another name.")
    if _find(connection, kind, name) is not None:
        raise BadRequest(f"there is a {kind} {name!r} already")
    names_of.refuse_confusing(kind, name, all_of(connection, kind))
    values = {"kind": kind, "name": name, "disabled": False, "created_at": datetime.now(UTC)}
    row = insert(_principals).values(**values).returning(_principals.c.id)
    number: int = connection.execute(row).scalar_one()
    audit.append(connection, "principal_added", {"principal": number, "of": kind})
    return number


def all_of(connection: Connection, kind: Kind) -> Sequence[str]:
    """The names of all users, or of all groups."""
    return connection.scalars(select(_principals.c.name).where(_principals.c.kind == kind)).all()


def is_name(text: str) -> bool:
    """Whether a user or group may be called that."""
    return _NAME.fullmatch(text) is not None


def remove(connection: Connection, kind: Kind, name: str) -> None:
    """Remove one with its memberships and grants.

    Raises:
        NotFound: there is none of that name.
    """
    number = find(connection, kind, name)
    audit.keep_name(connection, number)
    connection.execute(delete(_principals).where(_principals.c.id == number))
    audit.append(connection, "principal_removed", {"principal": number, "of": kind})


def set_disabled(connection: Connection, name: str, disabled: bool) -> None:
    """Let a user in no more, which ends all sessions, or again.

    Raises:
        NotFound: there is no such user.
    """
    number = find(connection, "user", name)
    changed = update(_principals).where(_principals.c.id == number)
    connection.execute(changed.values(disabled=disabled))
    if disabled:
        sign_out(connection, number)
    audit.append(connection, "disabled" if disabled else "enabled", {"principal": number})


def sign_out(connection: Connection, number: int, *, but: int | None = None) -> int:
    """End the sessions of a user or the operator, but one, and void the links; returns how many."""
    ended = 0
    for table in (tables.sessions, tables.login_links):
        of_owner = delete(table).where(table.c.principal_id == number)
        if table is tables.sessions and but is not None:
            of_owner = of_owner.where(table.c.id != but)
        ended += connection.execute(of_owner).rowcount
    if ended:
        audit.append(connection, "sign_out", {"principal": number, "ended": ended})
    return ended


def join(connection: Connection, group: str, users: Iterable[str]) -> None:
    """Put users into a group; those who are in it stay, even if the directory takes it back.

    Raises:
        NotFound: there is no such group or user; then nobody joins.
    """
    group_id = find(connection, "group", group)
    wanted = {find(connection, "user", name) for name in users}
    members = select(_memberships.c.user_id, _memberships.c.origin)
    rows_there = connection.execute(members.where(_memberships.c.group_id == group_id))
    origins = {row.user_id: row.origin for row in rows_there}
    kept = sorted(number for number in wanted if origins.get(number, "command") != "command")
    given = update(_memberships).where(
        _memberships.c.group_id == group_id, _memberships.c.user_id.in_(kept)
    )
    connection.execute(given.values(origin="command"))
    joined = sorted(wanted - origins.keys())
    rows = [{"group_id": group_id, "user_id": number} for number in joined]
    if rows:
        connection.execute(insert(_memberships), rows)
    if kept or joined:
        # `kept` were in it by the directory, which can't take them out from now on.
        detail = {"group": group_id, "principals": [*joined, *kept], "kept": kept}
        audit.append(connection, "joined", detail)


def leave(connection: Connection, group: str, users: Iterable[str]) -> list[str]:
    """Take users out of a group; returns those who were in it.

    Raises:
        NotFound: there is no such group or user; then nobody leaves.
    """
    group_id = find(connection, "group", group)
    numbers = {find(connection, "user", name): name for name in users}
    left = connection.scalars(
        delete(_memberships)
        .where(_memberships.c.group_id == group_id, _memberships.c.user_id.in_(numbers))
        .returning(_memberships.c.user_id)
    ).all()
    if left:
        audit.append(connection, "left", {"group": group_id, "principals": sorted(left)})
    return sorted(numbers[number] for number in left)


def people(connection: Connection) -> list[Person]:
    """All users by name."""
    groups: dict[str, list[str]] = {}
    for group, user in _pairs(connection):
        groups.setdefault(user, []).append(group)
    roles: dict[int, list[Role]] = {}
    for number, role in connection.execute(select(_roles.c.principal_id, _roles.c.role)):
        roles.setdefault(number, []).append(role)
    query = select(_principals.c.name, _principals.c.disabled, _principals.c.id)
    found = connection.execute(query.where(_principals.c.kind == "user"))
    return [
        Person(
            name,
            disabled,
            tuple(sorted(groups.get(name, ()))),
            tuple(sorted(roles.get(number, ()))),
        )
        for name, disabled, number in sorted(tuple(row) for row in found)
    ]


def groups(connection: Connection) -> list[Group]:
    """All groups by name."""
    members: dict[str, list[str]] = {}
    for group, user in _pairs(connection):
        members.setdefault(group, []).append(user)
    names = connection.scalars(select(_principals.c.name).where(_principals.c.kind == "group"))
    return [Group(name, tuple(sorted(members.get(name, ())))) for name in sorted(names)]


def principals_of(connection: Connection, number: int) -> frozenset[int]:
    """The numbers of a user and of the user's groups; none for one who is disabled or gone."""
    enabled = select(_principals.c.id).where(
        _principals.c.id == number, _principals.c.kind == "user", ~_principals.c.disabled
    )
    if connection.execute(enabled).first() is None:
        return frozenset()
    of_user = select(_memberships.c.group_id).where(_memberships.c.user_id == number)
    return frozenset({number, *connection.scalars(of_user)})


def roles_of(connection: Connection, number: int) -> frozenset[Role]:
    """The roles of a user and of the user's groups; none for the operator, who needs none."""
    mine = principals_of(connection, number)
    query = select(_roles.c.role).where(_roles.c.principal_id.in_(mine))
    return frozenset(connection.scalars(query))


def enabled_owner(connection: Connection, number: int) -> Owner | None:
    """The user or the operator of this number; None for one who is disabled or gone."""
    query = select(_principals.c.kind).where(
        _principals.c.id == number, _principals.c.kind != "group", ~_principals.c.disabled
    )
    kind: str | None = connection.execute(query).scalar_one_or_none()
    return None if kind is None else owner(kind, number)


def owner(kind: str, number: int) -> Owner:
    """Who a principal that is no group is to those who ask."""
    return "operator" if kind == OPERATOR else number


def names(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """How principals are called by their numbers; who is gone is absent."""
    query = select(_principals.c.id, _principals.c.name).where(_principals.c.id.in_(set(numbers)))
    return {row.id: row.name for row in connection.execute(query)}


def operator(connection: Connection) -> int:
    """The number of the operator."""
    query = select(_principals.c.id).where(_principals.c.kind == OPERATOR)
    number: int = connection.execute(query).scalar_one()
    return number


def numbers(connection: Connection, written: Sequence[str]) -> set[int]:
    """The numbers of principals that are written as `user:NAME` or `group:NAME`.

    Raises:
        BadRequest: one is written otherwise.
        NotFound: one does not exist.
    """
    return {find(connection, *parsed(each)) for each in written}


def parsed(written: str) -> tuple[Kind, str]:
    """What `user:NAME` or `group:NAME` means.

    Raises:
        BadRequest: it is neither.
    """
    kind, _, name = written.partition(":")
    if kind == "user" and name:
        return "user", name
    if kind == "group" and name:
        return "group", name
    raise BadRequest(f"{written!r} names nobody", hint="Write user:NAME or group:NAME.")


def written(kind: str, name: str) -> str:
    """The other way round."""
    return name if kind == OPERATOR else f"{kind}:{name}"


def find(connection: Connection, kind: Kind, name: str) -> int:
    """The number of a user or group.

    Raises:
        NotFound: there is none of that name.
    """
    number = _find(connection, kind, name)
    if number is None:
        hint = f"`citadel {kind} list` shows them; `citadel {kind} add` adds one."
        raise NotFound(f"there is no {kind} {name!r}", hint=hint)
    return number


def _find(connection: Connection, kind: Kind, name: str) -> int | None:
    query = select(_principals.c.id).where(_principals.c.kind == kind, _principals.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def _pairs(connection: Connection) -> list[tuple[str, str]]:
    """Every membership as names of group and user."""
    group, user = _principals.alias("g"), _principals.alias("u")
    query = (
        select(group.c.name, user.c.name)
        .select_from(_memberships)
        .join(group, group.c.id == _memberships.c.group_id)
        .join(user, user.c.id == _memberships.c.user_id)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]

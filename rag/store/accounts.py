"""What a user may do beyond reading, and the first admin.

A role is a user's or a group's; a group's counts for its members. The operator needs none.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import ColumnElement, and_, delete, insert, select

from rag.errors import BadRequest
from rag.store import access, audit, people, tables
from rag.store.access import Right
from rag.store.database import Database
from rag.store.people import Owner, Role

FIRST_ADMIN = "admin"
ROLES: tuple[Role, ...] = get_args(Role)
_roles, _principals, _grants = tables.roles, tables.principals, tables.grants


@dataclass(frozen=True, slots=True)
class Account:
    """A user or the operator, with what the account is good for now."""

    owner: Owner
    name: str
    roles: frozenset[Role]
    groups: tuple[str, ...]
    collections: dict[str, Right]  # by name


@dataclass(frozen=True, slots=True)
class WayIn:
    """Whether a user has a password, and the last sign-in that the audit records know of."""

    has_password: bool
    last_sign_in: datetime | None


class Accounts:
    """Roles, and what an account comes to. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, number: int) -> frozenset[Role] | None:
        """The roles that a user has; None for one who is disabled or gone."""
        with self._database.read() as connection:
            if people.enabled_owner(connection, number) is None:
                return None
            return people.roles_of(connection, number)

    def enabled_user(self, name: str) -> int | None:
        """The number of a user; None for one who is disabled or gone."""
        if not people.is_name(name):
            return None
        query = select(_principals.c.id).where(
            _principals.c.kind == "user", _principals.c.name == name, ~_principals.c.disabled
        )
        with self._database.read() as connection:
            number: int | None = connection.execute(query).scalar_one_or_none()
            return number

    def account(self, number: int) -> Account:
        """An account as it is now; one that is disabled or gone has nothing."""
        with self._database.read() as connection:
            who = select(_principals.c.kind, _principals.c.name).where(_principals.c.id == number)
            kind, name = tuple(connection.execute(who).one_or_none() or ("user", ""))
            mine = people.principals_of(connection, number) | (
                {number} if kind == people.OPERATOR else frozenset()
            )
            named = select(_principals.c.name).where(
                _principals.c.id.in_(mine), _principals.c.kind == "group"
            )
            granted = (
                select(tables.collections.c.name, _grants.c.right)
                .join(_grants, _grants.c.collection_id == tables.collections.c.id)
                .where(_grants.c.principal_id.in_(mine))
            )
            rights = sorted((tuple(row) for row in connection.execute(granted)), reverse=True)
            return Account(
                people.owner(kind, number),
                name,
                people.roles_of(connection, number),
                tuple(sorted(connection.scalars(named))),
                dict(reversed(dict(rights).items())),  # of two rights, manage is the last
            )

    def ways_in(self) -> dict[str, WayIn]:
        """How each user can sign in and when that was last done, by name."""
        have, records = tables.passwords, tables.audit
        joined = _principals.outerjoin(have, have.c.user_id == _principals.c.id)
        users = select(_principals.c.id, _principals.c.name, have.c.user_id).select_from(joined)
        signed = select(records.c.at, records.c.record).where(records.c.kind == "sign_in")
        last: dict[int, datetime] = {}
        with self._database.read() as connection:
            found = connection.execute(users.where(_principals.c.kind == "user")).all()
            for at, record in connection.execute(signed.order_by(records.c.seq)):
                principal = json.loads(record).get("detail", {}).get("principal")
                if principal is not None:  # a failure names nobody
                    last[principal] = at
        return {
            name: WayIn(password is not None, last.get(number)) for number, name, password in found
        }

    def give_role(self, principal: str, role: Role) -> None:
        """Give a role to `user:NAME` or to all in `group:NAME`.

        Raises:
            NotFound: there is no such user or group.
            BadRequest: it is written wrongly.
        """
        with self._database.write() as connection:
            number = people.find(connection, *people.parsed(principal))
            connection.execute(delete(_roles).where(_same(number, role)))
            connection.execute(insert(_roles).values(principal_id=number, role=role))
            audit.append(connection, "role_given", {"principal": number, "role": role})

    def take_role(self, principal: str, role: Role) -> bool:
        """Take a role back; False where it was not there.

        Raises:
            NotFound: there is no such user or group.
            BadRequest: it is written wrongly.
        """
        with self._database.write() as connection:
            number = people.find(connection, *people.parsed(principal))
            had = connection.execute(delete(_roles).where(_same(number, role))).rowcount > 0
            if had:
                audit.append(connection, "role_taken", {"principal": number, "role": role})
            return had

    def roles(self) -> dict[str, tuple[Role, ...]]:
        """Who has a role, by `user:NAME` or `group:NAME`."""
        query = (
            select(_principals.c.kind, _principals.c.name, _roles.c.role)
            .join(_roles, _roles.c.principal_id == _principals.c.id)
            .where(_principals.c.kind != people.OPERATOR)
        )
        with self._database.read() as connection:
            rows = sorted(tuple(row) for row in connection.execute(query))
        found: dict[str, tuple[Role, ...]] = {}
        for kind, name, role in rows:
            written = f"{kind}:{name}"
            found[written] = (*found.get(written, ()), role)
        return found

    def first_admin(self) -> str | None:
        """Make an admin who may manage every collection there is, where nobody is there yet.

        It happens once: a role of the operator, who needs none, says that it has. Returns the
        admin's name; None where none was made.
        """
        with self._database.write() as connection:
            operator = people.operator(connection)
            done = select(_roles.c.role).where(_same(operator, "admin"))
            if connection.execute(done).first() is not None:
                return None
            connection.execute(insert(_roles).values(principal_id=operator, role="admin"))
            if connection.execute(
                select(_principals.c.id).where(_principals.c.kind == "user")
            ).first():
                return None
            number = people.add(connection, "user", FIRST_ADMIN)
            connection.execute(insert(_roles).values(principal_id=number, role="admin"))
            audit.append(connection, "role_given", {"principal": number, "role": "admin"})
            names = select(tables.collections.c.name).order_by(tables.collections.c.name)
            for collection in connection.scalars(names).all():
                access.grant(connection, collection, f"user:{FIRST_ADMIN}", "manage")
        return FIRST_ADMIN


def role_of(written: str) -> Role:
    """The role of this name.

    Raises:
        BadRequest: there is none.
    """
    for role in ROLES:
        if role == written:
            return role
    raise BadRequest(f"there is no role {written!r}", hint="The roles are admin and auditor.")


def _same(number: int, role: Role) -> ColumnElement[bool]:
    return and_(_roles.c.principal_id == number, _roles.c.role == role)

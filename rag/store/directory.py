"""Who somebody is to the company: identities, and the groups that its directory names.

A user is found by the directory's own identifier for a person, never by name: a user `ann` whom a
command has added is not whoever comes as `ann` from elsewhere, until an admin says so (`link`).
Groups are found by name, because that is what an admin means by granting something to one.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select

from rag.errors import BadRequest, Forbidden, NotFound, Unauthorized
from rag.store import audit, people, tables
from rag.store.database import Database
from rag.store.names import twin_of

logger = logging.getLogger(__name__)

GIVEN = "directory"  # the origin of a membership that the directory gave, and may take back
_identities, _memberships = tables.identities, tables.memberships
_principals = tables.principals


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a directory says of somebody who has signed in there."""

    issuer: str  # the directory's name for itself
    subject: str  # its identifier for the person, which it never gives to another one
    name: str  # what the person is called there, and here from the first time on
    groups: tuple[str, ...] | None = None  # None where it says nothing of groups


@dataclass(frozen=True, slots=True)
class Terms:
    """How far a directory's word goes."""

    sign_up: bool = True  # who comes for the first time becomes a user, who may read nothing
    create_groups: bool = False  # a group that is not there yet is added


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a user is to a directory."""

    user: str
    issuer: str
    subject: str


class Directory:
    """The users whom a directory vouches for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known_as(self, vouched: Vouched, terms: Terms | None = None) -> int:
        """The number of the user whom a directory vouches for, whose groups are level afterwards.

        Nothing is written where all is as it was the last time.

        Raises:
            Unauthorized: the user has been disabled.
            Forbidden: nobody may sign up, or the name is another user's.
            BadRequest: what the person is called there cannot be a name here.
        """
        terms = terms or Terms()
        with self._database.read() as connection:
            number = _behind(connection, vouched)
            if number is not None and _is_level(connection, number, vouched, terms):
                return number
        with self._database.write() as connection:
            number = _behind(connection, vouched)
            if number is None:
                number = _sign_up(connection, vouched, terms)
            if vouched.groups is not None:
                _bring_level(connection, number, vouched.groups, terms)
            return number

    def link(self, user: str, issuer: str, subject: str) -> None:
        """Let a user sign in as this person of a directory.

        Raises:
            NotFound: there is no such user.
            BadRequest: the person is a user already, or issuer or subject is empty.
        """
        if not issuer.strip() or not subject.strip():
            raise BadRequest("an identity takes an issuer and a subject")
        with self._database.write() as connection:
            number = people.find(connection, "user", user)
            owner = _owner(connection, issuer, subject)
            if owner is not None and owner != number:
                name = connection.scalar(select(_principals.c.name).filter_by(id=owner))
                raise BadRequest(
                    f"{subject!r} of {issuer} signs in as {name!r} already",
                    hint=f"First: citadel user unlink {name} {issuer} {subject}",
                )
            if owner is None:
                _record(connection, issuer, subject, number)

    def unlink(self, user: str, issuer: str, subject: str) -> None:
        """Let a user sign in as this person no more, and take what the directory gave.

        Raises:
            NotFound: there is no such user, or the user is not that person.
        """
        with self._database.write() as connection:
            number = people.find(connection, "user", user)
            of_person = delete(_identities).where(
                _identities.c.issuer == issuer,
                _identities.c.subject == subject,
                _identities.c.user_id == number,
            )
            if not connection.execute(of_person).rowcount:
                raise NotFound(
                    f"{user!r} does not sign in as {subject!r} of {issuer}",
                    hint="`citadel user identities` shows who signs in as whom.",
                )
            aside = {"issuer": issuer, "subject": subject}
            audit.append(connection, "identity_unlinked", {"principal": number}, private=aside)
            _bring_level(connection, number, (), Terms())

    def identities(self) -> list[Identity]:
        """Who signs in as whom, by user."""
        query = select(_principals.c.name, _identities.c.issuer, _identities.c.subject).join(
            _principals, _principals.c.id == _identities.c.user_id
        )
        with self._database.read() as connection:
            return [Identity(*row) for row in sorted(tuple(r) for r in connection.execute(query))]


def _behind(connection: Connection, vouched: Vouched) -> int | None:
    """The user behind an identity; None where it is new."""
    number = _owner(connection, vouched.issuer, vouched.subject)
    if number is not None and not people.principals_of(connection, number):
        raise Unauthorized("this account is no longer in use", hint="Ask your administrator.")
    return number


def _owner(connection: Connection, issuer: str, subject: str) -> int | None:
    query = select(_identities.c.user_id).where(
        _identities.c.issuer == issuer, _identities.c.subject == subject
    )
    return connection.execute(query).scalar_one_or_none()


def _sign_up(connection: Connection, vouched: Vouched, terms: Terms) -> int:
    who = f"user identity {vouched.name} {vouched.issuer} {vouched.subject}"
    if _named(connection, "user", [vouched.name]):
        raise Forbidden(
            f"there is a user {vouched.name!r} already, who has not been linked with you",
            hint=f"If that is you, your administrator runs: citadel {who}",
        )
    if not terms.sign_up:
        raise Forbidden(
            f"{vouched.name!r} is no user here",
            hint=f"Your administrator runs: citadel user add {vouched.name} && citadel {who}",
        )
    number = people.add(connection, "user", vouched.name)
    _record(connection, vouched.issuer, vouched.subject, number)
    logger.info("%r of %s is a user from now on", vouched.name, vouched.issuer)
    return number


def _record(connection: Connection, issuer: str, subject: str, number: int) -> None:
    row = {"issuer": issuer, "subject": subject, "user_id": number}
    connection.execute(insert(_identities).values(**row, created_at=datetime.now(UTC)))
    aside = {"issuer": issuer, "subject": subject}
    audit.append(connection, "identity_linked", {"principal": number}, private=aside)


def _is_level(connection: Connection, number: int, vouched: Vouched, terms: Terms) -> bool:
    if vouched.groups is None:
        return True
    named = _named(connection, "group", vouched.groups)
    if terms.create_groups and _new(connection, vouched.groups, named):
        return False
    held = _held(connection, number)
    given = {group for group, origin in held.items() if origin == GIVEN}
    return given <= set(named.values()) <= held.keys()


def _bring_level(connection: Connection, number: int, groups: Sequence[str], terms: Terms) -> None:
    """Join what is named and leave what the directory gave and names no more.

    A membership that a command gave stays a command's, whatever the directory says.
    """
    named = _named(connection, "group", groups)
    if terms.create_groups:
        for name in _new(connection, groups, named):
            named[name] = people.add(connection, "group", name)
    wanted, held = set(named.values()), _held(connection, number)
    gone = {group for group, origin in held.items() if origin == GIVEN} - wanted
    of_user = _memberships.c.user_id == number
    connection.execute(delete(_memberships).where(of_user, _memberships.c.group_id.in_(gone)))
    rows = [
        {"group_id": group, "user_id": number, "origin": GIVEN}
        for group in sorted(wanted - held.keys())
    ]
    if rows:
        connection.execute(insert(_memberships), rows)
    if rows or gone:
        joined = [row["group_id"] for row in rows]
        detail = {"principal": number, "joined": joined, "left": sorted(gone)}
        audit.append(connection, "groups_synced", detail)


def _held(connection: Connection, number: int) -> dict[int, str]:
    """The user's groups, each with who gave it."""
    query = select(_memberships.c.group_id, _memberships.c.origin)
    rows = connection.execute(query.where(_memberships.c.user_id == number))
    return {row[0]: row[1] for row in rows}


def _named(connection: Connection, kind: people.Kind, names: Sequence[str]) -> dict[str, int]:
    """Those of the names that there are, with their numbers."""
    query = select(_principals.c.name, _principals.c.id).where(
        _principals.c.kind == kind, _principals.c.name.in_(names)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _new(connection: Connection, groups: Sequence[str], known: dict[str, int]) -> list[str]:
    """The groups that are to be added; a name that cannot be one here grants nothing.

    Nor does one that would be taken for a group that there is, which may have other members.
    """
    new = sorted({name for name in groups if people.is_name(name)} - known.keys())
    taken = [people.OPERATOR, *people.all_of(connection, "group")] if new else []
    found: list[str] = []
    for name in new:
        if name.strip(".") and twin_of(name, [*taken, *found]) is None:
            found.append(name)
    return found

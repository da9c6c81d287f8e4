"""API keys of systems: shown once, kept as their SHA-256, good for what their scopes say.

A key belongs to a user or to the operator and never may more than its owner; the one exception is
the scope `act_as`, with which a key acts for the user that a request names. Only keys of admins and
of the operator have it, and only as long as their owner is one.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update

from rag.errors import BadRequest, Forbidden, NotFound
from rag.store import audit, people, tables
from rag.store.database import Database
from rag.store.minted import TOKEN_BYTES, digest
from rag.store.people import Owner, Role
from rag.store.signing import TOUCH_EVERY, Clock, now

KEY_PREFIX = "ck_"
SHOWN_CHARS = len(KEY_PREFIX) + 6
MOST = 200  # live ones of one owner
MAX_NAME_CHARS = 100

Scope = Literal["search", "query", "ingest", "admin", "act_as"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_keys, _principals = tables.api_keys, tables.principals


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, without the text that it is known by."""

    id: int
    owner: str  # a user's name, or operator
    name: str
    shown: str  # its first characters
    scopes: tuple[Scope, ...]
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """What a key that came with a request is good for, as of this moment."""

    id: int
    owner: Owner
    scopes: frozenset[Scope]
    roles: frozenset[Role]

    @property
    def may_act(self) -> bool:
        """Whether it acts for others now: what its owner was when it was made does not count."""
        return "act_as" in self.scopes and _may_own_acting(self.owner, self.roles)


class Keys:
    """Makes keys, and tells whose they are. Safe to share between threads."""

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        owner: Owner,
        name: str,
        scopes: Collection[Scope],
        *,
        valid_for: timedelta | None = None,
    ) -> tuple[Key, str]:
        """A new key, and its text, which is nowhere else.

        Raises:
            BadRequest: the name or the scopes are none, or the owner has too many keys.
            Forbidden: the owner is disabled or gone, or acts for others without being an admin.
        """
        named, wanted = _named(name), _wanted(scopes)
        token, time = KEY_PREFIX + secrets.token_urlsafe(TOKEN_BYTES), self._clock()
        with self._database.write() as connection:
            number = people.operator(connection) if owner == "operator" else owner
            if people.enabled_owner(connection, number) is None:
                raise Forbidden("the owner of the key is disabled or gone")
            if "act_as" in wanted:
                _refuse_acting(owner, people.roles_of(connection, number))
            _refuse_too_many(connection, number, time)
            row = insert(_keys).values(
                token_sha256=digest(token),
                principal_id=number,
                name=named,
                shown=token[:SHOWN_CHARS],
                scopes=wanted,
                created_at=time,
                expires_at=None if valid_for is None else time + valid_for,
            )
            made = connection.execute(row.returning(_keys.c.id)).scalar_one()
            detail = {"key": made, "principal": number, "scopes": wanted}
            audit.append(connection, "key_added", detail, private={"name": named})
            return _key(connection.execute(_with_owner().where(_keys.c.id == made)).one()), token

    def held(self, token: str) -> Held | None:
        """What a key is good for; None where it is revoked, has expired or never was."""
        time = self._clock()
        query = _with_owner().where(
            _keys.c.token_sha256 == digest(token), ~_principals.c.disabled, _in_use(time)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            roles = people.roles_of(connection, row.principal_id)
        if row.used_at is None or time - row.used_at >= TOUCH_EVERY:
            with self._database.write() as connection:
                used = update(_keys).where(_keys.c.id == row.id)
                connection.execute(used.values(used_at=time))
        owner = people.owner(row.owner_kind, row.principal_id)
        return Held(row.id, owner, frozenset(row.scopes), roles)

    def listed(self, number: int | None = None) -> list[Key]:
        """The keys of one owner, or of all, newest first, with those that are revoked."""
        query = _with_owner().order_by(_keys.c.id.desc())
        if number is not None:
            query = query.where(_keys.c.principal_id == number)
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke(self, key_id: int, number: int | None = None, operators: bool = True) -> None:
        """End a key at once: of the owner of this number, or of anybody, the operator included.

        Raises:
            NotFound: there is no such key in use, or it is somebody else's.
        """
        ended = update(_keys).where(_keys.c.id == key_id, _keys.c.revoked_at.is_(None))
        if number is not None:
            ended = ended.where(_keys.c.principal_id == number)
        with self._database.write() as connection:
            if not operators:
                ended = ended.where(_keys.c.principal_id != people.operator(connection))
            if not connection.execute(ended.values(revoked_at=self._clock())).rowcount:
                raise NotFound(
                    f"there is no key {key_id} in use", hint="Look at the list of keys again."
                )
            audit.append(connection, "key_revoked", {"key": key_id})


def _with_owner() -> Select[Any]:
    return select(
        _keys, _principals.c.name.label("owner_name"), _principals.c.kind.label("owner_kind")
    ).join(_principals, _principals.c.id == _keys.c.principal_id)


def _in_use(time: datetime) -> Any:
    lasting = or_(_keys.c.expires_at.is_(None), _keys.c.expires_at > time)
    return _keys.c.revoked_at.is_(None) & lasting


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        owner=row.owner_name,
        name=row.name,
        shown=row.shown,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        used_at=row.used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _named(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise BadRequest(
            f"{name[:MAX_NAME_CHARS]!r} is no name for a key",
            hint=f"Say what the key is for, in {MAX_NAME_CHARS} characters or fewer.",
        )
    return name


def _wanted(scopes: Collection[Scope]) -> list[Scope]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not set(scopes) - {"act_as"}:
        raise BadRequest(
            f"no scope {', '.join(unknown)}" if unknown else "the key has no scope to do anything",
            hint=f"The scopes are {', '.join(SCOPES)}; act_as goes with others.",
        )
    return [scope for scope in SCOPES if scope in scopes]


def _may_own_acting(owner: Owner, roles: frozenset[Role]) -> bool:
    return owner == "operator" or "admin" in roles


def _refuse_acting(owner: Owner, roles: frozenset[Role]) -> None:
    if not _may_own_acting(owner, roles):
        raise Forbidden(
            "only a key of an admin or of the operator acts for others",
            hint="Give the owner the role admin, which alone opens no document, or leave act_as.",
        )


def _refuse_too_many(connection: Connection, number: int, time: datetime) -> None:
    mine = select(func.count()).where(_keys.c.principal_id == number, _in_use(time))
    if connection.execute(mine).scalar_one() >= MOST:
        raise BadRequest(
            f"there are {MOST} keys of this owner already", hint="Revoke one that is not used."
        )

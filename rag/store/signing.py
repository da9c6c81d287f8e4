"""Sessions of those who have signed in, and the one-time links that sign in.

Both belong to a user or to the operator, end by themselves, and end at once when they are revoked,
when the password changes and when the user is disabled or removed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, Table, delete, insert, or_, select, update

from rag.errors import Forbidden, NotFound
from rag.store import audit, people, tables
from rag.store.database import Database
from rag.store.minted import Mint, digest
from rag.store.people import Owner, Role

SESSION_TTL = timedelta(hours=12)
IDLE_LIMIT = timedelta(hours=4)  # after which a session that nobody uses has ended
LINK_TTL = timedelta(hours=1)
TOUCH_EVERY = timedelta(minutes=1)  # a use is written down no more often
MOST = 100  # sessions, and links, of one owner; the oldest makes room
MAX_AGENT_CHARS = 200

How = Literal["link", "password", "oidc", "ldap", "proxy"]
Clock = Callable[[], datetime]
_sessions, _links, _principals = tables.sessions, tables.login_links, tables.principals


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """That somebody has signed in, and from where."""

    id: int
    how: How
    address: str
    agent: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose a token is that came with a request, as of this moment."""

    id: int  # of the session
    owner: Owner
    roles: frozenset[Role]


class Signing:
    """Gives out sessions and links, and tells whose they are. Safe to share between threads."""

    def __init__(self, database: Database, mint: Mint, clock: Clock = now) -> None:
        self._database = database
        self._mint = mint
        self._clock = clock

    def begin(
        self, owner: Owner, how: How, *, address: str = "", agent: str = "", instead_of: str = ""
    ) -> str:
        """Begin a session; returns its token, which is nowhere else.

        The session whose token is `instead_of` ends: a browser has one.

        Raises:
            Forbidden: the account is disabled or gone.
        """
        token, time = self._mint.token("session"), self._clock()
        with self._database.write() as connection:
            number = _enabled(connection, owner)
            over = or_(
                _sessions.c.expires_at <= time, _sessions.c.token_sha256 == digest(instead_of)
            )
            connection.execute(delete(_sessions).where(over))
            connection.execute(
                insert(_sessions).values(
                    token_sha256=digest(token),
                    principal_id=number,
                    how=how,
                    address=address,
                    agent=agent[:MAX_AGENT_CHARS],
                    created_at=time,
                    used_at=time,
                    expires_at=time + SESSION_TTL,
                )
            )
            _make_room(connection, _sessions, number, _sessions.c.id)
            audit.append(connection, "sign_in", {"principal": number, "how": how})
        return token

    def session(self, token: str) -> SignedIn | None:
        """Whose session it is; None where it has ended, or never was."""
        if not self._mint.made("session", token):
            return None
        with self._database.read() as connection:
            row = connection.execute(_live(self._clock(), digest(token))).one_or_none()
            if row is None:
                return None
            roles = people.roles_of(connection, row.principal_id)
        self._touch(row)
        return SignedIn(row.id, people.owner(row.kind, row.principal_id), roles)

    def _touch(self, row: Row[Any]) -> None:
        """Note that a session is used, at most once a minute."""
        time = self._clock()
        if time - row.used_at < TOUCH_EVERY:
            return
        with self._database.write() as connection:
            used = update(_sessions).where(_sessions.c.id == row.id, _sessions.c.used_at < time)
            connection.execute(used.values(used_at=time))

    def sessions(self, number: int) -> list[Session]:
        """The live sessions of a user or the operator, newest first."""
        live = _live(self._clock()).where(_sessions.c.principal_id == number)
        with self._database.read() as connection:
            rows = connection.execute(live.order_by(_sessions.c.id.desc())).all()
        fields = Session.__slots__
        return [Session(**{field: getattr(row, field) for field in fields}) for row in rows]

    def end(self, session_id: int, number: int | None = None, operators: bool = True) -> None:
        """End one session at once: of the user or operator of this number, or of anybody, the
        operator included.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        ended = delete(_sessions).where(_sessions.c.id == session_id)
        if number is not None:
            ended = ended.where(_sessions.c.principal_id == number)
        with self._database.write() as connection:
            if not operators:
                ended = ended.where(_sessions.c.principal_id != people.operator(connection))
            whose = connection.execute(ended.returning(_sessions.c.principal_id)).scalar()
            if whose is None:
                raise NotFound("there is no such session", hint="GET /v1/sessions lists yours.")
            audit.append(connection, "sign_out", {"principal": whose, "session": session_id})

    def end_all(self, number: int) -> int:
        """End every session and void every link of a user or the operator; returns how many."""
        with self._database.write() as connection:
            return people.sign_out(connection, number)

    # Links

    def link(self, owner: Owner) -> str:
        """The token of a new link that signs in once, within the hour.

        Raises:
            Forbidden: the account is disabled or gone.
        """
        token, time = self._mint.token("link"), self._clock()
        values = {"token_sha256": digest(token), "expires_at": time + LINK_TTL}
        with self._database.write() as connection:
            number = _enabled(connection, owner)
            connection.execute(delete(_links).where(_links.c.expires_at <= time))
            connection.execute(insert(_links).values(**values, principal_id=number))
            _make_room(connection, _links, number, _links.c.expires_at)
            audit.append(connection, "link_made", {"principal": number})
        return token

    def made_link(self, token: str) -> bool:
        """Whether it is a link of this installation, good or not."""
        return self._mint.made("link", token)

    def of_link(self, token: str) -> Owner | None:
        """Whom a link would sign in; None where it is no good any more."""
        if not self._mint.made("link", token):
            return None
        live = select(_links.c.principal_id).where(
            _links.c.token_sha256 == digest(token), _links.c.expires_at > self._clock()
        )
        with self._database.read() as connection:
            number = connection.execute(live).scalar_one_or_none()
            return None if number is None else people.enabled_owner(connection, number)

    def redeem(self, token: str) -> Owner | None:
        """Whom a link signs in, which it never does again; None where it is no good any more."""
        if not self._mint.made("link", token):
            return None
        with self._database.write() as connection:
            gone = delete(_links).where(_links.c.token_sha256 == digest(token))
            row = connection.execute(
                gone.returning(_links.c.principal_id, _links.c.expires_at)
            ).one_or_none()
            if row is None or row.expires_at <= self._clock():
                return None
            return people.enabled_owner(connection, row.principal_id)


def _live(time: datetime, token_sha256: str | None = None) -> Select[Any]:
    """The sessions that have not ended, of those who may come in."""
    query = (
        select(_sessions, _principals.c.kind)
        .join(_principals, _principals.c.id == _sessions.c.principal_id)
        .where(
            ~_principals.c.disabled,
            _sessions.c.expires_at > time,
            _sessions.c.used_at > time - IDLE_LIMIT,
        )
    )
    return query if token_sha256 is None else query.where(_sessions.c.token_sha256 == token_sha256)


def _enabled(connection: Connection, owner: Owner) -> int:
    number = people.operator(connection) if owner == "operator" else owner
    if people.enabled_owner(connection, number) is None:
        raise Forbidden("this account is no longer in use", hint="Ask your administrator.")
    return number


def _make_room(connection: Connection, table: Table, number: int, age: Any) -> None:
    """Keep no more than the newest ones of an owner."""
    [key] = table.primary_key
    mine = select(key).where(table.c.principal_id == number)
    oldest = list(connection.scalars(mine.order_by(age.desc(), key).offset(MOST)))
    if oldest:
        connection.execute(delete(table).where(key.in_(oldest)))

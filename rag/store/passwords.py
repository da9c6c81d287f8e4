"""Passwords, kept as argon2id hashes.

Whether a name exists cannot be told from how long a check takes: a name without a password costs
the same hash.
"""

import unicodedata
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, insert, select, update

from rag.errors import BadRequest
from rag.store import audit, people, tables
from rag.store.database import Database
from rag.store.signing import Clock, now

MIN_CHARS, MAX_CHARS = 12, 1000
RULES = f"A password has {MIN_CHARS} characters or more and is not the name; a sentence is good."
_passwords, _principals, _sessions = tables.passwords, tables.principals, tables.sessions


class Passwords:
    """Sets and checks passwords. Safe to share between threads."""

    def __init__(
        self, database: Database, clock: Clock = now, hasher: PasswordHasher | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher or PasswordHasher()  # RFC 9106 for little memory: 64 MiB

    def set(self, name: str, password: str, *, keep_session: int | None = None) -> None:
        """Give a user a password. All sessions and links of the user end, but one that is kept.

        Raises:
            NotFound: there is no such user.
            BadRequest: the password is against the rules.
        """
        password = obeying(name, password)
        kept = {"hash": self._hasher.hash(password), "changed_at": self._clock()}
        with self._database.write() as connection:
            number = people.find(connection, "user", name)
            connection.execute(delete(_passwords).where(_passwords.c.user_id == number))
            connection.execute(insert(_passwords).values(user_id=number, **kept))
            audit.append(connection, "password_set", {"principal": number})
            people.sign_out(connection, number, but=keep_session)

    def has(self, number: int) -> bool:
        """Whether a user has a password."""
        query = select(_passwords.c.user_id).where(_passwords.c.user_id == number)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def check(self, name: str, password: str) -> int | None:
        """The number of the user whose name and password these are; None for all else."""
        unknown = self._unknown  # made before anything differs
        with self._database.read() as connection:
            number, kept = _of(connection, name)
        if not self._fits(kept or unknown, _normal(password)) or number is None:
            return None
        if kept is not None and self._hasher.check_needs_rehash(kept):
            self._renew(number, kept, password)
        return number

    def _fits(self, kept: str, password: str) -> bool:
        if len(password) > MAX_CHARS:
            return False
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    def _renew(self, number: int, kept: str, password: str) -> None:
        """Hash with the parameters of now, unless the password has changed meanwhile."""
        same = (_passwords.c.user_id == number, _passwords.c.hash == kept)
        renewed = self._hasher.hash(_normal(password))
        with self._database.write() as connection:
            connection.execute(update(_passwords).where(*same).values(hash=renewed))

    @cached_property
    def _unknown(self) -> str:
        return self._hasher.hash("")


def obeying(name: str, password: str) -> str:
    """The password as it is hashed.

    Raises:
        BadRequest: it is against the rules.
    """
    password = _normal(password)
    if len(password) < MIN_CHARS:
        raise BadRequest(f"the password has {len(password)} characters only", hint=RULES)
    if len(password) > MAX_CHARS:
        raise BadRequest(f"the password has more than {MAX_CHARS:,} characters", hint=RULES)
    if password.casefold() == _normal(name).casefold():
        raise BadRequest("the password is the name", hint=RULES)
    if len(set(password)) == 1:
        raise BadRequest("the password is one character over and over", hint=RULES)
    return password


def _normal(text: str) -> str:
    """An é is the same whether a keyboard sends it as one character or as two."""
    return unicodedata.normalize("NFC", text)


def _of(connection: Connection, name: str) -> tuple[int | None, str | None]:
    """The number and the hash of a user who may come in."""
    if not people.is_name(name):  # nor anything that a database would refuse
        return None, None
    query = (
        select(_principals.c.id, _passwords.c.hash)
        .join(_passwords, _passwords.c.user_id == _principals.c.id)
        .where(_principals.c.kind == "user", _principals.c.name == name, ~_principals.c.disabled)
    )
    row = connection.execute(query).one_or_none()
    return (None, None) if row is None else (row.id, row.hash)

"""Who is there, and who is granted or denied what: `store.permissions`."""

from collections.abc import Sequence

from rag.store import access, limits, people
from rag.store.access import Grant, Right
from rag.store.database import Database
from rag.store.limits import Limit
from rag.store.mapped import Said
from rag.store.people import Group, Kind, Person


class Permissions:
    """Users, groups, grants on collections, limits on files and folders. Safe between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_principal(self, kind: Kind, name: str) -> None:
        """Add a user or a group.

        Raises:
            BadRequest: the name is taken, or is none.
        """
        with self._database.write() as connection:
            people.add(connection, kind, name)

    def remove_principal(self, kind: Kind, name: str) -> None:
        """Remove a user or a group with all that it was granted.

        Raises:
            NotFound: there is none of that name.
        """
        with self._database.write() as connection:
            people.remove(connection, kind, name)

    def set_disabled(self, user: str, disabled: bool) -> None:
        """Let a user read nothing more, or what was granted again.

        Raises:
            NotFound: there is no such user.
        """
        with self._database.write() as connection:
            people.set_disabled(connection, user, disabled)

    def join_group(self, group: str, users: Sequence[str]) -> None:
        """Put users into a group.

        Raises:
            NotFound: there is no such group or user; then nobody joins.
        """
        with self._database.write() as connection:
            people.join(connection, group, users)

    def leave_group(self, group: str, users: Sequence[str]) -> list[str]:
        """Take users out of a group; returns those who were in it.

        Raises:
            NotFound: there is no such group or user; then nobody leaves.
        """
        with self._database.write() as connection:
            return people.leave(connection, group, users)

    def people(self) -> list[Person]:
        """All users by name."""
        with self._database.read() as connection:
            return people.people(connection)

    def groups(self) -> list[Group]:
        """All groups by name."""
        with self._database.read() as connection:
            return people.groups(connection)

    def grant(self, collection: str, principal: str, right: Right) -> None:
        """Let a user or group read or manage a collection.

        Raises:
            NotFound: there is no such collection or principal.
            BadRequest: the principal is written wrongly.
        """
        with self._database.write() as connection:
            access.grant(connection, collection, principal, right)

    def revoke(self, collection: str, principal: str) -> bool:
        """Take a grant back; False where there was none.

        Raises:
            NotFound: there is no such collection or principal.
            BadRequest: the principal is written wrongly.
        """
        with self._database.write() as connection:
            return access.revoke(connection, collection, principal)

    def grants(self) -> list[Grant]:
        """All grants by collection and principal."""
        with self._database.read() as connection:
            return access.grants(connection)

    def limit(self, collection: str, uri: str, principals: Sequence[str] | None) -> int:
        """Let only these read a file or what is and will be below a folder; see `limits.limit`.

        Raises:
            NotFound: there is no such collection or principal.
            BadRequest: a principal is written wrongly.
        """
        with self._database.write() as connection:
            return limits.limit(connection, collection, uri, principals)

    def check_principals(self, principals: Sequence[str]) -> None:
        """See whether they exist.

        Raises:
            NotFound: one does not.
            BadRequest: one is written wrongly.
        """
        with self._database.read() as connection:
            people.numbers(connection, principals)

    def sync_limits(self, collection: str, said: Said, *, prune: bool = True) -> int:
        """Bring the limits that folders' own files and permissions set level; see `limits.sync`.

        Raises:
            NotFound: a principal that a file names does not exist.
            BadRequest: it is written wrongly.
        """
        with self._database.write() as connection:
            return limits.sync(connection, collection, said, prune=prune)

    def mapped_roots(self, collection: str) -> list[str]:
        """The roots in which a file system's permissions limit who may read."""
        with self._database.read() as connection:
            return limits.mapped_roots(connection, collection)

    def limits(self) -> list[Limit]:
        """What is limited, by collection and URI."""
        with self._database.read() as connection:
            return limits.limits(connection)

"""Users, groups and roles, for admins."""

from typing import Literal

from msgspec import Struct

from rag.client.transport import Transport, once, segment

Role = Literal["admin", "auditor"]


class User(Struct, frozen=True):
    """A user; `roles` are the user's own, without those by a group."""

    name: str
    disabled: bool
    groups: tuple[str, ...]
    roles: tuple[Role, ...]


class Group(Struct, frozen=True):
    """A group with the names of its members."""

    name: str
    members: tuple[str, ...]


class LoginLink(Struct, frozen=True):
    """A link that signs one browser in, once."""

    url: str
    expires_in_s: int


class Done(Struct, frozen=True):
    """Whether something was there to be done."""

    done: bool


class _Users(Struct, frozen=True):
    users: tuple[User, ...]


class _Groups(Struct, frozen=True):
    groups: tuple[Group, ...]


class People:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def users(self) -> tuple[User, ...]:
        """All users by name."""
        return self._api.get("/v1/users", _Users).users

    def user(self, name: str) -> User:
        """One user."""
        return self._api.get(_user(name), User)

    def add_user(self, name: str) -> User:
        """Add a user, who may read nothing until something is granted."""
        return self._api.send("POST", "/v1/users", User, {"name": name}, once())

    def set_disabled(self, name: str, disabled: bool) -> User:
        """Shut a user out from the next request on, or let one in again."""
        return self._api.send("PATCH", _user(name), User, {"disabled": disabled}, once())

    def remove_user(self, name: str) -> None:
        """Remove a user with all that was granted."""
        self._api.delete(_user(name), Done)

    def give_role(self, name: str, role: Role) -> User:
        """Make a user an admin or an auditor."""
        return self._api.send("PUT", f"{_user(name)}/roles/{role}", User, None, once())

    def take_role(self, name: str, role: Role) -> User:
        """Take a role back."""
        return self._api.delete(f"{_user(name)}/roles/{role}", User)

    def login_link(self, name: str | None = None) -> LoginLink:
        """A link that signs a user in, the operator where none is named; for the operator."""
        return self._api.send("POST", "/v1/login-links", LoginLink, {"user": name})

    def groups(self) -> tuple[Group, ...]:
        """All groups by name."""
        return self._api.get("/v1/groups", _Groups).groups

    def group(self, name: str) -> Group:
        """One group."""
        return self._api.get(_group(name), Group)

    def add_group(self, name: str) -> Group:
        """Add a group without members."""
        return self._api.send("POST", "/v1/groups", Group, {"name": name}, once())

    def remove_group(self, name: str) -> None:
        """Remove a group with all that was granted to it; its members stay."""
        self._api.delete(_group(name), Done)

    def join(self, group: str, user: str) -> Group:
        """Put a user into a group."""
        return self._api.send("PUT", _member(group, user), Group, None, once())

    def leave(self, group: str, user: str) -> Group:
        """Take a user out of a group; in force from the next request on."""
        return self._api.delete(_member(group, user), Group)


def _user(name: str) -> str:
    return f"/v1/users/{segment(name)}"


def _group(name: str) -> str:
    return f"/v1/groups/{segment(name)}"


def _member(group: str, user: str) -> str:
    return f"{_group(group)}/members/{segment(user)}"

"""The caller's own account: who it is, where it is signed in, its password."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from rag.client.transport import Transport, once


class Granted(Struct, frozen=True):
    """A collection, and what may be done with it."""

    name: str
    right: Literal["read", "manage"]


class Me(Struct, frozen=True):
    """Who the caller is; `kind` is how that was shown: bearer, session, same_user or key."""

    name: str
    kind: str = "session"
    roles: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    collections: tuple[Granted, ...] = ()
    has_password: bool = False


class Session(Struct, frozen=True):
    """That somebody is signed in; `current` by the credential of this very client."""

    id: int
    how: str
    address: str
    agent: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    current: bool


class Sessions(Struct, frozen=True):
    """Sessions, newest first."""

    sessions: list[Session]


class Account:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def me(self) -> Me:
        """Who the caller is, and what for."""
        return self._api.get("/v1/me", Me)

    def set_password(self, password: str, current: str = "") -> None:
        """Change the password; the account's other sessions end."""
        body = {"password": password, "current": current}
        self._api.tell("POST", "/v1/me/password", body)

    def sessions(self) -> list[Session]:
        """Where the caller is signed in, newest first."""
        return self._api.get("/v1/sessions", Sessions).sessions

    def end_session(self, session_id: int) -> None:
        """End one of them at once."""
        self._api.tell("DELETE", f"/v1/sessions/{session_id}", None, once())

    def sign_out(self) -> None:
        """End the session that this client shows; nothing more can be asked with it."""
        self._api.tell("POST", "/v1/sign-out")

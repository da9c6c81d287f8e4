"""API keys of programs. The text of a key is in the answer that makes it, and nowhere else."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct

from rag.client.transport import Transport, once


class Key(Struct, frozen=True):
    """A key without its text; `shown` are its first characters, to know it again."""

    id: int
    owner: str
    name: str
    shown: str
    scopes: tuple[str, ...]
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class MadeKey(Key, frozen=True):
    """A new key with its text, to be sent as `Authorization: Bearer …`."""

    key: str


class _Keys(Struct, frozen=True):
    keys: tuple[Key, ...]


class Keys:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def list(self, user: str | None = None, *, everyone: bool = False) -> tuple[Key, ...]:
        """The caller's keys, newest first; for admins also another's, or everybody's."""
        params = {"user": user} if user is not None else {}
        return self._api.get("/v1/keys", _Keys, params | ({"all": "true"} if everyone else {})).keys

    def make(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        user: str | None = None,
        valid_days: int | None = None,
    ) -> MadeKey:
        """Make a key, for ever where no days are given; for admins also for another user.

        It is sent once, without an Idempotency-Key: the server doesn't keep a response with a
        secret in it.
        """
        body: dict[str, Any] = {"name": name, "scopes": [*scopes], "valid_days": valid_days}
        return self._api.send("POST", "/v1/keys", MadeKey, body | ({"user": user} if user else {}))

    def revoke(self, key_id: int) -> None:
        """Revoke a key at once."""
        self._api.tell("DELETE", f"/v1/keys/{key_id}", None, once())

"""The server itself: whether it can answer, and how it is set up."""

from typing import Literal

from msgspec import Struct

from rag.client.transport import Transport

Value = str | int | float | bool | list[str] | dict[str, str] | None


class Setting(Struct, frozen=True):
    """A setting as the server sees it; of a secret only whether it is set."""

    name: str
    value: Value
    description: str


class Alive(Struct, frozen=True):
    """The process lives."""

    status: Literal["ok"]


class Ready(Struct, frozen=True):
    """The server can answer: with `quotes`, or what an `engine` writes, with a guard or without."""

    status: Literal["ready"]
    answers: Literal["quotes", "engine"]
    guard: Literal["on", "none", "unguarded"]


class _Settings(Struct, frozen=True):
    settings: tuple[Setting, ...]


class Settings:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def list(self) -> tuple[Setting, ...]:
        """Every setting, for admins."""
        return self._api.get("/v1/settings", _Settings).settings


class Health:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def alive(self) -> Alive:
        """The process lives."""
        return self._api.get("/healthz", Alive)

    def ready(self) -> Ready:
        """Store, indexes and models are loaded; while they are not, the problem is `passing`."""
        return self._api.get("/readyz", Ready)

"""Collections: those that the caller may read, and making and removing them."""

from typing import Literal

from msgspec import Struct

from rag.client.transport import Transport, once, segment


class Collection(Struct, frozen=True):
    """A collection, what the caller may read of it, and what the caller may do with it."""

    name: str
    n_documents: int
    n_chunks: int = 0
    right: Literal["read", "manage"] = "read"


class Removed(Struct, frozen=True):
    """The collection that was removed, and how much with it."""

    name: str
    n_documents_removed: int


class _Collections(Struct, frozen=True):
    collections: tuple[Collection, ...]


class _Made(Struct, frozen=True):
    name: str


class Collections:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def list(self) -> tuple[Collection, ...]:
        """The collections that the caller may read, by name."""
        return self._api.get("/v1/collections", _Collections).collections

    def create(self, name: str) -> str:
        """Make an empty one, which nobody may read until it is granted; returns its name."""
        made = self._api.send("POST", "/v1/collections", _Made, {"name": name}, once())
        return made.name

    def delete(self, name: str, *, force: bool = False) -> Removed:
        """Remove one with its grants and limits; one that holds files only with `force`."""
        params = {"force": "true"} if force else {}
        return self._api.delete(f"/v1/collections/{segment(name)}", Removed, params)

"""Who may read what: grants of collections, and limits within them. For who manages them."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from rag.client.people import Done
from rag.client.transport import Transport, once

Right = Literal["read", "manage"]


class Grant(Struct, frozen=True):
    """What a principal (user:NAME, group:NAME, or operator) may do with a collection."""

    collection: str
    principal: str
    right: Right


class Limit(Struct, frozen=True, omit_defaults=True):
    """Who alone reads a file, or what is below a folder; None: all who may the collection.

    `origin` is who says so, in a list.
    """

    collection: str
    uri: str
    principals: tuple[str, ...] | None
    origin: Literal["command", "file", "permissions"] | None = None


class _Grants(Struct, frozen=True):
    grants: tuple[Grant, ...]


class _Limits(Struct, frozen=True):
    limits: tuple[Limit, ...]


class Access:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def grants(self, *collections: str) -> tuple[Grant, ...]:
        """Who may read or manage these collections, or all that the caller manages."""
        return self._api.get("/v1/grants", _Grants, _of(collections)).grants

    def grant(self, collection: str, principal: str, right: Right = "read") -> Grant:
        """Let a user or group read a collection, or manage it; from the next request on."""
        grant = Grant(collection, principal, right)
        return self._api.send("PUT", "/v1/grants", Grant, grant, once())

    def revoke(self, collection: str, principal: str) -> bool:
        """Take a grant back, from the next request on; False where there was none."""
        params = {"collection": collection, "principal": principal}
        return self._api.delete("/v1/grants", Done, params).done

    def limits(self, *collections: str) -> tuple[Limit, ...]:
        """The files and folders of these collections that not everyone may read who may them."""
        return self._api.get("/v1/limits", _Limits, _of(collections)).limits

    def limit(self, collection: str, uri: str, principals: Iterable[str]) -> Limit:
        """Let only these read a file, or what is and will be below a folder."""
        limit = Limit(collection, uri, tuple(principals))
        return self._api.send("PUT", "/v1/limits", Limit, limit, once())

    def unlimit(self, collection: str, uri: str) -> None:
        """Let everyone who may read the collection read a file or folder of it again."""
        self._api.delete("/v1/limits", Done, {"collection": collection, "uri": uri})


def _of(collections: tuple[str, ...]) -> dict[str, list[str]]:
    return {"collection": [*collections]} if collections else {}

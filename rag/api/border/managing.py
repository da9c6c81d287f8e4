"""Who may change what is in a collection, and who may read it."""

from rag.api.border.auth import ASK_ADMIN, Caller, access_of, number_of
from rag.errors import Forbidden
from rag.store import Sight, Store
from rag.types import Access


def is_admin(caller: Caller) -> bool:
    """Whether the caller administers everything."""
    return caller.owner == "operator" or "admin" in caller.roles


def for_manager(caller: Caller, store: Store, collection: str) -> Access:
    """Let only those pass who manage a collection; returns what they may read of it.

    Raises:
        NotFound: it does not exist or may not be read.
        Forbidden: it may be read, and not managed.
    """
    access = access_of(caller, store, [collection])
    if not store.may_manage(number_of(caller, store), collection):
        raise Forbidden(
            f"you may read the collection {collection!r}, and not manage it", hint=ASK_ADMIN
        )
    return access


def for_steward(caller: Caller, store: Store, collection: str) -> None:
    """Let only those pass who manage a collection, and admins, who need no right to read it.

    Raises:
        NotFound: a caller who is no admin may not read it.
        Forbidden: such a caller may read it, and not manage it.
    """
    if not is_admin(caller):
        for_manager(caller, store, collection)


def stewarded(caller: Caller, store: Store) -> frozenset[str]:
    """The collections for which `for_steward` lets the caller pass."""
    if is_admin(caller):
        return frozenset(info.name for info in store.collections())
    return store.manageable(number_of(caller, store))


def sight_of(caller: Caller, store: Store) -> Sight:
    """Which ingest runs the caller sees."""
    number = number_of(caller, store)
    return Sight(number, store.manageable(number), everything=is_admin(caller))

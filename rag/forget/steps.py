"""The steps of forgetting, each of which can be done again, in an order that can be cut anywhere.

    content     out of every table, in one transaction: in force for the next query
    originals   the kept copies of the files
    snapshots   of both indexes, which are built anew from the store
    space       free pages of the database and its write-ahead log

The next step is noted in the store. Whoever opens it next finishes what was cut off.
"""

import time
from collections.abc import Callable, Iterator

from rag.search import snapshot
from rag.store import Deletion, Store

CONTENT, ORIGINALS, SNAPSHOTS, SPACE = "content", "originals", "snapshots", "space"
STEPS = {"documents": (CONTENT, ORIGINALS, SNAPSHOTS, SPACE), "user": (CONTENT, SPACE)}
SERVERS_WAIT_S = 20.0
_LOOK_AGAIN_S = 0.2


def steps(store: Store, deletion: Deletion) -> Iterator[str]:
    """Do what is left of a deletion; yields each step's name once it is done and noted."""
    order = STEPS[deletion.kind]
    for number in range(order.index(deletion.step), len(order)):
        following = order[number + 1] if number + 1 < len(order) else None
        _do(store, deletion, order[number], following)
        yield order[number]


def finish(store: Store) -> int:
    """Do what is left of every deletion that was cut off; returns how many there were."""
    unfinished = store.erasure.unfinished()
    for deletion in unfinished:
        for _ in steps(store, deletion):
            pass
    return len(unfinished)


def _do(store: Store, deletion: Deletion, step: str, following: str | None) -> None:
    if step == CONTENT:
        store.erasure.content(deletion, following or SPACE)
        return
    if step == ORIGINALS:
        store.originals.remove(deletion.detail["sha256s"], store.erasure.referenced())
    elif step == SNAPSHOTS:
        snapshot.discard_all(store)
    else:
        store.erasure.squeeze()
    store.erasure.advance(deletion, step, following)
    if step == SNAPSHOTS:  # of one that was recorded before its writer could know of the deletion
        snapshot.discard_all(store)


def wait_for_servers(
    store: Store, before: set[str], say: Callable[[str], None], wait_s: float = SERVERS_WAIT_S
) -> bool:
    """Wait until processes that were running have let go of their private copies of an index.

    They do so by themselves within seconds. False where one has not.
    """
    deadline, told = time.monotonic() + wait_s, False
    while still := before & working_folders(store):
        if time.monotonic() > deadline:
            return False
        if not told:
            say(f"waiting for {len(still)} running process(es) to load the new indexes")
            told = True
        time.sleep(_LOOK_AGAIN_S)
        snapshot.clear_leftovers(store)
    return True


def working_folders(store: Store) -> set[str]:
    """The private folders of all processes that have the indexes open."""
    snapshot.clear_leftovers(store)
    work = store.data_dir / "work"
    return {folder.name for folder in work.iterdir()} if work.is_dir() else set()

"""What a look into the store costs, in steps of SQLite's machine, which no other work disturbs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from store_samples import commit

from rag.store import Store
from rag.types import Access

DOCS = Access(frozenset({"docs"}))


@contextmanager
def counted(data_dir: Path) -> Iterator[tuple[Store, Callable[[], int]]]:
    """An open store, and how many steps its connections have taken."""
    steps: list[None] = []

    def watch(connection: Any, _: object) -> None:
        connection.set_progress_handler(lambda: steps.append(None), 1)

    event.listen(Engine, "connect", watch)
    try:
        with Store.open(f"sqlite:///{data_dir / 'citadel.db'}", data_dir=data_dir) as store:
            yield store, lambda: len(steps)
    finally:
        event.remove(Engine, "connect", watch)


def test_checking_hits_takes_as_long_whatever_their_collection_holds(tmp_path: Path) -> None:
    hits = range(1, 41)
    with counted(tmp_path / "data") as (store, steps):

        def spent() -> int:
            before = steps()
            assert store.chunks(DOCS, hits).keys() == set(hits)
            return steps() - before

        commit(store, "/hits", *(f"hit {number}" for number in hits))
        alone = spent()
        for number in range(100):
            commit(store, f"/{number}", "other")
        assert spent() < 1.5 * alone

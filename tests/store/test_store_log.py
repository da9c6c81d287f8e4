"""The change log says what the tables hold, and the indexes can be built from them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import (
    MODEL,
    commit,
    commit_mail,
    document,
    failed,
    replay,
    source,
    stored,
    vectors,
)

from rag.errors import NotFound
from rag.store import Store
from rag.types import Snapshot

URIS = st.sampled_from(["/a", "/b", "/c/d", "/c/e"])
CONTENTS = st.sampled_from(["1", "2"])
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), URIS, CONTENTS),
    st.tuples(st.just("fail"), URIS, CONTENTS),
    st.tuples(st.just("move"), URIS, URIS),
    st.tuples(st.just("remove"), URIS, URIS),
)


class Tree:
    """The files as they should be: the content of each, None where it failed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.content: dict[str, str | None] = {}

    def put(self, uri: str, content: str) -> None:
        commit_mail(self.store, uri, *["attached"] * int(content == "2"), content=content)
        self.content[uri] = content

    def fail(self, uri: str, content: str) -> None:
        self.store.record_failure("docs", failed(uri, content))
        if self.content.get(uri) != content:
            self.content[uri] = None

    def move(self, old: str, new: str) -> None:
        content = self.content.get(old)
        if content is None:
            with pytest.raises(NotFound):
                self.store.move_source("docs", old, source(new))
            return
        self.store.move_source("docs", old, source(new, content))
        self.content[new] = self.content.pop(old)

    def remove(self, first: str, second: str) -> None:
        self.store.remove_sources("docs", [first, second])
        self.content.pop(first, None)
        self.content.pop(second, None)

    def documents(self) -> list[tuple[str, str]]:
        """URI and text of every document that should be there."""
        found = []
        for uri, content in self.content.items():
            if content is not None:
                found.append((uri, f"mail {content}"))
            if content == "2":
                found.append((f"{uri}#attached", "text of attached\n\nmore"))
        return sorted(found)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(operations=st.lists(OPERATIONS, max_size=12))
def test_replaying_the_log_gives_the_tables(
    store: Store, operations: list[tuple[str, str, str]]
) -> None:
    store.remove_sources("docs", [s.uri for s in store.sources("docs", "/")])
    tree = Tree(store)
    for name, first, second in operations:
        getattr(tree, name)(first, second)
    assert replay(store, limit=7) == stored(store)
    access = store.access_to_all()
    listed = store.list_documents(access)
    assert sorted((d.source_uri, store.text(access, d.id)) for d in listed) == tree.documents()
    assert {s.uri for s in store.sources("docs", "/")} == set(tree.content)
    assert store.check() == []


def test_changes_are_given_in_order_up_to_the_limit(store: Store) -> None:
    for i in range(5):
        commit(store, f"/{i}", "x")
    assert [c.seq for c in store.changes(0, limit=2)] == [1, 2]
    assert [c.seq for c in store.changes(3)] == [4, 5]
    assert store.changes(5) == []
    assert store.head() == 5


def test_index_rows_carry_what_is_embedded_and_indexed(store: Store) -> None:
    new = document("/folder/Price list 2024.pdf", ["one", "two"], title="Prices")
    store.commit_source("docs", source(new.source_uri), [new], model_id=MODEL)
    rows = store.index_rows([2, 1, 77])
    assert [row.chunk_id for row in rows] == [1, 2]
    row = rows[1]
    assert (row.document_id, row.collection, row.language) == (1, "docs", "en")
    assert (row.title, row.name, row.heading) == ("Prices", "Price list 2024", "Part > § 1")
    assert row.text == "two"
    assert row.vector.dtype == np.float32
    assert (row.vector == vectors(["two"])[0]).all()
    assert store.model_ids() == {MODEL}


def test_reading_shows_one_moment(store: Store, url: str, data_dir: Path) -> None:
    for i in range(5):
        commit(store, f"/{i}", "x", "y")
    with store.reading(batch=3) as (seq, batches):
        first = next(batches)
        with Store.open(url, data_dir=data_dir) as other:
            commit(other, "/0", "changed")
            commit(other, "/6", "new")
        ids = [row.chunk_id for batch in (first, *batches) for row in batch]
    assert (seq, ids) == (5, list(range(1, 11)))
    with store.reading() as (seq, batches):
        assert seq == store.head() == 8
        assert sorted(row.chunk_id for batch in batches for row in batch) == [
            *range(3, 11),
            *(11, 12),
        ]


def test_snapshots_are_recorded_newest_first(store: Store) -> None:
    old = Snapshot("dense", 3, "index/dense-3", "ab", "flat")
    new = Snapshot("dense", 9, "index/dense-9", "cd", "flat")
    for snapshot in (old, new, Snapshot("lexical", 9, "index/lexical-9", "ef", "v1")):
        store.snapshots.record(snapshot)
    assert store.snapshots.of_kind("dense") == [new, old]
    again = Snapshot("dense", 12, "index/dense-3", "ee", "flat")
    store.snapshots.record(again)
    assert store.snapshots.of_kind("dense") == [again, new]
    store.snapshots.forget("index/dense-9")
    store.snapshots.forget("index/never-was")
    assert store.snapshots.of_kind("dense") == [again]

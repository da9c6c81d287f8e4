"""Whatever happens to documents, snapshots and processes: store and indexes hold the same."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from index_samples import ALL, DIM, MODEL, commit, move, open_quietly, stored_ids, texts, vectors

from rag.search.indexes import rebuild, refresh_snapshots
from rag.search.verify import verify
from rag.store import Store

uris = st.sampled_from(["/a.txt", "/b.txt", "/c.txt", "/d.txt"])
collections = st.sampled_from(["docs", "board"])
paragraphs = st.lists(st.sampled_from(["pay", "leave", "notice", "travel"]), min_size=1, max_size=3)


class Follow(RuleBasedStateMachine):
    """Random changes, with snapshots and restarts in between."""

    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        data_dir = Path(shutil.copytree(self.migrated, Path(self.folder.name) / "data"))
        self.store = Store.open(f"sqlite:///{data_dir / 'citadel.db'}", data_dir=data_dir)
        self.indexes = open_quietly(self.store)
        self.known: dict[tuple[str, str], list[str]] = {}
        self.n = 0

    @rule(collection=collections, uri=uris, parts=paragraphs)
    def put(self, collection: str, uri: str, parts: list[str]) -> None:
        self.n += 1
        numbered = [f"{part} {self.n} {i}" for i, part in enumerate(parts)]
        commit(self.store, uri, *numbered, collection=collection)
        self.known[collection, uri] = numbered

    @rule(collection=collections, uri=uris)
    def remove(self, collection: str, uri: str) -> None:
        self.store.remove_sources(collection, [uri])
        self.known.pop((collection, uri), None)

    @rule(collection=collections, old=uris, new=uris)
    def move(self, collection: str, old: str, new: str) -> None:
        if (collection, old) in self.known:
            move(self.store, old, new, collection)
            self.known[collection, new] = self.known.pop((collection, old))

    @rule()
    def catch_up(self) -> None:
        self.indexes.catch_up()

    @rule()
    def publish(self) -> None:
        refresh_snapshots(self.store, MODEL, DIM, "auto", lambda _: None)

    @rule()
    def publish_own(self) -> None:
        self.indexes.catch_up()
        self.indexes.publish()

    @rule()
    def restart(self) -> None:
        self.indexes.close()
        self.indexes = open_quietly(self.store)

    @rule()
    def build_anew(self) -> None:
        rebuild(self.store, MODEL, DIM, "auto", lambda _: None)

    @rule(word=st.sampled_from(["pay", "leave", "notice", "travel"]))
    def search(self, word: str) -> None:
        self.indexes.catch_up()
        expected = {
            text for parts in self.known.values() for text in parts if text.startswith(word)
        }
        lexical = [i for i, _ in self.indexes.lexical.search(word, 100, ALL)]
        assert set(texts(self.store, lexical)) == expected
        dense = [i for i, _ in self.indexes.dense.search(vectors([word])[0], 100, ALL)]
        assert len(dense) == sum(map(len, self.known.values()))

    @invariant()
    def all_hold_the_same(self) -> None:
        if self.n % 2:  # not after every step, so that changes gather
            self.indexes.catch_up()
            stored = stored_ids(self.store)
            assert sorted(self.indexes.dense.ids()) == stored
            assert sorted(self.indexes.lexical.ids()) == stored

    def teardown(self) -> None:
        assert verify(self.store, MODEL, DIM, "auto", lambda _: None) == []
        self.indexes.close()
        self.store.close()
        self.folder.cleanup()


def test_store_and_indexes_agree_after_any_sequence_of_changes(
    migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search.indexes.REPLAY_BATCH", 4)
    Follow.migrated = migrated
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Follow,
        settings=hypothesis_settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""Snapshots of the indexes, which nobody has to trust."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from index_samples import (
    DIM,
    DOCS,
    MODEL,
    commit,
    found,
    level,
    open_quietly,
    published,
    snapshot_folders,
    stored_ids,
    vectors,
)

from rag.errors import SearchIndexError
from rag.forget.steps import steps
from rag.search import snapshot
from rag.search.indexes import FORMATS, open_indexes, rebuild, refresh_snapshots
from rag.store import Store


def test_a_snapshot_is_loaded_and_what_came_after_is_replayed(store: Store) -> None:
    published(store)
    commit(store, "/later.txt", "a later notice")
    store.remove_sources("docs", ["/2.txt"])
    said: list[str] = []
    with open_quietly(store, said=said) as indexes:
        assert not indexes.rebuilt
        assert said == []
        assert found(indexes, store, "notice") == {"notice 0", "travel 0", "a later notice"}
        level(indexes, store)


def test_indexes_that_cannot_be_kept_are_searched_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    commit(store, "/1.txt", "notice 1")
    with monkeypatch.context() as patched:
        patched.setattr("rag.search.snapshot._sync", full)
        said: list[str] = []
        with open_quietly(store, said=said) as indexes:
            assert found(indexes, store, "notice") == {"notice 1"}
        assert any("No space left on device" in line for line in said)
        with pytest.raises(SearchIndexError, match="cannot write the dense index") as caught:
            refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
        assert "free space" in caught.value.hint
    assert snapshot_folders(store.data_dir) == []
    assert list((store.data_dir / "work").iterdir()) == []


def test_what_is_forgotten_while_a_snapshot_is_written_is_in_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, "/1.txt", "notice 1")
    document = commit(store, "/2.txt", "zephyr 2")
    directory_sha256, folders = snapshot.directory_sha256, []

    def overtaken(folder: Path) -> str:
        """Somebody forgets a document just before the first snapshot is recorded."""
        folders.append(folder)
        if len(folders) == 1:
            list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))
        return directory_sha256(folder)

    monkeypatch.setattr("rag.search.snapshot.directory_sha256", overtaken)
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    assert len(folders) > 2, "written once more"
    written = [store.data_dir / "snapshots" / name for name in snapshot_folders(store.data_dir)]
    assert written
    assert not any(b"zephyr" in file.read_bytes() for one in written for file in one.iterdir())
    with open_quietly(store) as indexes:
        assert not indexes.rebuilt
        level(indexes, store)


def test_an_unchanged_store_writes_no_snapshot(store: Store) -> None:
    published(store)
    before = snapshot_folders(store.data_dir)
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    assert snapshot_folders(store.data_dir) == before


def test_only_two_snapshots_of_each_kind_are_kept_and_no_scratch(store: Store) -> None:
    for n in range(5):
        commit(store, f"/{n}.txt", f"notice {n}")
        refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    folders = snapshot_folders(store.data_dir)
    assert [name.rsplit("-", 1)[0] for name in folders] == [
        "dense-4",
        "dense-5",
        "lexical-4",
        "lexical-5",
    ]
    recorded = [*store.snapshots.of_kind("dense"), *store.snapshots.of_kind("lexical")]
    assert sorted(s.path for s in recorded) == [f"snapshots/{name}" for name in folders]
    assert list((store.data_dir / "work").iterdir()) == []


@pytest.mark.parametrize("kind", ["dense", "lexical"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "add", "folder", "remove all"])
def test_a_damaged_snapshot_is_never_trusted_and_never_fatal(
    kind: snapshot.Kind, harm: str, store: Store
) -> None:
    published(store)
    for file in _files(store, kind) if harm in ("flip", "cut", "remove") else [None]:
        shutil.rmtree(store.data_dir / "snapshots")
        rebuild(store, MODEL, DIM, "auto", lambda _: None)
        damaged = store.snapshots.of_kind(kind)[0]
        _harm(store.data_dir / damaged.path, harm, file)
        said: list[str] = []
        with open_quietly(store, said=said) as indexes:
            assert indexes.rebuilt, f"{harm} {file}"
            level(indexes, store)
            assert found(indexes, store, "notice") == {
                "notice 0",
                "travel 0",
                "notice 2",
                "travel 2",
            }
        assert f"the {kind} index snapshot" in said[0]
        assert "not used" in said[0]
        assert damaged not in store.snapshots.of_kind(kind), "what is damaged is forgotten"
        with open_quietly(store) as again:
            assert not again.rebuilt, "what was built is kept for the next process"


def _files(store: Store, kind: snapshot.Kind) -> list[str]:
    """One file of each sort; a segment's name is another each time."""
    directory = store.data_dir / store.snapshots.of_kind(kind)[0].path
    return sorted(
        {f"*{file.suffix}" if kind == "lexical" else file.name for file in directory.iterdir()}
    )


def _harm(directory: Path, harm: str, pattern: str | None) -> None:
    if harm == "remove all":
        shutil.rmtree(directory)
    elif harm == "add":
        (directory / "more.bin").write_bytes(b"more")
    elif harm == "folder":
        (directory / "folder").mkdir()
    else:
        assert pattern is not None
        file = next(iter(sorted(directory.glob(pattern))))
        content = bytearray(file.read_bytes())
        if harm == "remove" or not content:
            file.unlink()
        elif harm == "cut":
            file.write_bytes(content[: len(content) // 2])
        else:
            content[len(content) // 2] ^= 1
            file.write_bytes(content)


def test_a_snapshot_that_hashes_right_and_is_no_index_is_built_anew(store: Store) -> None:
    published(store)
    for kind in ("dense", "lexical"):
        config = store.snapshots.of_kind(kind)[0].config
        snapshot.publish(
            store,
            kind,
            store.head(),
            config,
            lambda d: (d / "meta.json").write_text("no index") and None,
        )
    said: list[str] = []
    with open_quietly(store, said=said) as indexes:
        level(indexes, store)
    assert any("building it anew" in line for line in said)
    assert list((store.data_dir / "work").iterdir()) == [], "the failed attempt left nothing"


def test_a_snapshot_of_another_model_is_not_used(store: Store) -> None:
    published(store)
    with open_quietly(store, "model-b") as indexes:
        assert indexes.rebuilt
        assert indexes.dense.ids() == []
        assert sorted(indexes.lexical.ids()) == stored_ids(store)
    with open_quietly(store) as indexes:
        assert not indexes.rebuilt, "the other model's snapshot is left alone"


def test_a_snapshot_whose_words_were_broken_in_another_way_is_built_anew(store: Store) -> None:
    """As after an update of the product: "schema 2" broke Thai at every vowel sign."""
    commit(store, "/th.txt", "พนักงานมีสิทธิลาพักร้อนได้ปีละสิบวัน", language="th")
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    for recorded in store.snapshots.of_kind("lexical"):
        store.snapshots.forget(recorded.path)
        store.snapshots.record(replace(recorded, config="schema 2"))
    with open_quietly(store) as indexes:
        assert indexes.rebuilt
        assert len(indexes.lexical.search("พักร้อน", 10, DOCS)) == 1
        level(indexes, store)


def test_snapshots_ahead_of_the_store_are_not_used(store: Store, tmp_path: Path) -> None:
    """As after a backup of the database alone was put back."""
    commit(store, "/a.txt", "notice")
    backup = tmp_path / "backup.db"
    published(store)
    snapshots = [*store.snapshots.of_kind("dense"), *store.snapshots.of_kind("lexical")]
    data_dir = tmp_path / "other"
    shutil.copytree(store.data_dir / "snapshots", data_dir / "snapshots")
    with Store.open(f"sqlite:///{backup}", data_dir=data_dir) as older:
        commit(older, "/b.txt", "travel")
        for ahead in snapshots:
            older.snapshots.record(ahead)
        with open_quietly(older) as indexes:
            assert found(indexes, older, "notice travel") == {"travel"}
            level(indexes, older)


def test_half_a_pair_of_snapshots_is_not_used_alone(store: Store) -> None:
    """As after a kill between the one and the other."""
    published(store)
    commit(store, "/later.txt", "a later notice")
    with open_quietly(store) as indexes:
        config = store.snapshots.of_kind("dense")[0].config
        snapshot.publish(store, "dense", indexes.seq, config, indexes.dense.save)
    with open_quietly(store) as indexes:
        assert not indexes.rebuilt, "the pair before it is"
        level(indexes, store)


def test_publishing_while_searching_goes_on_loses_nothing(store: Store) -> None:
    with open_quietly(store) as indexes:
        for n in range(4):
            commit(store, f"/{n}.txt", f"notice {n}")
            indexes.catch_up()
            indexes.publish()
            level(indexes, store)
        store.remove_sources("docs", ["/0.txt"])
        assert found(indexes, store, "notice") == {"notice 1", "notice 2", "notice 3"}


def test_a_rebuild_replaces_every_snapshot_and_counts_the_chunks(store: Store) -> None:
    published(store)
    before = snapshot_folders(store.data_dir)
    assert rebuild(store, MODEL, DIM, "auto", lambda _: None) == 4
    assert not set(before) & set(snapshot_folders(store.data_dir))
    with open_quietly(store) as indexes:
        assert not indexes.rebuilt
        level(indexes, store)


def test_a_rebuild_does_not_disturb_who_has_the_old_snapshot_open(store: Store) -> None:
    published(store)
    with open_quietly(store) as indexes:
        rebuild(store, MODEL, DIM, "auto", lambda _: None)
        commit(store, "/later.txt", "a later notice")
        level(indexes, store)
        assert "a later notice" in found(indexes, store, "notice")


def test_the_type_of_the_dense_index_follows_the_number_of_chunks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search.dense.IVF_FROM", 10)
    published(store)
    assert store.snapshots.of_kind("dense")[0].config == f"{MODEL} flat {FORMATS['flat']}"
    commit(store, "/long.txt", *(f"rule {n}" for n in range(20)))
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)
    assert store.snapshots.of_kind("dense")[0].config == f"{MODEL} ivf {FORMATS['ivf']}"
    with open_quietly(store) as indexes:
        assert not indexes.rebuilt
        assert indexes.dense.kind == "ivf"
        level(indexes, store)


def test_an_eight_bit_index_that_began_empty_still_agrees_with_the_exact_one(store: Store) -> None:
    with open_indexes(store, MODEL, DIM, "sq8", print) as coarse:
        commit(store, "/first.txt", "one word")
        coarse.catch_up()
        commit(store, "/more.txt", *(f"rule {n} of chapter {n % 9}" for n in range(300)))
        coarse.catch_up()
        with open_indexes(store, MODEL, DIM, "flat", print) as exact:
            for query in ("rule 7", "chapter 3", "rule 250 of chapter 7"):
                vector = vectors([query])[0]
                ours = dict(coarse.dense.search(vector, 10, DOCS))
                theirs = dict(exact.dense.search(vector, 10, DOCS))
                assert len(ours.keys() & theirs.keys()) >= 9

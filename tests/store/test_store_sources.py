"""The record of files: what moves, fails, is touched and goes."""

from dataclasses import replace

import pytest
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
from rag.types import Access

DOCS = Access(frozenset({"docs"}))


def test_sources_are_those_at_the_path_and_below(store: Store) -> None:
    uris = ["/a", "/a/b", "/a/b/c.txt", "/a/é%_.txt", "/a.txt", "/a0", "/ab", "/A/b", "/b"]
    for uri in uris:
        store.record_failure("docs", failed(uri))
    store.record_failure("others", failed("/a/elsewhere"))

    def under(uri: str) -> list[str]:
        return [s.uri for s in store.sources("docs", uri)]

    assert under("/a") == under("/a/") == ["/a", "/a/b", "/a/b/c.txt", "/a/é%_.txt"]
    assert under("/a/b") == ["/a/b", "/a/b/c.txt"]
    assert under("/") == sorted(uris)
    assert under("/nowhere") == []
    assert store.sources("nothing", "/") == []


def test_source_is_read_back_as_it_was_recorded(store: Store) -> None:
    good, bad = source("/good", size_bytes=2**40), failed("/bad", retry=True)
    store.commit_source("docs", good, [document("/good", ["x"])], model_id=MODEL)
    store.record_failure("docs", bad)
    assert store.sources("docs", "/") == [bad, good]
    assert store.failures() == store.failures("docs") == [("docs", bad)]
    assert store.failures("others") == []


def test_message_with_the_bytes_of_a_broken_file_is_recorded(store: Store) -> None:
    store.record_failure("docs", failed("/bad", error="found \0 and \udc80 at 3"))
    assert store.failures()[0][1].error == "found \\0 and \\udc80 at 3"


def test_failure_removes_what_the_older_version_gave(store: Store) -> None:
    ids = commit_mail(store, "/m.eml", "a.txt")
    store.record_failure("docs", failed("/m.eml", "2"))
    assert store.count_documents(DOCS) == 0
    assert [(c.op, c.document_id) for c in store.changes(2)] == [("delete", i) for i in ids]
    assert [s.state for s in store.sources("docs", "/")] == ["failed"]
    assert store.check() == []


def test_failure_is_forgotten_when_the_file_is_ingested(store: Store) -> None:
    store.record_failure("docs", failed("/a", "x"))
    commit(store, "/a", "x")
    assert store.failures() == []
    assert store.count_documents(DOCS) == 1


def test_failure_of_a_slower_run_does_not_undo_the_faster(store: Store) -> None:
    commit(store, "/a", "x")
    store.record_failure("docs", failed("/a", "x"))
    assert store.failures() == []
    assert store.count_documents(DOCS) == 1


def test_only_a_failed_source_is_recorded_as_failure(store: Store) -> None:
    with pytest.raises(ValueError):
        store.record_failure("docs", source("/a"))
    with pytest.raises(ValueError):
        store.commit_source("docs", failed("/a"), [document("/a", ["x"])], model_id=MODEL)


def test_move_keeps_ids_chunks_and_vectors(store: Store) -> None:
    mail, attachment = commit_mail(store, "/old/m.eml", "a.txt")
    before = store.document_chunks(DOCS, attachment)
    head = store.head()
    store.move_source("docs", "/old/m.eml", source("/new/n.eml", mtime_ns=5))
    assert store.document(DOCS, mail).source_uri == "/new/n.eml"
    assert store.document(DOCS, attachment).source_uri == "/new/n.eml#a.txt"
    after = store.document_chunks(DOCS, attachment)
    assert after == [replace(chunk, source_uri="/new/n.eml#a.txt") for chunk in before]
    rows = store.index_rows([chunk.id for chunk in after])
    assert [row.name for row in rows] == ["n.eml#a"] * 2
    assert (rows[0].vector == vectors(["text of a.txt"])[0]).all()
    assert [(c.op, c.document_id) for c in store.changes(head)] == [
        ("put", mail),
        ("put", attachment),
    ]
    assert store.sources("docs", "/") == [source("/new/n.eml", mtime_ns=5)]
    assert store.check() == []


def test_move_onto_another_source_replaces_it(store: Store) -> None:
    (moved,) = commit(store, "/a", "x")
    commit(store, "/b", "y")
    store.move_source("docs", "/a", source("/b", "x"))
    assert [d.id for d in store.list_documents(DOCS)] == [moved]
    assert [s.uri for s in store.sources("docs", "/")] == ["/b"]
    assert replay(store) == stored(store)


def test_moving_what_is_gone_or_changed_or_failed_is_refused(store: Store) -> None:
    commit(store, "/a", "x")
    store.record_failure("docs", failed("/f", "x"))
    head = store.head()
    for old, new in (("/gone", source("/b", "x")), ("/a", source("/b", "y"))):
        with pytest.raises(NotFound):
            store.move_source("docs", old, new)
    with pytest.raises(NotFound):
        store.move_source("docs", "/f", source("/b", "x"))
    with pytest.raises(NotFound):
        store.move_source("nothing", "/a", source("/b", "x"))
    assert store.head() == head


def test_touch_changes_only_size_time_and_fingerprint(store: Store) -> None:
    commit(store, "/a", "x")
    commit(store, "/b", "x")
    head = store.head()
    touched = [source(uri, "x", mtime_ns=7, fingerprint="new") for uri in ("/a", "/b")]
    store.touch_source("docs", *touched)
    assert store.sources("docs", "/") == touched
    assert store.head() == head
    with pytest.raises(NotFound):
        store.touch_source("docs", source("/a", "x", mtime_ns=9), source("/gone", "x"))
    assert store.sources("docs", "/") == touched


def test_removed_sources_take_their_documents_along(store: Store) -> None:
    commit_mail(store, "/m.eml", "a.txt", "b.txt")
    commit(store, "/kept", "x")
    store.record_failure("docs", failed("/bad"))
    assert store.remove_sources("docs", ["/m.eml", "/bad", "/unknown"]) == 3
    assert [s.uri for s in store.sources("docs", "/")] == ["/kept"]
    assert store.count_documents(DOCS) == 1
    assert store.remove_sources("nothing", ["/kept"]) == 0
    assert replay(store) == stored(store)
    assert store.check() == []


def test_removal_of_many_sources_goes_in_batches(store: Store) -> None:
    uris = [f"/{i}" for i in range(450)]
    for uri in uris[:3] + uris[-3:]:
        commit(store, uri, "x")
    assert store.remove_sources("docs", uris) == 6
    assert store.count_documents(DOCS) == 0


def test_move_renames_a_title_that_came_from_the_files_name(store: Store) -> None:
    named = document("/acme_contract.txt", ["x"], title="acme contract")
    (moved,) = store.commit_source("docs", source("/acme_contract.txt"), [named], model_id=MODEL)
    store.move_source("docs", "/acme_contract.txt", source("/globex_contract.txt"))
    assert store.document(DOCS, moved).title == "globex contract"

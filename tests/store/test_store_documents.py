"""What was committed is read back, by those who may."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from store_samples import MODEL, commit, commit_mail, document, source, vectors

from rag.errors import NotFound
from rag.store import CollectionInfo, Store
from rag.types import Access, NewDocument

NOBODY = Access(frozenset())
DOCS = Access(frozenset({"docs"}))


def test_document_is_read_back_as_it_was_committed(store: Store) -> None:
    new = document("/a/b.txt", ["First paragraph, ünïcode 🏰.", "Second."], title="Über uns")
    (document_id,) = store.commit_source("docs", source("/a/b.txt"), [new], model_id=MODEL)
    found = store.document(DOCS, document_id)
    assert (found.collection, found.source_uri, found.title) == ("docs", "/a/b.txt", "Über uns")
    assert (found.n_chars, found.n_chunks, found.n_pages) == (len(new.text), 2, 1)
    assert (found.metadata, found.warnings) == (new.metadata, new.warnings)
    assert (found.size_bytes, found.content_sha256) == (new.size_bytes, new.content_sha256)
    assert found.parent_id is None
    assert timedelta(0) <= datetime.now(UTC) - found.ingested_at < timedelta(minutes=5)
    assert store.text(DOCS, document_id) == new.text
    assert store.pages(DOCS, document_id) == list(new.pages)
    assert store.page(DOCS, document_id, 1) == new.pages[0]
    stored = store.document_chunks(DOCS, document_id)
    assert [chunk.chunk for chunk in stored] == list(new.chunks)
    assert {(c.title, c.source_uri, c.language) for c in stored} == {("Über uns", "/a/b.txt", "en")}


def test_text_is_cut_as_python_cuts_it(store: Store) -> None:
    (document_id,) = commit(store, "/a", "🏰 castle", "moat")
    whole = store.text(DOCS, document_id)
    assert store.text(DOCS, document_id, 2, 8) == whole[2:8] == "castle"
    assert store.text(DOCS, document_id, 8) == whole[8:]


def test_table_header_comes_with_the_rows(store: Store) -> None:
    new = document("/t.csv", ["name | price", "cup | 3"])
    row = replace(new.chunks[1], header_start=0, header_end=12)
    new = replace(new, chunks=[new.chunks[0], row])
    store.commit_source("docs", source("/t.csv"), [new], model_id=MODEL)
    found = store.chunks(DOCS, [1, 2])
    assert (found[1].header, found[2].header) == ("", "name | price")
    assert store.index_rows([2])[0].text == "name | price\ncup | 3"


def test_the_day_of_a_document_is_its_own_or_else_that_of_its_file(store: Store) -> None:
    dated = replace(document("/a", ["one"]), metadata={"modified": "2023-10-27T11:03:16Z"})
    undated = replace(document("/b", ["two"]), metadata={"author": "Eva"})
    hidden = document("/c", ["three"])
    changed = int(datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()) * 10**9
    ids = [
        store.commit_source(
            collection, replace(source(new.source_uri), mtime_ns=changed), [new], model_id=MODEL
        )[0]
        for collection, new in (("docs", dated), ("docs", undated), ("board", hidden))
    ]
    assert store.days(DOCS, [*ids, 4711]) == {ids[0]: "2023-10-27", ids[1]: "2024-02-29"}


def test_document_without_chunks_or_pages_is_kept(store: Store) -> None:
    empty = replace(document("/a", []), pages=(), vectors=np.empty((0, 8), dtype=np.float32))
    (document_id,) = store.commit_source("docs", source("/a"), [empty], model_id=MODEL)
    assert store.pages(DOCS, document_id) == store.document_chunks(DOCS, document_id) == []
    assert store.check() == []


def test_changed_file_replaces_its_document(store: Store) -> None:
    (old,) = commit(store, "/a", "old")
    (kept,) = commit(store, "/b", "other")
    (new,) = commit(store, "/a", "new", "text")
    assert new not in (old, kept)
    assert [d.id for d in store.list_documents(DOCS)] == [kept, new]
    assert [store.text(DOCS, i) for i in (kept, new)] == ["other", "new\n\ntext"]
    assert [(c.op, c.document_id) for c in store.changes(2)] == [("delete", old), ("put", new)]
    assert store.check() == []


def test_ids_are_never_given_twice(store: Store) -> None:
    used: set[int] = set()
    for version in range(5):
        (document_id,) = commit(store, "/a", f"version {version}")
        ids = {chunk.id for chunk in store.document_chunks(DOCS, document_id)}
        assert not ids & used
        used |= ids
        store.remove_sources("docs", ["/a"])
    assert [c.document_id for c in store.changes(0) if c.op == "put"] == [1, 2, 3, 4, 5]


def test_same_fingerprint_changes_nothing(store: Store) -> None:
    ids = commit_mail(store, "/m.eml", "a.txt")
    head = store.head()
    assert commit_mail(store, "/m.eml", "a.txt") == ids
    assert store.head() == head


def test_empty_fingerprint_is_never_the_same(store: Store) -> None:
    unknown = source("/a", fingerprint="")
    first = store.commit_source("docs", unknown, [document("/a", ["x"])], model_id=MODEL)
    second = store.commit_source("docs", unknown, [document("/a", ["x"])], model_id=MODEL)
    assert first != second


def test_attachments_hang_on_their_mail_and_go_with_it(store: Store) -> None:
    mail, outer, inner = commit_mail(store, "/m.eml", "outer.eml", "inner.txt")
    assert [d.id for d in store.children(DOCS, mail)] == [outer]
    assert [d.id for d in store.children(DOCS, outer)] == [inner]
    assert store.document(DOCS, inner).parent_id == outer
    (again,) = commit_mail(store, "/m.eml", content="2")
    assert [d.id for d in store.list_documents(DOCS)] == [again]
    deleted = {c.document_id for c in store.changes(0) if c.op == "delete"}
    assert deleted == {mail, outer, inner}


def test_documents_are_listed_in_pages_and_found_by_title(store: Store) -> None:
    titles = ["Handbook", "Änderung 50%", "handover", "50 euros"]
    for title in titles:
        new = document(f"/{title}", ["x"], title=title)
        store.commit_source("docs", source(f"/{title}"), [new], model_id=MODEL)
    first = store.list_documents(DOCS, limit=3)
    rest = store.list_documents(DOCS, after=first[-1].id, limit=3)
    assert [d.title for d in first + rest] == titles
    assert store.count_documents(DOCS) == 4

    def titled(part: str) -> list[str]:
        return [d.title for d in store.list_documents(DOCS, title_contains=part)]

    assert titled("HAND") == ["Handbook", "handover"]
    assert titled("änderung") == titled("0%") == ["Änderung 50%"]
    assert titled("_") == titled("\0") == []


def test_collections_are_counted(store: Store) -> None:
    assert store.collections() == []
    assert store.access_to_all().collections == frozenset()
    commit(store, "/a", "one", "two")
    commit(store, "/b", "three")
    commit(store, "/a", "one", collection="archive")
    store.remove_sources("archive", ["/a"])
    assert store.collections() == [CollectionInfo("archive", 0, 0), CollectionInfo("docs", 2, 3)]
    assert store.access_to_all().collections == {"archive", "docs"}


def test_what_is_counted_for_a_caller_follows_every_change(store: Store) -> None:
    reader = Access(frozenset({"docs"}), lists=frozenset({1}))
    counted = [store.count_documents(reader)]
    commit(store, "/a/one", "one")
    counted.append(store.count_documents(reader))
    commit(store, "/b/two", "two")
    counted.append(store.count_documents(reader))
    store.permissions.add_principal("group", "board")
    store.permissions.limit("docs", "/b", ["group:board"])
    counted.append(store.count_documents(DOCS))
    store.permissions.limit("docs", "/b", None)
    counted.append(store.count_documents(DOCS))
    store.remove_sources("docs", ["/a/one"])
    counted.append(store.count_documents(DOCS))
    assert counted == [0, 1, 2, 1, 2, 1]


def test_nothing_is_read_outside_the_access(store: Store) -> None:
    (document_id,) = commit(store, "/a", "secret", collection="board")
    board = Access(frozenset({"board"}))
    (chunk,) = store.document_chunks(board, document_id)
    for access in (NOBODY, DOCS):
        assert store.list_documents(access) == []
        assert store.count_documents(access) == 0
        assert store.chunks(access, [chunk.id]) == {}
        for read in (
            store.document,
            store.children,
            store.text,
            store.pages,
            store.document_chunks,
        ):
            with pytest.raises(NotFound):
                read(access, document_id)
        with pytest.raises(NotFound):
            store.page(access, document_id, 1)
    assert store.chunks(board, [chunk.id]) == {chunk.id: chunk}


def test_no_reader_has_a_default_access() -> None:
    for_everyone = {
        "access_to_all",
        "collections",
        *("changes", "check", "check_originals", "close", "failures"),
        *("commit_source", "commit_sources"),
        *("forget_snapshot", "head", "quarantined", "release_quarantined", "remove_quarantined"),
        *("keep_withheld", "purge_withheld", "withheld", "withheld_one"),  # for who administers it
        *("index_rows", "model_ids", "move_source", "open", "reading", "record_failure"),
        *("record_snapshot", "remove_sources", "snapshots", "sources", "stats"),
        *("sweep_originals", "touch_source"),
        *("access_of_user", "add_principal", "remove_principal", "set_disabled", "people"),
        *("join_group", "leave_group", "groups", "grant", "revoke", "grants", "limit", "limits"),
        *("check_principals", "sync_limits", "mapped_roots", "user_number", "access_of_number"),
        *("operator_number", "manageable", "may_manage"),
        *("create_collection", "remove_collection", "discard_original", "alone", "some_vectors"),
    }
    for name, method in inspect.getmembers(Store, callable):
        if name.startswith("_") or name in for_everyone:
            continue
        access = list(inspect.signature(method).parameters.values())[1]
        assert (access.name, access.default) == ("access", inspect.Parameter.empty), name


@pytest.mark.parametrize("impossible", [0, -1, 99, 2**31, 2**63, 10**30])
def test_unknown_ids_are_not_found(store: Store, impossible: int) -> None:
    (document_id,) = commit(store, "/a", "x")
    with pytest.raises(NotFound):
        store.document(DOCS, impossible)
    with pytest.raises(NotFound):
        store.text(DOCS, impossible)
    with pytest.raises(NotFound):
        store.page(DOCS, document_id, impossible)
    assert store.chunks(DOCS, [impossible]) == {}
    assert len(store.list_documents(DOCS, after=impossible)) == (impossible < 1)


def _broken(**fields: object) -> list[NewDocument]:
    return [replace(document("/a", ["some text", "more"]), **fields)]  # type: ignore[arg-type]


CHUNKS = document("/a", ["some text", "more"]).chunks


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param([], id="no document"),
        pytest.param([document("/b", ["x"])], id="not the source"),
        pytest.param([document("/a", ["x"])] * 2, id="twice"),
        pytest.param([document("/a", ["x"]), document("/a#1", ["x"])], id="no parent"),
        pytest.param([*_broken(), document("/b", ["x"], parent="/a")], id="not below the file"),
        pytest.param([document("/a", ["x"], parent="/a")], id="own parent"),
        pytest.param(_broken(text="other text\n\nmore"), id="text differs from its span"),
        pytest.param(_broken(chunks=CHUNKS[::-1]), id="ordinals out of order"),
        pytest.param(_broken(chunks=CHUNKS[:1]), id="fewer chunks than vectors"),
        pytest.param(_broken(vectors=vectors(["a", "b"]) * 2), id="not of length 1"),
        pytest.param(_broken(vectors=np.full((2, 8), np.nan, np.float32)), id="not a number"),
        pytest.param(_broken(vectors=np.eye(2)), id="float64"),
        pytest.param(_broken(title="\0"), id="NUL"),
        pytest.param(_broken(title="\udc80"), id="lone surrogate"),
    ],
)
def test_contradictory_documents_are_refused_whole(
    store: Store, documents: list[NewDocument]
) -> None:
    with pytest.raises(ValueError):
        store.commit_source("docs", source("/a"), documents, model_id=MODEL)
    assert (store.head(), store.collections()) == (0, [])

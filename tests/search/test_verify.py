"""`verify` is silent on what is sound and finds each fault that is planted."""

import numpy as np
import pytest
from index_samples import ALL, DIM, MODEL, commit, open_quietly, stored_ids, vectors

from rag.search import snapshot
from rag.search.dense import DenseIndex
from rag.search.indexes import rebuild, refresh_snapshots
from rag.search.lexical import LexicalIndex
from rag.search.verify import verify
from rag.store import Store
from rag.types import IndexRow


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    """Three documents in store and snapshots."""
    for n in range(3):
        commit(store, f"/{n}.txt", f"notice {n}", f"travel {n}")
    refresh_snapshots(store, MODEL, DIM, "auto", lambda _: None)


def problems(store: Store) -> list[str]:
    return verify(store, MODEL, DIM, "auto", lambda _: None)


def tamper(
    store: Store,
    *,
    dense_extra: list[int] | None = None,
    lexical_extra: list[int] | None = None,
    missing: list[int] | None = None,
) -> None:
    """Publish a snapshot whose hash is right and whose content is not."""
    with open_quietly(store) as indexes:
        dense: DenseIndex = indexes.dense
        lexical: LexicalIndex = indexes.lexical
        if dense_extra:
            dense.append(
                dense_extra, ["docs"] * len(dense_extra), vectors(["x"] * len(dense_extra))
            )
        if lexical_extra:
            vector = np.zeros(DIM, np.float32)
            lexical.append(
                IndexRow(i, 99, "docs", 0, "en", "", "", "", "x", MODEL, vector)
                for i in lexical_extra
            )
        for i in missing or []:
            dense.delete([i])
            (document,) = {row.document_id for row in store.index_rows([i])}
            lexical.delete_document(document)
        lexical.commit()
        snapshot.discard_all(store)
        indexes.snapshot_seq = -1
        indexes.publish()


def test_a_sound_store_has_no_problems(store: Store) -> None:
    assert problems(store) == []
    commit(store, "/later.txt", "after the snapshot")
    store.remove_sources("docs", ["/0.txt"])
    assert problems(store) == []


def test_an_empty_store_has_no_problems(store: Store) -> None:
    store.remove_sources("docs", [f"/{n}.txt" for n in range(3)])
    assert problems(store) == []


def test_a_row_that_the_store_does_not_have_is_found(store: Store) -> None:
    tamper(store, dense_extra=[4711], lexical_extra=[4712])
    dense, lexical = problems(store)
    assert "dense index holds chunks that the store does not have: 1, such as [4711]" in dense
    assert "lexical index holds chunks that the store does not have: 1, such as [4712]" in lexical
    assert dense.endswith("run `citadel reindex`")


def test_a_row_that_is_missing_is_found(store: Store) -> None:
    first, second, *_ = stored_ids(store)
    tamper(store, missing=[first])
    dense, lexical = problems(store)
    assert f"dense index lacks chunks that the store has: 1, such as [{first}]" in dense
    assert f"such as [{first}, {second}]" in lexical


def test_a_row_that_is_there_twice_is_found(store: Store) -> None:
    first, second, *_ = stored_ids(store)
    tamper(store, dense_extra=[first], lexical_extra=[second])
    dense, lexical, *_ = problems(store)
    assert f"dense index holds chunks more than once: 1, such as [{first}]" in dense
    assert f"lexical index holds chunks more than once: 1, such as [{second}]" in lexical


def test_a_rebuild_mends_what_verify_found(store: Store) -> None:
    tamper(store, dense_extra=[4711], missing=stored_ids(store)[:1])
    assert problems(store)
    rebuild(store, MODEL, DIM, "auto", lambda _: None)
    assert problems(store) == []


def test_documents_of_another_model_are_named(store: Store) -> None:
    commit(store, "/old.txt", "notice", model_id="model-b")
    (problem,) = problems(store)
    assert "1 other embedding model" in problem
    assert "citadel ingest" in problem


def test_verifying_writes_no_snapshot_and_leaves_no_folder(store: Store) -> None:
    before = store.snapshots.of_kind("dense")
    commit(store, "/later.txt", "after the snapshot")
    problems(store)
    assert store.snapshots.of_kind("dense") == before
    assert list((store.data_dir / "work").iterdir()) == []


def test_a_damaged_snapshot_is_a_problem_once(store: Store) -> None:
    file = store.data_dir / store.snapshots.of_kind("dense")[0].path / "vectors.faiss"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    (fault,) = problems(store)
    assert "dense index snapshot" in fault
    assert "is damaged; the next search rebuilds it" in fault
    assert problems(store) == []


def test_a_vector_that_is_not_the_stores_is_found(store: Store) -> None:
    first, *_ = stored_ids(store)
    with open_quietly(store) as indexes:
        indexes.dense.delete([first])
        indexes.dense.append([first], ["docs"], vectors(["something else"]))
        snapshot.discard_all(store)
        indexes.snapshot_seq = -1
        indexes.publish()
    (problem,) = problems(store)
    assert f"other vectors than the store: 1, such as [{first}]" in problem


def test_an_original_that_is_gone_is_a_problem(store: Store) -> None:
    (sha256, *_) = {document.content_sha256 for document in store.list_documents(ALL)}
    store.originals.path(sha256).unlink()
    (problem,) = problems(store)
    assert sha256 in problem

"""Each kind of damage is found and named."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from store_samples import commit, commit_mail, failed

from rag.errors import StoreError
from rag.store import Stats, Store


def _damage(url: str, statement: str) -> None:
    """Change the tables behind the store's back, foreign keys and constraints off."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM vectors WHERE chunk_id = 1", "1 chunk(s) without a vector"),
        ("UPDATE documents SET n_chunks = 9 WHERE id = 1", "1 document(s) with another number"),
        ("DELETE FROM pages WHERE document_id = 1", "1 document(s) with another number of pages"),
        ("UPDATE sources SET state = 'failed' WHERE id = 1", "of a source that failed"),
        ("UPDATE chunks SET text = 'y' WHERE id = 1", "document 1: chunks [1] differ from"),
        ("UPDATE chunks SET ordinal = 7 WHERE id = 1", "document 1 lacks a chunk"),
        ("UPDATE documents SET text = text || '!' WHERE id = 1", "document 1 has another length"),
        ("UPDATE log_head SET seq = 9", "the change log has 3 rows up to 3, its head is at 9"),
        ("DELETE FROM changes WHERE seq = 2", "the change log has 2 rows up to 3"),
        ("DELETE FROM changes WHERE seq = 2", "1 document(s) that the change log does not know"),
        ("UPDATE changes SET op = 'delete' WHERE seq = 1", "that the change log does not know"),
        ("UPDATE documents SET source_id = 2 WHERE id = 2", "attachment(s) of a document from"),
    ],
)
def test_contradiction_is_named(store: Store, url: str, statement: str, sentence: str) -> None:
    commit_mail(store, "/m.eml", "a.txt")
    commit(store, "/b", "other")
    assert store.check() == []
    _damage(url, statement)
    assert any(sentence in problem for problem in store.check()), store.check()


@pytest.mark.parametrize("table", ["chunks", "documents", "sources"])
def test_orphans_are_named(store: Store, url: str, table: str) -> None:
    commit(store, "/a", "x")
    _damage(url, f"DELETE FROM {table}")
    assert store.check()


def test_vectors_of_another_length_are_named(store: Store, url: str) -> None:
    commit(store, "/a", "x", "y")
    _damage(url, "UPDATE vectors SET vector = (SELECT words FROM pages) WHERE chunk_id = 1")
    assert any("dimensions" in problem for problem in store.check())


def test_damaged_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "citadel.db"
    with Store.open(f"sqlite:///{path}", data_dir=tmp_path) as store:
        for i in range(30):
            commit(store, f"/{i}", *(f"paragraph {p}" for p in range(50)))
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 20_000] = b"\xa5" * 20_000
    path.write_bytes(data)
    with Store.open(f"sqlite:///{path}", data_dir=tmp_path) as store:
        try:
            assert "damaged" in store.check()[0]
        except StoreError as error:
            assert "backup" in error.hint


def test_stats_count_everything(store: Store) -> None:
    commit_mail(store, "/m.eml", "a.txt")
    store.record_failure("docs", failed("/bad"))
    assert store.stats() == Stats(
        collections=1,
        sources=2,
        failed=1,
        documents=2,
        chunks=3,
        vectors=3,
        characters=len("mail 1") + len("text of a.txt\n\nmore"),
        seq=2,
    )

"""Opening: migrations, and what a person is told when it does not work."""

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from store_samples import commit

from rag.errors import ConfigError, StoreError
from rag.settings import Settings
from rag.store import Store, tables
from rag.store.failures import translated
from rag.types import Access

DOCS = Access(frozenset({"docs"}))


def _engine_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def test_migrations_make_exactly_the_tables(empty_url: str, data_dir: Path) -> None:
    Store.open(empty_url, data_dir=data_dir).close()
    engine = create_engine(_engine_url(empty_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def test_what_was_stored_is_there_after_reopening(empty_url: str, data_dir: Path) -> None:
    with Store.open(empty_url, data_dir=data_dir) as store:
        (document_id,) = commit(store, "/a", "x")
    with Store.open(empty_url, data_dir=data_dir) as store:
        assert store.text(DOCS, document_id) == "x"


def test_newer_schema_is_refused_and_left_alone(empty_url: str, data_dir: Path) -> None:
    with Store.open(empty_url, data_dir=data_dir) as store:
        commit(store, "/a", "x")
    engine = create_engine(_engine_url(empty_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999") as refusal:
        Store.open(empty_url, data_dir=data_dir)
    assert "newer version" in refusal.value.hint
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM documents")) == 1
    engine.dispose()


def test_database_of_the_settings_is_made_in_a_private_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "data")
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        commit(store, "/a", "x")
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700
    assert (settings.data_dir / "citadel.db").stat().st_mode & 0o777 == 0o600


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    with (
        Store.open(f"sqlite:///{tmp_path / 'c.db'}", data_dir=tmp_path) as store,
        store._database.read() as connection,
    ):
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.scalar(text(f"PRAGMA {name}")) for name in pragmas]
    assert values == ["wal", 2, 1, 60_000]


def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "citadel.db"
    path.write_text("Dear diary, " * 100)
    with pytest.raises(StoreError, match="not a SQLite database") as refusal:
        Store.open(f"sqlite:///{path}", data_dir=tmp_path)
    assert refusal.value.hint
    assert path.read_text() == "Dear diary, " * 100


def test_tables_of_another_program_are_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "citadel.db") as other:
        other.execute("CREATE TABLE documents (id INTEGER)")
    other.close()
    with pytest.raises(StoreError, match="documents"):
        Store.open(f"sqlite:///{tmp_path / 'citadel.db'}", data_dir=tmp_path)


def test_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(StoreError, match="/proc/citadel") as refusal:
        Store.open("sqlite:////proc/citadel/citadel.db", data_dir=Path("/proc/citadel"))
    assert "data_dir" in refusal.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_database_of_another_user_is_refused_in_words() -> None:
    with tempfile.TemporaryDirectory() as name:
        url, folder = f"sqlite:///{name}/citadel.db", Path(name)
        Store.open(url, data_dir=folder).close()
        for mode in (0o755, 0o700):
            folder.chmod(mode)
            os.seteuid(65534)
            try:
                with pytest.raises(StoreError) as refusal:
                    Store.open(url, data_dir=folder)
            finally:
                os.seteuid(0)
            assert "user" in refusal.value.hint


def test_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://citadel:hush@127.0.0.1:1/citadel"
    with pytest.raises(StoreError, match=r"127\.0\.0\.1") as refusal:
        Store.open(url, data_dir=tmp_path)
    assert "server runs" in refusal.value.hint
    assert "hush" not in str(refusal.value)


def test_missing_database_on_the_server_is_named(postgres_server: str, tmp_path: Path) -> None:
    url = f"postgresql://citadel@/absent?host={postgres_server}"
    with pytest.raises(StoreError, match="absent") as refusal:
        Store.open(url, data_dir=tmp_path)
    assert "database name" in refusal.value.hint


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://"])
def test_other_databases_are_a_wrong_setting(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        Store.open(url, data_dir=tmp_path)
    assert "PostgreSQL" in refusal.value.hint or "postgresql" in refusal.value.hint


def test_store_survives_the_loss_of_its_connections(migrated_url: str, tmp_path: Path) -> None:
    with Store.open(migrated_url, data_dir=tmp_path) as store:
        head = store.head()
        engine = create_engine(_engine_url(migrated_url))
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        assert store.head() == head


def _set(store: Store, pragma: str) -> None:
    """Change a setting of the store's only connection so far."""
    with store._database.read() as connection:
        connection.execute(text(f"PRAGMA {pragma}"))


def test_full_disk_is_said_and_leaves_the_store_sound(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'c.db'}", data_dir=tmp_path) as store:
        commit(store, "/a", "x")
        _set(store, "max_page_count = 60")
        with pytest.raises(StoreError, match="disk is full") as refusal:
            commit(store, "/b", *("a long paragraph " * 100 for _ in range(200)))
        assert "Free some space" in refusal.value.hint
        assert store.count_documents(DOCS) == 1
        assert store.check() == []


def test_a_disk_that_refuses_is_not_taken_for_a_damaged_database() -> None:
    """SQLite says so also where it has no room for a file of its own beside the database."""
    error = OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))
    url = make_url("sqlite:////srv/citadel.db")
    with pytest.raises(StoreError, match="it is full, or failing") as refusal, translated(url):
        raise error
    assert "backup" not in refusal.value.hint


def test_writer_that_waits_too_long_is_told_why(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'c.db'}", data_dir=tmp_path) as store:
        _set(store, "busy_timeout = 10")
        other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds"):
            commit(store, "/a", "x")
        assert store.head() == 0
        other.close()
        assert commit(store, "/a", "x")


def test_an_empty_store_does_not_take_the_place_of_a_lost_one(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    with pytest.raises(StoreError, match="is missing, but the index snapshots") as caught:
        Store.open(f"sqlite:///{tmp_path / 'citadel.db'}", data_dir=tmp_path)
    assert "backup" in caught.value.hint
    assert not (tmp_path / "citadel.db").exists()

"""Opening the database, its transactions, and its errors translated into ours."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError

from rag.errors import ConfigError, StoreError
from rag.store import audit, tables
from rag.store.failures import translated
from rag.store.head_file import HeadFile
from rag.store.migrate import migrate

BUSY_TIMEOUT_S = 60  # how long a writer waits for another one
CONNECT_TIMEOUT_S = 10
POOL_SIZE = 8
MIGRATION_LOCK = 0x43495441  # key of PostgreSQL's advisory lock: "CITA"


class Database:
    """Connections to one database; safe to share between threads."""

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self.head_file = HeadFile(data_dir)
        if engine.dialect.name == "sqlite":
            self._reader = self._snapshot_reader = engine
            self._writer = engine.execution_options(immediate=True)
        else:
            self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._snapshot_reader = engine.execution_options(isolation_level="REPEATABLE READ")
            # Each statement after the lock must see what the writer before has committed.
            self._writer = engine.execution_options(isolation_level="READ COMMITTED")

    @classmethod
    def open(cls, url: str, *, data_dir: Path) -> Self:
        """Create what is missing, bring the schema up to date, and connect.

        Raises:
            ConfigError: the URL names neither a SQLite file nor PostgreSQL.
            StoreError: the database cannot be reached, written or migrated, or is not ours.
        """
        parsed = _parse(url)
        _make_folder(data_dir)
        if parsed.get_backend_name() == "sqlite":
            return cls(_open_sqlite(parsed), data_dir)
        return cls(_open_postgresql(parsed), data_dir)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def read(self) -> AbstractContextManager[Connection]:
        """A connection whose every statement sees the newest committed state."""
        return self._begin(self._reader)

    def read_snapshot(self) -> AbstractContextManager[Connection]:
        """A transaction in which all statements see the state of one moment."""
        return self._begin(self._snapshot_reader)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; committed at the end.

        On SQLite `BEGIN IMMEDIATE` makes it the only writer, on PostgreSQL the lock on the row
        that counts the change log. The newest audit record that it added is then kept aside.
        """
        with self._begin(self._writer) as connection:
            connection.info.pop(audit.HEAD, None)
            connection.info[audit.SIGN] = self.head_file.signed
            connection.execute(select(tables.log_head.c.seq).with_for_update())
            yield connection
            head = connection.info.pop(audit.HEAD, None)
        if head is not None:
            self.head_file.write(head)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """One holder of this name at a time, over all processes that have the database open.

        On PostgreSQL, which other machines use too, an advisory lock; else that of a file. Both end
        with the process, however it ends.
        """
        if self._engine.dialect.name == "postgresql":
            digest = hashlib.sha256(f"citadel {name}".encode()).digest()
            key = int.from_bytes(digest[:8], "big", signed=True)
            with self._begin(self._writer) as connection:
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
                yield
            return
        descriptor = os.open(self._data_dir / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def squeeze(self) -> None:
        """Give back every page that is in use no more, so that nothing deleted is left in one."""
        if self._engine.dialect.name == "sqlite":
            with translated(self._engine.url):
                raw = self._engine.raw_connection()
                try:
                    cursor = raw.cursor()  # outside of any transaction
                    cursor.execute("VACUUM")
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    raw.close()
            return
        names = ", ".join(sorted(tables.metadata.tables))
        with self._begin(self._reader) as connection:
            connection.execute(text(f"VACUUM FULL {names}"))

    def raw_rows(self, table: str) -> Iterator[tuple[str, Any]]:
        """Every value of a table as the database holds it, row by row, with the columns' names."""
        with self.read_snapshot() as connection:
            quoted = connection.dialect.identifier_preparer.quote(table)
            result = connection.execution_options(yield_per=200).exec_driver_sql(
                f"SELECT * FROM {quoted}"  # noqa: S608  a name from the database itself
            )
            names = tuple(result.keys())
            for row in result:
                yield from zip(names, row, strict=True)

    def table_names(self) -> list[str]:
        """Every table that there is, of whatever origin."""
        with translated(self._engine.url), self._engine.connect() as connection:
            return sorted(inspect(connection).get_table_names())

    @contextmanager
    def _begin(self, engine: Engine) -> Iterator[Connection]:
        with translated(self._engine.url), engine.begin() as connection:
            yield connection


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "the database URL cannot be read",
            hint="Write sqlite:////folder/citadel.db or postgresql://user:password@host/name.",
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigError(
            f"no store can be kept in {parsed.render_as_string()}",
            hint="Use a SQLite file or a PostgreSQL database.",
        )
    return parsed.set(drivername="sqlite")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the folder {folder}: {error.strerror}",
            hint="Choose a data_dir that this user may write, or change its owner.",
        ) from error


def _open_sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    _make_folder(path.parent)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_S},
        pool_size=POOL_SIZE,
        max_overflow=-1,  # a connection is a file handle: give every thread its own
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    with _sole_opener(path), _opened(engine.execution_options(immediate=True)) as connection:
        migrate(connection)
    return engine


@contextmanager
def _opened(engine: Engine) -> Iterator[Connection]:
    """The first transaction; if it fails no connection is left open."""
    with ExitStack() as failed:
        failed.callback(engine.dispose)
        with translated(engine.url), engine.begin() as connection:
            yield connection
        failed.pop_all()


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, see _begin_sqlite
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is written over at once
    # SQLite's own lower() knows only ASCII.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _sole_opener(path: Path) -> Iterator[None]:
    """One process at a time creates the file, switches it to WAL and migrates it.

    SQLite's own locks don't cover the switch.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _ensure_file(path)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"cannot write the database {path}: {error.strerror}",
            hint="Run as the user who owns the folder, or choose another data_dir.",
        ) from error


def _ensure_file(path: Path) -> None:
    """A database file that is ours alone to read and write.

    One that is there is not opened: closing it again would drop every lock that this process has on
    it through other connections, and another process would then delete the log that they write to.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _open_postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "citadel",
            "options": f"-c lock_timeout={BUSY_TIMEOUT_S}s",
        },
        pool_size=POOL_SIZE,
        max_overflow=3 * POOL_SIZE,
        pool_timeout=BUSY_TIMEOUT_S,
        pool_pre_ping=True,  # the server may have been restarted
    )
    with _opened(engine) as connection:
        encoding = connection.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise StoreError(
                f"the database {url.database} has the encoding {encoding}",
                hint="Create it with ENCODING 'UTF8' TEMPLATE template0.",
            )
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        migrate(connection)
    return engine

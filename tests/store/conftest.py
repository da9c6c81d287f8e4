"""The store's suite runs on SQLite and on a PostgreSQL server that is started for it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rag.store import Store, tables

START_TIMEOUT_S = 60


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The socket folder of a server of our own, stopped at the end of the session."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's server programs are missing: apt-get install postgresql")
    programs = found[-1].parent
    user = _unprivileged_user()
    # Not by Popen's `user`: that forks this whole process, with its libraries' threads, and crashes
    # now and then before it becomes the program.
    run_as: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="citadel-pg-"))  # short: a socket's path is limited
    if user:
        uid, gid = pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid
        os.chown(folder, uid, gid)
        run_as = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    initdb = ["-D", "data", "-U", "citadel", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
    with (folder / "log").open("wb") as log:
        output = {"cwd": folder, "stdout": log, "stderr": subprocess.STDOUT}
        subprocess.run([*run_as, programs / "initdb", *initdb], check=True, **output)
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        command = [*run_as, programs / "postgres", "-D", "data", "-k", str(folder), *options]
        server = subprocess.Popen(command, **output)
    try:
        _wait_for(server, folder)
        yield str(folder)
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing in it is to be kept
        server.wait(START_TIMEOUT_S)
        shutil.rmtree(folder)


def _unprivileged_user() -> str | None:
    """Whom to run the server as; it refuses to run as root."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait_for(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(f"host={folder} user=citadel dbname=postgres").close()
            return
        except psycopg.OperationalError:
            log = (folder / "log").read_text()
            assert server.poll() is None and time.monotonic() < deadline, log
            time.sleep(0.05)


@pytest.fixture(scope="session")
def migrated_url(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database on the server that all tests share, because making one takes long."""
    url = _create_database(postgres_server)
    Store.open(url, data_dir=tmp_path_factory.mktemp("migrated")).close()
    return url


def _create_database(server: str) -> str:
    name = uuid.uuid4().hex
    with psycopg.connect(f"host={server} user=citadel dbname=postgres", autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    return f"postgresql://citadel@/{name}?host={server}"


def _empty(url: str) -> None:
    """Bring a migrated database back to where the migrations left it."""
    kept = {"log_head", "principals"}
    names = ", ".join(name for name in tables.metadata.tables if name not in kept)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # records can't be deleted
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
        connection.execute("DELETE FROM principals WHERE kind <> 'operator'")
        connection.execute("UPDATE log_head SET seq = 0")


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it, directly or not, runs once on each database."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with no tables."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'citadel.db'}"
    return _create_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with no documents."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'citadel.db'}"
    shared: str = request.getfixturevalue("migrated_url")
    _empty(shared)
    return shared


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where the store keeps its files."""
    return tmp_path / "data"


@pytest.fixture
def store(url: str, data_dir: Path) -> Iterator[Store]:
    """An open, empty store."""
    with Store.open(url, data_dir=data_dir) as opened:
        yield opened

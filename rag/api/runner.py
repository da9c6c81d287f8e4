"""Works on the ingest runs that the API was asked for: one at a time, each in a child process.

What waits stands in the store, so runs wait through a restart of the server as well. Several
servers over one data directory take turns by a lock on a file in it, which the child inherits: it
is free when neither lives.
"""

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from rag.errors import CitadelError
from rag.settings import Settings
from rag.store import Run, Store

logger = logging.getLogger(__name__)

LOCK_FILE = "ingest-runs.lock"
IDLE_S = 5.0  # how often another server's new runs are looked for
WATCH_S = 0.3  # how often a running one is looked at
STOP_S = 20.0  # for the commit that is running when a run is to stop
DIED = "the process that did it has died; what was committed stays"
DIED_HINT = "The server's log says more; was it the memory? Start it again to go on."
NOT_ALLOWED = "whoever started it may no longer manage the collection"


class Runner:
    """A thread that works on the runs of one store until it is closed."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._poked, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="ingest runs", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        """There is something new to do."""
        self._poked.set()

    def close(self) -> None:
        """Stop; a run that is at it stops as well and goes on when the server is started again."""
        self._closing.set()
        self._poked.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._poked.clear()
            try:
                while not self._closing.is_set() and self._work_on_next():
                    pass
            except (CitadelError, OSError) as error:  # the database is away, or the disk full
                logger.error("ingest runs wait: %s", error)
            self._poked.wait(IDLE_S)

    def _work_on_next(self) -> bool:
        """Work on the run whose turn it is; False where there is none, or another server works."""
        with _locked(self._settings.data_dir / LOCK_FILE) as lock:
            run = None if lock is None else self._store.runs.begin()
            if lock is None or run is None:
                return False
            if not self._store.may_manage(run.principal_id, run.collection):
                self._store.runs.end(run.id, "failed", NOT_ALLOWED, "Ask your administrator.")
            else:
                self._do(run, lock)
            return True

    def _do(self, run: Run, lock: int) -> None:
        process = _started(run, self._settings, lock)
        while process.poll() is None:
            if self._closing.wait(WATCH_S) or self._store.runs.is_to_stop(run.id):
                _stop(process)
        if self._store.runs.is_to_stop(run.id):
            self._store.runs.end(run.id, "cancelled")
        elif self._closing.is_set():
            self._store.runs.postpone(run.id)
        else:
            if process.returncode:
                logger.error("ingest run %d: exit status %d", run.id, process.returncode)
            self._store.runs.end(run.id, "failed", DIED, DIED_HINT)  # unless it has said how


def _started(run: Run, settings: Settings, lock: int) -> "subprocess.Popen[bytes]":
    """The child, which is told the settings, but for the secrets: it has no use for them."""
    secrets = {name for name, value in settings if isinstance(value, SecretStr)}
    told = json.dumps(settings.model_dump(mode="json", exclude=secrets)).encode()
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest.run", str(run.id), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[lock],
        start_new_session=True,  # Ctrl-C is for the server, which then stops this
    )
    assert process.stdin is not None
    try:
        with process.stdin as stdin:
            stdin.write(told)
    except BrokenPipeError:
        logger.error("ingest run %d has died at its start", run.id)
    return process


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The lock's descriptor; None where somebody else has the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor if _lock(descriptor) else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

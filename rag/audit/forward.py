"""Sends every audit record on, each at least once, and removes those past their time.

How far it has come is in a file. A server that cannot be reached loses nothing: what it missed is
sent when it is back.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag.audit.ocsf import event, numbers_in
from rag.audit.syslog import Syslog
from rag.errors import AuditError, CitadelError
from rag.settings import Settings
from rag.store import Record, Store, Wanted

logger = logging.getLogger(__name__)

CURSOR_FILE = "audit.sent"
PAGE = 500  # records read at a time
PRUNE_EVERY_S = 3600.0


def lines(store: Store, records: list[Record]) -> Iterator[str]:
    """Records as lines of JSON."""
    names = store.audit.names([n for record in records for n in numbers_in(record)])
    for record in records:
        yield json.dumps(event(record, names), separators=(",", ":"))


class Keeper:
    """What a server does with its audit records now and then; call it from one thread at a time."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._cursor = Cursor(settings.data_dir / CURSOR_FILE)
        self._pruned_at = float("-inf")
        self._failing = False

    @property
    def has_work(self) -> bool:
        """Whether anything is set that would have to be done."""
        return bool(self._settings.audit_syslog or self._settings.audit_keep_days)

    def work(self) -> None:
        """Send what is new, and remove what is old and has been sent. Never raises."""
        try:
            if self._settings.audit_syslog is not None:
                forward(self._store, self._settings.audit_syslog, self._cursor)
            self._failing = False
            self._prune()
        except CitadelError as error:
            if not self._failing:  # once, not every second
                logger.warning("%s", error.message)
            self._failing = True

    def _prune(self) -> None:
        days = self._settings.audit_keep_days
        if days is None or time.monotonic() < self._pruned_at + PRUNE_EVERY_S:
            return
        self._store.audit.prune(datetime.now(UTC) - timedelta(days=days))
        self._pruned_at = time.monotonic()


def forward(store: Store, address: str, cursor: "Cursor") -> int:
    """Send the records that were not sent yet to a syslog server; returns how many.

    Raises:
        AuditError: the server cannot be reached; the cursor is after what was sent.
    """
    n_sent, seq = 0, cursor.read()
    if store.audit.head().seq <= seq:
        return 0
    with Syslog(address) as syslog:
        while records := store.audit.read(Wanted(after=seq, limit=PAGE)):
            for record, line in zip(records, lines(store, records), strict=True):
                syslog.send(record.at, record.kind, line)
            seq = records[-1].seq
            cursor.write(seq)
            n_sent += len(records)
    return n_sent


class Cursor:
    """The number of the newest record that was sent, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """The number, 0 before the first.

        Raises:
            AuditError: the file says something else.
        """
        try:
            return int(self._path.read_text())
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise AuditError(
                f"{self._path} does not say which records were sent",
                hint="Write the number of the last one into it, or delete it to send all again.",
            ) from error

    def write(self, seq: int) -> None:
        """Keep the number.

        Raises:
            AuditError: it cannot be written.
        """
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{seq}\n")
            draft.rename(self._path)
        except OSError as error:
            raise AuditError(
                f"cannot write {self._path}: {error.strerror}",
                hint="Check the permissions and the free space of the data directory.",
            ) from error

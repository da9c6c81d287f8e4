"""The audit records as the rest of the house uses them: `store.audit`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rag.errors import BadRequest, StoreError
from rag.store import audit, chain
from rag.store.audit import Head, Outcome, Record, Wanted
from rag.store.chain import Proof
from rag.store.database import Database
from rag.store.head_file import HEAD_FILE, parsed_head


class Trail:
    """Adds, reads and proves audit records. Safe to share between threads.

    What changes the store is recorded by the store itself, in the same transaction; this is for
    what happens outside of it: a sign-in, a search, an answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        kind: str,
        detail: Mapping[str, Any] | None = None,
        *,
        outcome: Outcome = "success",
        private: Mapping[str, Any] | None = None,
    ) -> int:
        """Add a record of what the acting one does; it is on the disk when this returns.

        Raises:
            StoreError: it could not be stored; then what it is of must not happen either.
        """
        with self._database.write() as connection:
            return audit.append(connection, kind, detail, outcome=outcome, private=private)

    def keyed(self, text: str) -> str:
        """A hash that stands for a text in a record: equal for equal texts, and of no use to
        anyone who tries out texts without the secret of this installation."""
        return self._database.head_file.keyed(text)[:32]

    def read(self, wanted: Wanted) -> list[Record]:
        """Records, oldest first."""
        with self._database.read() as connection:
            return audit.read(connection, wanted)

    def names(self, numbers: Sequence[int]) -> dict[int, str]:
        """What these principals are or were called; who was forgotten is absent."""
        with self._database.read() as connection:
            return audit.names(connection, numbers)

    def head(self) -> Head:
        """The newest record."""
        with self._database.read() as connection:
            return audit.head(connection)

    def verify(self, kept: str | None = None) -> Proof:
        """Prove that no record was changed, taken out or cut off.

        `kept` is a head that was printed once, as `SEQ:HASH`; the signed file in the data
        directory is compared as well.

        Raises:
            BadRequest: `kept` is no head.
        """
        try:
            given = None if kept is None else parsed_head(kept)
        except ValueError as error:
            raise BadRequest(str(error), hint="`citadel audit head` prints one.") from error
        problems: list[str] = []
        own: Head | None = None
        try:
            own = self._database.head_file.read()  # before the chain, which only grows
        except StoreError as error:
            problems.append(error.message)
        with self._database.read_snapshot() as connection:
            proof = chain.verify(connection, given or own, self._database.head_file.signed)
            if given is not None and own is not None:
                more = chain.verify(connection, own, self._database.head_file.signed).problems
                problems += [problem for problem in more if problem not in proof.problems]
        if own is None and not problems and proof.n_records:
            problems.append(f"{HEAD_FILE} is missing: whether the end was cut off cannot be told")
        proof.problems += problems
        return proof

    def prune(self, before: datetime) -> int:
        """Remove the records from before a time; returns how many. That is a record itself."""
        with self._database.write() as connection:
            return audit.prune(connection, before)

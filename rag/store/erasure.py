"""Forgetting as the rest of the house uses it: `store.erasure`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag.store import documents, forget, looking, sources
from rag.store.database import Database
from rag.store.forget import Deletion


@dataclass(frozen=True, slots=True)
class Named:
    """A document that would be forgotten."""

    id: int
    title: str
    source_uri: str


@dataclass(frozen=True, slots=True)
class Material:
    """What there is of some files, for looking whether it is gone later. As the tables hold it."""

    documents: tuple[int, ...]
    chunks: tuple[int, ...]
    sha256s: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: tuple[bytes, ...]
    pages: tuple[bytes, ...]  # the words of pages, packed


@dataclass(frozen=True, slots=True)
class Own:
    """What a user has written, and what the user's keys and sessions are known by."""

    texts: tuple[str, ...]
    secrets: tuple[str, ...]


class Erasure:
    """Finds what is to be forgotten, and carries out the steps that concern the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_document(self, document_id: int) -> list[int]:
        """The numbers of the files that go with a document: its own, and copies.

        Raises:
            NotFound: there is no such document.
        """
        with self._database.read() as connection:
            return forget.sources_of(connection, document_id)

    def of_path(self, uri: str) -> list[int]:
        """The numbers of the files at or below a path, and of copies.

        Raises:
            NotFound: nothing was ingested from there.
        """
        with self._database.read() as connection:
            return forget.sources_at(connection, uri)

    def named(self, source_ids: Sequence[int]) -> list[Named]:
        """The documents that were made from these files."""
        with self._database.read() as connection:
            found = forget.documents_of(connection, source_ids)
        return [Named(row.id, row.title, row.source_uri) for row in found]

    def material(self, source_ids: Sequence[int]) -> Material:
        """What there is of these files."""
        with self._database.read() as connection:
            return Material(*looking.material(connection, source_ids))

    def unique(self, pieces: Sequence[str], documents: Sequence[int]) -> list[str]:
        """Those of the pieces that no other document has in its text."""
        with self._database.read() as connection:
            return looking.unique(connection, pieces, documents)

    def material_of_user(self, name: str) -> Own:
        """What there is of a user.

        Raises:
            NotFound: there is no such user.
        """
        with self._database.read() as connection:
            return Own(*looking.of_users(connection, forget.users(connection, name)))

    def begin_documents(self, source_ids: Sequence[int]) -> Deletion:
        """Write down that these files are to be forgotten; from here on it will be done."""
        with self._database.write() as connection:
            return forget.begin_documents(connection, source_ids)

    def check_user(self, name: str) -> None:
        """See whether there is or was a user of this name.

        Raises:
            NotFound: there is none.
        """
        with self._database.read() as connection:
            forget.users(connection, name)

    def begin_user(self, name: str) -> Deletion:
        """Write down that a user is to be forgotten; from here on it will be done.

        Raises:
            NotFound: there is no such user.
        """
        with self._database.write() as connection:
            return forget.begin_user(connection, name)

    def unfinished(self) -> list[Deletion]:
        """What was begun and not ended."""
        with self._database.read() as connection:
            return forget.unfinished(connection)

    def newest(self) -> int:
        """The number of the newest deletion that the snapshots are without; 0 before the first."""
        with self._database.read() as connection:
            return forget.newest_erased(connection)

    def content(self, deletion: Deletion, following: str) -> None:
        """Take it out of all tables, and note the step that follows; one transaction."""
        with self._database.write() as connection:
            forget.erase(connection, deletion)
            forget.advance(connection, deletion, forget.FIRST, following)

    def advance(self, deletion: Deletion, done: str, following: str | None) -> None:
        """Note the step that follows the one that is done, None after the last."""
        with self._database.write() as connection:
            forget.advance(connection, deletion, done, following)

    def referenced(self) -> set[str]:
        """The contents that documents are made from."""
        with self._database.read() as connection:
            return documents.content_hashes(connection)

    def refuse(self, sha256: str) -> None:
        """Let a content not come in that was to be forgotten.

        Raises:
            Forgotten: it was.
        """
        with self._database.read() as connection:
            sources.refuse_forgotten(connection, [sha256])

    def squeeze(self) -> None:
        """Give back the database's free pages and its write-ahead log."""
        self._database.squeeze()

    def cells(self) -> Iterator[tuple[str, Any]]:
        """Every value in every table as the database holds it, with `table.column`."""
        for table in self._database.table_names():
            for column, value in self._database.raw_rows(table):
                yield f"{table}.{column}", value

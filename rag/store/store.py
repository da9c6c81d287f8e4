"""The store's one public class; what it does is written in the modules it delegates to.

Every call is a transaction of its own and sees the newest committed state, whichever thread or
process wrote it. Reading for a person always takes an `Access`; there is no default.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import numpy as np

from rag.closing import Closing
from rag.errors import Forgotten, StoreError
from rag.store import (
    access,
    changes,
    documents,
    ingestion,
    integrity,
    people,
    quarantine,
    shelves,
    sources,
)
from rag.store.accounts import Accounts
from rag.store.conversations import Conversations
from rag.store.counts import Counts
from rag.store.database import Database
from rag.store.directory import Directory
from rag.store.documents import CollectionInfo, Narrowing
from rag.store.erasure import Erasure
from rag.store.feedback import Feedbacks
from rag.store.idempotency import Idempotency
from rag.store.integrity import Stats
from rag.store.keys import Keys
from rag.store.minted import Mint
from rag.store.models import Models
from rag.store.originals import Originals
from rag.store.passwords import Passwords
from rag.store.permissions import Permissions
from rag.store.quarantine import Place, Quarantine
from rag.store.runs import UPLOAD, Runs
from rag.store.signing import Clock, Signing, now
from rag.store.snapshots import Snapshots
from rag.store.trail import Trail
from rag.store.withheld import WithheldRecords
from rag.types import (
    Access,
    Change,
    Document,
    IndexRow,
    NewDocument,
    Page,
    SourceFile,
    StoredChunk,
    Vectors,
)

REMOVE_BATCH = 200  # sources per transaction: short enough that other writers get their turn


def _refuse_a_lost_database(url: str, data_dir: Path) -> None:
    """An empty store must not take the place of one whose database file has gone."""
    file = data_dir / "citadel.db"
    try:
        lost = not file.exists() and (data_dir / "snapshots").is_dir()
    except PermissionError:
        return  # whoever opens the database says this better
    if lost and url == f"sqlite:///{file}":
        raise StoreError(
            f"the database {file} is missing, but the index snapshots made from it are there",
            hint=f"Restore citadel.db from a backup, or move {data_dir} away to begin anew.",
        )


class Store(Closing):
    """The SQL store. Safe to share between threads; each process opens its own."""

    def __init__(self, database: Database, data_dir: Path, clock: Clock = now) -> None:
        self._database = database
        self.data_dir = data_dir
        self.audit = Trail(database)
        self.permissions = Permissions(database)
        self.quarantine = Quarantine(database)
        self.withheld = WithheldRecords(database)
        self.snapshots = Snapshots(database)
        self.erasure = Erasure(database)
        self.originals = Originals(data_dir / "originals", self.erasure.refuse)
        self.conversations = Conversations(database)
        self.feedback = Feedbacks(database)
        self.idempotency = Idempotency(database)
        self.accounts = Accounts(database)
        self.passwords = Passwords(database, clock)
        self.signing = Signing(database, Mint(data_dir), clock)
        self.keys = Keys(database, clock)
        self.directory = Directory(database)
        self.runs = Runs(database)
        self.models = Models(database)
        self._counts = Counts()

    @classmethod
    def open(cls, url: str, *, data_dir: Path, clock: Clock = now) -> Self:
        """Open the database at a SQLAlchemy URL, creating and migrating it where needed.

        By the clock, sessions, links and keys end.

        Raises:
            ConfigError: the URL names neither a SQLite file nor PostgreSQL.
            StoreError: the database cannot be reached, written or migrated, or is not ours.
        """
        _refuse_a_lost_database(url, data_dir)
        return cls(Database.open(url, data_dir=data_dir), data_dir, clock)

    def close(self) -> None:
        """Close every connection. The store cannot be used afterwards."""
        self._database.close()

    # Collections

    def collections(self) -> list[CollectionInfo]:
        """All collections by name, with what they hold."""
        with self._database.read() as connection:
            return documents.collections(connection)

    def create_collection(self, name: str) -> None:
        """Make an empty collection, which the operator manages and nobody else may read.

        Raises:
            BadRequest: the name is none.
            Conflict: there is one of that name.
        """
        with self._database.write() as connection:
            shelves.create(connection, name)

    def remove_collection(self, name: str, *, with_documents: bool = False) -> int:
        """Remove a collection; returns how many documents were removed with it.

        They go in batches, and what was removed stays removed if this is interrupted.

        Raises:
            NotFound: there is none of that name.
            Conflict: it holds files and is not to lose them, or a run of it has not ended.
        """
        removed = 0
        with self._database.write() as connection:
            shelves.refuse_busy(connection, name)
        while with_documents:
            with self._database.read() as connection:
                uris = shelves.uris(connection, name, REMOVE_BATCH)
            if not uris:
                break
            removed += self.remove_sources(name, uris)
        with self._database.write() as connection:
            shelves.remove(connection, name)
        return removed

    # Who may read what

    def access_to_all(self) -> Access:
        """The operator's, who owns the machine: every collection that exists now."""
        with self._database.read() as connection:
            return access.access_of(connection, frozenset({people.operator(connection)}))

    def operator_number(self) -> int:
        """The number of the operator, who has one as every user has."""
        with self._database.read() as connection:
            return people.operator(connection)

    def access_of_user(self, name: str) -> Access:
        """What a user may read now; nothing for one who is disabled.

        Raises:
            NotFound: there is no such user.
        """
        return self.access_of_number(self.user_number(name))

    def access_of_number(self, number: int) -> Access:
        """What the user of this number may read now; nothing for one who is disabled or gone."""
        with self._database.read() as connection:
            return access.access_of(connection, people.principals_of(connection, number))

    def user_number(self, name: str) -> int:
        """The number of a user, which nobody who comes by that name later will have.

        Raises:
            NotFound: there is no such user.
        """
        with self._database.read() as connection:
            return people.find(connection, "user", name)

    def manageable(self, number: int) -> frozenset[str]:
        """The collections that a user of this number, or the operator, may manage now."""
        with self._database.read() as connection:
            alone = frozenset({number}) & {people.operator(connection)}
            principals = alone or people.principals_of(connection, number)
            return access.manageable(connection, principals)

    def may_manage(self, number: int, collection: str) -> bool:
        """Whether a user of this number, or the operator, may manage a collection now."""
        return collection in self.manageable(number)

    # Writing

    def commit_source(
        self,
        collection: str,
        source: SourceFile,
        documents: Sequence[NewDocument],
        *,
        model_id: str,
    ) -> list[int]:
        """Replace all that was made from a source by these documents, in one transaction.

        `documents[0]` is the file itself; each other one names an earlier one's `source_uri` as
        its `parent_uri`. Where another run has meanwhile stored the source with the same
        fingerprint nothing changes.

        Returns the documents' ids, in order.

        Raises:
            ValueError: the documents contradict themselves; see `ingestion.validate`.
            Forgotten: the source's content was to be forgotten.
        """
        (done,) = self.commit_sources(collection, [(source, documents)], model_id=model_id)
        if isinstance(done, Exception):
            raise done
        return done

    def commit_sources(
        self,
        collection: str,
        made: Sequence[tuple[SourceFile, Sequence[NewDocument]]],
        *,
        model_id: str,
    ) -> list[list[int] | ValueError | Forgotten]:
        """The same for several sources in one transaction, as beginning and ending one is slow.

        Returns for each its documents' ids, or why nothing of it was stored. One that is refused
        keeps no other out: each is then committed by itself.
        """
        if not made:
            return []
        try:
            for source, documents in made:
                ingestion.validate(source, documents)
            with self._database.write() as connection:
                return [
                    ingestion.commit_source(connection, collection, *one, model_id=model_id)
                    for one in made
                ]
        except (ValueError, Forgotten) as error:
            if len(made) == 1:
                return [error]
        return [
            done
            for one in made
            for done in self.commit_sources(collection, [one], model_id=model_id)
        ]

    def record_failure(self, collection: str, source: SourceFile) -> None:
        """Record that a source could not be ingested, and remove what an older version gave.

        The stored text no longer matches the file, so it would be cited wrongly. Where another run
        has ingested the very same fingerprint, that stays and the failure is not recorded.
        """
        with self._database.write() as connection:
            ingestion.record_failure(connection, collection, source)

    def move_source(self, collection: str, old_uri: str, new: SourceFile) -> None:
        """Give a source and its documents a new URI; chunks, vectors and ids stay.

        A source that was at the new URI is replaced.

        Raises:
            NotFound: `old_uri` is not there, has failed, or no longer has the content of `new`.
        """
        with self._database.write() as connection:
            ingestion.move_source(connection, collection, old_uri, new)

    def touch_source(self, collection: str, *touched: SourceFile) -> None:
        """Record new size, time and fingerprint of sources whose content is the same.

        Raises:
            NotFound: one is not in the collection; then none is changed.
        """
        with self._database.write() as connection:
            sources.touch(connection, collection, touched)

    def remove_sources(self, collection: str, uris: Sequence[str]) -> int:
        """Remove sources and what was made from them; returns the number of documents removed.

        Each batch is one transaction, so what was removed stays removed if this is interrupted.
        """
        removed = 0
        for start in range(0, len(uris), REMOVE_BATCH):
            with self._database.write() as connection:
                batch = uris[start : start + REMOVE_BATCH]
                removed += ingestion.remove_sources(connection, collection, batch)
        return removed

    def remove_document(self, access: Access, document_id: int) -> Document:
        """Remove a document with its file's record and all else that was made from the file.

        The copy of an uploaded file is deleted at once where nothing else needs it, that of another
        file when originals are swept next.

        Raises:
            NotFound: it does not exist or may not be read.
            Conflict: it came with another document.
        """
        with self._database.write() as connection:
            document = shelves.take_out(connection, access, document_id)
        if document.source_uri.startswith(UPLOAD):
            self.discard_original(document.content_sha256)
        return document

    def discard_original(self, sha256: str) -> None:
        """Delete a kept copy at once, unless a document was made from it or is about to be."""
        if sha256 not in self._referenced():
            self.originals.discard(sha256)

    def sweep_originals(self) -> int:
        """Delete the originals that no document refers to; returns how many."""
        return self.originals.sweep(self._referenced())

    def _referenced(self) -> set[str]:
        waiting = self.runs.kept()  # first: an upload becomes a document, never the reverse
        with self._database.read() as connection:
            return waiting | documents.content_hashes(connection)

    # Sources

    def sources(self, collection: str, under: str) -> list[SourceFile]:
        """The sources at `under` or below it as a folder, by URI."""
        with self._database.read() as connection:
            return sources.under(connection, collection, under)

    def failures(self, collection: str | None = None) -> list[tuple[str, SourceFile]]:
        """The sources that could not be ingested, each with its collection's name."""
        with self._database.read() as connection:
            return sources.failures(connection, collection)

    # Reading for a person

    def list_documents(
        self,
        access: Access,
        *,
        after: int = 0,
        limit: int = 50,
        title_contains: str = "",
        only: Narrowing | None = None,
    ) -> list[Document]:
        """Readable documents by id, beginning after the id `after`; letter case is ignored."""
        only = only or Narrowing(title_contains=title_contains)
        with self._database.read() as connection:
            return documents.list_documents(connection, access, after=after, limit=limit, only=only)

    def document_of(
        self, access: Access, collection: str, *, uri: str = "", sha256: str = ""
    ) -> Document | None:
        """The readable document that was made from the file of this URI, or of this content."""
        with self._database.read() as connection:
            return documents.made_from(connection, access, collection, uri=uri, sha256=sha256)

    def readable_collections(self, access: Access) -> list[CollectionInfo]:
        """The caller's collections by name, with how much of each may be read."""
        with self._database.read() as connection:
            return documents.readable_collections(connection, access)

    def readable_ids(self, access: Access, ids: Iterable[int]) -> set[int]:
        """Those of these documents that are there and may be read."""
        with self._database.read() as connection:
            return documents.readable_ids(connection, access, ids)

    def count_documents(self, access: Access) -> int:
        """How many documents are readable."""
        with self._database.read() as connection:
            return self._counts.of(connection, access)

    def document(self, access: Access, document_id: int) -> Document:
        """One document.

        Raises:
            NotFound: it does not exist or may not be read.
        """
        with self._database.read() as connection:
            return documents.document(connection, access, document_id)

    def children(self, access: Access, document_id: int) -> list[Document]:
        """What was attached to a document, by id.

        Raises:
            NotFound: it does not exist or may not be read.
        """
        with self._database.read() as connection:
            return documents.children(connection, access, document_id)

    def text(self, access: Access, document_id: int, start: int = 0, end: int | None = None) -> str:
        """A document's text, or the half-open span of it; offsets are not negative.

        What is in quarantine is written over; all else stands where it does in the document.

        Raises:
            NotFound: it does not exist or may not be read.
        """
        place = document_id, start, end
        found = self.texts(access, [place])
        if place not in found:
            raise documents.not_found(document_id)
        return found[place]

    def texts(self, access: Access, places: Collection[Place]) -> dict[Place, str]:
        """Many spans, each as `text` has it. What does not exist or may not be read is absent."""
        if not places:
            return {}
        with self._database.read() as connection:
            return quarantine.texts(connection, access, places)

    def pages(self, access: Access, document_id: int) -> list[Page]:
        """A document's pages by number; empty where its format has none.

        Raises:
            NotFound: it does not exist or may not be read.
        """
        with self._database.read() as connection:
            return documents.pages(connection, access, document_id)

    def page(self, access: Access, document_id: int, number: int) -> Page:
        """One page.

        Raises:
            NotFound: the document may not be read or has no such page.
        """
        with self._database.read() as connection:
            return documents.page(connection, access, document_id, number)

    def chunks(self, access: Access, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Chunks by id. What does not exist or may not be read is absent.

        This is the last check before a hit leaves.
        """
        with self._database.read() as connection:
            return documents.chunks(connection, access, ids)

    def days(self, access: Access, document_ids: Iterable[int]) -> dict[int, str]:
        """The day, ISO 8601, that documents give themselves, else that of their file's last change.

        What does not exist or may not be read is absent.
        """
        with self._database.read() as connection:
            return documents.days(connection, access, document_ids)

    def document_chunks(self, access: Access, document_id: int) -> list[StoredChunk]:
        """A document's chunks in order.

        Raises:
            NotFound: it does not exist or may not be read.
        """
        with self._database.read() as connection:
            return documents.document_chunks(connection, access, document_id)

    # For the indexes

    def head(self) -> int:
        """Sequence number of the newest change, 0 before the first."""
        with self._database.read() as connection:
            return changes.head(connection)

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """The changes following `after`, in order and without a gap."""
        with self._database.read() as connection:
            return changes.following(connection, after, limit)

    def index_rows(self, chunk_ids: Sequence[int], model_id: str | None = None) -> list[IndexRow]:
        """What the indexes need of these chunks, by id; chunks that are gone are absent.

        Each comes once, with its vector of this model or none (`model_id` is "" then). Without a
        model it comes with each vector that it has.
        """
        with self._database.read() as connection:
            return changes.index_rows(connection, chunk_ids, model_id)

    @contextmanager
    def reading(
        self, batch: int = 1000, *, model_id: str | None = None
    ) -> Iterator[tuple[int, Iterator[list[IndexRow]]]]:
        """Everything an index needs, as of one moment.

        Yields the change log's head at that moment, and the rows of all chunks by id in batches,
        with the vectors of this model as `index_rows` has them.
        """
        with self._database.read_snapshot() as connection:
            yield changes.head(connection), changes.all_index_rows(connection, batch, model_id)

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Wait until nobody else, in any process, does what goes by this name."""
        return self._database.alone(name)

    def some_vectors(self, model_id: str, n: int) -> Vectors:
        """At most `n` of a model's vectors from all over the store, shape (n, dim)."""
        with self._database.read() as connection:
            blobs = list(changes.some_vectors(connection, model_id, n))
        return np.frombuffer(b"".join(blobs), "<f4").reshape(len(blobs), -1)

    def model_ids(self) -> set[str]:
        """The models that the stored vectors were made by."""
        with self._database.read() as connection:
            return changes.model_ids(connection)

    # About the store

    def check(self) -> list[str]:
        """What is wrong inside the database, as sentences; empty when it is sound."""
        with self._database.read_snapshot() as connection:
            return integrity.check(connection)

    def check_originals(self) -> list[str]:
        """What is wrong with the kept files, as sentences; reads every one of them."""
        with self._database.read() as connection:
            referenced = documents.content_hashes(connection) - {""}  # made from no file
        return self.originals.check(referenced)

    def stats(self) -> Stats:
        """How much the store holds."""
        with self._database.read_snapshot() as connection:
            return integrity.stats(connection)

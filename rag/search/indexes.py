"""Both indexes of one process, kept level with the store's change log.

Each process holds its own: the dense index in memory, the lexical one in a private folder of hard
links. It loads the newest sound snapshot, replays what has changed since, and from then on catches
up at the start of every query, so that an acknowledged deletion is in force for the next one.
Snapshots are shared and immutable; only `refresh_snapshots` and `rebuild` write them.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from rag.errors import SearchIndexError
from rag.search import snapshot
from rag.search.dense import TRAINING_ROWS, DenseIndex, Kind, choose_kind
from rag.search.interface import Pair
from rag.search.lexical import SCHEMA_VERSION, LexicalIndex
from rag.store import Store
from rag.types import Access, IndexRow, IndexServer, Snapshot, Vectors

Say = Callable[[str], None]
Setting = Literal["auto", "flat", "sq8"]
Where = Setting | IndexServer  # in each process, or on a server for all of them
FORMAT = 2  # of the dense index's files
REPLAY_BATCH = 500  # changes applied at a time


class Indexes(AbstractContextManager["Indexes"]):
    """The dense and the lexical index, at one point of the change log. Thread-safe."""

    def __init__(self, store: Store, model_id: str, dim: int, setting: Setting, say: Say) -> None:
        self._store = store
        self._model_id = model_id
        self._dim = dim
        self._setting = setting
        self._say = say
        self._lock = threading.Lock()
        self._without = store.erasure.newest()  # what was forgotten by the time of loading
        snapshot.clear_leftovers(store)
        self._work, self._claim = snapshot.claim_folder(store.data_dir / "work", "lexical")
        self.rebuilt = False
        try:
            loaded = self._load()
            self.dense, self.lexical, self.seq = loaded or self._build()
            self.snapshot_seq = self.seq if loaded else -1
            self.catch_up()
        except BaseException:
            self._release()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lexical index's private folder."""
        self.lexical.close()
        self._release()

    def _release(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        os.close(self._claim)

    def catch_up(self) -> None:
        """Apply every change acknowledged before this call."""
        if self._store.head() <= self.seq:
            return
        with self._lock:
            while changes := self._store.changes(self.seq, REPLAY_BATCH):
                latest = {change.document_id: change for change in changes}
                for change in changes:
                    self.dense.delete(change.chunk_ids)
                for document_id in latest:
                    self.lexical.delete_document(document_id)
                wanted = [i for c in latest.values() if c.op == "put" for i in c.chunk_ids]
                rows = self._store.index_rows(wanted, self._model_id)
                self.lexical.append(rows)
                self.lexical.commit()
                self.dense.append(*self._columns(rows))
                self.seq = changes[-1].seq

    def drop_forgotten(self) -> bool:
        """Load the indexes anew where something was forgotten since; False where nothing was.

        In an index that is open, what was deleted is only marked. After this it is not there, not
        in memory and not in the private folder.
        """
        newest = self._store.erasure.newest()
        if newest == self._without:
            return False
        self._reload()
        self._without = newest
        return True

    def _reload(self) -> None:
        with self._lock:
            old, work, claim = self.lexical, self._work, self._claim
            self._work, self._claim = snapshot.claim_folder(
                self._store.data_dir / "work", "lexical"
            )
            try:
                loaded = self._load()
                self.dense, self.lexical, self.seq = loaded or self._build()
            except BaseException:
                self._release()
                self._work, self._claim = work, claim
                raise
            self.snapshot_seq = self.seq if loaded else -1
            old.close()
            shutil.rmtree(work, ignore_errors=True)
            os.close(claim)

    def search_dense(
        self, vector: NDArray[np.float32], k: int, access: Access
    ) -> list[tuple[int, float]]:
        """See `DenseIndex.search`."""
        return self.dense.search(vector, k, access)

    def search_lexical(self, query: str, k: int, access: Access) -> list[tuple[int, float]]:
        """See `LexicalIndex.search`."""
        return self.lexical.search(query, k, access)

    def publish(self) -> None:
        """Write both indexes as the newest snapshots, if they have moved since the last."""
        self.drop_forgotten()
        if self.seq == self.snapshot_seq:
            return
        with self._lock:
            config = self._dense_config()
            snapshot.publish(self._store, "dense", self.seq, config, self.dense.save)
            self.lexical.close()
            snapshot.publish(
                self._store, "lexical", self.seq, self._lexical_config(), self._copy_lexical
            )
            self.snapshot_seq = self.seq

    def outgrown(self) -> bool:
        """Whether the number of chunks asks for another type of dense index."""
        return choose_kind(self._setting, len(self.dense)) != self.dense.kind

    def _copy_lexical(self, target: Path) -> None:
        for file in self._work.iterdir():
            if not file.name.endswith(".lock"):
                shutil.copyfile(file, target / file.name)

    def _load(self) -> tuple[DenseIndex, LexicalIndex, int] | None:
        """The newest pair of sound snapshots of the same moment, None where there is none."""
        lexicals = {s.seq: path for s, path in self._usable("lexical", self._lexical_config())}
        kinds: list[Kind] = ["flat"] if self._setting == "flat" else ["flat", "sq8"]
        for kind in kinds:
            for found, path in self._usable("dense", self._dense_config(kind)):
                if found.seq in lexicals and found.seq <= self._store.head():
                    dense = DenseIndex.load(path, kind)
                    return dense, LexicalIndex.load(lexicals[found.seq], self._work), found.seq
        return None

    def _usable(self, kind: snapshot.Kind, config: str) -> Iterator[tuple[Snapshot, Path]]:
        return snapshot.usable(self._store, kind, config, self._say)

    def _build(self) -> tuple[DenseIndex, LexicalIndex, int]:
        """Both indexes from the store alone."""
        self.rebuilt = True
        n_chunks = self._store.stats().chunks
        kind = choose_kind(self._setting, n_chunks)
        if n_chunks:
            self._say(f"building the indexes of {n_chunks:,} chunks")
        dense, lexical = DenseIndex(self._dim, kind), LexicalIndex(self._work)
        # The first batch is what a quantiser learns from.
        first = 1000 if kind == "flat" else TRAINING_ROWS
        with self._store.reading(first, model_id=self._model_id) as (seq, batches):
            for rows in batches:
                dense.append(*self._columns(rows))
                lexical.append(rows)
        lexical.commit()
        return dense, lexical, seq

    def _columns(self, rows: list[IndexRow]) -> tuple[list[int], list[str], Vectors, list[int]]:
        """Ids, collections, vectors (n, dim) and lists of the rows with a vector of this model."""
        mine = [row for row in rows if row.model_id == self._model_id]
        vectors = np.array([row.vector for row in mine], np.float32).reshape(-1, self._dim)
        return (
            [row.chunk_id for row in mine],
            [row.collection for row in mine],
            vectors,
            [row.list_id for row in mine],
        )

    def _dense_config(self, kind: str | None = None) -> str:
        return f"{self._model_id} {kind or self.dense.kind} {FORMAT}"

    def _lexical_config(self) -> str:
        return f"schema {SCHEMA_VERSION}"


@overload
def open_indexes(store: Store, model_id: str, dim: int, setting: Setting, say: Say) -> Indexes: ...
@overload
def open_indexes(store: Store, model_id: str, dim: int, setting: Where, say: Say) -> Pair: ...
def open_indexes(store: Store, model_id: str, dim: int, setting: Where, say: Say) -> Pair:
    """Load or build the indexes; a snapshot that turns out unreadable is rebuilt, never fatal."""
    if isinstance(setting, IndexServer):
        from rag.search.milvus import MilvusIndexes

        return MilvusIndexes(store, model_id, dim, setting, say)
    try:
        indexes = Indexes(store, model_id, dim, setting, say)
    except SearchIndexError as error:
        say(f"{error.message}; building it anew")
        snapshot.discard_all(store)
        indexes = Indexes(store, model_id, dim, setting, say)
    if indexes.rebuilt and len(indexes.dense):
        indexes.publish()  # the next process need not build them again
    return indexes


def refresh_snapshots(store: Store, model_id: str, dim: int, setting: Where, say: Say) -> None:
    """Bring the snapshots level with the change log, so that the next process starts at once."""
    with open_indexes(store, model_id, dim, setting, say) as indexes:
        if indexes.outgrown():
            rebuild(store, model_id, dim, setting, say)
        else:
            indexes.publish()


def rebuild(store: Store, model_id: str, dim: int, setting: Where, say: Say) -> int:
    """Throw all snapshots away and build them from the store. Returns the number of chunks."""
    snapshot.discard_all(store)
    if isinstance(setting, IndexServer):
        from rag.search.milvus import MilvusIndexes

        with MilvusIndexes(store, model_id, dim, setting, say) as server:
            return len(server.dense) if server.rebuilt else server.build()
    with open_indexes(store, model_id, dim, setting, say) as indexes:
        indexes.publish()
        return len(indexes.dense)

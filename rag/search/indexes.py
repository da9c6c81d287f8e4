"""Both indexes of one process, kept level with the store's change log.

Each process holds its own: the dense index in memory, the lexical one in a private folder of hard
links. It loads the newest sound snapshot, replays what has changed since, and from then on catches
up at the start of every query, so that an acknowledged deletion is in force for the next one.
Snapshots are shared and immutable. `refresh_snapshots` and `rebuild` write them, and who opens the
indexes and finds none of use.

A server has a thread that follows the log (`follow`), and loads an index of another type once an
ingest has built one. Then a query only masks deletions itself. For a small addition it wakes the
thread and waits, as long as queries have not been waiting too much of late: what comes alone is
found by the next query, and a steady stream of changes holds nobody up.
"""

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from rag.closing import Closing
from rag.errors import CitadelError, SearchIndexError
from rag.search import snapshot
from rag.search.coded import Kind
from rag.search.dense import TRAINING_ROWS, DenseIndex, Setting, choose_kind
from rag.search.folders import claim_folder
from rag.search.interface import Pair
from rag.search.lexical import SCHEMA_VERSION, LexicalIndex
from rag.search.patience import Patience
from rag.search.threads import one_thread
from rag.store import Store
from rag.types import Change, IndexRow, IndexServer, Snapshot, Vectors

Say = Callable[[str], None]
Where = Setting | IndexServer  # in each process, or on a server for all of them
FORMATS: dict[Kind, int] = {"flat": 3, "sq8": 3, "ivf": 4}  # of the dense index's files
REPLAY_BATCH = 500  # changes applied at a time
SOON_CHUNKS = 200  # that a query waits for where a thread follows: some 40 ms
FOLLOW_S = 0.5
KINDS: dict[Setting, tuple[Kind, ...]] = {  # that may be loaded, until a better one is there
    "auto": ("ivf", "sq8", "flat"),
    "flat": ("flat",),
    "sq8": ("sq8", "flat"),
    "ivf": ("ivf", "flat"),
}


class Indexes(Closing):
    """The dense and the lexical index, at one point of the change log. Thread-safe."""

    def __init__(self, store: Store, model_id: str, dim: int, setting: Setting, say: Say) -> None:
        self._store = store
        self._model_id = model_id
        self._dim = dim
        self._setting = setting
        self._say = say
        self._changing = threading.Lock()  # held by whoever moves the indexes on
        self._moved = threading.Condition()  # told whenever they have
        self._wake = threading.Event()  # for the thread that follows
        self._patience = Patience()
        self._held_long = False  # by one who takes seconds, for whom no query waits
        self._masking = threading.Lock()
        self._pending: deque[tuple[int, int]] = deque()  # changes seen: number and size
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None
        self._taken = ""  # path of the snapshot that was taken for a newer type
        self._without = store.erasure.newest()  # what was forgotten by the time of loading
        snapshot.clear_leftovers(store)
        self._work, self._claim = claim_folder(store.data_dir / "work", "lexical")
        self.rebuilt = False
        try:
            loaded = self._load(self._work)
            self.dense, self.lexical, self.seq = loaded or self._build(self._work)
            self.snapshot_seq = self.seq if loaded else -1
            self.catch_up()
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """End the following and release the lexical index's private folder."""
        self._stop.set()
        self._wake.set()
        if self._follower is not None:
            self._follower.join()
        self.lexical.close()
        self._release()

    def _release(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        os.close(self._claim)

    def catch_up(self) -> None:
        """Apply every change acknowledged before this call.

        Where a thread follows, only the deletions from the dense index, which are at once; a hit
        that the lexical index still has is not in the store any more. Small additions are waited
        for, within the queries' patience.
        """
        head = self._store.head()
        if head <= self.seq:
            return
        if self._follower is None or not self._follower.is_alive():
            with self._changing:
                self._advance()
        elif self._mask_deleted() <= SOON_CHUNKS and not self._held_long:
            self._wait_for(head)

    def _wait_for(self, seq: int) -> None:
        """Until the thread has brought the indexes there, or patience is at an end."""
        patience = self._patience.left()
        if not patience:
            return
        self._wake.set()
        began = time.monotonic()
        with self._moved:
            self._moved.wait_for(lambda: self.seq >= seq, patience)
        self._patience.spend(time.monotonic() - began)

    def follow(self) -> None:
        """Keep the indexes level in a thread of their own, until `close`; once is enough."""
        if self._follower is not None and self._follower.is_alive():
            return
        self._follower = threading.Thread(target=self._keep_following, name="follow", daemon=True)
        self._follower.start()

    def _keep_following(self) -> None:
        with one_thread():  # with FAISS's others, adding 20 rows took 16 ms now and then, not one
            while True:
                self._wake.wait(FOLLOW_S)
                self._wake.clear()
                if self._stop.is_set():
                    return
                self._follow_once()

    def _follow_once(self) -> None:
        try:
            if self._store.head() > self.seq:
                with self._changing:
                    self._advance()
            if self.dense.outgrown(self._setting) or self.dense.worn():
                self._take_newer()
        except CitadelError as error:
            self._say(f"cannot follow the changes: {error.message}")

    def _mask_deleted(self) -> int:
        """Mask what was deleted; returns how many chunks the changes to be applied are about."""
        with self._masking:
            last = max(self.seq, self._pending[-1][0] if self._pending else 0)
            while changes := self._store.changes(last, REPLAY_BATCH):
                for change in changes:
                    if change.op == "delete":
                        self.dense.delete(change.chunk_ids)
                    self._pending.append((change.seq, len(change.chunk_ids)))
                last = changes[-1].seq
            while self._pending and self._pending[0][0] <= self.seq:
                self._pending.popleft()
            return sum(size for _, size in self._pending)

    def _advance(self) -> None:
        """Bring both indexes level; the caller holds `_changing`."""
        while changes := self._store.changes(self.seq, REPLAY_BATCH):
            self._apply(changes, self.dense, self.lexical)
            self.seq = changes[-1].seq
            with self._moved:
                self._moved.notify_all()

    def _replay(self, dense: DenseIndex, lexical: LexicalIndex | None, seq: int) -> int:
        """Bring indexes level that nobody searches yet; returns the last change's number."""
        while changes := self._store.changes(seq, REPLAY_BATCH):
            self._apply(changes, dense, lexical)
            seq = changes[-1].seq
        return seq

    def _apply(
        self, changes: Sequence[Change], dense: DenseIndex, lexical: LexicalIndex | None
    ) -> None:
        latest = {change.document_id: change for change in changes}
        for change in changes:
            if change.op == "delete":
                dense.delete(change.chunk_ids)
        wanted = [i for c in latest.values() if c.op == "put" for i in c.chunk_ids]
        rows = self._store.index_rows(wanted, self._model_id)
        if lexical is not None:
            for document_id in latest:
                lexical.delete_document(document_id)
            lexical.append(rows)
            lexical.commit()
        # What comes in another place is found in its old one until now: reading rows takes long.
        for change in changes:
            dense.delete(change.chunk_ids)
        dense.append(*self._columns(rows))

    def _serve(self, dense: DenseIndex, seq: int) -> None:
        """Search this dense index, which is level with `seq`, from now on."""
        seq = self._replay(dense, None, seq)
        with self._changing:
            self._advance()
            while seq != self.seq:
                seq = self._replay(dense, None, seq)
                self._advance()
            self.dense = dense

    def drop_forgotten(self) -> bool:
        """Load the indexes anew where something was forgotten since; False where nothing was.

        In an index that is open, what was deleted is only marked. After this it is not there, not
        in memory and not in the private folder. Queries are answered by the old ones meanwhile.
        """
        newest = self._store.erasure.newest()
        if newest == self._without:
            return False
        self._reload()
        self._without = newest
        return True

    def _reload(self) -> None:
        work, claim = claim_folder(self._store.data_dir / "work", "lexical")
        try:
            loaded = self._load(work)
            dense, lexical, seq = loaded or self._build(work)
            read_seq, seq = seq, self._replay(dense, lexical, seq)
            with self._changing:
                self.seq = self._replay(dense, lexical, seq)
                old, self.dense, self.lexical = self.lexical, dense, lexical
                (work, self._work), (claim, self._claim) = (self._work, work), (self._claim, claim)
                self.snapshot_seq = read_seq if loaded else -1
            old.close()
        finally:
            shutil.rmtree(work, ignore_errors=True)
            os.close(claim)

    def _take_newer(self) -> None:
        """Serve the newest dense snapshot instead, where it is of the type that is asked for."""
        kind = choose_kind(self._setting, len(self.dense))
        config = self._dense_config(kind)
        newest = [s for s in self._store.snapshots.of_kind("dense") if s.config == config][:1]
        for found in newest:
            if found.path == self._taken or not snapshot.is_sound(self._store, found, self._say):
                return
            self._taken = found.path
            self._serve(DenseIndex.load(self._store.data_dir / found.path, kind), found.seq)

    def build_dense(self) -> None:
        """Build the dense index anew from the store, of the type that its size asks for."""
        dense = self._new_dense()
        with self._store.reading(model_id=self._model_id) as (seq, batches):
            for rows in batches:
                dense.append(*self._columns(rows))
        self._serve(dense, seq)
        self.snapshot_seq = -1

    def publish(self) -> None:
        """Write both indexes as the newest snapshots, if they have moved since the last.

        Raises:
            SearchIndexError: they cannot be written.
        """
        self.drop_forgotten()
        while self.seq != self.snapshot_seq:
            with self._changing:
                self._held_long = True
                try:
                    self._publish()
                finally:
                    self._held_long = False
            if self._store.erasure.newest() == self._without:
                return
            # Something was forgotten meanwhile, and may be in what was written.
            snapshot.discard_all(self._store)
            self.snapshot_seq = -1
            self.drop_forgotten()

    def _publish(self) -> None:
        config = self._dense_config(self.dense.kind)
        snapshot.publish(self._store, "dense", self.seq, config, self.dense.save)
        self.lexical.close()
        snapshot.publish(
            self._store, "lexical", self.seq, self._lexical_config(), self._copy_lexical
        )
        self.snapshot_seq = self.seq

    def outgrown(self) -> bool:
        """Whether the number of chunks asks for another type of dense index."""
        return self.dense.outgrown(self._setting)

    def grow(self) -> None:
        """See `Pair`."""
        if self.outgrown():
            self.build_dense()

    def _copy_lexical(self, target: Path) -> None:
        for file in self._work.iterdir():
            if not file.name.endswith(".lock"):
                shutil.copyfile(file, target / file.name)

    def _load(self, work: Path) -> tuple[DenseIndex, LexicalIndex, int] | None:
        """The newest pair of sound snapshots of the same moment, None where there is none."""
        recorded = self._store.snapshots.of_kind("lexical")
        lexicals = {s.seq: s for s in recorded if s.config == self._lexical_config()}
        wanted = choose_kind(self._setting, self._store.stats().chunks)
        for kind in dict.fromkeys((wanted, *KINDS[self._setting])):
            for found, path in self._usable("dense", self._dense_config(kind)):
                lexical = lexicals.get(found.seq)
                if lexical is None or found.seq > self._store.head():
                    continue
                if snapshot.is_sound(self._store, lexical, self._say):
                    dense = DenseIndex.load(path, kind)
                    words = LexicalIndex.load(self._store.data_dir / lexical.path, work)
                    return dense, words, found.seq
        return None

    def _usable(self, kind: snapshot.Kind, config: str) -> Iterator[tuple[Snapshot, Path]]:
        return snapshot.usable(self._store, kind, config, self._say)

    def _build(self, work: Path) -> tuple[DenseIndex, LexicalIndex, int]:
        """Both indexes from the store alone."""
        self.rebuilt = True
        dense, lexical = self._new_dense(), LexicalIndex(work)
        with self._store.reading(model_id=self._model_id) as (seq, batches):
            for rows in batches:
                dense.append(*self._columns(rows))
                lexical.append(rows)
        lexical.commit()
        return dense, lexical, seq

    def _new_dense(self) -> DenseIndex:
        """An empty dense index for what the store holds, which has learnt from a part of it."""
        n_chunks = self._store.stats().chunks
        if n_chunks:
            self._say(f"building the index of {n_chunks:,} chunks")
        kind = choose_kind(self._setting, n_chunks)
        if kind == "flat":
            return DenseIndex(self._dim)
        sample = self._store.some_vectors(self._model_id, TRAINING_ROWS)
        if not len(sample):
            return DenseIndex(self._dim)
        dense = DenseIndex(self._dim, kind, n_chunks)
        dense.train(sample)
        return dense

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

    def _dense_config(self, kind: Kind) -> str:
        return f"{self._model_id} {kind} {FORMATS[kind]}"

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
        try:
            indexes.publish()  # the next process need not build them again
        except SearchIndexError as error:
            say(f"{error.message}; the next start builds it anew")
        except BaseException:
            indexes.close()
            raise
    return indexes


def refresh_snapshots(store: Store, model_id: str, dim: int, setting: Where, say: Say) -> None:
    """Bring the snapshots level with the change log, so that the next process starts at once."""
    with open_indexes(store, model_id, dim, setting, say) as indexes:
        indexes.grow()
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

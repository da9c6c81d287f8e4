"""Both indexes in one Milvus, shared by all processes, kept level with the store's change log.

How far they are is kept in Milvus itself, so that a process which starts has nothing to load.
Whoever finds them behind the log brings them level, one process at a time; what a change does can
be done again. A build goes into collections of its own while the old ones are searched, and then
takes their place; each process finds out when it next looks, or when what it asks is gone.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rag.closing import Closing
from rag.search import milvus_dense, milvus_lexical
from rag.search.indexes import Say
from rag.search.lexical import SCHEMA_VERSION
from rag.search.milvus_client import Gone, Level, Milvus, Shelf
from rag.search.milvus_dense import MilvusDense
from rag.search.milvus_lexical import MilvusLexical
from rag.store import Store
from rag.types import Change, IndexRow, IndexServer

PREFIX = "citadel_"
STATES = f"{PREFIX}states"  # a row for each model
FORMAT = 1  # of what the collections hold, besides the words' own
SAMPLE, ENOUGH = 5000, 1000  # chunks that the fields' lengths are learnt from
BATCH = 500  # changes, or chunks of a build, written at a time
SETTLED_S = 30.0
APPLYING, BUILDING = "index-applying", "index-building"  # what one process does at a time


@dataclass(frozen=True, slots=True)
class State:
    """What Milvus holds of one model's index."""

    generation: int  # part of the collections' names
    seq: int
    erased: int  # the newest deletion that it is without
    format: str
    sampled: int  # chunks that were there to learn the fields' lengths from
    average_words: str  # of a field, as JSON


class MilvusIndexes(Closing):
    """The dense and the lexical index, at one point of the change log. Thread-safe."""

    def __init__(
        self, store: Store, model_id: str, dim: int, server: IndexServer, say: Say
    ) -> None:
        self._store = store
        self._model_id = model_id
        self._dim = dim
        self._say = say
        self._lock = threading.Lock()
        self._key = re.sub(r"\W", "_", model_id)[:16]
        self._format = f"{FORMAT}.{milvus_lexical.SCHEMA}, {SCHEMA_VERSION}"
        self._moved = time.monotonic()
        usual = json.dumps(milvus_lexical.USUAL_WORDS)
        self._taken = State(0, -1, 0, self._format, 0, usual)
        self.seq = -1
        self.rebuilt = False
        self._milvus = Milvus(server)
        try:
            shelves = [Shelf(self._milvus, "", self._level, self._renew) for _ in range(2)]
            self.dense = MilvusDense(shelves[0], dim)
            self.lexical = MilvusLexical(shelves[1])
            if not self._see():
                self._build(unless_there=True)
            self.catch_up()
        except BaseException:
            self._milvus.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        self._milvus.close()

    def catch_up(self) -> None:
        """Put every change that was acknowledged before this call in force, for all processes."""
        head = self._store.head()
        if head <= self.seq:
            return
        with self._lock:
            if self._see() and head <= self.seq:
                return  # another process was quicker
            with self._store.alone(APPLYING):
                if self._see():
                    for state in self._followed(self._taken):
                        self._note(state)
                        self._take(state)
                    return
        self._build(unless_there=True)  # somebody has emptied Milvus

    def publish(self) -> None:
        """Nothing is to be written: Milvus keeps what it has got. What was forgotten goes."""
        self.drop_forgotten()

    def outgrown(self) -> bool:
        """Whether it was built before there were chunks to learn the fields' lengths from."""
        return self._taken.sampled < ENOUGH <= self._store.stats().chunks

    def grow(self) -> None:
        """See `Pair`."""
        if self.outgrown():
            self.build()

    def follow(self) -> None:
        """See `Pair`; nothing to do, as whichever process asks first applies for all."""

    def drop_forgotten(self) -> bool:
        """Have the index built anew where something was forgotten since; False where nothing was.

        Milvus only marks what is deleted. The collections that held it are dropped, other models'
        included.
        """
        newest = self._store.erasure.newest()
        if newest <= self._taken.erased:
            return False
        if not self._see() or newest > self._taken.erased:
            self._build(unless_there=True)
        return True

    def build(self) -> int:
        """Build the index anew from the store, beside the one in use. Returns its chunks."""
        self._build(unless_there=False)
        return len(self.dense)

    def _level(self) -> Level:
        """How new an answer must be: Milvus takes longer where it has to be the newest of all."""
        return "Strong" if time.monotonic() - self._moved < SETTLED_S else "Bounded"

    # What Milvus has

    def _see(self) -> bool:
        """Take over what generation is in use and how far it is; False where none can be used."""
        state = self._state()
        if state is None or state.format != self._format or state.seq > self._store.head():
            return False  # no index, an older version's, or of another store
        if state != self._taken:
            self._take(state)
        return True

    def _renew(self) -> None:
        """Find the index again where what was asked is gone."""
        with self._lock:
            found = self._is_there()
        if not found:
            self._build(unless_there=True)

    def _is_there(self) -> bool:
        if not self._see():
            return False
        names = self._milvus.names(PREFIX)
        return all(shelf.name in names for shelf in (self.dense.shelf, self.lexical.shelf))

    def _take(self, state: State) -> None:
        self._moved = time.monotonic()
        self.dense.shelf.name = self._name(state.generation, "vectors")
        self.lexical.shelf.name = self._name(state.generation, "words")
        self.lexical.changed()
        self._taken, self.seq = state, state.seq

    def _state(self) -> State | None:
        try:
            rows = self._milvus.rows(STATES, f'model == "{self._key}"', list(State.__slots__))
        except Gone:
            return None
        return State(**{name: rows[0][name] for name in State.__slots__}) if rows else None

    def _note(self, state: State) -> None:
        values = {name: getattr(state, name) for name in State.__slots__}
        self._milvus.upsert(STATES, [{"model": self._key, **values, "nothing": [0.0, 0.0]}])

    def _name(self, generation: int, what: str) -> str:
        return f"{PREFIX}{self._key}_{generation}_{what}"

    # Changes

    def _followed(self, state: State) -> Iterator[State]:
        """Apply what follows a state; yields how far it is. The caller is alone in doing so."""
        while changes := self._store.changes(state.seq, BATCH):
            self._apply(state, changes)
            state = replace(state, seq=changes[-1].seq)
            yield state

    def _apply(self, state: State, changes: list[Change]) -> None:
        """Bring the chunks that changed level with the store as it is now. Can be done again."""
        latest = {change.document_id: change for change in changes}
        wanted = [i for c in latest.values() if c.op == "put" for i in c.chunk_ids]
        rows = self._store.index_rows(wanted, self._model_id)
        touched = {i for change in changes for i in change.chunk_ids}
        self._write(state, rows)
        mine = {row.chunk_id for row in rows if row.model_id == self._model_id}
        gone = touched - {row.chunk_id for row in rows}
        self._milvus.delete(self._name(state.generation, "vectors"), sorted(touched - mine))
        self._milvus.delete(self._name(state.generation, "words"), sorted(gone))

    def _write(self, state: State, rows: list[IndexRow]) -> None:
        average_words = json.loads(state.average_words)
        vectors, words = (self._name(state.generation, what) for what in ("vectors", "words"))
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            mine = [row for row in some if row.model_id == self._model_id]
            self._milvus.upsert(vectors, milvus_dense.records(mine))
            self._milvus.upsert(words, self.lexical.records(some, average_words))

    # A build

    def _build(self, *, unless_there: bool) -> None:
        """Build a new generation and put it in the place of the one in use, if there is one."""
        with self._store.alone(BUILDING):
            erased = self._store.erasure.newest()  # before the store is read
            if unless_there and self._is_there() and erased <= self._taken.erased:
                return  # another process has done it meanwhile
            self.rebuilt = True
            _create_states(self._milvus)
            own, others = self._collections()
            generation = max((int(name.split("_")[-2]) for name in own), default=0) + 1
            state = self._filled(generation, erased)
            with self._lock, self._store.alone(APPLYING):
                *_, state = [state, *self._followed(state)]
                self._note(state)
                self._take(state)
            for name in own + self._outdated(others, erased):
                self._milvus.drop(name)

    def _collections(self) -> tuple[list[str], list[str]]:
        """This model's, and other models', which are built when they are next asked for."""
        names = [name for name in self._milvus.names(PREFIX) if name != STATES]
        mine = f"{PREFIX}{self._key}_"
        return [n for n in names if n.startswith(mine)], [n for n in names if mine not in n]

    def _outdated(self, names: list[str], erased: int) -> list[str]:
        """Those of models whose index is not without the newest deletion yet."""
        rows = self._milvus.rows(STATES, f"erased < {erased}", ["model"])
        theirs = tuple(f"{PREFIX}{row['model']}_" for row in rows)
        return [name for name in names if name.startswith(theirs)]

    def _filled(self, generation: int, erased: int) -> State:
        """Write every chunk of the store into new collections."""
        n_chunks = self._store.stats().chunks
        if n_chunks:
            self._say(f"building the indexes of {n_chunks:,} chunks in Milvus")
        milvus_dense.create(self._milvus, self._name(generation, "vectors"), self._dim)
        milvus_lexical.create(self._milvus, self._name(generation, "words"))
        with self._store.reading(SAMPLE, model_id=self._model_id) as (_, batches):
            sample = next(batches, [])
        average_words = milvus_lexical.USUAL_WORDS | self.lexical.average_words(sample)
        with self._store.reading(BATCH, model_id=self._model_id) as (seq, batches):
            state = State(
                generation, seq, erased, self._format, len(sample), json.dumps(average_words)
            )
            for rows in batches:
                self._write(state, rows)
        for what in ("vectors", "words"):
            self._milvus.flush(self._name(generation, what))
        return state


def holding(server: IndexServer, documents: list[int]) -> list[str]:
    """The collections that have rows of any of these documents."""
    milvus = Milvus(server)
    try:
        names = [name for name in milvus.names(PREFIX) if name != STATES]
        held = f"document_id in {documents}"
        return [name for name in names if milvus.count(name, held, "Strong")]
    finally:
        milvus.close()


def _create_states(milvus: Milvus) -> None:
    key = {"field_name": "model", "datatype": "VARCHAR", "is_primary": True}
    fields: list[dict[str, Any]] = [{**key, "max_length": 16}]
    numbers = ("generation", "seq", "erased", "sampled")
    fields += [{"field_name": name, "datatype": "INT64"} for name in numbers]
    texts = ("format", "average_words")
    fields += [{"field_name": name, "datatype": "VARCHAR", "max_length": 999} for name in texts]
    # A collection without a vector is refused.
    fields.append({"field_name": "nothing", "datatype": "FLOAT_VECTOR", "dim": 2})
    milvus.create(
        STATES, fields, {"field_name": "nothing", "metric_type": "IP", "index_type": "FLAT"}
    )

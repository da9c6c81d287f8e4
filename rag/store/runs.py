"""Ingest runs that the API was asked for: what each is to do, how far it is, and how it ended.

A run waits, runs, and ends as done, failed or cancelled. One runs at a time, in the order they
came; whoever works on them holds a lock on the data directory, so a run that is marked as running
while nobody holds it was broken off.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update

from rag.errors import NotFound
from rag.store import audit, people, sources, tables
from rag.store.database import Database
from rag.store.documents import MAX_ID

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})
UPLOAD = "upload:"  # what the URI of an uploaded file begins with
MAX_FAILURES = 1000  # kept with a run; its counts have all
BROKEN_OFF = "the server ended while it ran; what was committed stays"
UNTOLD = "the reason is told to who manages the collection"
UNTOLD_HINT = "Ask one of them."
AGAIN = "Start it again: what is done is not done twice."

_runs = tables.ingest_runs


class Failure(TypedDict):
    """A file that was not ingested, why, and what to do."""

    path: str
    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a run is, in files: `done` of `total` are, and what became of them."""

    total: int = 0
    done: int = 0
    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """An ingest run. `paths` are files and folders, or the URI of an upload."""

    id: int
    collection: str
    principal_id: int
    started_by: str  # "" for who is gone
    paths: tuple[str, ...]
    content_sha256: str  # of an upload; "" where files are read
    state: State
    is_to_stop: bool
    counts: Counts
    failures: tuple[Failure, ...]
    message: str  # why it failed
    hint: str
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_upload(self) -> bool:
        """Whether it brings in one uploaded file."""
        return self.content_sha256 != ""


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose runs are asked for: one's own, and all of the collections that one manages.

    Which files a run concerns is told to who manages its collection now; of an upload, also to who
    sent it. Having started a run, or seeing everything, is not enough.
    """

    principal_id: int
    managed: frozenset[str]
    everything: bool = False

    def of(self, run: Run) -> Run:
        """The run as it is shown."""
        own = run.is_upload and run.principal_id == self.principal_id
        if own or run.collection in self.managed:
            return run
        message, hint = (UNTOLD, UNTOLD_HINT) if run.message else ("", "")
        return replace(run, paths=(), failures=(), message=message, hint=hint)


class Runs:
    """The runs of a store. Every call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, collection: str, principal_id: int, paths: Sequence[str]) -> int:
        """A run over files and folders, which waits; returns its number.

        Raises:
            NotFound: there is no such collection.
        """
        with self._database.write() as connection:
            return _add(connection, collection, principal_id, paths)

    def add_upload(self, collection: str, principal_id: int, name: str, sha256: str) -> int:
        """A run that brings in an uploaded file, whose content is kept; returns its number.

        The file's URI is made of that number, which is never given twice, so that an upload cannot
        take another one's place whatever it is called.

        Raises:
            NotFound: there is no such collection.
        """
        with self._database.write() as connection:
            number = _add(connection, collection, principal_id, (), sha256)
            named = update(_runs).where(_runs.c.id == number)
            connection.execute(named.values(paths=[f"{UPLOAD}/{number}/{name}"]))
            return number

    def one(self, number: int, sight: Sight | None = None) -> Run:
        """One run; with a sight only where that shows it.

        Raises:
            NotFound: there is none, or none to be seen.
        """
        query = _select().where(_runs.c.id == min(number, MAX_ID))
        with self._database.read() as connection:
            found = _found(connection, query if sight is None else _seen(query, sight))
        if not found:
            raise NotFound(f"no ingest run {number}", hint="GET /v1/ingest-runs lists yours.")
        return found[0] if sight is None else sight.of(found[0])

    def listed(self, sight: Sight, limit: int, before: int | None = None) -> list[Run]:
        """The newest runs first, those before the number `before` where it is given."""
        query = _seen(_select(), sight).order_by(_runs.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_runs.c.id < min(before, MAX_ID))
        with self._database.read() as connection:
            return [sight.of(run) for run in _found(connection, query)]

    def unended_upload(self, collection: str, principal_id: int, sha256: str) -> Run | None:
        """The same content on its way into the same collection for the same person."""
        query = _select().where(
            tables.collections.c.name == collection,
            _runs.c.principal_id == principal_id,
            _runs.c.content_sha256 == sha256,
            _runs.c.state.not_in(ENDED),
        )
        with self._database.read() as connection:
            found = _found(connection, query.limit(1))
        return found[0] if found else None

    def n_waiting(self, principal_id: int) -> int:
        """How many uploads of one person wait to be read."""
        query = select(func.count()).where(
            _runs.c.principal_id == principal_id,
            _runs.c.content_sha256 != "",
            _runs.c.state == "waiting",
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def kept(self) -> set[str]:
        """SHA-256 of the uploads that are still to be read."""
        query = select(_runs.c.content_sha256).where(_runs.c.state.not_in(ENDED))
        with self._database.read() as connection:
            return {sha256 for sha256 in connection.scalars(query) if sha256}

    def begin(self) -> Run | None:
        """The run whose turn it is, now running; None where none waits.

        Only for who holds the lock: what was running before was broken off, and is marked so.
        """
        with self._database.write() as connection:
            left = update(_runs).where(_runs.c.state == "running")
            connection.execute(_ended(left, "failed", BROKEN_OFF, AGAIN))
            waiting = _select().where(_runs.c.state == "waiting").order_by(_runs.c.id).limit(1)
            found = _found(connection, waiting)
            for run in found:
                this = update(_runs).where(_runs.c.id == run.id)
                connection.execute(this.values(state="running"))
            return found[0] if found else None

    def postpone(self, number: int) -> None:
        """Let a running run wait for its turn again."""
        with self._database.write() as connection:
            this = update(_runs).where(_runs.c.id == number, _runs.c.state == "running")
            connection.execute(this.values(state="waiting"))

    def note(self, number: int, counts: Counts, failures: Sequence[Failure]) -> None:
        """Write down how far a run is."""
        values = {"counts": asdict(counts), "failures": list(failures[:MAX_FAILURES])}
        with self._database.write() as connection:
            connection.execute(update(_runs).where(_runs.c.id == number).values(**values))

    def end(self, number: int, state: State, message: str = "", hint: str = "") -> None:
        """Write down how a run ended; one that has ended stays as it is."""
        with self._database.write() as connection:
            this = update(_runs).where(_runs.c.id == number, _runs.c.state.not_in(ENDED))
            connection.execute(_ended(this, state, message, hint))

    def cancel(self, number: int) -> None:
        """Stop a run, at once where it waits and soon where it runs; one that has ended stays."""
        with self._database.write() as connection:
            this = update(_runs).where(_runs.c.id == number)
            connection.execute(_ended(this.where(_runs.c.state == "waiting"), "cancelled"))
            connection.execute(this.where(_runs.c.state == "running").values(is_to_stop=True))
            audit.append(connection, "run_cancelled", {"run": number})

    def is_to_stop(self, number: int) -> bool:
        """Whether a running run has been cancelled, or its collection has gone."""
        query = select(_runs.c.is_to_stop).where(_runs.c.id == number)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none() is not False


def is_busy(connection: Connection, collection_id: int) -> bool:
    """Whether a run of a collection has not ended."""
    query = select(_runs.c.id).where(
        _runs.c.collection_id == collection_id, _runs.c.state.not_in(ENDED)
    )
    return connection.execute(query.limit(1)).first() is not None


def _add(
    connection: Connection,
    collection: str,
    principal_id: int,
    paths: Sequence[str],
    sha256: str = "",
) -> int:
    row = insert(_runs).values(
        collection_id=sources.existing_collection(connection, collection),
        principal_id=principal_id,
        paths=list(paths),
        content_sha256=sha256,
        state="waiting",
        is_to_stop=False,
        counts=asdict(Counts()),
        failures=[],
        message="",
        hint="",
        created_at=datetime.now(UTC),
    )
    number: int = connection.execute(row.returning(_runs.c.id)).scalar_one()
    detail = {"run": number, "collection": collection, "sha256": sha256}
    audit.append(connection, "run_added", detail, private={"paths": list(paths)})
    return number


def _ended(runs: Any, state: State, message: str = "", hint: str = "") -> Any:
    return runs.values(state=state, message=message, hint=hint, ended_at=datetime.now(UTC))


def _select() -> Select[Any]:
    columns = [column for column in _runs.c if column.name != "collection_id"]
    return select(*columns, tables.collections.c.name.label("collection")).select_from(
        _runs.join(tables.collections)
    )


def _seen(query: Select[Any], sight: Sight) -> Select[Any]:
    if sight.everything:
        return query
    managed = tables.collections.c.name.in_(sight.managed)
    return query.where(or_(_runs.c.principal_id == sight.principal_id, managed))


def _found(connection: Connection, query: Select[Any]) -> list[Run]:
    rows = connection.execute(query).all()
    names = people.names(connection, {row.principal_id for row in rows})
    return [_run(row, names.get(row.principal_id, "")) for row in rows]


def _run(row: Row[Any], started_by: str) -> Run:
    fields = dict(row._mapping)
    fields["counts"] = Counts(**fields["counts"])
    fields["paths"], fields["failures"] = tuple(fields["paths"]), tuple(fields["failures"])
    return Run(**fields, started_by=started_by)

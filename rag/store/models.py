"""The embedding models that are known, and which of them searches use: `store.models`.

One is current: queries are embedded by it, and ingest stores its vectors. Others can be there
beside it, with vectors of their own, to be compared with it and to take its place.

    added ─ building ─ built ─ current ─ previous ─ built …
    any but current ─ removed

Who was removed stays known by its id: it is part of the fingerprints of files that were cut into
chunks for it, and those stay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from rag.errors import Conflict, NotFound
from rag.store import audit, tables, vectors
from rag.store.database import Database
from rag.store.vectors import Unembedded
from rag.types import Vectors

State = Literal["added", "building", "built", "current", "previous", "removed"]
LAST_LAP = 64  # chunks that are embedded while all writers wait, at most
_models = tables.models


@dataclass(frozen=True, slots=True)
class Model:
    """An embedding model as it is known. All chunks up to the id `reached` have its vector."""

    id: str  # SHA-256 of its files
    name: str
    dim: int
    max_tokens: int
    state: State
    reached: int
    n_cut: int  # texts that were longer than its window
    added_at: datetime
    changed_at: datetime
    comparison: dict[str, Any] | None


class Models:
    """The models in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> Model | None:
        """The one that searches use; None before the first was entered."""
        with self._database.read() as connection:
            return _in_state(connection, "current")

    def previous(self) -> Model | None:
        """The one that the current one has replaced, and that can come back."""
        with self._database.read() as connection:
            return _in_state(connection, "previous")

    def listed(self) -> list[Model]:
        """All but the removed ones, in the order they came."""
        with self._database.read() as connection:
            return [model for model in _all(connection) if model.state != "removed"]

    def ids(self) -> frozenset[str]:
        """All that were ever here."""
        with self._database.read() as connection:
            return frozenset(connection.scalars(select(_models.c.id)))

    def one(self, name: str) -> Model:
        """The one of this name, or of which this is the beginning of the id.

        Raises:
            NotFound: there is none, or no single one.
        """
        with self._database.read() as connection:
            return _one(connection, name)

    def n_vectors(self) -> dict[str, int]:
        """How many vectors there are of each model, of unknown ones too."""
        with self._database.read() as connection:
            return vectors.counts(connection)

    # Coming and going

    def adopt(self, model_id: str, name: str, dim: int, max_tokens: int) -> Model:
        """The current model; where none is entered yet, this one, which is in use already."""
        with self._database.write() as connection:
            current = _in_state(connection, "current")
            if current is None:
                values = {"dim": dim, "max_tokens": max_tokens}
                _enter(connection, model_id, _free_name(connection, name), "current", values)
            return current or _get(connection, model_id)

    def check_new(self, model_id: str, name: str) -> None:
        """See whether a model could be added.

        Raises:
            Conflict: it is there already, or another one has the name.
        """
        with self._database.read() as connection:
            _check_new(connection, model_id, name)

    def add(self, model_id: str, name: str, dim: int, max_tokens: int) -> None:
        """Enter a model, to be built.

        Raises:
            Conflict: it is there already, or another one has the name.
        """
        with self._database.write() as connection:
            _check_new(connection, model_id, name)
            _enter(connection, model_id, name, "added", {"dim": dim, "max_tokens": max_tokens})
            audit.append(connection, "model_added", {"model": model_id, "name": name})

    def withdraw(self, model: Model) -> None:
        """Let a model not be used any more, before its vectors are dropped.

        Raises:
            Conflict: searches use it.
        """
        with self._database.write() as connection:
            if _get(connection, model.id).state == "current":
                raise Conflict(
                    f"{model.name} is the model that searches use",
                    hint="Switch to another one first: citadel model switch NAME",
                )
            values = {"reached": 0, "n_cut": 0, "comparison": None}
            _set(connection, model.id, "building", **values)

    def drop_vectors(self, model: Model, limit: int) -> int:
        """Delete at most `limit` vectors of a model that was withdrawn; returns how many."""
        with self._database.write() as connection:
            return vectors.drop(connection, model.id, limit)

    def remove(self, model: Model) -> None:
        """Strike off a model that was withdrawn and has no vectors any more."""
        with self._database.write() as connection:
            _set(connection, model.id, "removed", name=model.id)
            audit.append(connection, "model_removed", {"model": model.id, "name": model.name})

    # Vectors

    def lacking(self, model: Model, limit: int) -> list[Unembedded]:
        """The first `limit` chunks that lack a vector of a model, by document."""
        with self._database.read() as connection:
            return vectors.lacking(connection, model.id, limit)

    def n_lacking(self, model: Model) -> int:
        """How many chunks lack a vector of a model."""
        with self._database.read() as connection:
            return vectors.n_lacking(connection, model.id)

    def fill(self, model: Model, ids: Sequence[int], made: Vectors, n_cut: int) -> None:
        """Store the vectors of chunks that `lacking` named, in its order; see `vectors.fill`."""
        with self._database.write() as connection:
            vectors.fill(connection, model.id, ids, made, n_cut=n_cut)

    def building(self, model: Model) -> None:
        """Write down that a model's vectors are being made."""
        with self._database.write() as connection:
            if _get(connection, model.id).state == "added":
                _set(connection, model.id, "building")

    def settle(self, model: Model) -> bool:
        """Write down how far a model has come, if it lacks no vector; False where it lacks some."""
        with self._database.write() as connection:
            if vectors.n_lacking(connection, model.id):
                return False
            reached = connection.scalar(select(func.max(tables.chunks.c.id))) or 0
            own = update(_models).where(_models.c.id == model.id)
            connection.execute(own.values(reached=reached))
            if _get(connection, model.id).state == "building":
                _set(connection, model.id, "built")
            return True

    def compared(self, model: Model, comparison: dict[str, Any]) -> None:
        """Keep what came of comparing a model with the current one."""
        with self._database.write() as connection:
            own = update(_models).where(_models.c.id == model.id)
            connection.execute(own.values(comparison=comparison))

    def some_chunks(self, places: Sequence[float]) -> list[int]:
        """Ids of chunks at these shares of the way through all that is stored."""
        with self._database.read() as connection:
            return vectors.some_chunks(connection, places)

    # Taking turns

    def switch(
        self, model: Model, embed: Callable[[Sequence[Unembedded]], Vectors], detail: dict[str, Any]
    ) -> bool:
        """Make a model the current one, once it has a vector for every chunk.

        The last few are embedded here, while no writer can add more. False where there are more
        than `LAST_LAP`: bring it level once more.

        Raises:
            Conflict: its vectors are not made yet, or are being dropped.
        """
        with self._database.write() as connection:
            current, chosen = _in_state(connection, "current"), _get(connection, model.id)
            if chosen.state not in ("built", "previous"):
                raise Conflict(f"{model.name} is {chosen.state}", hint="See citadel model list.")
            rest = vectors.lacking(connection, model.id, LAST_LAP + 1)
            ids = [i for each in rest for i in each.ids]
            if len(ids) > LAST_LAP:
                return False
            if ids:
                vectors.fill(connection, model.id, ids, embed(rest), n_cut=0)
            _take_over(connection, chosen, current)
            said = {"model": model.id, "name": model.name, "before": current and current.id}
            audit.append(connection, "model_switched", said | detail)
        return True

    def switch_back(self, detail: dict[str, Any]) -> Model:
        """Make the previous model the current one at once, level or not.

        What it lacks is found by words only until it is filled in. The one that it replaces has to
        be switched to again as any other.

        Raises:
            Conflict: there is no previous one.
        """
        with self._database.write() as connection:
            previous = _in_state(connection, "previous")
            current = _in_state(connection, "current")
            if previous is None or current is None:
                raise Conflict("there is no previous model", hint="See citadel model list.")
            _set(connection, current.id, "built")
            _set(connection, previous.id, "current")
            said = {"model": previous.id, "name": previous.name, "before": current.id}
            audit.append(connection, "model_rolled_back", said | detail)
            return _get(connection, previous.id)


def _take_over(connection: Connection, chosen: Model, current: Model | None) -> None:
    before = _in_state(connection, "previous")
    if before is not None:
        _set(connection, before.id, "built")
    if current is not None:
        _set(connection, current.id, "previous")
    _set(connection, chosen.id, "current")


def _check_new(connection: Connection, model_id: str, name: str) -> None:
    for model in _all(connection):
        if model.id == model_id and model.state != "removed":
            raise Conflict(f"this model is here already, as {model.name}")
        if model.name == name:
            raise Conflict(
                f"another model is called {name} already", hint="Choose a name with --name."
            )


def _free_name(connection: Connection, name: str) -> str:
    taken = {model.name for model in _all(connection)}
    numbered = (f"{name}-{n}" for n in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if each not in taken)


def _enter(
    connection: Connection, model_id: str, name: str, state: State, values: dict[str, int]
) -> None:
    at = datetime.now(UTC)
    values = {**values, "reached": 0, "n_cut": 0}
    if connection.execute(select(_models.c.id).where(_models.c.id == model_id)).first():
        _set(connection, model_id, state, name=name, added_at=at, **values)
        return
    times = {"added_at": at, "changed_at": at}
    connection.execute(
        insert(_models).values(id=model_id, name=name, state=state, **values, **times)
    )


def _set(connection: Connection, model_id: str, state: State, **values: Any) -> None:
    own = update(_models).where(_models.c.id == model_id)
    connection.execute(own.values(state=state, changed_at=datetime.now(UTC), **values))


def _in_state(connection: Connection, state: State) -> Model | None:
    row = connection.execute(select(_models).where(_models.c.state == state)).first()
    return None if row is None else Model(*row)


def _get(connection: Connection, model_id: str) -> Model:
    return Model(*connection.execute(select(_models).where(_models.c.id == model_id)).one())


def _all(connection: Connection) -> list[Model]:
    query = select(_models).order_by(_models.c.added_at, _models.c.id)
    return [Model(*row) for row in connection.execute(query)]


def _one(connection: Connection, name: str) -> Model:
    known = [model for model in _all(connection) if model.state != "removed"]
    found = [model for model in known if model.name == name]
    found = found or [model for model in known if name and model.id.startswith(name)]
    if len(found) != 1:
        names = ", ".join(model.name for model in known) or "there are none"
        raise NotFound(f"there is no model {name!r}", hint=f"The models: {names}.")
    return found[0]

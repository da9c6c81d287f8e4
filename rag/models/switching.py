"""Which model searches use: the next one, or the one before."""

import shlex
from collections.abc import Callable
from typing import Any

from ingest.level import catch_up, level, vectors_of
from rag.errors import Conflict
from rag.search.chosen import load_model
from rag.search.embed import Embedder
from rag.search.indexes import refresh_snapshots
from rag.settings import Settings
from rag.store import Model, Store

LAPS = 20  # how often a model is brought level with what comes in meanwhile, before it is given up

Say = Callable[[str], None]


def switch(store: Store, settings: Settings, model: Model, *, force: bool, say: Say) -> None:
    """Make a model the one that searches use; running servers follow within seconds.

    First it gets what came in since it was built, and its indexes are written, so that nobody has
    to build them. What is in use goes on answering until then, and its vectors stay.

    Raises:
        Conflict: it is in use already, not built, not compared with the model in use, worse than
            that one, or documents come in faster than they can be embedded.
    """
    current = store.models.current()
    if current is None or model.id == current.id:
        raise Conflict(f"{model.name} is in use already")
    if model.state in ("added", "building"):
        raise Conflict(
            f"the vectors of {model.name} are not made yet",
            hint=f"Make them: citadel model build {shlex.quote(model.name)}",
        )
    if not force:
        _check_compared(model, current)
    embedder = _ready(store, settings, model, say)
    short = {name: (model.comparison or {}).get(name) for name in ("measure", "before", "after")}
    detail: dict[str, Any] = {"forced": force, "comparison": short}
    for _ in range(LAPS):
        if store.models.switch(model, lambda rest: vectors_of(rest, embedder), detail):
            return
        level(store, model, embedder)
    raise Conflict(
        f"documents come in faster than {model.name} embeds them",
        hint="Nothing was changed. Try again when the running ingest has ended.",
    )


def rollback(store: Store, settings: Settings, *, now: bool, say: Say) -> Model:
    """Go back to the model before; returns it.

    What came in since the switch is embedded for it first; with `now` afterwards, so that until
    then it is found by its words only.

    Raises:
        Conflict: there is none.
    """
    previous = store.models.previous()
    if previous is None:
        raise Conflict("there is no model to go back to", hint="See citadel model list.")
    if now:
        back = store.models.switch_back({"now": True})
        level(store, back, load_model(settings, back))
        return back
    embedder = _ready(store, settings, previous, say)
    back = store.models.switch_back({"now": False})
    level(store, back, embedder)  # what has come in since a moment ago
    return back


def _ready(store: Store, settings: Settings, model: Model, say: Say) -> Embedder:
    """A model's embedder, once it is level and its indexes are written."""
    embedder = load_model(settings, model)
    catch_up(store, model, embedder, say)
    say("writing its indexes")
    refresh_snapshots(store, model.id, embedder.dim, settings.index, say)
    return embedder


def _check_compared(model: Model, current: Model) -> None:
    found = model.comparison
    if found is None or found["against"] != current.id:
        raise Conflict(
            f"{model.name} has not been compared with {current.name}, which is in use",
            hint=f"Compare them: citadel model compare {shlex.quote(model.name)}."
            " --force switches all the same.",
        )
    if found["worse"]:
        before, after, p = found["before"], found["after"], found["p"]
        raise Conflict(
            f"{model.name} is worse than {current.name}: {found['measure']} {after:.3f} against"
            f" {before:.3f} over {found['questions']:,} questions (p = {p:.3g})",
            hint="--force switches all the same.",
        )

"""A model's vectors for all that is stored, made at low priority beside whatever else runs."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ingest.level import level
from rag.errors import Conflict
from rag.search.chosen import load_model
from rag.settings import Settings
from rag.store import Model, Store

LOCK_FILE = "model-build.lock"
LOOKED_AT_S = 0.2
LOWEST = 19  # niceness: whoever answers a question goes first


def build(store: Store, settings: Settings, model: Model, told: Callable[[int, int], None]) -> int:
    """Make the vectors that a model lacks; returns how many were made.

    `told` hears of the number made and of those there were to make. What was made stays if this is
    interrupted; the next build goes on behind it. What comes in meanwhile is embedded as well.

    Raises:
        Conflict: another build is running.
        ModelError: the model cannot be loaded.
    """
    made = 0
    with _sole_builder(settings, model):
        embedder = load_model(settings, model)
        store.models.building(model)
        while not store.models.settle(model):
            wanted, before = made + store.models.n_lacking(model), made
            made += level(
                store,
                model,
                embedder,
                lambda n: told(before + n, max(wanted, before + n)),  # noqa: B023
            )
    return made


def step_back() -> None:
    """Let everything else on this machine go first, from here on."""
    with contextlib.suppress(OSError):  # already there
        os.nice(LOWEST)


def being_built(settings: Settings) -> str | None:
    """The id of the model whose vectors a process is making right now."""
    path = settings.data_dir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Path(path).read_text().strip() or None
    else:
        return None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _sole_builder(settings: Settings, model: Model) -> Iterator[None]:
    """One build at a time; the lock ends with the process, however that ends."""
    descriptor = os.open(settings.data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, model.id.encode())
        yield
    except BlockingIOError as error:
        raise _second() from error
    finally:
        os.close(descriptor)


def refuse_second(settings: Settings) -> None:
    """See whether a build could begin, for who does not wait for it.

    Raises:
        Conflict: another build is running.
    """
    if being_built(settings) is not None:
        raise _second()


def _second() -> Conflict:
    return Conflict(
        "a model is being built already",
        hint="`citadel model list` shows how far it is; wait for it, or stop it.",
    )


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LOOKED_AT_S)  # perhaps somebody has just looked who holds it
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

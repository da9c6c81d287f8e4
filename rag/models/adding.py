"""Models come and go: their files, what was made from them, and their vectors."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from rag.errors import BadRequest, Conflict, ModelError
from rag.models.building import being_built
from rag.search import snapshot
from rag.search.chosen import FOLDER, MODULES, entered, files_of, load_current, set_model_dir
from rag.search.embed import WEIGHTS, Embedder, TorchEmbedder, load_embedder, model_sha256
from rag.search.folders import locked
from rag.settings import Settings
from rag.store import Model, Store, are_unit

DROPPED = 5000  # vectors deleted in one transaction
PROBES = ("How long is the notice period?", "The pump must be serviced every 500 hours.")
_OURS = re.compile(r"[0-9a-f]{64}|\.adding-\w+")  # what else somebody may have put there is theirs

Say = Callable[[str], None]


def add(store: Store, settings: Settings, directory: Path, name: str, say: Say) -> Model:
    """Copy a model's files into the data directory and enter it, to be built.

    The files of the model in use are copied as well, so that it can come back whatever becomes of
    the directory that the settings name.

    Raises:
        BadRequest: the directory holds no sentence-transformers model.
        Conflict: it is there already, another one has the name, or another is being added.
        ModelError: it cannot be loaded, or makes no vectors.
    """
    _check_files(directory)
    with _sole(settings):
        _clear_leftovers(store, settings)
        current = store.models.current()
        if current is None:
            current = entered(store, settings, load_current(store, settings))
        model_id = model_sha256(directory.resolve())
        store.models.check_new(model_id, name)
        say("loading the model")
        _probe(TorchEmbedder(directory, model_id), directory)
        _keep_current(settings, current)
        say("copying it")
        own = files_of(settings, model_id)
        _copy(directory, own)
        try:
            say("preparing it for this machine; the first time this takes a while")
            embedder = load_embedder(settings.model_copy(update={"model_dir": own}))
            store.models.add(model_id, name, embedder.dim, embedder.max_tokens)
        except BaseException:
            _clear_leftovers(store, settings)
            raise
    return store.models.one(model_id)


def remove(store: Store, settings: Settings, model: Model, say: Say) -> int:
    """Delete a model's vectors and files; returns how many vectors there were.

    They go in batches; if it is cut off, the model has to be removed once more.

    Raises:
        Conflict: searches use it, or it is being built.
    """
    if being_built(settings) == model.id:
        raise Conflict(f"{model.name} is being built", hint="Stop that first: Ctrl-C, or kill it.")
    was_previous = model.state == "previous"
    store.models.withdraw(model)
    if was_previous:
        say("it was in use before: citadel model rollback has nothing to go back to any more")
    say(f"deleting the vectors of {model.name}")
    n = 0
    while dropped := store.models.drop_vectors(model, DROPPED):
        n += dropped
    snapshot.discard_of(store, model.id)
    store.models.remove(model)
    _delete_files(settings, model.id)
    return n


def _check_files(directory: Path) -> None:
    """See at once what loading would find out after a while."""
    lacks = [name for name in (MODULES, "tokenizer.json") if not (directory / name).is_file()]
    what = f"it has no {lacks[0]}" if lacks else ""
    try:
        if not lacks and not isinstance(json.loads((directory / MODULES).read_text()), list):
            what = f"{MODULES} has no list of modules"
    except ValueError as error:
        what = f"{MODULES} cannot be read: {error}"
    if what:
        raise BadRequest(
            f"there is no sentence-transformers model in {directory}: {what}",
            hint="Give the directory that SentenceTransformer.save() wrote, or a copy of it.",
        )


def _keep_current(settings: Settings, current: Model) -> None:
    """Copy the files of the model in use, if they lie elsewhere only."""
    elsewhere = set_model_dir(settings)
    if not (elsewhere / MODULES).is_file() or model_sha256(elsewhere) != current.id:
        return  # then they are in the data directory: it is loaded from there
    _copy(elsewhere, files_of(settings, current.id))


@contextlib.contextmanager
def _sole(settings: Settings) -> Iterator[None]:
    """One at a time: what is there and not entered is what a killed one has left."""
    folder = settings.data_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder, wait=False))
        except BlockingIOError as error:
            raise Conflict(
                "another model is being added", hint="Try again when that has ended."
            ) from error
        yield


def _clear_leftovers(store: Store, settings: Settings) -> None:
    """Delete the files of models that are not entered; see `_sole`."""
    known = {model.id for model in store.models.listed()}
    for folder in (settings.data_dir / FOLDER).iterdir():
        if _OURS.fullmatch(folder.name) and folder.name not in known:
            _delete_files(settings, folder.name)


def _copy(directory: Path, own: Path) -> None:
    """Copy the files that make the model into a folder that is there whole or not at all."""
    if (own / MODULES).is_file():
        return
    scratch = Path(tempfile.mkdtemp(prefix=".adding-", dir=own.parent))
    try:
        files = {f for pattern in WEIGHTS for f in directory.rglob(pattern) if f.is_file()}
        for file in sorted(files):
            target = scratch / file.relative_to(directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        if model_sha256(scratch) != own.name:
            raise ModelError(
                f"the files in {directory} were changed while they were copied",
                hint="Try again when nothing writes to them any more.",
            )
        scratch.rename(own)
    except OSError as error:
        raise ModelError(
            f"cannot copy the model from {directory} to {own.parent}: {error.strerror}",
            hint="Check the rights on both, and the free space.",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _probe(embedder: Embedder, directory: Path) -> None:
    """A model that loads may still be none: see whether it tells two texts apart."""
    vectors = embedder.encode(PROBES)
    what = ""
    if vectors.shape != (len(PROBES), embedder.dim) or not are_unit(vectors):
        what = "makes no vectors of length 1"
    elif np.allclose(vectors[0], vectors[1], atol=1e-6):
        what = "gives every text the same vector"
    if what:
        raise ModelError(
            f"the model in {directory} {what}",
            hint="Its weights may be damaged: copy the directory again from where it came from.",
        )


def _delete_files(settings: Settings, model_id: str) -> None:
    """What was copied, and what was converted of it."""
    converted = (settings.data_dir / "models").glob(f"{model_id}*")
    for folder in (files_of(settings, model_id), *converted):
        shutil.rmtree(folder, ignore_errors=True)

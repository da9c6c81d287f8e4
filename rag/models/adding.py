"""Models come and go: their files, what was made from them, and their vectors."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rag.errors import BadRequest, Conflict, ModelError
from rag.models.building import being_built
from rag.search import snapshot
from rag.search.chosen import FOLDER, MODULES, entered, files_of, load_current, set_model_dir
from rag.search.embed import WEIGHTS, Embedder, load_embedder, model_sha256
from rag.settings import Settings
from rag.store import Model, Store, are_unit

DROPPED = 5000  # vectors deleted in one transaction
PROBES = ("How long is the notice period?", "The pump must be serviced every 500 hours.")

Say = Callable[[str], None]


def add(store: Store, settings: Settings, directory: Path, name: str, say: Say) -> Model:
    """Copy a model's files into the data directory and enter it, to be built.

    The files of the model in use are copied as well, so that it can come back whatever becomes of
    the directory that the settings name.

    Raises:
        BadRequest: the directory holds no sentence-transformers model.
        Conflict: it is there already, or another one has the name.
        ModelError: it cannot be loaded, or makes no vectors.
    """
    _check_files(directory)
    current = store.models.current()
    if current is None:
        current = entered(store, settings, load_current(store, settings))
    model_id = model_sha256(directory.resolve())
    store.models.check_new(model_id, name)
    _keep_current(settings, current)
    say("copying the model")
    own = files_of(settings, model_id)
    is_copied = _copied(directory, own)
    try:
        say("loading it; the first time this takes a while")
        embedder = load_embedder(settings.model_copy(update={"model_dir": own}))
        _probe(embedder, directory)
        store.models.add(model_id, name, embedder.dim, embedder.max_tokens)
    except BaseException:
        if is_copied:  # else they are those of another run, which may have entered the model
            _delete_files(settings, model_id)
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
    store.models.withdraw(model)
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
    _copied(elsewhere, files_of(settings, current.id))


def _copied(directory: Path, own: Path) -> bool:
    """Copy the files that make the model into a folder that is there whole or not at all.

    Returns whether this call has made it; False where it is there already.
    """
    if (own / MODULES).is_file():
        return False
    own.parent.mkdir(mode=0o700, exist_ok=True)
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
        try:
            scratch.rename(own)
        except OSError:
            if not (own / MODULES).is_file():
                raise
            return False  # another process was faster
    except OSError as error:
        raise ModelError(
            f"cannot copy the model from {directory} to {own.parent}: {error.strerror}",
            hint="Check the rights on both, and the free space.",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True


def _probe(embedder: Embedder, directory: Path) -> None:
    """A model that loads may still be none: see whether it tells two texts apart."""
    vectors = embedder.encode(PROBES)
    if vectors.shape != (len(PROBES), embedder.dim) or not are_unit(vectors):
        raise ModelError(f"the model in {directory} makes no vectors of length 1")
    if np.allclose(vectors[0], vectors[1], atol=1e-6):
        raise ModelError(f"the model in {directory} gives every text the same vector")


def _delete_files(settings: Settings, model_id: str) -> None:
    """What was copied, and what was converted of it."""
    converted = (settings.data_dir / "models").glob(f"{model_id}*")
    for folder in (files_of(settings, model_id), *converted):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are in it
        (settings.data_dir / FOLDER).rmdir()

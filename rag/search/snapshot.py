"""Index snapshots on disk: written to a new folder, synced, renamed, recorded with their SHA-256.

A snapshot is never changed once it has its name, and never loaded before its hash has been
compared: FAISS files are parsed by native code. What is damaged, missing or of another
configuration is forgotten and the caller rebuilds from the store; nothing here is worth keeping.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from rag.errors import SearchIndexError
from rag.search.folders import claim_folder, unclaimed
from rag.store import Store
from rag.types import Snapshot

Kind = Literal["dense", "lexical"]
KINDS: tuple[Kind, ...] = ("dense", "lexical")
KEEP = 2  # a process that is just loading the last one must not lose it under its hands


def publish(
    store: Store, kind: Kind, seq: int, config: str, write: Callable[[Path], None]
) -> Snapshot:
    """Let `write` fill a folder, and make that folder the newest snapshot of its kind.

    Raises:
        SearchIndexError: it cannot be written.
    """
    root = store.data_dir / "snapshots"
    folder, claim = claim_folder(root, f".writing-{kind}-{seq}")
    try:
        write(folder)
        for file in folder.iterdir():
            _sync(file)
        _sync(folder)
        folder = folder.rename(root / folder.name.removeprefix(".writing-"))
        _sync(root)
        path = folder.relative_to(store.data_dir).as_posix()
        snapshot = Snapshot(kind, seq, path, directory_sha256(folder), config)
        store.snapshots.record(snapshot)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError | RuntimeError):  # the latter by FAISS
            raise SearchIndexError(
                f"cannot write the {kind} index to {root}: {error}",
                hint="Check the free space there and the rights on it.",
            ) from error
        raise
    finally:
        os.close(claim)
    for old in _superseded(store, kind):
        _discard(store, old)
    return snapshot


def _superseded(store: Store, kind: Kind) -> list[Snapshot]:
    """What need not be kept: not of the newest, nor of the newest of another model that is known.

    A lexical snapshot stays with the dense one of the same moment.
    """
    found = store.snapshots.of_kind(kind)
    kept = {snapshot.path for snapshot in found[:KEEP]}
    if kind == "lexical":
        moments = {snapshot.seq for snapshot in store.snapshots.of_kind("dense")}
        kept |= {snapshot.path for snapshot in found if snapshot.seq in moments}
    else:
        for model in store.models.listed():
            own = [snapshot.path for snapshot in found if _is_of(snapshot, model.id)]
            kept.update(own[:KEEP])
    return [snapshot for snapshot in found if snapshot.path not in kept]


def discard_of(store: Store, model_id: str) -> None:
    """Forget and delete the snapshots of a model's vectors."""
    for snapshot in store.snapshots.of_kind("dense"):
        if _is_of(snapshot, model_id):
            _discard(store, snapshot)


def _is_of(snapshot: Snapshot, model_id: str) -> bool:
    return snapshot.config.split(" ")[0] == model_id


def usable(
    store: Store, kind: Kind, config: str, say: Callable[[str], None]
) -> Iterator[tuple[Snapshot, Path]]:
    """Snapshots of this configuration whose files are as recorded, newest first."""
    for snapshot in store.snapshots.of_kind(kind):
        if snapshot.config == config and is_sound(store, snapshot, say):
            yield snapshot, store.data_dir / snapshot.path


def is_sound(store: Store, snapshot: Snapshot, say: Callable[[str], None]) -> bool:
    """Whether a snapshot's files are as recorded; where they are not, it is forgotten."""
    fault = _fault(store, snapshot)
    if fault:
        say(f"{fault}; it is not used")
        _discard(store, snapshot)
    return not fault


def faults(store: Store) -> list[str]:
    """What is wrong with the recorded snapshots, as sentences."""
    found = (
        _fault(store, snapshot) for kind in KINDS for snapshot in store.snapshots.of_kind(kind)
    )
    return [fault for fault in found if fault]


def _fault(store: Store, snapshot: Snapshot) -> str:
    """Why a snapshot may not be loaded; empty where it may."""
    directory = store.data_dir / snapshot.path
    try:
        if directory_sha256(directory) == snapshot.sha256:
            return ""
        wrong = "damaged"
    except OSError as error:  # taken away as a whole or meanwhile, or not readable
        wrong = "missing" if not directory.is_dir() else f"unreadable: {error}"
    return f"the {snapshot.kind} index snapshot {snapshot.path} is {wrong}"


def discard_all(store: Store) -> None:
    """Forget and delete every snapshot, and what killed processes left behind."""
    for kind in KINDS:
        for snapshot in store.snapshots.of_kind(kind):
            _discard(store, snapshot)
    clear_leftovers(store)


def clear_leftovers(store: Store) -> None:
    """Delete what killed processes left: folders that nobody claims and nothing refers to."""
    for parent in (store.data_dir / "snapshots", store.data_dir / "work"):
        for folder in unclaimed(parent):
            if folder.relative_to(store.data_dir).as_posix() not in _recorded(store):
                shutil.rmtree(folder, ignore_errors=True)


def _recorded(store: Store) -> set[str]:
    return {snapshot.path for kind in KINDS for snapshot in store.snapshots.of_kind(kind)}


def directory_sha256(directory: Path) -> str:
    """SHA-256 over names and contents of the files in a folder, in order of name."""
    digest = hashlib.sha256()
    for file in sorted(directory.iterdir()):
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _discard(store: Store, snapshot: Snapshot) -> None:
    store.snapshots.forget(snapshot.path)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(store.data_dir / snapshot.path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Proof that what was forgotten is gone: every place where it could be is searched.

Tables value by value, also those that this version does not know; the database's file with its
free pages and its log, byte by byte; both indexes in every snapshot and in the copies of running
processes; the kept originals; whatever else lies in the data directory; and the backups that the
settings name, also inside of archives.
"""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

import numpy as np

from rag.errors import SearchIndexError
from rag.forget.probes import Probes
from rag.search.lexical import LexicalIndex
from rag.settings import Settings
from rag.store import Store
from rag.types import IndexServer

BLOCK_BYTES = 4 * 1024**2
DATABASE = "citadel.db"
MODELS = ("models", "embedders")  # embedding models and what is made of them: no document
OPAQUE = frozenset(
    {".zst", ".7z", ".rar", ".gpg", ".age", ".enc", ".lz4"}
)  # that we can't look into


@dataclass(slots=True)
class Place:
    """Where was searched, in how many parts, and where something was found."""

    name: str
    n_searched: int = 0
    found: list[str] = field(default_factory=list)
    note: str = ""


def prove(store: Store, settings: Settings, probes: Probes) -> list[Place]:
    """Search all places for the probes."""
    places = [
        _tables(store, probes),
        _database_files(settings, probes),
        _indexes(store, probes),
        *_index_server(settings, probes),
        _originals(store, settings, probes),
        _other_files(settings, probes),
        _backups(store, settings, probes),
    ]
    for place in places:
        place.found = sorted(set(place.found))
    return places


def _tables(store: Store, probes: Probes) -> Place:
    place = Place("tables")
    for column, value in store.erasure.cells():
        place.n_searched += 1
        if probes.in_cell(column, value):
            place.found.append(column)
    return place


def _database_files(settings: Settings, probes: Probes) -> Place:
    place = Place("database file, free pages and log")
    if settings.database_url is not None and not settings.database_url.startswith("sqlite"):
        place.note = "the files of the database server, and its own backups, are not searched"
        return place
    own = Path(settings.url.partition("///")[2])
    for path in sorted(own.parent.glob(f"{own.name}*")):
        _search(path, probes.needles(), place)
    return place


def _indexes(store: Store, probes: Probes) -> Place:
    place = Place("index snapshots and running processes' copies")
    for parent in ("snapshots", "work"):
        folder = store.data_dir / parent
        for index in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not index.is_dir():
                continue
            _search_index(store, index, probes, place)
            for file in sorted(index.iterdir()):
                _search(file, probes.needles(), place)
    return place


def _index_server(settings: Settings, probes: Probes) -> list[Place]:
    """The Milvus that the settings name: asked for rows, as its files are its own."""
    server = settings.index
    if not isinstance(server, IndexServer):
        return []
    from rag.search.milvus import holding

    place = Place("Milvus", n_searched=1)
    place.note = "asked for rows; files that it has still to collect are not searched"
    place.found = holding(server, list(probes.documents)) if probes.documents else []
    return [place]


def _search_index(store: Store, index: Path, probes: Probes, place: Place) -> None:
    """What an index holds is told by its own numbers: Tantivy's files are packed."""
    if (index / "ids.npy").is_file():
        place.n_searched += 1
        held = np.load(index / "ids.npy", allow_pickle=False)
        if np.isin(held, np.array(probes.chunks, np.int64)).any():
            place.found.append(str(index))
    if (index / "meta.json").is_file():
        place.n_searched += 1
        if _holds_words(store, index, probes.documents):
            place.found.append(str(index))


def _holds_words(store: Store, index: Path, documents: Sequence[int]) -> bool:
    """Whether a lexical index has rows of a document, those included that are marked as deleted."""
    with TemporaryDirectory(dir=store.data_dir, prefix=".looking-") as folder:
        try:
            opened = LexicalIndex.load(index, Path(folder))
        except SearchIndexError:
            return False  # it has just gone, or is none; its files are searched as any other
        return any(opened.has_document(document) for document in documents)


def _originals(store: Store, settings: Settings, probes: Probes) -> Place:
    place = Place("originals")
    kept = store.erasure.referenced()
    for path in sorted((settings.data_dir / "originals").rglob("*")):
        if path.is_file() and path.name not in kept:
            if path.name in probes.sha256s:
                place.found.append(str(path))
            _search(path, probes.needles(), place)
        elif path.is_file():
            place.n_searched += 1
            if path.name in probes.sha256s:
                place.found.append(f"{path}, which another document is made from")
    return place


def _other_files(settings: Settings, probes: Probes) -> Place:
    place = Place("other files in the data directory")
    searched = {*MODELS, "originals", "snapshots", "work"}
    for path in sorted(settings.data_dir.iterdir()):
        if path.name in searched or path.name.startswith(DATABASE):
            continue
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            _search(file, probes.needles(), place)
    return place


def _backups(store: Store, settings: Settings, probes: Probes) -> Place:
    place = Place("backups")
    if not settings.backup_dirs:
        place.note = "CITADEL_BACKUP_DIRS names none"
    for folder in settings.backup_dirs:
        if not folder.is_dir():
            place.found.append(f"{folder} cannot be searched: there is no such folder")
            continue
        for path in sorted(folder.rglob("*")):
            if path.name in probes.sha256s:
                place.found.append(str(path))
            if path.suffix in OPAQUE:
                place.found.append(f"{path} cannot be searched: it is packed or encrypted")
            elif path.is_dir():
                _search_index(store, path, probes, place)
            else:
                _search(path, probes.needles(), place)
    return place


# Files


def _search(path: Path, needles: Sequence[bytes], place: Place) -> None:
    """Look through a file, packed or not; one that can't be read counts as found."""
    if not path.is_file() or path.is_symlink():
        return
    place.n_searched += 1
    try:
        for stream in _streams(path):
            with closing(stream):
                if _in_stream(stream, needles):
                    place.found.append(str(path))
                    return
    except FileNotFoundError:
        return  # another process has just cleared it
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile) as error:
        place.found.append(f"{path} cannot be searched: {error}")


def _streams(path: Path) -> Iterator[IO[bytes]]:
    """The file, and what is packed in it."""
    yield path.open("rb")
    if path.suffix in (".gz", ".tgz"):
        yield cast(IO[bytes], gzip.open(path, "rb"))  # noqa: SIM115  the caller closes it
    elif path.suffix == ".bz2":
        yield bz2.open(path, "rb")  # noqa: SIM115
    elif path.suffix == ".xz":
        yield lzma.open(path, "rb")  # noqa: SIM115
    elif path.suffix == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield archive.open(member)


def _in_stream(stream: IO[bytes], needles: Sequence[bytes]) -> bool:
    longest = max(map(len, needles), default=1)
    tail = b""
    while block := stream.read(BLOCK_BYTES):
        text = tail + block
        if any(needle in text for needle in needles):
            return True
        tail = text[-longest:]
    return False

"""Copies of the source files by content, so that a cited page can be drawn and the file served
even when the source has changed or gone since.

A file is `ab/<sha256>` below the folder; it is complete from the moment that it has this name.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from rag.errors import NotFound, StoreError

BLOCK_BYTES = 1024 * 1024
AGAIN = "ingest its file again"
GRACE_S = 24 * 3600.0  # a file put by an ingest run that has not committed its document yet


class Originals:
    """Content-addressed files; safe between threads and processes."""

    def __init__(self, folder: Path, refuse: Callable[[str], None] = lambda sha256: None) -> None:
        """`refuse` is asked about each content and raises where it must not be kept."""
        self._folder = folder
        self._refuse = refuse

    def put(self, content: Path | bytes) -> str:
        """Keep a copy of a file or of bytes; returns the SHA-256 of what was kept.

        Where the content is there already only its time is renewed.

        Raises:
            OSError: the file to be copied cannot be read.
            StoreError: the copy cannot be written.
            Forgotten: it was to be forgotten.
        """
        if isinstance(content, bytes):
            return self._put_bytes(content)
        with content.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
            self._refuse(sha256)
            with self._locked(fcntl.LOCK_SH):
                if self._renew(sha256):
                    return sha256
            source.seek(0)
            return self._write(iter(lambda: source.read(BLOCK_BYTES), b""))

    @contextmanager
    def arriving(self) -> Iterator["Arriving"]:
        """For content that comes in blocks; it is gone afterwards unless `keep` was called.

        Raises:
            StoreError: it cannot be written.
        """
        with _as_store_error(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not locked meanwhile: a slow sender must not hold up whoever sweeps.
        with self._temporary() as (path, file):
            yield Arriving(self, path, file)

    def publish(self, path: Path, file: FileIO, sha256: str) -> None:
        """Give a file that is completely written its name, for good.

        Raises:
            StoreError: it cannot be written.
            Forgotten: it was to be forgotten.
        """
        with self._locked(fcntl.LOCK_SH):
            self._refuse(sha256)  # as whoever forgets takes the lock after having said so
            if self._renew(sha256):
                return
            with _as_store_error(self._folder):
                os.fsync(file.fileno())
                self._publish(path, sha256)

    def discard(self, sha256: str) -> None:
        """Delete a copy whatever its age; nothing happens where there is none."""
        with self._locked(fcntl.LOCK_EX):
            self._place(sha256).unlink(missing_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the content lies.

        Raises:
            NotFound: it was never kept or has been swept.
        """
        path = self._place(sha256)
        if not path.is_file():
            raise NotFound(
                f"no copy of the original {sha256[:12]}…",
                hint="Ingest the file again to keep a copy of it.",
            )
        return path

    def sweep(self, referenced: Collection[str], grace_s: float = GRACE_S) -> int:
        """Delete what is not referenced and was not put within `grace_s`; returns how many.

        Also deletes what an interrupted `put` left, which is not counted.
        """
        deleted = 0
        with self._locked(fcntl.LOCK_EX):
            oldest = time.time() - grace_s
            for path in self._folder.glob("*/*"):
                if path.name in referenced or path.stat().st_mtime > oldest:
                    continue
                path.unlink()
                deleted += path.parent.name != "tmp"
        return deleted

    def remove(self, hashes: Collection[str], referenced: Collection[str]) -> int:
        """Delete these contents now, where nothing refers to them, and unfinished copies."""
        deleted = 0
        with self._locked(fcntl.LOCK_EX):
            for sha256 in set(hashes) - set(referenced):
                with contextlib.suppress(FileNotFoundError):
                    self._place(sha256).unlink()
                    deleted += 1
            for path in self._folder.glob("tmp/*"):
                path.unlink()
        return deleted

    def check(self, referenced: Collection[str]) -> list[str]:
        """What is wrong with the originals of these SHA-256, as sentences. Reads them all."""
        problems = []
        for sha256 in sorted(referenced):
            try:
                with self._place(sha256).open("rb") as file:
                    same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            except OSError as error:
                problems.append(f"original {sha256} cannot be read: {error.strerror}; {AGAIN}")
                continue
            if not same:
                problems.append(
                    f"original {sha256} has another content than its name says; {AGAIN}"
                )
        return problems

    def _put_bytes(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self._refuse(sha256)
        with self._locked(fcntl.LOCK_SH):
            if self._renew(sha256):
                return sha256
        return self._write(iter((content,)))

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _renew(self, sha256: str) -> bool:
        """Renew the grace of content that is there; False where it isn't."""
        try:
            os.utime(self._place(sha256))
        except FileNotFoundError:
            return False
        return True

    def _write(self, blocks: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        with self._locked(fcntl.LOCK_SH), self._temporary() as (path, file):
            for block in blocks:
                digest.update(block)
                with _as_store_error(self._folder):
                    _write_all(file, block)
            with _as_store_error(self._folder):
                os.fsync(file.fileno())
                self._refuse(digest.hexdigest())  # it may have changed since, or been forgotten
                self._publish(path, digest.hexdigest())
        return digest.hexdigest()

    def _publish(self, written: Path, sha256: str) -> None:
        place = self._place(sha256)
        if not place.parent.exists():
            place.parent.mkdir(mode=0o700, exist_ok=True)
            _sync(self._folder)
        written.rename(place)
        _sync(place.parent)

    @contextmanager
    def _temporary(self) -> Iterator[tuple[Path, FileIO]]:
        """A file on the same file system; it is gone afterwards unless it was renamed."""
        with _as_store_error(self._folder):
            (self._folder / "tmp").mkdir(mode=0o700, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder / "tmp")
        try:
            # Unbuffered, so that a full disk shows while writing and not again while closing.
            with FileIO(descriptor, "w") as file:
                yield Path(name), file
        finally:
            Path(name).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Shared while putting, exclusive while sweeping, so that neither misses the other."""
        with _as_store_error(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


class Arriving:
    """Content on its way in: what was written of it so far."""

    def __init__(self, originals: Originals, path: Path, file: FileIO) -> None:
        self._originals, self._path, self._file = originals, path, file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, block: bytes) -> None:
        """Add a block.

        Raises:
            StoreError: it cannot be written.
        """
        self._digest.update(block)
        self.size_bytes += len(block)
        with _as_store_error(self._path.parent):
            _write_all(self._file, block)

    def keep(self) -> str:
        """Keep it as an original; returns its SHA-256.

        Raises:
            StoreError: it cannot be written.
            Forgotten: it was to be forgotten.
        """
        sha256 = self._digest.hexdigest()
        self._originals.publish(self._path, self._file, sha256)
        return sha256


def _write_all(file: FileIO, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _sync(folder: Path) -> None:
    """Make a new name in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _as_store_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot keep a copy of the original in {folder}: {error.strerror}",
            hint="Check the free space and the permissions of the data directory.",
        ) from error

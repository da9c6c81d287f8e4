"""Folders in, the files to be ingested out, with size and time; nothing is opened or hashed here.

Every entry is either found, passed over by a rule (`ingest.ignore`) or refused with a reason.
Links: a link to a file is followed where it leads to a file inside the folder that was given, and
refused where it leads out of it or nowhere. A link to a folder is never followed: what it leads to
comes in at its own place when that lies inside, and is refused otherwise; one that leads back to a
folder that it lies in is a loop, and reported as such.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.access import ACCESS_FILE, Closed, readers_of, refuse_nearly
from ingest.ignore import Rules
from ingest.permissions import Permissions
from rag.errors import BadRequest, IngestError
from rag.store import Readers
from rag.types import SourceFile

MAX_URI_BYTES = 1900  # the store takes 2,000; attachments need some for their own name
MAX_NS = 2**63 - 1
_MIB = 1024 * 1024


@dataclass(slots=True)
class Scan:
    """What lies under the roots, by path."""

    files: dict[str, SourceFile] = field(default_factory=dict)
    refused: dict[str, SourceFile] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)  # refused folders: what is in them is unknown
    closed: list[Closed] = field(default_factory=list)  # folders that nobody is to read
    readers: dict[str, Readers] = field(default_factory=dict)  # by folder, where it says who
    by_system: dict[str, Readers] = field(default_factory=dict)  # by file and folder, if asked for

    def knows(self, path: str) -> bool:
        """Whether `path` would have been seen if it were there."""
        return not any(path.startswith(folder.rstrip("/") + "/") for folder in self.unread)

    def close(self, folder: str, error: IngestError) -> None:
        """Let nobody read what is in a folder, and leave it as it was ingested before."""
        path = f"{folder.rstrip('/')}/{ACCESS_FILE}"
        self.closed.append(Closed(folder, path, error.message, error.hint))
        self.readers[folder] = ()
        self.unread.append(folder)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scan leaves out, and whether it looks who may read what it finds."""

    max_file_bytes: int
    exclude: str = ""  # a folder that is never entered: the appliance's own data
    permissions: Permissions | None = None


def absolute_roots(paths: Sequence[Path], *, allow_missing: bool = False) -> list[str]:
    """The given files and folders as absolute paths, once each; links are not resolved.

    Raises:
        BadRequest: one does not exist, or its name is not UTF-8.
    """
    roots: dict[str, None] = {}
    for path in paths:
        root = os.path.abspath(path)  # noqa: PTH100  without resolving links: paths as people know them
        if not allow_missing and not os.path.exists(root):  # noqa: PTH110
            raise BadRequest(
                f"there is no file or folder {printable(root)}",
                hint="Nothing was changed. Check the path, or mount the share that it lies on. "
                "To remove what was ingested from it, add --allow-empty.",
            )
        if not _is_utf8(root):
            raise BadRequest(
                f"the name {printable(root)} is not UTF-8", hint="Rename it, then ingest again."
            )
        roots[root] = None
    return list(roots)


def scan(root: str, limits: Limits, into: Scan, say: Callable[[int], None]) -> None:
    """Walk a file or folder and add what lies there to `into`.

    `say` is told the number of files found so far, once a folder.
    """
    for folder in reversed(Path(root).parents):
        try:
            with contextlib.suppress(OSError):  # it may be entered and not be listed
                refuse_nearly(str(folder), _files(_entries(str(folder))))
            into.readers |= readers_of(str(folder))
        except IngestError as error:
            into.close(str(folder), error)
            return
    if not os.path.isdir(root):  # noqa: PTH112
        _add_file(root, os.path.realpath(root), limits, into)
        return
    try:
        rules = Rules.at(root)
        real = os.path.realpath(root)
        _add_folder(_Folder(root, rules, (_identity(root),), real), limits, into, say)
    except OSError as error:
        _refuse_folder(into, root, error)


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    rules: Rules  # of the folder around it
    ancestors: tuple[tuple[int, int], ...]  # device and inode of this folder and those around it
    real_root: str


def _add_folder(first: _Folder, limits: Limits, into: Scan, say: Callable[[int], None]) -> None:
    """Depth first by name; a stack of its own, since folders nest deeper than Python may call."""
    stack = [first]
    while stack:
        folder = stack.pop()
        try:
            if limits.permissions is not None:
                into.by_system[folder.path] = limits.permissions.through(folder.path)
            entries = _entries(folder.path)
            rules = folder.rules.within(folder.path)
        except (OSError, IngestError) as error:
            _refuse_folder(into, folder.path, error)
            continue
        try:
            refuse_nearly(folder.path, _files(entries))
            readers = readers_of(folder.path)
        except IngestError as error:
            into.close(folder.path, error)
            continue
        into.readers |= readers
        below = [
            found for entry in entries if (found := _add_entry(entry, folder, rules, limits, into))
        ]
        stack += reversed(below)
        say(len(into.files))


def _entries(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _files(entries: list[os.DirEntry[str]]) -> list[str]:
    return [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]


def _add_entry(
    entry: os.DirEntry[str], folder: _Folder, rules: Rules, limits: Limits, into: Scan
) -> _Folder | None:
    """Add a file; returns the folder where it is one to be entered."""
    if not _is_utf8(entry.name):
        _refuse(into, entry.path, "its name is not UTF-8", "Rename it, then ingest again.")
        return None
    is_folder = entry.is_dir(follow_symlinks=False)
    if rules.ignores(entry.path, is_folder=is_folder or _is_linked_folder(entry)):
        return None
    if entry.is_symlink():
        _add_link(entry, folder, limits, into)
    elif not is_folder:
        _add_file(entry.path, entry.path, limits, into)
    elif entry.path != limits.exclude:
        return _enter(entry, folder, rules, into)
    return None


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # the link leads in a circle
        return False


def _enter(entry: os.DirEntry[str], folder: _Folder, rules: Rules, into: Scan) -> _Folder | None:
    try:
        identity = _identity(entry.path)
    except OSError as error:
        _refuse_folder(into, entry.path, error)
        return None
    if identity in folder.ancestors:  # a bind mount, or a file system that lies
        _refuse_loop(into, entry.path)
        return None
    return _Folder(entry.path, rules, (*folder.ancestors, identity), folder.real_root)


def _add_link(entry: os.DirEntry[str], folder: _Folder, limits: Limits, into: Scan) -> None:
    try:
        target = os.path.realpath(entry.path, strict=True)
        is_folder = stat.S_ISDIR(os.stat(target).st_mode)  # noqa: PTH116
        is_loop = is_folder and _identity(target) in folder.ancestors
    except OSError:
        reason, hint = "the link leads nowhere", "Remove or mend the link."
        _refuse(into, entry.path, reason, hint, retry=True)
        return
    inside = target == folder.real_root or target.startswith(folder.real_root.rstrip("/") + "/")
    if is_loop:
        _refuse_loop(into, entry.path)
    elif not inside:
        _refuse(
            into,
            entry.path,
            f"the link leads out of the folder, to {printable(target)}",
            "Name its target to ingest as well, or list the link in .citadelignore.",
        )
    elif not is_folder:
        _add_file(entry.path, target, limits, into)


def _add_file(path: str, target: str, limits: Limits, into: Scan) -> None:
    """Add the file at `target` under the name `path`, or refuse it."""
    try:
        status = os.stat(target)  # noqa: PTH116
        if limits.permissions is not None:
            into.by_system[path] = limits.permissions.readers(path, target, status)
    except FileNotFoundError:  # removed since the folder was listed
        return
    except OSError as error:
        reason = f"the file cannot be looked at: {error.strerror}"
        _refuse(into, path, reason, "Check the permissions of its folder.", retry=True)
        return
    seen = SourceFile(path, status.st_size, changed_ns(status))
    if problem := _problem(path, status, limits):
        _refuse(into, path, *problem, seen=seen)
    else:
        into.files[path] = seen


def _problem(path: str, status: os.stat_result, limits: Limits) -> tuple[str, str] | None:
    """Why a file is refused and what to do, if it is."""
    leave = "or list it in .citadelignore."
    if not stat.S_ISREG(status.st_mode):
        return "it is a pipe, a socket or a device, not a file", f"Remove it, {leave}"
    if status.st_size == 0:
        return "the file is empty (0 bytes)", f"Remove or replace it, {leave}"
    if status.st_size > limits.max_file_bytes:
        size, most = status.st_size // _MIB, limits.max_file_bytes // _MIB
        return (
            f"the file has {size:,} MiB, and no more than {most:,} MiB are read",
            f"Split it, raise CITADEL_MAX_FILE_BYTES, {leave}",
        )
    if len(path.encode()) > MAX_URI_BYTES:
        return f"its path has more than {MAX_URI_BYTES} bytes", "Shorten the names on the way."
    return None


def _refuse(
    into: Scan,
    path: str,
    reason: str,
    hint: str,
    *,
    retry: bool = False,
    seen: SourceFile | None = None,
) -> None:
    size_bytes, mtime_ns = (seen.size_bytes, seen.mtime_ns) if seen else (0, 0)
    name = printable(path)
    into.refused[name] = SourceFile(
        name, size_bytes, mtime_ns, state="failed", error=reason, hint=hint, retry=retry
    )


def _refuse_folder(into: Scan, path: str, error: OSError | IngestError) -> None:
    if isinstance(error, IngestError):
        reason, hint = error.message, error.hint
    else:
        reason = f"the folder cannot be read: {error.strerror}"
        hint = "Let this user read and enter it (chmod, chown)."
    hint += " What was ingested from it before is kept."
    _refuse(into, path, reason, hint, retry=True)
    into.unread.append(path)


def _refuse_loop(into: Scan, path: str) -> None:
    reason = "a directory loop: it leads back to a folder that it lies in"
    _refuse(into, path, reason, "Remove the link, or list it in .citadelignore.")


def changed_ns(status: os.stat_result) -> int:
    """When a file was last changed, in nanoseconds; within what a database holds (1677 to 2262)."""
    return max(-MAX_NS, min(status.st_mtime_ns, MAX_NS))


def printable(path: str) -> str:
    """A path that can be stored and shown: bytes that are not UTF-8 as `\\xNN`, and not endless."""
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    if len(shown.encode()) <= MAX_URI_BYTES:
        return shown
    return shown[: MAX_URI_BYTES // 4] + "…" + shown[-MAX_URI_BYTES // 8 :]


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

"""What a scan found against what the store holds: the work that is left.

Size and time decide first; where only the time differs, or a file may have moved, SHA-256 does.
What has been ingested is done again only where its fingerprint is no longer what it would be now.

An attachment that could not be read is recorded as a failed source of its own, `<mail>#<n>/<name>`:
it belongs to its mail and is looked at together with it.
"""

import hashlib
from collections import ChainMap, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ingest.access import Closed
from ingest.scan import Scan
from rag.store import Said
from rag.types import SourceFile


class Recipe(NamedTuple):
    """What turns a content into documents. Another recipe, and everything is done again.

    The model cuts and embeds. What was cut for another `known` model is not done again: vectors of
    the current one are made from what is stored.
    """

    parser: str
    chunker: str
    model_id: str
    known: frozenset[str] = frozenset()

    def fingerprint(self, content_sha256: str, lacking: Iterable[str] = ()) -> str:
        """Identity of what is made from a content; `lacking` are attachments that failed."""
        return self._fingerprint(self.model_id, content_sha256, lacking)

    def made(self, file: SourceFile, lacking: Iterable[str]) -> bool:
        """Whether a source that was ingested, or failed, need not be done again."""
        lacking = list(lacking)
        return file.fingerprint == self.fingerprint(file.content_sha256, lacking) or any(
            file.fingerprint == self._fingerprint(model_id, file.content_sha256, lacking)
            for model_id in self.known - {self.model_id}
        )

    def _fingerprint(self, model_id: str, content_sha256: str, lacking: Iterable[str]) -> str:
        parts = (content_sha256, self.parser, self.chunker, model_id, *sorted(lacking))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Task:
    """A file to be ingested. `is_update`: documents of it, made by `fingerprint`, are stored."""

    seen: SourceFile
    is_update: bool = False
    fingerprint: str = ""
    stale: tuple[str, ...] = ()  # failed attachments of the older version
    is_kept: bool = False  # the copy to be parsed is there already, and no file to copy from


@dataclass(frozen=True, slots=True)
class Move:
    """A file that is at another path than before, with its failed attachments."""

    old_uri: str
    new: SourceFile
    failed_parts: tuple[SourceFile, ...] = ()


@dataclass(slots=True)
class Plan:
    """The work. `listed` are failures that are known already and not tried again."""

    tasks: list[Task] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    touched: list[SourceFile] = field(default_factory=list)
    gone: list[SourceFile] = field(default_factory=list)
    said: Said = field(default_factory=Said)  # who may read what
    closed: list[Closed] = field(default_factory=list)  # as nobody can tell who is meant
    n_limited: int = 0  # files that not everyone may read, by their permissions
    strangers: list[str] = field(default_factory=list)  # who could by permissions, but is unknown
    refused: list[SourceFile] = field(default_factory=list)
    listed: list[SourceFile] = field(default_factory=list)
    n_unchanged: int = 0
    seconds: float = 0.0  # that it took to work out

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.tasks or self.moves or self.touched or self.gone or self.refused)


def compare(seen: Scan, stored: Iterable[SourceFile], recipe: Recipe) -> Plan:
    """Work out what is new, changed, moved, gone and unchanged. Reads files only to hash them."""
    rest, parts = _split_parts(stored, seen)
    plan = Plan()
    for uri, file in seen.files.items():
        old = rest.pop(uri, None)
        if old is None:
            plan.tasks.append(Task(file, stale=_uris(parts.get(uri, ()))))
        else:
            _settle(plan, file, old, parts.get(uri, []), recipe)
    for uri, file in seen.refused.items():
        known = rest.pop(uri, None)
        (plan.listed if known and _same_refusal(known, file) else plan.refused).append(file)
        plan.gone += parts.get(uri, ())
    _settle_absent(plan, rest.values(), parts, seen)
    _find_moves(plan, parts, recipe)
    return plan


def _split_parts(
    stored: Iterable[SourceFile], seen: Scan
) -> tuple[dict[str, SourceFile], dict[str, list[SourceFile]]]:
    """Sources by URI, and failed attachments by the URI of their mail."""
    everything = {file.uri: file for file in stored}
    known = ChainMap(everything, seen.files)
    parts: dict[str, list[SourceFile]] = defaultdict(list)
    for uri, file in list(everything.items()):
        if file.state == "failed" and uri not in seen.files and uri not in seen.refused:
            mail = owner(uri, known)
            if mail:
                parts[mail].append(everything.pop(uri))
    return everything, parts


def owner(uri: str, known: Container[str]) -> str | None:
    """The mail that an attachment's URI belongs to, None for a file's URI."""
    at = uri.find("#")
    while at >= 0:
        if uri[:at] in known:
            return uri[:at]
        at = uri.find("#", at + 1)
    return None


def _settle(
    plan: Plan, file: SourceFile, old: SourceFile, parts: list[SourceFile], recipe: Recipe
) -> None:
    """Decide about a file that the store knows."""
    same_time = (file.size_bytes, file.mtime_ns) == (old.size_bytes, old.mtime_ns)
    same = bool(old.content_sha256) and (same_time or _same_content(file, old))
    current = recipe.made(old, lacking(old.uri, parts))
    again = old.retry or any(part.retry for part in parts)
    if not same or not current or again:
        plan.tasks.append(Task(file, old.state == "ingested", old.fingerprint, _uris(parts)))
        return
    if not same_time:
        plan.touched.append(replace(old, size_bytes=file.size_bytes, mtime_ns=file.mtime_ns))
    if old.state == "failed":
        plan.listed.append(old)
    else:
        plan.n_unchanged += 1
    plan.listed += parts


def _settle_absent(
    plan: Plan, absent: Iterable[SourceFile], parts: dict[str, list[SourceFile]], seen: Scan
) -> None:
    """What was not found is gone, unless nobody could look."""
    for old in absent:
        mine = parts.get(old.uri, ())
        if seen.knows(old.uri):
            plan.gone += (old, *mine)
            continue
        plan.n_unchanged += old.state == "ingested"
        plan.listed += mine if old.state == "ingested" else (old, *mine)


def _find_moves(plan: Plan, parts: dict[str, list[SourceFile]], recipe: Recipe) -> None:
    """Pair what is gone with what is new by content, one to one."""
    candidates: dict[int, list[SourceFile]] = defaultdict(list)
    for file in plan.gone:
        if file.state == "ingested":
            candidates[file.size_bytes].append(file)
    if not candidates:
        return
    tasks: list[Task] = []
    moved: set[str] = set()
    for task in plan.tasks:
        old = None if task.is_update else _moved_from(task.seen, candidates, parts, recipe)
        if old is None:
            tasks.append(task)
            continue
        moved.add(old.uri)
        new = replace(old, uri=task.seen.uri, mtime_ns=task.seen.mtime_ns)
        plan.moves.append(Move(old.uri, new, tuple(parts.get(old.uri, ()))))
    plan.tasks = tasks
    plan.gone = [file for file in plan.gone if file.uri not in moved]


def _moved_from(
    file: SourceFile,
    candidates: dict[int, list[SourceFile]],
    parts: dict[str, list[SourceFile]],
    recipe: Recipe,
) -> SourceFile | None:
    same_size = candidates.get(file.size_bytes)
    sha256 = _sha256(file.uri) if same_size else None
    matching = [
        old
        for old in same_size or ()
        if old.content_sha256 == sha256
        and recipe.made(old, lacking(old.uri, parts.get(old.uri, ())))
    ]
    if not matching or not same_size:
        return None
    name = Path(file.uri).name
    best = min(matching, key=lambda old: Path(old.uri).name != name)
    same_size.remove(best)
    return best


def _same_content(file: SourceFile, old: SourceFile) -> bool:
    return file.size_bytes == old.size_bytes and _sha256(file.uri) == old.content_sha256


def _sha256(path: str) -> str | None:
    """None where the file cannot be read: ingest then says why."""
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _same_refusal(old: SourceFile, new: SourceFile) -> bool:
    same = (old.error, old.hint, old.size_bytes, old.mtime_ns)
    return old.state == "failed" and same == (new.error, new.hint, new.size_bytes, new.mtime_ns)


def lacking(mail_uri: str, failed_parts: Iterable[SourceFile]) -> list[str]:
    """What a mail lacks, named so that it stays the same when the mail is moved."""
    return [part.uri.removeprefix(mail_uri) for part in failed_parts]


def _uris(files: Sequence[SourceFile]) -> tuple[str, ...]:
    return tuple(file.uri for file in files)

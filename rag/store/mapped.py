"""What the permissions of a file system let read, met with what people have said besides.

Both must let a reader through. Lists are unions of users and groups; where two of them have no
union for what they share, a group is spelled out as the users who are in it now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar

T = TypeVar("T")
Readers = tuple[str, ...] | None  # user:NAME and group:NAME; None: everyone with the collection
Members = Mapping[str, frozenset[str]]  # users by group
_MARK = "/."  # no path ends like this, so a rule with such a URI is about nothing


@dataclass(frozen=True, slots=True)
class Said:
    """Who may read what at and below the roots, as a scan has found it.

    `by_file` has the folders that a file of their own speaks of, also above the roots; `by_system`
    each file and folder of the `mapped` roots, folders before what is in them. What was said of
    the `unread` folders before holds on; nobody reads what is in the `closed` ones.
    """

    roots: Sequence[str] = ()
    by_file: Mapping[str, Readers] = field(default_factory=dict)
    by_system: Mapping[str, Readers] = field(default_factory=dict)
    mapped: Sequence[str] = ()
    unread: Sequence[str] = ()
    closed: Sequence[str] = ()

    def holds_on(self, uri: str) -> bool:
        """Whether nobody could look what is said of it now."""
        return _is_in(uri, self.unread)

    def is_closed(self, uri: str) -> bool:
        """Whether nobody can tell who is meant to read it."""
        return _is_in(uri, self.closed)

    def covers(self, uri: str) -> bool:
        """Whether it was looked at, or would have been: it is at, above or below a root."""
        return _is_in(uri, self.roots) or any(uri in places(root) for root in self.roots)


def _is_in(uri: str, folders: Sequence[str]) -> bool:
    return any(f"{uri}/".startswith(folder.rstrip("/") + "/") for folder in folders)


def mark(root: str) -> str:
    """The URI of the rule that says: what is in this root is limited by its permissions."""
    return root.rstrip("/") + _MARK


def marked(uri: str) -> str | None:
    """The root that a rule marks; None for any other rule."""
    return (uri.removesuffix(_MARK) or "/") if uri.endswith(_MARK) else None


def marks_over(uri: str) -> list[str]:
    """The rules of which one is there where `uri` lies in a mapped root."""
    return [mark(place) for place in places(uri)]


def places(uri: str) -> list[str]:
    """The URI, and the folders that it lies in, the nearest first."""
    return [uri, *map(str, PurePosixPath(uri).parents)]


def meet(one: Readers, other: Readers, members: Members) -> Readers:
    """Who is among both.

    Who and what stands in both stays as it is. Of the rest, users stand for themselves: what they
    are let through by may be a group which they leave, and that takes the next sync.
    """
    if one is None or one == other:
        return other
    if other is None:
        return one
    kept = {*one} & {*other}
    shared = users(one, members) & users(other, members) - users(kept, members)
    return tuple(sorted({*kept, *(f"user:{name}" for name in shared)}))


def users(readers: Sequence[str] | set[str], members: Members) -> set[str]:
    """The users who are meant, also by their groups."""
    found: set[str] = set()
    for reader in readers:
        kind, _, name = reader.partition(":")
        found |= {name} if kind == "user" else members.get(name, frozenset())
    return found


def both(
    commands: Mapping[str, Readers], files: Mapping[str, Readers], members: Members
) -> dict[str, Readers]:
    """Where commands and files do not say the same: who is let through by the nearest of each."""
    stated = {**commands, **files}
    met = {uri: _met(uri, commands, files, members) for uri in stated}
    return {uri: readers for uri, readers in met.items() if readers != stated[uri]}


def rules(
    said: Said,
    commands: Mapping[str, Readers],
    files: Mapping[str, Readers],
    kept: Mapping[str, Readers],
    members: Members,
) -> dict[str, Readers]:
    """The rules that make of it what is to be, besides those that commands and files are.

    The nearest command and the nearest file must let a reader through, and so must permissions: a
    place gets a rule where that differs from its folder. Of permissions, a place that a command
    speaks of has the command's word alone, and what is in it has rules of its own. The `kept`
    ones, of places where nobody could look, let through nobody whom the folders above keep out.
    """
    stated = {**commands, **files}  # of one place, a file's word is asked before a command's
    wanted = both(commands, files, members)
    besides = {**stated, **wanted}
    in_force = dict(besides)
    wanted |= {mark(root): None for root in said.mapped}
    for uri, readers in said.by_system.items():
        folder = str(PurePosixPath(uri).parent)
        if uri not in besides:
            besides[uri] = besides[folder] if folder in besides else nearest(besides, folder)
        alone = uri in commands and uri not in files
        in_force[uri] = besides[uri] if alone else meet(readers, besides[uri], members)
        inherited = stated[uri] if uri in stated else in_force.get(folder, 0)
        if uri in said.mapped or in_force[uri] != inherited:
            wanted[uri] = in_force[uri]
        else:
            wanted.pop(uri, None)
    for uri, readers in kept.items():
        if uri not in said.by_system:
            wanted[uri] = meet(readers, nearest(in_force, uri), members)
    return wanted


def _met(
    uri: str, commands: Mapping[str, Readers], files: Mapping[str, Readers], members: Members
) -> Readers:
    return meet(nearest(commands, uri), nearest(files, uri), members)


def nearest(known: Mapping[str, T | None], uri: str) -> T | None:
    """What is said of the URI, or else of the nearest folder that it lies in; None of neither."""
    return next((known[place] for place in places(uri) if place in known), None)

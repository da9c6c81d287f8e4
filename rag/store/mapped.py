"""What the permissions of a file system let read, met with what people have said besides.

Both must let a reader through. Lists are unions of users and groups; where two of them have no
union for what they share, a group is spelled out as the users who are in it now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

Readers = tuple[str, ...] | None  # user:NAME and group:NAME; None: everyone with the collection
Members = Mapping[str, frozenset[str]]  # users by group
_MARK = "/."  # no path ends like this, so a rule with such a URI is about nothing


@dataclass(frozen=True, slots=True)
class Said:
    """Who may read what at and below the roots, as a scan has found it.

    `by_file` has the folders that a file of their own speaks of, also above the roots; `by_system`
    each file and folder of the `mapped` roots, folders before what is in them. What was said of
    the `unread` folders before holds on.
    """

    roots: Sequence[str] = ()
    by_file: Mapping[str, Readers] = field(default_factory=dict)
    by_system: Mapping[str, Readers] = field(default_factory=dict)
    mapped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def holds_on(self, uri: str) -> bool:
        """Whether nobody could look what is said of it now."""
        return any(f"{uri}/".startswith(folder.rstrip("/") + "/") for folder in self.unread)


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


def rules(
    said: Said, commands: Mapping[str, Readers], kept: Mapping[str, Readers], members: Members
) -> dict[str, Readers]:
    """The rules that make of it what is to be: one where a place differs from its folder.

    What a file or a command says of a folder must let a reader through as well, the nearest of
    them. A place that a command speaks of keeps the command's rule, so there is none for it here,
    and what is in it has rules of its own. The `kept` ones, of places where nobody could look, let
    through nobody who does not get through the folders above.
    """
    explicit = {**commands, **said.by_file}
    wanted = dict(said.by_file)
    wanted |= {mark(root): None for root in said.mapped}
    besides: dict[str, Readers] = {}  # by place, what the nearest of them says
    in_force: dict[str, Readers] = {}
    for uri, readers in said.by_system.items():
        folder = str(PurePosixPath(uri).parent)
        above = besides[folder] if folder in besides else _nearest(explicit, folder)
        besides[uri] = explicit.get(uri, above)
        in_force[uri] = meet(readers, besides[uri], members)
        if uri in commands and uri not in said.by_file:
            in_force[uri] = commands[uri]
        elif uri in said.by_file or uri in said.mapped or in_force[uri] != in_force.get(folder, 0):
            wanted[uri] = in_force[uri]
    for uri, readers in kept.items():
        if uri not in in_force:
            wanted[uri] = meet(readers, _nearest(in_force, uri), members)
    return wanted


def _nearest(known: Mapping[str, Readers], uri: str) -> Readers:
    return next((known[place] for place in places(uri) if place in known), None)

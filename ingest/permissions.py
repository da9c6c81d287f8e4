"""Owner, group, other and POSIX ACLs in, Citadel's readers out.

A user of Citadel is the operating system's user of the same name, and a group its group; but who
is in a group is what Citadel says. As the kernel does it, the first class that fits decides: the
owner, a named user, the groups, the others. A file is read by whom its `r` and the `x` of every
folder above it let through, also of those that a link leads through. root is no exception.

Readers are a union of users and groups, so where somebody is kept out of a group that is let in,
or out of the others, those who are left are named one by one. In doubt nobody is let through: the
others count as kept out where the members of a group that is kept out cannot be known.
"""

import errno
import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rag.store import Group, Person, Readers, meet

READ, ENTER = 4, 1
MOST_NAMED = 20
ACL = "system.posix_acl_access"
_VERSION = 2
_OWNER, _USER, _OWNING, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32  # of linux/posix_acl.h
_NONE = (errno.ENODATA, errno.ENOTSUP)


class Entries(NamedTuple):
    """What stands on a file or folder: permission bits by uid and by gid, and of the others."""

    owner: tuple[int, int]
    users: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, int], ...]
    other: int


class Permissions:
    """The permissions of one run's files, for the people whom Citadel knows."""

    def __init__(self, people: Iterable[Person], groups: Iterable[Group]) -> None:
        self._members = {group.name: frozenset(group.members) for group in groups}
        self._users = frozenset(person.name for person in people)
        self._by_uid: dict[int, set[str]] = {}
        self._by_gid: dict[int, set[str]] = {}
        self._primary: dict[int, set[str]] = {}
        for name in self._users:
            if account := _account(name):
                self._by_uid.setdefault(account.pw_uid, set()).add(name)
                self._primary.setdefault(account.pw_gid, set()).add(name)
        for name in self._members:
            if (number := _gid(name)) is not None:
                self._by_gid.setdefault(number, set()).add(name)
        self._through: dict[str, Readers] = {}
        self._let: dict[tuple[Entries, int], Readers] = {}
        self._met: dict[tuple[Readers, Readers], Readers] = {}
        self.strangers: set[str] = set()  # who is let through and not known to Citadel

    def through(self, folder: str) -> Readers:
        """Who can pass through a folder and all above it.

        Raises:
            OSError: one of them cannot be looked at.
        """
        missing = []
        above = folder
        while above not in self._through:
            missing.append(above)
            if above == "/":
                break
            above = _folder_of(above)
        for each in reversed(missing):
            passing = self.let(entries(each, os.stat(each)), ENTER)  # noqa: PTH116
            if each != "/":
                passing = self._meet(self._through[_folder_of(each)], passing)
            if os.path.islink(each):  # noqa: PTH114
                passing = self._meet(passing, self.through(os.path.realpath(each)))
            self._through[each] = passing
        return self._through[folder]

    def readers(self, path: str, target: str, status: os.stat_result) -> Readers:
        """Who can read the file at `target`, which `path` is or leads to.

        Raises:
            OSError: its ACL or a folder above cannot be looked at.
        """
        above = self.through(_folder_of(path))
        if target != path:
            above = self._meet(above, self.through(_folder_of(target)))
        return self._meet(above, self.let(entries(target, status), READ))

    def _meet(self, one: Readers, other: Readers) -> Readers:
        """As `rag.store.meet`, once for each pair: thousands of files have few."""
        pair = one, other
        if pair not in self._met:
            self._met[pair] = meet(one, other, self._members)
        return self._met[pair]

    def let(self, found: Entries, wanted: int) -> Readers:
        """Whom the entries let do what is wanted, whatever stands above."""
        key = found, wanted
        if key not in self._let:
            self._let[key] = self._decide(found, wanted)
        return self._let[key]

    def _decide(self, found: Entries, wanted: int) -> Readers:
        by_name = {
            name: bool(bits & wanted)
            for uid, bits in (*found.users, found.owner)  # the owner's entry goes before
            for name in self._by_uid.get(uid, ())
        }
        let = {name for name, may in by_name.items() if may}
        kept_out = by_name.keys() - let
        let_in = {
            name
            for gid, bits in found.groups
            if bits & wanted
            for name in self._by_gid.get(gid, ())
        }
        if found.other & wanted:
            outside = self._kept_out_by_group(found, wanted)
            if outside is not None:
                outside -= {name for group in let_in for name in self._members[group]}
                outside = (outside - let) | kept_out
                return _written(self._users - outside) if outside else None
        self._note_strangers(found, wanted)
        spelled_out = {group for group in let_in if self._members[group] & kept_out}
        let |= {name for group in spelled_out for name in self._members[group]} - kept_out
        return tuple(sorted((*_written(let), *(f"group:{g}" for g in let_in - spelled_out))))

    def _kept_out_by_group(self, found: Entries, wanted: int) -> set[str] | None:
        """Members of the groups that are not let in, by Citadel or the system; None: unknown."""
        names: set[str] = set()
        for gid, bits in found.groups:
            if bits & wanted:
                continue
            known = self._by_gid.get(gid, set())
            names |= {name for group in known for name in self._members[group]}
            names |= self._primary.get(gid, set())
            try:
                names |= self._users & set(grp.getgrgid(gid).gr_mem)
            except KeyError:
                if not known:
                    return None
        return names

    def _note_strangers(self, found: Entries, wanted: int) -> None:
        """Remember who is let in and unknown to Citadel; root needs no mention.

        Nor does a group that has the name of the file's owner: it is the owner's own.
        """
        owner = _user_name(found.owner[0])
        for uid, bits in (*found.users, found.owner):
            if uid and bits & wanted and uid not in self._by_uid:
                self.strangers.add(f"user {_user_name(uid)}")
        for gid, bits in found.groups:
            if gid and bits & wanted and gid not in self._by_gid and _group_name(gid) != owner:
                self.strangers.add(f"group {_group_name(gid)}")


def entries(path: str, status: os.stat_result) -> Entries:
    """What stands on the file or folder at `path`.

    Raises:
        OSError: its ACL cannot be read.
    """
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IRWXG:  # without, the kernel asks no ACL either: its mask lets nobody through
        try:
            return parse_acl(os.getxattr(path, ACL), status)
        except OSError as error:
            if error.errno not in _NONE:
                raise
    group = (status.st_gid, mode >> 3 & 7)
    return Entries((status.st_uid, mode >> 6 & 7), (), (group,), mode & 7)


def parse_acl(data: bytes, status: os.stat_result) -> Entries:
    """What an ACL says, as the kernel writes it: a version, and entries of tag, bits and number.

    Raises:
        OSError: it is something else.
    """
    if len(data) % 8 != 4 or struct.unpack_from("<I", data)[0] != _VERSION:
        raise OSError(errno.EINVAL, "its ACL is written in no known way")
    found = list(struct.iter_unpack("<HHI", data[4:]))
    bits = {tag: each for tag, each, _ in found}
    mask = bits.get(_MASK, 7)
    users = [(number, each & mask) for tag, each, number in found if tag == _USER]
    groups = [(number, each & mask) for tag, each, number in found if tag == _GROUP]
    owning = (status.st_gid, bits.get(_OWNING, 0) & mask)
    owner = (status.st_uid, bits.get(_OWNER, 0))
    return Entries(owner, tuple(users), (owning, *groups), bits.get(_OTHER, 0))


def format_strangers(strangers: Sequence[str]) -> str:
    """Two lines about who can read files by their permissions and is unknown here."""
    more = f" and {len(strangers) - MOST_NAMED:,} more" * (len(strangers) > MOST_NAMED)
    return (
        f"not known to Citadel: {', '.join(strangers[:MOST_NAMED])}{more}; what the files' "
        "permissions grant to them nobody reads by it\n"
        "hint: for those who shall, run `citadel user add NAME` or `citadel group add NAME` with "
        "the same name, and ingest again"
    )


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _written(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(f"user:{name}" for name in names))


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _gid(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"number {gid}"

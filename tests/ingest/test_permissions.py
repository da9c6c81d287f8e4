"""Modes and ACLs against what the rules say, and against the kernel itself.

The accounts are those that every Debian has; in Citadel, daemon and bin are in adm, sys in tty.
"""

import grp
import os
import pwd
import random
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.permissions import (
    ACL,
    ENTER,
    READ,
    Entries,
    Permissions,
    format_strangers,
    parse_acl,
)
from ingest.scan import Limits, Scan, scan
from rag.store import Group, Person, Readers

USERS = ("daemon", "bin", "sys")
GROUPS = {"adm": ("daemon", "bin"), "tty": ("sys",)}
DAEMON, BIN, SYS = (pwd.getpwnam(name).pw_uid for name in USERS)
ADM, TTY = (grp.getgrnam(name).gr_gid for name in GROUPS)
LP = pwd.getpwnam("lp")  # whom Citadel doesn't know
NAMELESS = 54321
ANY = 2**32 - 1  # stands where an entry of an ACL names nobody
EVERYONE = None

by_root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to others")


def permissions() -> Permissions:
    people = [Person(name, False, ()) for name in (*USERS, "zoe")]
    return Permissions(people, [Group(name, members) for name, members in GROUPS.items()])


def let(owner: int, group: int, mode: int, users: object = (), groups: object = ()) -> Readers:
    """Who reads a file of this owner, group and mode, with ACL entries for users and groups."""
    entries = Entries((owner, mode >> 6), tuple(users), ((group, mode >> 3 & 7), *groups), mode & 7)
    return permissions().let(entries, READ)


@pytest.mark.parametrize(
    ("owner", "group", "mode", "readers"),
    [
        (DAEMON, ADM, 0o644, EVERYONE),
        (DAEMON, TTY, 0o640, ("group:tty", "user:daemon")),
        (DAEMON, TTY, 0o600, ("user:daemon",)),
        (DAEMON, TTY, 0o000, ()),
        (DAEMON, TTY, 0o040, ("group:tty",)),
        (DAEMON, ADM, 0o040, ("user:bin",)),  # the owner is in the group, and kept out all the same
        (DAEMON, ADM, 0o604, ("user:daemon", "user:sys", "user:zoe")),
        (DAEMON, TTY, 0o044, ("user:bin", "user:sys", "user:zoe")),
        (LP.pw_uid, TTY, 0o640, ("group:tty",)),
        (LP.pw_uid, LP.pw_gid, 0o044, EVERYONE),
        (DAEMON, LP.pw_gid, 0o640, ("user:daemon",)),
        (DAEMON, NAMELESS, 0o604, ("user:daemon",)),  # nobody knows who is in it
        (0, 0, 0o640, ()),
        (DAEMON, ADM, 0o311, ()),
    ],
)
def test_the_first_class_that_fits_decides(
    owner: int, group: int, mode: int, readers: Readers
) -> None:
    assert let(owner, group, mode) == readers


def test_an_acl_names_further_users_and_groups() -> None:
    assert let(LP.pw_uid, TTY, 0o600, [(BIN, 4)]) == ("user:bin",)
    assert let(LP.pw_uid, TTY, 0o600, groups=[(ADM, 4)]) == ("group:adm",)
    assert let(LP.pw_uid, ADM, 0o640, [(BIN, 0)]) == ("user:daemon",)
    assert let(LP.pw_uid, TTY, 0o644, [(BIN, 0)]) == ("user:daemon", "user:sys", "user:zoe")
    assert let(BIN, TTY, 0o040, [(BIN, 4)]) == ("group:tty",), "the owner's entry goes before"
    assert let(LP.pw_uid, TTY, 0o604, groups=[(ADM, 4)]) == ("user:bin", "user:daemon", "user:zoe")


def test_an_acl_is_read_as_the_kernel_writes_it_and_its_mask_holds(tmp_path: Path) -> None:
    status = tmp_path.stat()
    entries = [(1, 6, 0), (2, 6, BIN), (4, 5, 0), (8, 7, ADM), (16, 4, 0), (32, 1, 0)]
    assert parse_acl(packed(entries), status) == Entries(
        (status.st_uid, 6), ((BIN, 4),), ((status.st_gid, 4), (ADM, 4)), 1
    )
    for broken in (b"", packed(entries)[:-1], b"\3" + packed(entries)[1:]):
        with pytest.raises(OSError, match="in no known way"):
            parse_acl(broken, status)


def packed(entries: list[tuple[int, int, int]]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


def test_who_is_unknown_is_told_once_and_only_where_it_matters() -> None:
    found = permissions()
    for owner, group, mode in [
        (LP.pw_uid, TTY, 0o640),
        (LP.pw_uid, LP.pw_gid, 0o660),  # its owner's own group
        (DAEMON, grp.getgrnam("man").gr_gid, 0o640),
        (NAMELESS, ADM, 0o400),
        (0, 0, 0o640),  # root needs no mention
        (pwd.getpwnam("mail").pw_uid, ADM, 0o644),  # everyone reads it
    ]:
        found.let(Entries((owner, mode >> 6), (), ((group, mode >> 3 & 7),), mode & 7), READ)
    assert found.strangers == {"user lp", "group man", f"user number {NAMELESS}"}
    told = format_strangers(sorted(found.strangers))
    assert f"not known to Citadel: group man, user lp, user number {NAMELESS};" in told
    assert " and 3 more;" in format_strangers([f"user u{n}" for n in range(23)])


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everyone can pass through, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="citadel-shared-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if permissions().through(name) is not EVERYONE:
            pytest.skip("not everyone can enter the folder for temporary files")
        yield folder


@by_root
@pytest.mark.parametrize("seed", range(10))
def test_in_random_trees_everyone_reads_what_the_kernel_lets_read(shared: Path, seed: int) -> None:
    files = random_tree(shared, random.Random(seed))
    seen = scanned(shared)
    members = {name: frozenset(users) for name, users in GROUPS.items()}
    for name in USERS:
        me = {f"user:{name}"} | {f"group:{group}" for group in members if name in members[group]}
        ours = {uri for uri in files if (to := seen.by_system[uri]) is None or me & {*to}}
        assert ours == readable_by(name, files), name


def random_tree(root: Path, chance: random.Random) -> list[str]:
    """Files in folders, all with owners, groups, modes and ACLs by chance."""
    owners, groups = (0, DAEMON, BIN, SYS, LP.pw_uid), (0, ADM, TTY, LP.pw_gid)
    folders, files = [root], []
    for number in range(12):
        folder = chance.choice(folders) / f"{number}"
        folder.mkdir()
        folders.append(folder)
    for number in range(120):
        file = chance.choice(folders) / f"{number}.txt"
        file.write_text("text")
        files.append(file)
    for path in (*folders[1:], *files):
        some = (4, 5, 7, 7) if path.is_dir() else (0, 4, 6, 4)
        owner, owning, mask, other, *more = (chance.choice(some) for _ in range(8))
        os.chown(path, chance.choice(owners), chance.choice(groups))
        path.chmod(owner << 6 | owning << 3 | other)
        if chance.random() < 0.4:
            users = zip(sorted(chance.sample((DAEMON, BIN, SYS), 2)), more[:2], strict=True)
            named = zip(sorted(chance.sample((ADM, TTY), 2)), more[2:], strict=True)
            entries = [(1, owner, ANY), *((2, bits, uid) for uid, bits in users)]
            entries += [(4, owning, ANY), *((8, bits, gid) for gid, bits in named)]
            os.setxattr(path, ACL, packed([*entries, (16, mask, ANY), (32, other, ANY)]))
    return [str(file) for file in files]


def readable_by(name: str, files: list[str]) -> set[str]:
    """What a process of this user, in the groups that Citadel says, can open."""
    groups = [grp.getgrnam(group).gr_gid for group, users in GROUPS.items() if name in users]
    asked = subprocess.run(
        ["/bin/sh", "-c", 'for f; do if [ -r "$f" ]; then echo "$f"; fi; done', "sh", *files],
        **{"user": pwd.getpwnam(name).pw_uid, "group": NAMELESS, "extra_groups": groups},
        **{"cwd": "/", "capture_output": True, "text": True, "check": True},
    )
    return set(asked.stdout.split())


def scanned(folder: Path) -> Scan:
    seen = Scan()
    scan(str(folder), Limits(1000, permissions=permissions()), seen, lambda n: None)
    return seen


@by_root
def test_a_link_is_read_by_whom_both_its_ways_let_through(shared: Path) -> None:
    for name, group in (("adm", ADM), ("tty", TTY)):
        (shared / name).mkdir()
        os.chown(shared / name, 0, group)
        (shared / name).chmod(0o750)
    (shared / "tty" / "file.txt").write_text("text")
    (shared / "adm" / "link.txt").symlink_to(shared / "tty" / "file.txt")
    (shared / "way").symlink_to(shared / "tty")
    seen = scanned(shared)
    assert seen.by_system[str(shared / "tty" / "file.txt")] == ("group:tty",)
    assert seen.by_system[str(shared / "adm" / "link.txt")] == ()
    assert permissions().through(str(shared / "way")) == ("group:tty",)
    (shared / "file.txt").symlink_to(shared / "way" / "file.txt")
    alone = scanned(shared / "file.txt")
    assert alone.by_system == {str(shared / "file.txt"): ("group:tty",)}
    below = scanned(shared / "way")
    assert below.by_system[str(shared / "way" / "file.txt")] == ("group:tty",)


def test_a_folder_is_passed_by_its_x_not_by_its_r(shared: Path) -> None:
    me, mode = os.getuid(), 0o744
    found = Entries((me, mode >> 6), (), ((ADM, 4),), 4)
    assert permissions().let(found, ENTER) == ()
    (shared / "file.txt").write_text("text")
    (shared / "file.txt").chmod(0o644)
    shared.chmod(0o744)
    assert scanned(shared).by_system[str(shared / "file.txt")] == ()

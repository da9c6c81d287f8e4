"""Looks at a ZIP's directory before anything is unpacked from it.

Office files, EPUB and ODT are ZIPs, and a ZIP of some kilobytes can unpack to terabytes. The
directory's sizes can lie: reading a member is bounded by what it declares, since `zipfile` stops
there, and for the programs that unpack on their own by the worker's limits.
"""

import re
import stat
import zipfile
from pathlib import Path

from rag.errors import ParseError

MAX_TOTAL_BYTES = 1024**3
MAX_RATIO = 200  # of a whole archive; XML of office files compresses 5 to 30 times
_RATIO_FREE_BYTES = 32 * 1024**2  # small archives may be as compressible as they like
MAX_MEMBERS = 20_000
_XML_SUFFIXES = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")
_XML_HEAD_BYTES = 16 * 1024
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)


def check(path: Path) -> None:
    """Raise a `ParseError` unless the ZIP at `path` can be unpacked without harm.

    Raises:
        ParseError: `bomb`, `encrypted` or `damaged`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_directory(members, path.stat().st_size)
            for member in members:
                if member.filename.lower().endswith(_XML_SUFFIXES):
                    _check_entities(archive, member)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise damaged() from error


def has_comments(path: Path) -> bool:
    """Whether an office file carries comments, which are not part of its text."""
    with zipfile.ZipFile(path) as archive:
        return any(re.search(r"/(?:threaded)?comments?\b", n, re.I) for n in archive.namelist())


def damaged() -> ParseError:
    """The error for a container that cannot be opened."""
    return ParseError(
        "damaged",
        "the file is cut off or damaged: its inner directory cannot be read",
        hint="Copy or download it again, or open it in its application and save it anew.",
    )


def _check_directory(members: list[zipfile.ZipInfo], size_bytes: int) -> None:
    if len(members) > MAX_MEMBERS:
        raise _bomb(f"it holds {len(members):,} files")
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise _bomb(f"it unpacks to {total / 1024**3:.1f} GiB")
    if total > _RATIO_FREE_BYTES and total > MAX_RATIO * size_bytes:
        raise _bomb(f"it unpacks to {total // max(size_bytes, 1):,} times its size")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
            raise _bomb(f"a member's name leads outside of it ({name[:80]!r})")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _bomb(f"a member is a link to elsewhere ({name[:80]!r})")
        if member.flag_bits & 0x1:
            raise ParseError(
                "encrypted",
                "the file is protected by a password",
                hint="Remove the password in its application and save it anew.",
            )


def _check_entities(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Entities stand before the root element; no office application writes any."""
    with archive.open(member) as file:
        head = file.read(_XML_HEAD_BYTES)
    if _ENTITY.search(head.replace(b"\0", b"")):
        raise _bomb(f"its part {member.filename[:80]!r} declares XML entities")


def _bomb(what: str) -> ParseError:
    return ParseError(
        "bomb",
        f"the file is built to exhaust or mislead its reader: {what}",
        hint="Do not open it. If you trust its author, save it anew in its application.",
    )

"""The databases' errors as ours: what happened, and what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rag.errors import StoreError

# Part of the message in lower case, what it means, what to do. The first that fits is taken.
_MEANINGS = (
    (
        ("file is not a database", "file is encrypted"),
        "the file is not a SQLite database",
        "Point database_url or data_dir elsewhere, or move the file away.",
    ),
    (
        ("malformed", "invalid page in block"),
        "the database is damaged",
        "Check the disk, then restore the newest backup.",
    ),
    (
        ("disk i/o error",),  # also where SQLite has no room for a file of its own beside it
        "the disk does not let the database be read or written: it is full, or failing",
        "Check its free space first (df), then the disk itself. Nothing says that data is damaged.",
    ),
    (
        ("database is locked", "lock timeout", "deadlock detected", "database table is locked"),
        "another process holds the database's write lock",
        "Wait for the other run to end, then try again.",
    ),
    (
        ("disk is full", "no space left", "could not extend file"),
        "the disk is full",
        "Free some space on the database's disk, then try again.",
    ),
    (
        ("readonly database", "read-only transaction", "permission denied"),
        "the database may not be written",
        "Run as the user who owns the database, or grant this one the right to write.",
    ),
    (
        ("unable to open database file",),
        "the database file cannot be opened",
        "Check that its folder exists and that this user may write there.",
    ),
    (
        ("password authentication", "no password supplied", "does not exist", "role "),
        "the database server refused the login",
        "Check user, password and database name in database_url.",
    ),
    (
        ("connection", "server closed", "terminating", "could not translate host", "timeout"),
        "the database server cannot be reached",
        "Check that the server runs and that database_url names it, then try again.",
    ),
)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn every database error inside into a `StoreError` that names the database."""
    try:
        yield
    except SQLAlchemyError as error:
        raise store_error(url, error) from error


def store_error(url: URL, error: SQLAlchemyError) -> StoreError:
    """What to tell a person about a database error."""
    original = error.orig if isinstance(error, DBAPIError) else error
    said = " ".join(str(original).split())
    where = url.render_as_string(hide_password=True)
    for parts, meaning, hint in _MEANINGS:
        if any(part in said.lower() for part in parts):
            return StoreError(f"{meaning} ({where}): {said}", hint=hint)
    return StoreError(
        f"the database failed ({where}): {said}",
        hint="Run `citadel verify`; if it finds nothing, report this message.",
    )

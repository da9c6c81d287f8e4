"""Cursors: where a page of a list has ended, as text that only the server has to understand.

A cursor holds the place of the last entry in the list's order, not a count: what is added or
removed meanwhile moves nothing. It gives no right: with it, too, everybody sees only their own.
"""

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta

from rag.errors import BadRequest

MAX_CHARS = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MICROSECONDS = 2**53  # beyond the year 2200


def cursor(list_name: str, *place: int) -> str:
    """A cursor after an entry of a list."""
    text = json.dumps([list_name, *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(list_name: str, cursor: str, length: int) -> list[int]:
    """The place of the entry that a cursor of this list was made after: so many numbers.

    Raises:
        BadRequest: it was not made for this list.
    """
    try:
        padded = cursor[:MAX_CHARS] + "=" * (-len(cursor[:MAX_CHARS]) % 4)
        name, *numbers = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, TypeError):
        name, numbers = "", []
    found = [n for n in numbers if type(n) is int and abs(n) < 2**63]
    if name != list_name or not len(found) == len(numbers) == length:
        raise BadRequest(
            "the cursor is not one of this list",
            hint="Pass on `next_cursor` of the page before as it is, or leave it out to begin.",
        )
    return found


def microseconds(time: datetime) -> int:
    """A time as a number that a cursor can hold."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def time_of(microseconds: int) -> datetime:
    """The time that `microseconds` has made a number of; the nearest sensible one of any other."""
    return _EPOCH + timedelta(microseconds=max(0, min(microseconds, _MAX_MICROSECONDS)))

"""ETags of what has a version: which state somebody has read, and whether it still is that one.

A tag is the version and a hash of what was shown. The hash makes it differ where the same version
looks different to another reader or on another day; what is changed by it is compared by version.
"""

import hashlib
import json
import re
from typing import Any

from rag.errors import BadRequest

_TAG = re.compile(r'(?:W/)?"(?:(\d{1,9})\.[0-9a-f]{16}|[^"]*)"')  # W/: proxies that compress


def etag(version: int, body: dict[str, Any]) -> str:
    """The tag of a body that shows something in this version."""
    shown = json.dumps(body, sort_keys=True).encode()
    return f'"{version}.{hashlib.sha256(shown).hexdigest()[:16]}"'


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether a caller already has what the tag is of."""
    given = if_none_match or ""
    return given.strip() == "*" or tag in (found[0].removeprefix("W/") for found in _tags(given))


def wanted_version(if_match: str | None, version: int) -> int | None:
    """The version that a change is meant for, where the present one is `version`.

    None: any. Where several are named and the present one is among them, that; else 0, which
    nothing has.

    Raises:
        BadRequest: the header cannot be read.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = list(_tags(if_match))
    if not found:
        raise BadRequest(
            "If-Match names no ETag", hint="Send the ETag as you got it, quotes and all."
        )
    return version if str(version) in (each[1] for each in found) else 0


def _tags(header: str) -> list[re.Match[str]]:
    return list(_TAG.finditer(header))

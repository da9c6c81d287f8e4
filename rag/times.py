"""Times as they leave, and the dates that documents give themselves."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

_DATES = ("date", "modified", "created")  # of a document's properties, the best first


def time_json(time: datetime) -> str:
    """A time with its zone as RFC 3339 has it, in UTC: `2026-11-27T09:30:00.250000Z`.

    The same in the API, the commands' `--json` and what is kept as JSON.
    """
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_json_or_none(time: datetime | None) -> str | None:
    """The same, of a time that need not have come."""
    return None if time is None else time_json(time)


def own_day(properties: Mapping[str, str]) -> str:
    """The day that a document gives itself, ISO 8601, or "": a mail's, else of its last change."""
    for name in _DATES:
        day = properties.get(name, "")[:10]
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", day):
                return date.fromisoformat(day).isoformat()
        except ValueError:
            continue
    return ""

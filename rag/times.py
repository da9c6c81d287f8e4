"""Times as they leave: the same in the command's `--json`, the API and what is kept as JSON."""

from datetime import UTC, datetime


def time_json(time: datetime) -> str:
    """A time with its zone as RFC 3339 has it, in UTC: `2026-11-27T09:30:00.25Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_json_or_none(time: datetime | None) -> str | None:
    """The same, of a time that need not have come."""
    return None if time is None else time_json(time)

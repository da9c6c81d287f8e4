"""One spelling of a time, wherever it leaves, and the day that a document gives itself."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from rag.times import own_day, time_json, time_json_or_none


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    summer = timezone(timedelta(hours=2))
    assert time_json(datetime(2026, 7, 1, 0, 30, tzinfo=summer)) == "2026-06-30T22:30:00Z"


def test_what_is_told_is_read_as_the_same_time() -> None:
    moment = datetime(2026, 11, 27, 9, 30, 0, 250_000, tzinfo=UTC)
    assert time_json(moment) == "2026-11-27T09:30:00.250000Z"
    assert datetime.fromisoformat(time_json(moment)) == moment


def test_a_time_that_has_not_come_is_nothing() -> None:
    assert time_json_or_none(None) is None


@pytest.mark.parametrize(
    ("metadata", "day"),
    [
        ({"date": "2024-05-01T09:00:00+02:00", "modified": "2025-01-01"}, "2024-05-01"),
        ({"created": "2020-01-31", "modified": "soon"}, "2020-01-31"),
        ({"created": "2020-02-31", "author": "A"}, ""),
        ({"date": "Tue, 3 Mar"}, ""),
    ],
)
def test_a_documents_own_day_is_the_mails_else_of_its_last_change(
    metadata: dict[str, str], day: str
) -> None:
    assert own_day(metadata) == day

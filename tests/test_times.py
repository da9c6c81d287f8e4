"""One spelling of a time, whoever wrote it down and wherever it leaves."""

from datetime import UTC, datetime, timedelta, timezone

from rag.times import time_json, time_json_or_none


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    summer = timezone(timedelta(hours=2))
    assert time_json(datetime(2026, 7, 1, 0, 30, tzinfo=summer)) == "2026-06-30T22:30:00Z"


def test_what_is_told_is_read_as_the_same_time() -> None:
    moment = datetime(2026, 11, 27, 9, 30, 0, 250_000, tzinfo=UTC)
    assert time_json(moment) == "2026-11-27T09:30:00.250000Z"
    assert datetime.fromisoformat(time_json(moment)) == moment


def test_a_time_that_has_not_come_is_nothing() -> None:
    assert time_json_or_none(None) is None

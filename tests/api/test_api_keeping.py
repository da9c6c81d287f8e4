"""What a server does by itself goes on whatever fails, and a load that fails is told."""

import asyncio
import logging

import pytest

from rag.api.backing import Backing
from rag.api.keeping import Duty
from rag.appliance import Appliance
from rag.errors import CitadelError, SearchIndexError


@pytest.mark.parametrize("error", [SearchIndexError("the disk is full"), ValueError("no room")])
def test_a_duty_that_fails_is_told_once_and_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failing, done = [True], []

    def do() -> None:
        if failing:
            raise error
        done.append("done")

    duty = Duty("the indexes are behind", do)
    duty()
    duty()
    failing.clear()
    duty()
    assert done == ["done"]
    (record,) = caplog.records
    assert "the indexes are behind" in record.message
    failing.append(True)
    duty()
    assert len(caplog.records) == 2, "told anew after it has gone well"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("bad")])
def test_a_load_that_fails_in_any_way_is_told_to_who_asks(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Appliance:
        raise error

    backing = Backing(load)
    with caplog.at_level(logging.ERROR):
        asyncio.run(backing.load())
    with pytest.raises(CitadelError, match="could not be loaded") as caught:
        backing.appliance()
    assert "log" in caught.value.hint
    assert caplog.records

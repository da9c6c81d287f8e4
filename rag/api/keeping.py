"""What a server does by itself while it serves, each duty whatever becomes of the others."""

import asyncio
import logging
from collections.abc import Callable, Iterator

from anyio import to_thread

from rag.api.backing import Backing
from rag.appliance import Appliance
from rag.audit.forward import Keeper
from rag.errors import CitadelError

EVERY_S = 1.0

logger = logging.getLogger(__name__)


class Duty:
    """Something to be done; a failure is told once, until it has been done again."""

    def __init__(self, left_undone: str, do: Callable[[], object]) -> None:
        """`left_undone` says what is so while it fails."""
        self._left_undone = left_undone
        self._do = do
        self._failing = False

    def __call__(self) -> None:
        """Do it. Never raises: the others must go on, and it is tried again."""
        try:
            self._do()
        except CitadelError as error:
            if not self._failing:
                logger.warning("%s: %s", self._left_undone, error.message)
            self._failing = True
        except Exception:
            if not self._failing:
                logger.exception("%s", self._left_undone)
            self._failing = True
        else:
            self._failing = False


async def keep(backing: Backing) -> None:
    """Do what is to be done, until cancelled."""
    await backing.done.wait()
    if backing.error is not None:
        return
    duties = list(_duties(backing.appliance()))
    while True:
        for duty in duties:
            await to_thread.run_sync(duty)
        await asyncio.sleep(EVERY_S)


def _duties(appliance: Appliance) -> Iterator[Duty]:
    keeper = Keeper(appliance.store, appliance.settings)
    if keeper.has_work:
        yield Duty("audit records are not sent on or removed", keeper.work)
    yield Duty("searches go on with the model from before", appliance.follow_model)
    yield Duty(
        "the indexes are brought level by questions only", lambda: appliance.indexes.follow()
    )
    yield Duty("what was forgotten is still in memory", appliance.drop_forgotten)

"""The appliance behind the API, loaded while the server already listens."""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request

from rag.api.border.auth import Caller
from rag.appliance import Appliance
from rag.errors import CitadelError, NotReady, StoreError
from rag.text import question_language

logger = logging.getLogger(__name__)


class Backing:
    """Loads the appliance once and hands it to requests. Belongs to the event loop."""

    def __init__(self, load: Callable[[], Appliance]) -> None:
        self._load = load
        self._appliance: Appliance | None = None
        self._error: CitadelError | None = None
        self.done = asyncio.Event()

    async def load(self) -> None:
        """Load; a failure is kept for those who ask."""
        try:
            self._appliance = await to_thread.run_sync(self._load)
            await to_thread.run_sync(question_language, "What is this?")  # loads its model
        except CitadelError as error:
            self._error = error
        except Exception as error:
            logger.exception("Citadel could not be loaded")
            self._error = StoreError(
                f"Citadel could not be loaded: {error or type(error).__name__}",
                hint="The server's log has the details. Mend that and start it again.",
            )
        finally:
            self.done.set()

    @property
    def error(self) -> CitadelError | None:
        """Why loading failed."""
        return self._error

    def appliance(self) -> Appliance:
        """The appliance.

        Raises:
            NotReady: it is still loading.
            CitadelError: it could not be loaded.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._appliance is None:
            raise NotReady(
                "Citadel is still loading its indexes and its model",
                hint="Try again in a moment; GET /readyz says when it is ready.",
            )
        return self._appliance

    def close(self) -> None:
        """Close what was loaded."""
        if self._appliance is not None:
            self._appliance.close()


async def appliance_of(request: Request) -> Appliance:
    """Dependency: the loaded appliance."""
    backing: Backing = request.app.state.backing
    return backing.appliance()


Loaded = Annotated[Appliance, Depends(appliance_of)]
"""What a route takes that needs the appliance."""


async def caller_of(request: Request) -> Caller:
    """Dependency: whom the border has recognised."""
    caller: Caller = request.state.caller
    return caller

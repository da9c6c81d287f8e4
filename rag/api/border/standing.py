"""Whether the caller of what takes a while may still have it: a long answer, a run that is watched.

A request is let in once, and its answer may take minutes. So the request's credential is looked at
again before more of the answer is shown, though no more than once a second, and what the caller may
read as well. Where it is less than it was, the answer ends: what was read for it is not only what
it cites.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from anyio import to_thread
from fastapi import Request

from rag.answer.events import Event, Final, Sentence
from rag.api.border.auth import Caller, Gate, Right, access_of, for_rights
from rag.errors import Forbidden
from rag.store import Store
from rag.types import Access

CHECK_EVERY_S = 1.0


class Standing:
    """The standing of a request's caller, for as long as the request takes."""

    def __init__(self, request: Request, right: Right) -> None:
        self._scope = request.scope
        self._right = right
        self._gate: Gate = request.app.state.gate
        self._checked = time.monotonic()

    async def check(self) -> Caller:
        """The caller as of now.

        Raises:
            Unauthorized: the account or the credential holds no more.
            Forbidden: the credential is not good for this any more.
        """
        caller = await self._gate.authenticate(self._scope)
        for_rights(caller, self._right)
        return caller

    async def watched(
        self, events: AsyncIterator[Event], store: Store, access: Access
    ) -> AsyncGenerator[Event, None]:
        """The events of an answer that was begun with `access`, as long as that still holds.

        Raises:
            Unauthorized: the account or the credential holds no more.
            Forbidden: the caller may read less than before.
        """
        async with aclosing(cast(AsyncGenerator[Event, None], events)) as stream:
            async for event in stream:
                if time.monotonic() - self._checked >= CHECK_EVERY_S:
                    caller = await self.check()
                    await to_thread.run_sync(_check_reading, caller, store, access, _shown(event))
                    self._checked = time.monotonic()
                yield event


def _check_reading(caller: Caller, store: Store, before: Access, ids: set[int]) -> None:
    now = access_of(caller, store, None)
    same = before.collections <= now.collections and (
        caller.owner == "operator" or before.principals <= now.principals
    )
    if not same or store.readable_ids(now, ids) != ids:
        raise Forbidden(
            "what you may read has changed while this was answered", hint="Ask the question again."
        )


def _shown(event: Event) -> set[int]:
    """The documents that an event cites or rests on."""
    if isinstance(event, Sentence):
        return {citation.document_id for citation in event.citations}
    if isinstance(event, Final):
        related = {hit.chunk.document_id for hit in event.related}
        return {*event.read, *related, *(each.document_id for each in event.citations)}
    return set()

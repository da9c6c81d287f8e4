"""A question of a kept conversation: what was said before it, and its answer as the next turn."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from anyio import to_thread

from rag.answer.conversation import Turn
from rag.answer.events import Event, Final
from rag.api.bodies.requests import MAX_TURNS, QueryRequest
from rag.api.border.auth import Caller, access_of, number_of
from rag.errors import BadRequest, NotFound
from rag.store import Store
from rag.types import Access
from rag.wire import final_json


@dataclass(frozen=True, slots=True)
class Talk:
    """The conversation that a question belongs to."""

    store: Store
    owner: int
    conversation_id: int

    def history(self, access: Access) -> list[Turn]:
        """What was said in it, without what `access` may not see any more; blocks on the store.

        Raises:
            NotFound: there is no such conversation, or it is another's.
        """
        said = self.store.conversations.history(access, self.owner, self.conversation_id, MAX_TURNS)
        return [Turn(question, answer) for question, answer in said]

    def keep(self, final: Final) -> Final:
        """The answer, once it is the conversation's next turn; blocks on the store.

        Where the conversation has been deleted meanwhile the answer stays unkept and says so.
        """
        try:
            turn_id = self.store.conversations.append(
                self.owner, self.conversation_id, final_json(final), final.read
            )
        except NotFound:
            return final
        return replace(final, conversation_id=self.conversation_id, turn_id=turn_id)


def said_before(caller: Caller, store: Store, body: QueryRequest) -> tuple[Talk | None, list[Turn]]:
    """The conversation that a question belongs to, if it is a kept one, and what was said so far.

    Raises:
        BadRequest: what was said comes from the request and from the server.
        NotFound: there is no such conversation, or it is another's.
    """
    if body.conversation_id is None:
        return None, [Turn(turn.question, turn.answer) for turn in body.history]
    if body.history:
        raise BadRequest(
            "a question has a history or a conversation_id, not both",
            hint="With a conversation_id the server knows what was said; leave history out.",
        )
    talk = Talk(store, number_of(caller, store), body.conversation_id)
    return talk, talk.history(access_of(caller, store, None))


async def keeping(events: AsyncGenerator[Event, None], talk: Talk) -> AsyncGenerator[Event, None]:
    """The events; the last of them once it has been kept.

    A caller who leaves before that leaves no turn: what was not finished is not kept.
    """
    async with aclosing(events):
        async for event in events:
            yield (
                await to_thread.run_sync(talk.keep, event) if isinstance(event, Final) else event
            )

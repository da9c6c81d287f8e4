"""The caller's conversations, kept by the server."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from rag.client.records import Final
from rag.client.transport import Tagged, Transport, from_cursor, once

Rating = Literal["up", "down"]
Format = Literal["json", "markdown"]
_PAGE = 100


class Conversation(Struct, frozen=True):
    """A conversation without its turns."""

    id: int
    title: str
    created_at: datetime
    updated_at: datetime
    n_turns: int


class ConversationPage(Struct, frozen=True):
    """Conversations, the one last changed first; `next_cursor` is None at the end."""

    conversations: tuple[Conversation, ...]
    next_cursor: str | None


class KeptTurn(Struct, frozen=True):
    """A question and its answer; `reason` says why something of it is withheld, "" if nothing."""

    id: int
    request_id: str
    question: str
    answer: Final
    reason: str = ""
    rating: Rating | None = None


class ConversationRead(Conversation, frozen=True):
    """A conversation with turns, oldest first. One that is not the caller's is to be read only."""

    yours: bool
    turns: tuple[KeptTurn, ...]
    next_cursor: str | None = None


class Conversations:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def create(self, title: str = "") -> Conversation:
        """Begin one; without a title it is named by its first question."""
        return self._api.send("POST", "/v1/conversations", Conversation, {"title": title}, once())

    def list(self, *, cursor: str | None = None, limit: int = 50) -> ConversationPage:
        """One page of them, the one last changed first."""
        return self._api.get("/v1/conversations", ConversationPage, from_cursor(cursor, limit))

    def every(self) -> Iterator[Conversation]:
        """All of them, a page at a time."""
        page = self.list()
        yield from page.conversations
        while page.next_cursor is not None:
            page = self.list(cursor=page.next_cursor)
            yield from page.conversations

    def read(self, conversation_id: int, *, cursor: str | None = None) -> ConversationRead:
        """One with a page of its turns."""
        path = f"/v1/conversations/{conversation_id}"
        return self._api.get(path, ConversationRead, from_cursor(cursor, _PAGE))

    def read_tagged(self, conversation_id: int, known: str = "") -> Tagged[ConversationRead] | None:
        """The same with its ETag; None where that is `known`, so that a copy is still right."""
        path = f"/v1/conversations/{conversation_id}"
        return self._api.tagged(path, ConversationRead, {"limit": _PAGE}, known)

    def rename(self, conversation_id: int, title: str, *, if_match: str = "") -> Conversation:
        """Give it another title; with an ETag only where nothing has changed in it since."""
        path = f"/v1/conversations/{conversation_id}"
        return self._api.send("PATCH", path, Conversation, {"title": title}, once(if_match))

    def delete(self, conversation_id: int, *, if_match: str = "") -> None:
        """Delete it with all that was asked and answered in it; with an ETag as above."""
        self._api.tell("DELETE", f"/v1/conversations/{conversation_id}", None, once(if_match))

    def export(self, conversation_id: int, format: Format = "json") -> bytes:
        """The whole of it as a file, as far as the caller may read now what it quotes."""
        params = {"format": format}
        return self._api.download(f"/v1/conversations/{conversation_id}/export", params)

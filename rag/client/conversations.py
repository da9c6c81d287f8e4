"""The caller's conversations, kept by the server."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from rag.client.records import Final
from rag.client.transport import Transport

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
        return self._api.send("POST", "/v1/conversations", Conversation, {"title": title})

    def list(self, *, cursor: str | None = None, limit: int = 50) -> ConversationPage:
        """One page of them, the one last changed first."""
        params: dict[str, str | int] = {"limit": limit}
        if cursor:
            params["cursor"] = cursor
        return self._api.get("/v1/conversations", ConversationPage, params)

    def read(self, conversation_id: int, *, cursor: str | None = None) -> ConversationRead:
        """One with a page of its turns."""
        params: dict[str, str | int] = {"limit": _PAGE}
        if cursor:
            params["cursor"] = cursor
        return self._api.get(f"/v1/conversations/{conversation_id}", ConversationRead, params)

    def rename(self, conversation_id: int, title: str) -> Conversation:
        """Give it another title."""
        body = {"title": title}
        return self._api.send("PATCH", f"/v1/conversations/{conversation_id}", Conversation, body)

    def delete(self, conversation_id: int) -> None:
        """Delete it with all that was asked and answered in it."""
        self._api.tell("DELETE", f"/v1/conversations/{conversation_id}")

    def export(self, conversation_id: int, format: Format = "json") -> bytes:
        """The whole of it as a file, as far as the caller may read now what it quotes."""
        params = {"format": format}
        return self._api.download(f"/v1/conversations/{conversation_id}/export", params)

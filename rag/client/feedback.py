"""What the caller thinks of answers, and for admins what everybody does."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from rag.client.conversations import Rating
from rag.client.transport import Transport, from_cursor, once


class Given(Struct, frozen=True):
    """What somebody said of an answer, without question and answer."""

    id: int
    user: str
    request_id: str
    rating: Rating
    comment: str
    created_at: datetime
    yours: bool


class FeedbackPage(Struct, frozen=True):
    """Feedback, newest first; `next_cursor` is None at the end."""

    feedback: tuple[Given, ...]
    next_cursor: str | None


class Feedback:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def give(self, request_id: str, rating: Rating, comment: str = "") -> None:
        """Say something of an answer in a conversation of one's own; said again, it is replaced."""
        said = {"request_id": request_id, "rating": rating, "comment": comment}
        self._api.tell("PUT", "/v1/feedback", said, once())

    def list(self, *, cursor: str | None = None, limit: int = 50) -> FeedbackPage:
        """One page of what everybody said, for admins."""
        return self._api.get("/v1/feedback", FeedbackPage, from_cursor(cursor, limit))

    def every(self) -> Iterator[Given]:
        """All of it, a page at a time."""
        page = self.list()
        yield from page.feedback
        while page.next_cursor is not None:
            page = self.list(cursor=page.next_cursor)
            yield from page.feedback

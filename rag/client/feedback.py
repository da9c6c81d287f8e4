"""What the caller thinks of answers."""

from rag.client.conversations import Rating
from rag.client.transport import Transport


class Feedback:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def give(self, request_id: str, rating: Rating, comment: str = "") -> None:
        """Say something of an answer in a conversation of one's own; said again, it is replaced."""
        said = {"request_id": request_id, "rating": rating, "comment": comment}
        self._api.tell("PUT", "/v1/feedback", said)

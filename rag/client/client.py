"""The API over HTTP, called with a key or as the visitor of a page.

The page has no rights of its own: each call carries the session cookie that the visitor's browser
sent, and the API decides. A client belongs to one caller and is never shared, because it would
carry a credential from one to the next.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Self

import msgspec

from rag.client.access import Access
from rag.client.account import Account
from rag.client.audit import Audit
from rag.client.collections import Collections
from rag.client.conversations import Conversations
from rag.client.documents import Documents
from rag.client.feedback import Feedback
from rag.client.keys import Keys
from rag.client.people import People
from rag.client.records import (
    Asked,
    Event,
    Failure,
    Failures,
    Final,
    Notice,
    Searched,
    Sentence,
    Status,
    Step,
)
from rag.client.runs import Runs
from rag.client.search import Search
from rag.client.server import Health, Settings
from rag.client.transport import ATTEMPTS, Line, Problem, Transport, in_words
from rag.client.uploads import Uploads

_EVENTS: dict[str, type[Event]] = {
    "step": Step,
    "searched": Searched,
    "notice": Notice,
    "sentence": Sentence,
    "final": Final,
}


class Client:
    """The API for one caller, who shows a key, or a browser's session.

    Every method, also of the subjects, raises `Problem` where the API cannot be reached, refuses or
    answers unusably.
    """

    def __init__(
        self, url: str, *, key: str = "", session: str = "", attempts: int = ATTEMPTS
    ) -> None:
        self._api = api = Transport(url, key=key, session=session, attempts=attempts)
        self.access = Access(api)
        self.account = Account(api)
        self.audit = Audit(api)
        self.collections = Collections(api)
        self.conversations = Conversations(api)
        self.documents = Documents(api)
        self.feedback = Feedback(api)
        self.health = Health(api)
        self.keys = Keys(api)
        self.people = People(api)
        self.runs = Runs(api)
        self.search = Search(api)
        self.settings = Settings(api)
        self.uploads = Uploads(api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def ask(self, asked: Asked, line: Line | None = None) -> Iterator[Event]:
        """The answer as it arrives; the last event is a `Final`. `line` can end it before."""
        body = msgspec.to_builtins(asked) | {"stream": True}
        with closing(self._api.stream("POST", "/v1/query", body, line)) as arriving:
            for name, data in arriving:
                kind = _EVENTS.get(name)
                if kind is None:  # one that this client does not know
                    continue
                with in_words():
                    event = msgspec.json.decode(data, type=kind)
                yield event
                if isinstance(event, Final):
                    return
        raise Problem("The answer broke off.", "The connection ended early.", "Ask again.")

    def status(self) -> Status:
        """How the server answers; one that doesn't say answers with quotes."""
        return self._api.get("/v1/status", Status)

    def failures(self) -> list[Failure]:
        """The files that were not ingested."""
        return self._api.get("/v1/failures", Failures).failures

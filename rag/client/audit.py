"""What people and programs have done, for auditors; it shows no text of a document."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from rag.client.transport import Params, Transport, from_cursor


class Sought(Struct, frozen=True):
    """Which records; each field that is given leaves out the others."""

    kind: str = ""
    user: str = ""
    since: datetime | None = None  # with its time zone


class Record(Struct, frozen=True):
    """What somebody did; `private` is None where there is nothing or it was forgotten.

    People are numbers in `actor` and `detail`; `principals` has their names.
    """

    seq: int
    at: datetime
    kind: str
    outcome: Literal["success", "failure"]
    actor: dict[str, Any]
    detail: dict[str, Any]
    private: dict[str, Any] | None
    principals: dict[str, str]
    sha256: str
    previous_sha256: str


class RecordPage(Struct, frozen=True):
    """Records, oldest first; `next_cursor` is None at the end."""

    records: tuple[Record, ...]
    next_cursor: str | None


ALL = Sought()


class Audit:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def list(
        self, sought: Sought = ALL, *, cursor: str | None = None, limit: int = 100
    ) -> RecordPage:
        """One page of the records, oldest first. Reading them is a record as well."""
        params: Params = {**from_cursor(cursor, limit), **_params(sought)}
        return self._api.get("/v1/audit", RecordPage, params)

    def every(self, sought: Sought = ALL) -> Iterator[Record]:
        """All of them that there are when the last page is read."""
        page = self.list(sought)
        yield from page.records
        while page.next_cursor is not None:
            page = self.list(sought, cursor=page.next_cursor)
            yield from page.records


def _params(sought: Sought) -> dict[str, str]:
    since = "" if sought.since is None else sought.since.isoformat()
    said = {"kind": sought.kind, "user": sought.user, "since": since}
    return {name: text for name, text in said.items() if text}

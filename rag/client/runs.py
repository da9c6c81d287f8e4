"""Ingest runs: what is being read into collections that the caller manages."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from rag.client.transport import Transport, from_cursor, in_words, once


class RunCounts(Struct, frozen=True):
    """Files: `done` of `total` that are to be read; the others are known when it is over."""

    total: int = 0
    done: int = 0
    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0


class RunFailure(Struct, frozen=True):
    """A file that was not ingested, with the reason and what to do about it."""

    path: str
    error: str
    hint: str


class Run(Struct, frozen=True):
    """An ingest run. Files that could not be read don't make it fail."""

    id: int
    kind: Literal["upload", "folders"]
    collection: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    paths: tuple[str, ...]
    started_by: str = ""
    counts: RunCounts = RunCounts()
    failures: tuple[RunFailure, ...] = ()
    message: str = ""  # why it failed
    hint: str = ""
    document_id: int | None = None  # what an upload has become
    created_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it is to come."""
        return self.state not in ("waiting", "running")


class RunPage(Struct, frozen=True):
    """Runs, newest first; `next_cursor` is None at the end."""

    runs: tuple[Run, ...]
    next_cursor: str | None


class Runs:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def start(self, collection: str, *paths: str) -> Run:
        """Bring a collection level with files and folders on the server."""
        body = {"collection": collection, "paths": list(paths)}
        return self._api.send("POST", "/v1/ingest-runs", Run, body, once())

    def list(self, *, cursor: str | None = None, limit: int = 50) -> RunPage:
        """One page of the caller's runs and those of collections that the caller manages."""
        return self._api.get("/v1/ingest-runs", RunPage, from_cursor(cursor, limit))

    def every(self) -> Iterator[Run]:
        """All of them, a page at a time."""
        page = self.list()
        yield from page.runs
        while page.next_cursor is not None:
            page = self.list(cursor=page.next_cursor)
            yield from page.runs

    def read(self, run_id: int) -> Run:
        """How far a run is."""
        return self._api.get(f"/v1/ingest-runs/{run_id}", Run)

    def watch(self, run_id: int) -> Iterator[Run]:
        """A run whenever something of it has changed; the last one has ended."""
        with closing(self._api.stream("GET", f"/v1/ingest-runs/{run_id}/events")) as arriving:
            for name, data in arriving:
                if name == "run":
                    with in_words():
                        run = msgspec.json.decode(data, type=Run)
                    yield run

    def cancel(self, run_id: int) -> Run:
        """Stop a run; what was committed stays."""
        return self._api.send("POST", f"/v1/ingest-runs/{run_id}/cancel", Run)

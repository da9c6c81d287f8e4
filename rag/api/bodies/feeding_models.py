"""Uploads, deletions and ingest runs as the API documents them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.api.bodies.examples import Example
from rag.api.bodies.models import DocumentRef
from rag.api.bodies.requests import Plain

RUN: Example = {
    "id": 12,
    "kind": "folders",
    "collection": "hr",
    "started_by": "ann",
    "paths": ["/srv/documents/hr"],
    "state": "running",
    "counts": {
        "total": 34,
        "done": 20,
        "added": 0,
        "updated": 0,
        "moved": 0,
        "unchanged": 0,
        "removed": 0,
        "failed": 1,
    },
    "failures": [
        {
            "path": "/srv/documents/hr/contract.pdf",
            "error": "the PDF is encrypted",
            "hint": "Save a copy without a password and ingest that.",
        }
    ],
    "message": "",
    "hint": "",
    "document_id": None,
    "created_at": "2026-03-02T09:14:31Z",
    "ended_at": None,
}
RUN_REQUEST: Example = {"collection": "hr", "paths": ["/srv/documents/hr"]}
RUNS: Example = {"runs": [RUN], "next_cursor": None}
UPLOADED: Example = {
    "document": None,
    "run": RUN
    | {"kind": "upload", "paths": ["upload:/12/handbook.pdf"], "state": "waiting", "failures": []},
}
DELETED: Example = {
    "document_id": 7,
    "note": "The file /srv/documents/handbook.pdf is left as it is. …",
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RunRequest(_Model):
    """What to ingest, and into which collection."""

    model_config = ConfigDict(json_schema_extra={"examples": [RUN_REQUEST]})
    collection: Plain
    paths: list[Annotated[Plain, Field(min_length=1, pattern="^/")]] = Field(
        min_length=1, max_length=50, description="Files and folders on the server, from the root."
    )


class RunCounts(_Model):
    """Files: `done` of `total` that are to be read; the others are known when it is over."""

    total: int
    done: int
    added: int
    updated: int
    moved: int
    unchanged: int
    removed: int
    failed: int


class RunFailure(_Model):
    """A file that was not ingested."""

    path: str
    error: str
    hint: str


class Run(_Model):
    """An ingest run. Files that could not be read don't make it fail."""

    model_config = ConfigDict(json_schema_extra={"examples": [RUN]})
    id: int
    kind: Literal["upload", "folders"]
    collection: str
    started_by: str = Field(description="Empty where that user is gone.")
    paths: list[str]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    counts: RunCounts
    failures: list[RunFailure] = Field(description="The first thousand.")
    message: str = Field(description="Why it failed.")
    hint: str
    document_id: int | None = Field(description="What an upload has become, when it is done.")
    created_at: datetime
    ended_at: datetime | None


class RunList(_Model):
    """Ingest runs, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [RUNS]})
    runs: list[Run]
    next_cursor: str | None = Field(description="Pass it on for the rest; null at the end.")


class Uploaded(_Model):
    """The run that reads an uploaded file, or the document that has its content already."""

    model_config = ConfigDict(json_schema_extra={"examples": [UPLOADED]})
    document: DocumentRef | None
    run: Run | None


class Deleted(_Model):
    """What was deleted, and what might bring it back."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELETED]})
    document_id: int
    note: str

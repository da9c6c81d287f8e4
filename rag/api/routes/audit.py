"""The audit records, for auditors."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from rag.api.backing import Loaded
from rag.api.bodies import models, requests
from rag.api.border.callers import Auditor
from rag.api.routes.docs import documented
from rag.audit.ocsf import numbers_in
from rag.store import Record, Wanted
from rag.times import time_json

router = APIRouter(tags=["audit"])


@router.get("/v1/audit", response_model=models.AuditRecords, responses=documented(403, 404))
def list_audit(
    appliance: Loaded,
    caller: Auditor,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(pattern=r"^\d{1,18}$", description="`next_cursor`.")] = "0",
    kind: Annotated[requests.Plain | None, Query(description="Only records of it.")] = None,
    user: Annotated[requests.Plain | None, Query(description="Only what this user did.")] = None,
    since: Annotated[datetime | None, Query(description="From this moment on.")] = None,
) -> JSONResponse:
    """What people and programs have done, oldest first. Reading them is a record as well.

    They show no text of a document, and the reader needs no right to any.
    """
    store = appliance.store
    wanted = Wanted(
        after=int(cursor),
        limit=limit + 1,
        kind=kind,
        user=None if user is None else store.user_number(user),
        since=None if since is None else _in_utc(since),
    )
    found = store.audit.read(wanted)
    more, found = len(found) > limit, found[:limit]
    store.audit.record("audit_read", {"how": "api", "after": wanted.after, "records": len(found)})
    names = store.audit.names([number for record in found for number in numbers_in(record)])
    return JSONResponse(
        {
            "records": [_json(record, names) for record in found],
            "next_cursor": str(found[-1].seq) if more else None,
        }
    )


def _in_utc(moment: datetime) -> datetime:
    """A moment without a zone is one in UTC, as all times of the API are."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(record: Record, names: dict[int, str]) -> dict[str, Any]:
    values = asdict(record) | {"at": time_json(record.at)}
    return values | {"principals": {str(n): names[n] for n in numbers_in(record, names)}}

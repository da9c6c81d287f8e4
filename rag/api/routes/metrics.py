"""The route that Prometheus reads; it needs a credential like every other."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from rag.api.backing import Loaded, caller_of
from rag.api.border.auth import Caller, for_operator
from rag.api.routes.docs import TEXT, documented

router = APIRouter(tags=["about"])

Recognised = Annotated[Caller, Depends(caller_of)]
METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "OpenMetrics text.", "content": {"application/openmetrics-text": TEXT}}
}


@router.get("/metrics", response_class=Response, responses=documented(403) | METRICS)
def get_metrics(appliance: Loaded, caller: Recognised) -> Response:
    """Counts and times of this process, for Prometheus. For the operator."""
    for_operator(caller)
    if appliance.writer is not None:
        appliance.metrics.admission(appliance.writer.admission)
    body, content_type = appliance.metrics.render()
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

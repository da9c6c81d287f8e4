"""The application: routes, border and the appliance behind them, put together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rag.api.backing import Backing
from rag.api.border.auth import Gate
from rag.api.border.idempotency import Idempotency
from rag.api.border.middleware import Border
from rag.api.border.problems import on_error
from rag.api.border.quotas import Quotas, Shares
from rag.api.company import Company
from rag.api.keeping import keep
from rag.api.renderer import Renderer
from rag.api.routes import (
    about,
    ask,
    audit,
    chat,
    company_login,
    conversations,
    docs,
    documents,
    feedback,
    feeding,
    keys,
    login,
    me,
    metrics,
    people,
    permissions,
)
from rag.api.routes.about import DISTRIBUTION
from rag.api.routes.mcp_server import McpServer
from rag.api.runner import Runner
from rag.appliance import Appliance
from rag.errors import CitadelError

DESCRIPTION = """\
Ask questions about your company's documents and get answers whose every sentence is a quotation
with its citation. Every failure is a problem after RFC 9457 with a `hint` that says what to do.

Programs authenticate with `Authorization: Bearer <key>`: an API key, or the operator's token, which
`citadel token` prints. Browsers sign in at `/login`.
"""


def create_app(
    load: Callable[[], Appliance],
    *,
    token: str,
    host: str,
    port: int,
    ui_port: int,
    public_url: str | None = None,
    shares: Shares,
    company: Company | None = None,
) -> FastAPI:
    """The API over the appliance that `load` opens, which happens while it already listens.

    `host`, `port` and `ui_port` are what API and page are bound to; `public_url` is what browsers
    call them by where a proxy stands before them. `shares` is what one caller may have of it;
    `company` is how its directories sign people in.
    """
    gate = Gate(token, port=port, ui_port=ui_port, public_url=public_url)
    app = FastAPI(
        title="Citadel API",
        summary="Questions answered from your own documents, every sentence cited.",
        description=DESCRIPTION,
        version=version(DISTRIBUTION),
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        generate_unique_id_function=docs.operation_id,
    )
    app.state.gate, app.state.backing, app.state.renderer = gate, Backing(load), Renderer()
    app.state.mcp = McpServer()
    app.state.runner = None
    app.state.host, app.state.port, app.state.ui_port = host, port, ui_port
    app.state.public_url = public_url
    app.state.company = company = company or Company()
    gate.proxied = company.proxied
    app.state.sign_in = login.SignIn(company.sign_in_options())
    app.state.quotas = Quotas(shares)
    app.add_middleware(Idempotency)
    # The last one is the outermost.
    app.add_middleware(Border, gate=gate, quotas=app.state.quotas)
    for error in (CitadelError, HTTPException, RequestValidationError):
        app.add_exception_handler(error, on_error)
    for room in (
        ask,
        chat,
        conversations,
        feedback,
        documents,
        about,
        metrics,
        login,
        company_login,
        me,
        keys,
        feeding,
        people,
        permissions,
        audit,
        docs,
    ):
        app.include_router(room.router)
    app.router.routes.append(app.state.mcp.route)
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = docs.openapi(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


async def _load(app: FastAPI, backing: Backing) -> None:
    """Load the appliance, then begin with the ingest runs that wait."""
    await backing.load()
    if backing.error is None:
        appliance = backing.appliance()
        app.state.runner = Runner(appliance.store, appliance.settings)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    backing: Backing = app.state.backing
    loading = asyncio.create_task(_load(app, backing))
    keeping = asyncio.create_task(keep(backing))
    try:
        async with app.state.mcp.running():
            yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await loading  # a thread cannot be stopped; it takes seconds at most
        app.state.renderer.close()
        if app.state.runner is not None:
            await to_thread.run_sync(app.state.runner.close)
        backing.close()

"""`citadel serve`: the API in this process, the page in a child, until Ctrl-C."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from typing import NamedTuple

import uvicorn
from fastapi import FastAPI

from rag.api.address import Address, base_url, names_elsewhere, published
from rag.api.app import create_app
from rag.api.backing import Backing
from rag.api.border.quotas import Shares
from rag.api.border.tokens import api_token
from rag.api.company import Company
from rag.api.page import Page
from rag.appliance import Appliance
from rag.errors import ConfigError
from rag.settings import Settings
from rag.store import FIRST_ADMIN

BACKLOG = 512
GRACE_S = 5  # for requests in flight when the server is told to end


def serve(settings: Settings, *, with_page: bool = True) -> int:
    """Run API and page until SIGINT or SIGTERM. Returns the exit code.

    Prints one line on stdout when both can be used: an address with a one-time token. Without the
    page, that is somebody else's to run.

    Raises:
        ConfigError: a port is taken, an address is not ours, or the token's file is unsafe.
        CitadelError: the appliance could not be loaded.
    """
    token = api_token(settings)
    opening = Opening(settings)
    with (
        bound_socket(settings.host, settings.port, "--port") as api_socket,
        bound_socket(settings.host, settings.ui_port if with_page else 0, "--ui-port") as free,
    ):
        port, ui_port = api_socket.getsockname()[1], free.getsockname()[1]
        free.close()  # Streamlit binds it again; there is no way to hand it over
        app = create_app(
            opening,
            token=token,
            host=settings.host,
            port=port,
            ui_port=ui_port,
            public_url=settings.public_url,
            shares=Shares.of(settings),
            company=Company.of(settings),
        )
        api = base_url(settings.host, port)
        environment = {"CITADEL_API_URL": api, "CITADEL_PUBLIC_URL": settings.public_url or ""}
        page = Page(settings.host, ui_port, environment, _say) if with_page else None
        server = Server(server_config(app), app.state.backing, api_socket)
        base = settings.public_url or api
        others = [] if settings.public_url else names_elsewhere(settings.host)
        elsewhere = [base_url(name, port) for name in others]
        urls = Urls(f"{base}/login?token=", api, opening, elsewhere)
        with published(settings.data_dir, Address(base, [*elsewhere, base][0])):
            return asyncio.run(_run(server, page, urls))


class Opening:
    """Opens the appliance, and makes the links that the server prints when it is ready.

    The one for the operator is made at each start. Where nobody is there yet, an admin is made,
    who gets one as well: the first person to have an account.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.operator = ""
        self.admin = ""

    def __call__(self) -> Appliance:
        """The appliance.

        Raises:
            CitadelError: it could not be loaded, or its secret could not be kept.
        """
        appliance = Appliance(self._settings, _say)
        with contextlib.ExitStack() as failed:
            failed.callback(appliance.close)
            store = appliance.store
            self.operator = store.signing.link("operator")
            if (name := store.accounts.first_admin()) is not None:
                self.admin = store.signing.link(store.user_number(name))
            failed.pop_all()
        return appliance


class Urls(NamedTuple):
    """Where people and programs find the server."""

    login: str  # without its token
    api: str
    tokens: Opening
    elsewhere: list[str]  # of the same, as other machines reach it


class Server(uvicorn.Server):
    """uvicorn, ending on the signals as this module wants it: quietly and with exit code 0."""

    def __init__(self, config: uvicorn.Config, backing: Backing, bound: socket.socket) -> None:
        super().__init__(config)
        self.backing = backing
        self._bound = bound

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """First signal: finish what is in flight. Second: stop at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def serve_bound(self) -> None:
        """Serve on the socket that is already bound."""
        await self.serve(sockets=[self._bound])


async def _run(server: Server, page: Page | None, urls: Urls) -> int:
    """Run API and page side by side until the server ends, by a signal or for want of loading."""
    serving = asyncio.create_task(server.serve_bound())
    showing = asyncio.create_task(page.run() if page else asyncio.Event().wait())
    announcing = asyncio.create_task(_announce(server, page, showing, urls))
    try:
        await serving
    finally:
        for task in (showing, announcing):
            task.cancel()
        await asyncio.gather(showing, announcing, return_exceptions=True)
    if server.backing.error is not None:
        raise server.backing.error
    return 0


async def _announce(
    server: Server, page: Page | None, showing: "asyncio.Task[object]", urls: Urls
) -> None:
    """Say where everything is once it works; end the server where it cannot."""
    await server.backing.done.wait()
    if server.backing.error is not None:
        server.should_exit = True
        return
    # What was loaded stays. Looking through it for garbage now and then would hold all questions up
    # for a tenth of a second.
    gc.collect()
    gc.freeze()
    if page is not None:
        answering = asyncio.create_task(page.answering())
        try:
            await asyncio.wait((answering, showing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
    if not showing.done():
        link = urls.login + urls.tokens.operator
        print(f"Citadel is ready: {link}", flush=True)  # noqa: T201  the command's result
        _say("The link logs one browser in, once, within an hour, as the operator.")
    if urls.tokens.admin:
        _say(f"The first admin, user {FIRST_ADMIN!r}, signs in by {urls.login}{urls.tokens.admin}")
    if urls.elsewhere:
        addresses = " or ".join(f"{base}/login" for base in urls.elsewhere)
        _say(f"From other machines: {addresses}")
        _say("This is plain HTTP, which others on the network can read: deploy/README.md has TLS.")
    _say(f"API: {urls.api}/docs (token: `citadel token`). Press Ctrl-C to stop.")


@contextlib.contextmanager
def bound_socket(host: str, port: int, option: str) -> Iterator[socket.socket]:
    """A socket bound to the address, closed at the end.

    Raises:
        ConfigError: the port is taken or the address is not one of this machine.
    """
    with contextlib.ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, a
            # response in two parts waits 40 ms for the caller's delayed acknowledgement.
            bound = stack.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError as error:
            raise _not_bound(error, host, port, option) from error
        yield bound


def _not_bound(error: OSError, host: str, port: int, option: str) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} is in use", hint=f"Choose another with {option}, or 0 for any free one."
        )
    if error.errno == errno.EACCES:
        return ConfigError(
            f"port {port} needs rights that this user lacks",
            hint=f"Choose one above 1023 with {option}.",
        )
    return ConfigError(
        f"cannot listen on {host}: {error.strerror}",
        hint="Choose an address of this machine with --host, 127.0.0.1 for this machine only.",
    )


def server_config(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the API."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        # A forged X-Forwarded-For would otherwise replace the peer's address.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  the command's progress

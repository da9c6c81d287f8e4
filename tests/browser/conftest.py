"""A real server over generated documents, and a browser in front of it.

Every page is watched: a test fails where the page asks a host other than this machine for
anything, opens a dialog or raises an error in its scripts.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import page_documents
import pytest
from page_serving import Server, fresh, ingest, serving
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect, sync_playwright

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
TIMEOUT_MS = 20_000
WIDE = (1280, 800)
ARTEFACTS = Path(__file__).parents[2] / ".artefacts"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests in this folder drive the browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Iterator[Server]:
    """`citadel serve` over the ingested documents."""
    base = tmp_path_factory.mktemp("browser")
    data_dir = fresh(base / "data", model_home)
    page_documents.write(base / "documents")
    assert ingest(data_dir, base / "documents") == 3, "one file is damaged"
    with serving(data_dir) as server:
        yield server


@pytest.fixture
def empty_server(tmp_path: Path, model_home: Path) -> Iterator[Server]:
    """`citadel serve` before anything was ingested."""
    with serving(fresh(tmp_path / "data", model_home)) as server:
        yield server


# For a module, not for the session: while Playwright runs, no other test could use asyncio.run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's browser, headless."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=TIMEOUT_MS)
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS.split())
        yield browser
        browser.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a page as a visitor of a server, who has logged in or not."""
    with ExitStack() as stack:
        wrong: list[str] = []

        def context_of(size: tuple[int, int]) -> BrowserContext:
            context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
            stack.callback(context.close)
            return context

        def open_page(server: Server, *, size: tuple[int, int] = WIDE, known: bool = True) -> Page:
            if not server.cookies:
                _log_in(server, _watched(context_of(size), wrong))
            context = context_of(size)
            if known:
                context.add_cookies(server.cookies)
            page = _watched(context, wrong)
            page.goto(server.page)
            return page

        yield open_page
    assert wrong == []


def _watched(context: BrowserContext, wrong: list[str]) -> Page:
    """A page that notes what it must not do."""
    context.set_default_timeout(TIMEOUT_MS)

    def asked(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            wrong.append(f"asked {url}")

    def opened(dialog: Dialog) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    context.on("request", lambda request: asked(request.url))
    context.on("dialog", opened)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    page = context.new_page()
    page.on("websocket", lambda socket: asked(socket.url))
    return page


def _log_in(server: Server, page: Page) -> None:
    """By the address that the server printed; it works once, so the session is kept."""
    page.goto(server.login)
    expect(page.get_by_label("Your question")).to_be_visible()
    server.page = page.url
    server.cookies = page.context.cookies()


@pytest.fixture
def shoot() -> Callable[[Page, str], bytes]:
    """Takes a screenshot, kept in the folder of artefacts; returns it as PNG."""
    ARTEFACTS.mkdir(exist_ok=True)

    def take(page: Page, name: str) -> bytes:
        page.locator('.stApp[data-test-script-state="notRunning"]').wait_for()
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        return page.screenshot(path=ARTEFACTS / f"{name}.png")

    return take


@pytest.fixture
def ask() -> Callable[[Page, str], None]:
    """Types a question, presses Enter and waits for the whole answer."""

    def type_and_wait(page: Page, question: str) -> None:
        page.get_by_label("Your question").fill(question)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=question, exact=True)).to_be_visible()
        expect(page.locator(".trying")).to_have_count(0)

    return type_and_wait

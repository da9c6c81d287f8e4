"""The page before an API that is not ready yet, or no longer knows the visitor."""

import json
from collections.abc import Iterator

import pytest
from canned_api import Canned, canned_api
from page_serving import page_alone
from playwright.sync_api import Browser, Page, expect

JSON = "application/json"
NO_DOCUMENTS: dict[str, object] = {"documents": [], "next_cursor": None, "total": 0}
READY = (200, JSON, json.dumps(NO_DOCUMENTS).encode())
LOADING: dict[str, object] = {
    "title": "Citadel is loading.",
    "detail": "Its indexes are being read.",
    "status": 503,
}
ENDED: dict[str, object] = {"title": "the session has ended", "status": 401}


def _refusal(problem: dict[str, object]) -> tuple[int, str, bytes]:
    status = problem["status"]
    assert isinstance(status, int)
    return status, "application/problem+json", json.dumps(problem).encode()


@pytest.fixture(scope="module")
def api() -> Iterator[Canned]:
    with canned_api({}) as canned:
        yield canned


@pytest.fixture(scope="module")
def address(api: Canned) -> Iterator[str]:
    with page_alone(api.url) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """A visitor whose session the API is asked about."""
    with chromium.new_context() as context:
        context.add_cookies([{"name": "citadel_session", "value": "known", "url": address}])
        yield context.new_page()


def test_page_says_that_citadel_is_loading_and_goes_on_by_itself(
    page: Page, api: Canned, address: str
) -> None:
    api.routes["GET /v1/documents"] = _refusal(LOADING)
    page.goto(address)
    expect(page.get_by_role("alert")).to_contain_text("Citadel is loading.")
    expect(page.get_by_role("alert")).to_contain_text("Trying again by itself")
    api.routes["GET /v1/documents"] = READY
    expect(page.get_by_label("Your question")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_session_that_ends_during_the_visit_shows_the_door(
    page: Page, api: Canned, address: str
) -> None:
    api.routes["GET /v1/documents"] = READY
    page.goto(address)
    expect(page.get_by_label("Your question")).to_be_visible()
    api.routes["GET /v1/documents"] = _refusal(ENDED)
    page.get_by_label("Your question").fill("Am I still known?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Please sign in")).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_count(0)

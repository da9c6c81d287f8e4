"""What the page shows where there is nothing to show, or nobody may see it."""

from collections.abc import Callable

from page_documents import LODGING
from page_serving import Server, page_alone
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
Ask = Callable[[Page, str], None]
Shoot = Callable[[Page, str], bytes]

PHONE = (390, 844)
QUESTION = "What lodging allowance may guests of the observatory claim?"


def test_documents_are_listed_with_their_state(server: Server, visit: Visit, shoot: Shoot) -> None:
    page = visit(server)
    page.get_by_role("link", name="Documents").click()
    line = page.locator('[class*="st-key-document-"]', has_text="lodging.pdf")
    expect(line).to_contain_text("Ready")
    expect(line).to_contain_text("PDF · lodging.pdf · 3 pages")
    expect(page.locator('[class*="st-key-document-"]')).to_have_count(7)
    shoot(page, "8-documents")
    page.get_by_label("Search by title").fill("records")
    page.keyboard.press("Enter")
    expect(page.locator('[class*="st-key-document-"]')).to_have_count(1)
    page.get_by_role("button", name="Records retention").click()
    expect(page.locator(".passage")).to_contain_text("Logbooks of the large telescope")


def test_file_that_was_not_ingested_is_listed_with_its_reason(
    server: Server, visit: Visit, shoot: Shoot
) -> None:
    page = visit(server)
    page.get_by_role("link", name="Documents").click()
    page.get_by_text("Not ingested (1)").click()
    failure = page.locator(".failure")
    expect(failure).to_contain_text("damaged.pdf")
    expect(failure.locator(".reason")).to_contain_text("PDF")
    expect(failure.locator(".todo")).not_to_be_empty()
    shoot(page, "9-not-ingested")


def test_empty_state_explains_itself(empty_server: Server, visit: Visit, shoot: Shoot) -> None:
    page = visit(empty_server)
    expect(page.get_by_text("No documents yet")).to_be_visible()
    expect(page.get_by_text("citadel ingest PATH")).to_be_visible()
    shoot(page, "10-empty")
    page.get_by_role("link", name="Documents").click()
    expect(page.get_by_role("heading", name="Documents", exact=True)).to_be_visible()
    expect(page.get_by_text("No documents yet")).to_be_visible()


def test_stranger_sees_a_calm_notice_and_nothing_else(
    server: Server, visit: Visit, shoot: Shoot
) -> None:
    page = visit(server, known=False)
    expect(page.get_by_text("Please sign in")).to_be_visible()
    shoot(page, "11-stranger")
    for words in ("lodging", "documents at hand", "Traceback"):
        expect(page.get_by_text(words)).to_have_count(0)
    expect(page.get_by_role("textbox")).to_have_count(0)
    page.goto(f"{server.page}documents")
    expect(page.get_by_text("Please sign in")).to_be_visible()
    expect(page.locator('[class*="st-key-document-"]')).to_have_count(0)


def test_forged_session_is_a_stranger_s(server: Server, visit: Visit) -> None:
    page = visit(server, known=False)
    forged = [cookie | {"value": "forged"} for cookie in server.cookies]
    page.context.add_cookies(forged)
    page.reload()
    expect(page.get_by_text("Please sign in")).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_count(0)


def test_server_that_stops_is_said_in_words(
    empty_server: Server, visit: Visit, shoot: Shoot
) -> None:
    own = visit(empty_server)  # goes with the server
    page = own.context.new_page()
    with page_alone(empty_server.api) as address:
        page.goto(address)
        expect(page.get_by_text("No documents yet")).to_be_visible()
        empty_server.process.kill()
        page.get_by_label("Your question").fill("Are you there?")
        page.keyboard.press("Enter")
        problem = page.get_by_role("alert")
        expect(problem).to_contain_text("Citadel cannot be reached.")
        expect(problem).to_contain_text("Trying again by itself")
        expect(page.get_by_text("Traceback")).to_have_count(0)
        shoot(page, "12-api-stopped")
    dialog = own.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_text("Streamlit")).to_be_hidden()
    shoot(own, "13-server-stopped")


def test_phone_shows_the_answer_then_its_source_over_it(
    server: Server, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(server, size=PHONE)
    _fits(page)
    ask(page, QUESTION)
    expect(page.get_by_text(LODGING)).to_be_visible()
    _fits(page)
    shoot(page, "14-phone-answer")
    page.locator('[class*="st-key-chip-"] button').first.click()
    expect(page.locator(".page-image")).to_be_in_viewport()
    _fits(page)
    shoot(page, "15-phone-page")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text(LODGING)).to_be_in_viewport()


def _fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_controls_have_names_and_streamlit_s_furniture_is_gone(
    server: Server, visit: Visit, ask: Ask
) -> None:
    page = visit(server)
    ask(page, QUESTION)
    for control in page.locator("button:visible, input:visible, a:visible").all():
        named = control.get_attribute("aria-label") or control.inner_text()
        assert named.strip(), control.evaluate("element => element.outerHTML")
    for furniture in ("stToolbar", "stAppDeployButton", "stStatusWidget", "stDecoration"):
        expect(page.get_by_test_id(furniture)).to_be_hidden()

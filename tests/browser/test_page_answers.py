"""Asking, reading and checking in a real browser."""

import base64
import io
from collections.abc import Callable

import pytest
from page_documents import ATTACK, LODGING, LODGING_PAGE, LODGING_TOP, VISITOR_LOGS
from page_serving import Server
from PIL import Image, ImageChops
from playwright.sync_api import Locator, Page, expect

Visit = Callable[..., Page]
Ask = Callable[[Page, str], None]
Shoot = Callable[[Page, str], bytes]

LODGING_QUESTION = "What lodging allowance may guests of the observatory claim?"
CAFETERIA_QUESTION = "When does the cafeteria of the observatory close?"


def _chips(page: Page) -> Locator:
    return page.locator('[class*="st-key-chip-"] button')


def _highlighted(png: bytes) -> tuple[float, float]:
    """Where the yellow begins and ends, as shares of the picture's height."""
    red, green, blue = Image.open(io.BytesIO(png)).convert("RGB").split()
    bright = ImageChops.darker(red.point(lambda v: v > 215), green.point(lambda v: v > 170))
    yellow = ImageChops.darker(bright, blue.point(lambda v: v < 160))
    assert yellow.histogram()[1] > 300, "a highlighted line has more pixels than that"
    _, top, _, bottom = yellow.getbbox() or (0, 0, 0, 0)
    return top / yellow.height, bottom / yellow.height


def test_citation_opens_the_pdf_page_with_the_passage_highlighted(
    server: Server, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(server)
    shoot(page, "1-welcome")
    ask(page, LODGING_QUESTION)
    expect(page.get_by_text(LODGING)).to_be_visible()
    expect(_chips(page).first).to_have_text(f"1\u2002Lodging rules, page {LODGING_PAGE}")
    shoot(page, "2-answer")
    _chips(page).first.click()
    expect(page.get_by_text(f"Page {LODGING_PAGE} of 3", exact=True)).to_be_visible()
    image = page.get_by_role("img", name=f"Page {LODGING_PAGE} of Lodging rules")
    expect(image).to_be_visible()
    source = image.get_attribute("src") or ""
    top, bottom = _highlighted(base64.b64decode(source.removeprefix("data:image/png;base64,")))
    assert LODGING_TOP - 0.03 < top < bottom < LODGING_TOP + 0.02
    _highlighted(shoot(page, "3-highlighted-page"))  # and it is in sight


def test_pages_turn_and_the_viewer_closes(server: Server, visit: Visit, ask: Ask) -> None:
    page = visit(server)
    ask(page, LODGING_QUESTION)
    _chips(page).first.click()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("img", name="Page 3 of Lodging rules")).to_be_visible()
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("Page 2 of 3", exact=True)).to_be_visible()
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".st-key-viewer")).to_have_count(0)
    expect(page.get_by_text(LODGING)).to_be_visible()


def test_original_is_downloaded_as_a_file(server: Server, visit: Visit, ask: Ask) -> None:
    page = visit(server)
    ask(page, LODGING_QUESTION)
    _chips(page).first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download original").click()
    assert download.value.suggested_filename == "lodging.pdf"
    assert download.value.path().read_bytes().startswith(b"%PDF-")


def test_passage_of_a_text_is_marked_in_its_surroundings(
    server: Server, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(server)
    ask(page, "After how many weeks are visitor logs destroyed?")
    _chips(page).first.click()
    expect(page.locator(".passage mark")).to_have_text(VISITOR_LOGS)
    expect(page.locator(".passage")).to_contain_text("Photographic plates are kept")
    shoot(page, "4-passage")


def test_row_of_a_table_is_quoted_under_its_header(
    server: Server, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(server)
    ask(page, "What is the price of the theodolite in crowns?")
    table = page.locator(".table-quote").first
    expect(table.locator("th")).to_have_text(["Instrument", "Price in crowns", "Delivery in weeks"])
    row = table.locator("tr", has_text="Theodolite").locator("td")
    expect(row.nth(1)).to_have_text("Theodolite")
    expect(row.nth(2)).to_have_text("1975")
    number = row.first.inner_text()
    _chips(page).filter(has_text=number).first.click()
    expect(page.locator(".passage mark", has_text="1975")).to_be_visible()
    shoot(page, "5-table")


def test_what_the_documents_do_not_say_is_said_so(
    server: Server, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(server)
    question = "Does the observatory pay for pet insurance?"
    ask(page, question)
    card = page.locator(".card", has_text="Not in the documents")
    expect(card).to_contain_text(f"Searched for“{question}”")
    expect(card).to_contain_text("Searched in7 documents")
    expect(_chips(page)).to_have_count(0)
    expect(page.get_by_text("Perhaps related")).to_be_visible()
    shoot(page, "6-not-in-the-documents")
    page.locator('[class*="st-key-related-"] button').first.click()
    expect(page.locator(".st-key-viewer .page-image, .st-key-viewer mark").first).to_be_visible()


@pytest.mark.parametrize("title", ["cafeteria <b>", "[Menu](javascript:alert(1))"])
def test_hostile_document_is_shown_and_does_nothing(
    server: Server, visit: Visit, title: str
) -> None:
    page = visit(server)
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("button", name=title).click()
    expect(page.locator(".passage")).to_contain_text("closes at half past nine")
    _inert(page)


def test_hostile_answer_is_shown_and_does_nothing(
    server: Server, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(server)
    ask(page, CAFETERIA_QUESTION)
    hostile = page.locator('[class*="st-key-quote-"]', has_text=ATTACK)
    hostile.get_by_role("button").click()
    expect(page.locator(".passage mark")).to_contain_text(ATTACK)
    _inert(page)
    shoot(page, "7-hostile")


def _inert(page: Page) -> None:
    """Nothing of the hostile documents has become an element or has run."""
    assert page.evaluate("window.attacked") is None
    assert page.locator("script", has_text="attacked").count() == 0
    assert page.locator('img[src*="192.0.2.1"], [onerror], a[href^="javascript"]').count() == 0
    assert page.locator(".passage :is(img, script, a, b), .sentence > *").count() == 0


def test_enter_asks_and_earlier_questions_stay_at_hand(
    server: Server, visit: Visit, ask: Ask
) -> None:
    page = visit(server)
    ask(page, LODGING_QUESTION)
    ask(page, "After how many weeks are visitor logs destroyed?")
    expect(page.get_by_text(LODGING)).to_have_count(0)
    page.locator(".st-key-earlier").get_by_role("button", name=LODGING_QUESTION).click()
    expect(page.get_by_role("heading", name=LODGING_QUESTION, exact=True)).to_be_visible()
    expect(page.get_by_text(LODGING)).to_be_visible()


def test_draft_of_a_question_survives_a_look_at_a_source(
    server: Server, visit: Visit, ask: Ask
) -> None:
    page = visit(server)
    ask(page, LODGING_QUESTION)
    page.get_by_label("Your question").fill("And after that")
    _chips(page).first.click()
    expect(page.locator(".page-image")).to_be_visible()
    expect(page.get_by_label("Your question")).to_have_value("And after that")


def test_an_attachment_leads_to_its_mail_and_back(server: Server, visit: Visit, ask: Ask) -> None:
    page = visit(server)
    ask(page, "Below how many degrees does the shutter of the dome jam?")
    _chips(page).first.click()
    viewer = page.locator(".st-key-viewer")
    viewer.get_by_role("button", name="The mail that this was attached to").click()
    expect(viewer).to_contain_text("its report is attached")
    viewer.get_by_role("button", name="Attached: report").click()
    expect(viewer).to_contain_text("minus fourteen degrees")

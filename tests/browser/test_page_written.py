"""What the page shows of answers that an engine writes."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from page_documents import LODGING, write
from page_serving import Server, fresh, ingest, serving
from playwright.sync_api import Page, expect

from tests.fakes.vllm import Call, FakeVLLM, fake_vllm

pytestmark = pytest.mark.long

Visit = Callable[..., Page]
Ask = Callable[[Page, str], None]
Shoot = Callable[[Page, str], bytes]

QUESTION = "What lodging allowance may guests of the observatory claim?"
ALONE = "What lodging allowance may guests of the observatory claim in winter?"
ATTACK = "<img src=http://192.0.2.1/x onerror=alert(1)> ![x](http://192.0.2.1/y) `<b>b</b>`"
WRONG = "Guests may also claim 9,999 euro for a telescope of their own."


def answer(body: dict[str, Any]) -> Any:
    """A heading, a paragraph with a wrong sentence, and a list, over the passage about lodging."""
    prompt = body["messages"][-1]["content"]
    if "Last question:" in prompt:
        return ALONE
    if body.get("tools"):
        asked = any(message["role"] == "tool" for message in body["messages"])
        return "DONE" if asked else [Call("search", json.dumps({"query": "lodging allowance"}))]
    before = prompt[: prompt.index(LODGING)]
    key = re.findall(r"^### \w+ \[(\w{4})\]", before, re.MULTILINE)[-1]
    said = f"## Allowance\n\n{LODGING} [{key}] {WRONG} [{key}]\n\n- {LODGING} [{key}]\n"
    return said + f"- {ATTACK} {LODGING} [{key}]\n"


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, model_home: Path
) -> Iterator[tuple[Server, FakeVLLM]]:
    """`citadel serve` with an engine and no guard, and the engine."""
    home = tmp_path_factory.mktemp("company")
    data_dir = fresh(home / "data", model_home)
    write(home / "documents")
    assert ingest(data_dir, home / "documents") == 3
    with fake_vllm(answer=answer, model="llama") as engine:
        settings = {"CITADEL_ENGINE_URL": engine.url, "CITADEL_ALLOW_UNGUARDED": "true"}
        with serving(data_dir, **settings) as server:
            yield server, engine


@pytest.fixture
def writing(company: tuple[Server, FakeVLLM]) -> Server:
    return company[0]


@pytest.fixture
def engine(company: tuple[Server, FakeVLLM]) -> FakeVLLM:
    """The engine as if nothing had been asked of it yet."""
    engine = company[1]
    engine.tokens_per_s = math.inf
    engine.received.clear()
    return engine


def test_a_written_answer_is_shown_checked_and_leads_to_its_page(
    writing: Server, engine: FakeVLLM, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(writing)
    expect(page.get_by_text("No guard reads what the engine writes.")).to_be_visible()
    ask(page, QUESTION)
    expect(page.get_by_text("3 of 4 sentences supported by their sources.")).to_be_visible()
    expect(page.locator(".unsupported")).to_have_text(WRONG)
    expect(page.locator(".flag")).to_have_text(re.compile(r"not supported: .*9,999"))
    expect(page.locator("h3.heading")).to_have_text("Allowance")
    expect(page.locator("p.paragraph")).to_have_text(re.compile(f"^{LODGING}1 {WRONG}"))
    expect(page.locator("p.item")).to_have_count(2)
    expect(page.locator(".item").nth(1).locator("img, a, b")).to_have_count(0)
    shoot(page, "20-written")
    page.get_by_role("button", name="1 Lodging rules, page 2").first.click()
    expect(page.get_by_alt_text("Page 2 of Lodging rules")).to_be_visible()
    shoot(page, "21-written-source")


def test_a_written_answer_fits_a_phone_and_stays_dark_on_white_where_dark_is_preferred(
    writing: Server, engine: FakeVLLM, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(writing, size=(400, 800))
    ask(page, QUESTION)
    expect(page.locator(".flag")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    shoot(page, "26-written-phone")
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".stApp")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("p.paragraph")).to_have_css("color", "rgb(28, 37, 48)")
    shoot(page, "27-written-phone-dark")


def test_a_follow_up_is_understood_and_a_new_conversation_forgets(
    writing: Server, engine: FakeVLLM, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(writing)
    ask(page, QUESTION)
    ask(page, "And in winter?")
    expect(page.get_by_text(f"Searched for: {ALONE}")).to_be_visible()
    shoot(page, "22-follow-up")
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    ask(page, "And in winter?")
    expect(page.locator(".rewritten")).to_have_count(0)


def test_research_shows_its_steps(
    writing: Server, engine: FakeVLLM, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(writing)
    page.get_by_role("button", name="Options").click()
    page.get_by_text("Research", exact=True).click()
    shoot(page, "23-options")
    page.keyboard.press("Escape")
    ask(page, QUESTION)
    expect(page.get_by_text("Research: 1 step")).to_be_visible()
    page.get_by_text("Research: 1 step").click()
    expect(page.get_by_text("Searched for “lodging allowance”")).to_be_visible()
    shoot(page, "24-research")


def test_where_the_engine_is_down_quotes_come_with_a_notice(
    writing: Server, engine: FakeVLLM, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    engine.stop()
    page = visit(writing)
    ask(page, QUESTION)
    expect(page.get_by_text("these are quotes from the documents")).to_be_visible()
    expect(page.get_by_text(LODGING).first).to_be_visible()
    shoot(page, "25-fallback")

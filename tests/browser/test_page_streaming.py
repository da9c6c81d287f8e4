"""A look at a source while the answer is still being written."""

import math

import pytest
from page_serving import Server
from playwright.sync_api import expect
from test_page_written import QUESTION, Visit, company, engine, writing

from tests.fakes.vllm import FakeVLLM

pytestmark = pytest.mark.long

__all__ = ["company", "engine", "writing"]


def test_a_source_is_looked_at_while_the_answer_goes_on_being_written(
    writing: Server, engine: FakeVLLM, visit: Visit
) -> None:
    engine.tokens_per_s = 30
    page = visit(writing)
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="1 Lodging rules, page 2").first.click()
    expect(page.get_by_alt_text("Page 2 of Lodging rules")).to_be_visible()
    expect(page.get_by_text("3 of 4 sentences supported by their sources.")).to_be_visible()
    assert len(engine.received) == 1


def test_another_question_ends_the_answer_that_is_being_written(
    writing: Server, engine: FakeVLLM, visit: Visit
) -> None:
    engine.tokens_per_s = 12
    page = visit(writing)
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="1 Lodging rules, page 2").first).to_be_visible()
    page.get_by_label("Your question").fill(f"{QUESTION} Please.")
    page.keyboard.press("Enter")
    assert engine.received[0].left.wait(10)
    engine.tokens_per_s = math.inf
    expect(page.get_by_text("3 of 4 sentences supported by their sources.")).to_be_visible()


def test_a_reader_stops_the_answer_and_keeps_what_has_come(
    writing: Server, engine: FakeVLLM, visit: Visit
) -> None:
    engine.tokens_per_s = 8
    page = visit(writing)
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Writing the answer")).to_be_visible()
    expect(page.get_by_role("button", name="1 Lodging rules, page 2").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped here, before the answer's end.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.get_by_role("button", name="1 Lodging rules, page 2").first).to_be_visible()
    assert engine.received[0].left.wait(10)
    engine.tokens_per_s = math.inf
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_text("3 of 4 sentences supported by their sources.")).to_be_visible()

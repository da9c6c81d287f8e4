"""What the page shows of an answer that the guard stops."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_documents import LODGING, write
from page_serving import Server, fresh, ingest, serving
from playwright.sync_api import Page, expect

from tests.fakes.vllm import FakeVLLM, fake_vllm

Visit = Callable[..., Page]
Ask = Callable[[Page, str], None]
Shoot = Callable[[Page, str], bytes]

QUESTION = "What lodging allowance may guests of the observatory claim?"


@pytest.fixture
def guard() -> Iterator[FakeVLLM]:
    """A guard that finds nothing wrong unless a test says so."""
    with fake_vllm(judge=lambda messages: "safe") as running:
        yield running


@pytest.fixture
def guarded(tmp_path: Path, model_home: Path, guard: FakeVLLM) -> Iterator[Server]:
    """`citadel serve` with the guard."""
    data_dir = fresh(tmp_path / "data", model_home)
    write(tmp_path / "documents")
    assert ingest(data_dir, tmp_path / "documents") == 3
    with serving(data_dir, CITADEL_GUARD_URL=guard.url, CITADEL_GUARD_ACTIONS="{}") as server:
        yield server


def test_what_the_guard_stops_is_not_shown(
    guarded: Server, guard: FakeVLLM, visit: Visit, ask: Ask, shoot: Shoot
) -> None:
    page = visit(guarded)
    ask(page, QUESTION)
    expect(page.get_by_text(LODGING)).to_be_visible()

    guard.judge = lambda messages: "unsafe\nS7" if len(messages) > 1 else "safe"
    ask(page, f"{QUESTION} Please.")
    expect(page.locator(".card", has_text="Blocked by the guard")).to_contain_text("privacy")
    expect(page.get_by_text(LODGING)).to_have_count(0)
    shoot(page, "16-blocked")

    guard.stop()
    ask(page, f"{QUESTION} Again.")
    expect(page.get_by_text("No answer for the moment")).to_be_visible()
    expect(page.get_by_text(LODGING)).to_have_count(0)
    shoot(page, "17-no-verdict")

    guard.judge = lambda messages: "safe"
    guard.start()
    ask(page, f"{QUESTION} Now?")
    expect(page.get_by_text(LODGING)).to_be_visible()

"""People before the page: each signs in and sees what is theirs, as far as they may read it now."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client
from openai import OpenAI
from page_serving import Server, fresh, ingest, serving
from playwright.sync_api import FilePayload, Page, expect

from rag.client import Asked, Client, Final
from rag.settings import Settings
from rag.store import Store

Visit = Callable[..., Page]
Ask = Callable[[Page, str], None]
Shoot = Callable[[Page, str], bytes]
SignIn = Callable[..., Page]

PASSWORD = "a sentence is good"
LEAVE = "Every employee of the observatory has thirty-one days of annual leave."
QUESTION = "How many days of annual leave do employees of the observatory have?"
PARKING = "The car park of the observatory closes at ten past nine."
PARKING_QUESTION = "When does the car park of the observatory close?"
FILES: list[FilePayload] = [
    {
        "name": "parking.md",
        "mimeType": "text/markdown",
        "buffer": f"# Parking\n\n{PARKING}".encode(),
    },
    {"name": "torn.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\nthe rest is lost"},
]


class House(NamedTuple):
    """ann reads `default` as one of staff and manages `house`; bob may read `house` only."""

    server: Server
    store: Store


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Iterator[House]:
    base = tmp_path_factory.mktemp("people")
    data_dir = fresh(base / "data", model_home)
    (base / "leave.md").write_text(f"# Leave\n\n{LEAVE}\n", encoding="utf-8")
    assert ingest(data_dir, base / "leave.md") == 0
    with Store.open(Settings(data_dir=data_dir).url, data_dir=data_dir) as store:
        for name in ("ann", "bob"):
            store.permissions.add_principal("user", name)
            store.passwords.set(name, PASSWORD)
        store.permissions.add_principal("group", "staff")
        store.permissions.join_group("staff", ["ann"])
        store.create_collection("house")
        store.permissions.grant("house", "user:ann", "manage")
        store.permissions.grant("house", "user:bob", "read")
        with serving(data_dir) as server:
            yield House(server, store)


@pytest.fixture
def sign_in(house: House, visit: Visit) -> SignIn:
    """By the page's notice and the API's form, in a browser of its own."""
    house.store.permissions.grant("default", "group:staff", "read")

    def by_form(name: str, size: tuple[int, int] = (1280, 800)) -> Page:
        page = visit(house.server, known=False, size=size)
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Your question")).to_be_visible()
        return page

    return by_form


def _talks(page: Page) -> list[str]:
    return page.locator('[class*="st-key-talk-"]').all_inner_texts()


def test_a_conversation_is_there_after_a_reload_and_for_nobody_else(
    sign_in: SignIn, ask: Ask, shoot: Shoot
) -> None:
    ann = sign_in("ann")
    ask(ann, QUESTION)
    expect(ann.get_by_text(LEAVE)).to_be_visible()
    shoot(ann, "30-conversation")
    assert "?conversation=" in ann.url
    ann.reload()
    expect(ann.get_by_role("heading", name=QUESTION, exact=True)).to_be_visible()
    expect(ann.get_by_text(LEAVE)).to_be_visible()
    expect(ann.locator('[class*="st-key-chip-"] button').first).to_have_text("1\u2002Leave")
    assert _talks(ann) == [QUESTION]
    bob = sign_in("bob")
    bob.goto(ann.url)
    expect(bob.get_by_text("This conversation is not there")).to_be_visible()
    assert _talks(bob) == []
    ask(bob, QUESTION)
    expect(bob.get_by_text("Not in the documents")).to_be_visible()
    bob.get_by_role("link", name="Documents").click()
    expect(bob.get_by_text("No documents yet")).to_be_visible()
    for words in (LEAVE, "Add documents", "leave.md"):
        expect(bob.get_by_text(words)).to_have_count(0)


def _by_curl(api: str, key: str) -> Any:
    said = ("-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json")
    body = json.dumps({"question": QUESTION})
    command = ["curl", "-sS", "--noproxy", "*", f"{api}/v1/query", *said, "-d", body]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)


async def _by_mcp(api: str, key: str) -> Any:
    shown = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(trust_env=False, headers=shown, timeout=30) as http,
        McpClient(streamable_http_client(f"{api}/mcp", http_client=http)) as agent,
    ):
        told = await agent.call_tool("ask", {"question": QUESTION})
    return told.structured_content


def test_a_user_gets_the_same_answer_from_page_curl_openai_and_mcp(
    house: House, sign_in: SignIn, ask: Ask
) -> None:
    ann = sign_in("ann")
    ask(ann, QUESTION)
    expect(ann.get_by_text(LEAVE)).to_be_visible()
    number = int(ann.url.rpartition("conversation=")[2])
    key = house.store.keys.add(house.store.user_number("ann"), "a system", ["query"])[1]
    with Client(house.server.api, key=key) as program:
        shown = program.conversations.read(number).turns[-1].answer
        *_, asked = program.ask(Asked(QUESTION))
    assert isinstance(asked, Final)
    with OpenAI(base_url=f"{house.server.api}/v1", api_key=key) as client:
        question: Any = {"role": "user", "content": QUESTION}
        chat: Any = client.chat.completions.create(model="citadel", messages=[question])
    assert (shown.answer, shown.citations) == (asked.answer, asked.citations)
    curled = _by_curl(house.server.api, key)
    # The page's own loop runs in this thread.
    with ThreadPoolExecutor(1) as thread:
        agents = thread.submit(asyncio.run, _by_mcp(house.server.api, key)).result()
    for answer in (curled, chat.citadel, agents):
        assert (answer["status"], answer["answer"]) == ("answered", asked.answer)
        assert answer["citations"] == curled["citations"]
    for citation in asked.citations:
        expect(ann.get_by_text(citation.cited_text)).to_be_visible()


def test_what_may_no_longer_be_read_is_withheld_and_signing_out_ends_it(
    house: House, sign_in: SignIn, ask: Ask, shoot: Shoot
) -> None:
    ann = sign_in("ann")
    ask(ann, QUESTION)
    expect(ann.get_by_text(LEAVE)).to_be_visible()
    house.store.permissions.revoke("default", "group:staff")
    ask(ann, f"{QUESTION} Please.")
    expect(ann.get_by_text("Not in the documents")).to_be_visible()
    ann.locator(".st-key-earlier button").first.click()
    expect(ann.get_by_text("This answer rests on documents that you may not read")).to_be_visible()
    expect(ann.get_by_text(LEAVE)).to_have_count(0)
    shoot(ann, "31-withheld")
    session: Any = ann.context.cookies()
    ann.get_by_role("button", name="Sign out").click()
    expect(ann.get_by_text("You have signed out")).to_be_visible()
    expect(ann.get_by_role("textbox")).to_have_count(0)
    shoot(ann, "32-signed-out")
    ann.context.add_cookies(session)  # somebody has kept it
    ann.reload()
    expect(ann.get_by_text("Please sign in")).to_be_visible()


def test_a_manager_brings_documents_in_asks_about_them_and_takes_them_out(
    sign_in: SignIn, ask: Ask, shoot: Shoot
) -> None:
    page = sign_in("ann")
    page.get_by_role("link", name="Documents").click()
    page.get_by_text("Add documents").click()
    page.locator("input[type=file]").set_input_files(FILES)
    expect(page.get_by_text("torn.pdf")).to_be_visible()
    page.get_by_role("button", name="Add these files").click()
    uploads = page.locator(".st-key-uploads")
    expect(uploads.get_by_text("Ready")).to_be_visible()
    expect(uploads.get_by_text("The PDF is damaged or has no pages")).to_be_visible()
    row = page.locator('[class*="st-key-document-"]', has_text="parking.md")
    expect(row).to_be_visible()
    foreign = page.locator('[class*="st-key-document-"]', has_text="leave.md")
    expect(foreign.get_by_role("button", name="Delete")).to_have_count(0)
    shoot(page, "33-uploaded")
    page.get_by_role("link", name="Ask").click()
    ask(page, PARKING_QUESTION)
    expect(page.get_by_text(PARKING)).to_be_visible()
    page.get_by_role("link", name="Documents").click()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("“Parking” was deleted.")).to_be_visible()
    expect(row).to_have_count(0)


def test_a_conversation_is_rated_named_exported_and_deleted_on_a_phone(
    sign_in: SignIn, ask: Ask, shoot: Shoot
) -> None:
    page = sign_in("ann", size=(400, 800))
    ask(page, QUESTION)
    page.get_by_role("button", name="Helpful", exact=True).click()
    page.get_by_label("Comment for your administrator (optional)").fill("Right.")
    page.get_by_role("button", name="Send the comment").click()
    expect(page.get_by_text("your comment was noted")).to_be_visible()
    shoot(page, "34-phone-rated")
    page.get_by_role("button", name="Expand sidebar").click()
    page.get_by_role("button", name="ann", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("This browser")
    shoot(page, "35-phone-account")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Rename, export, delete").click()
    page.get_by_label("Title").fill("Leave of ours")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator(".st-key-open-talk")).to_contain_text("Leave of ours")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as Markdown").click()
    assert download.value.path().read_text(encoding="utf-8").startswith("# Leave of ours\n")
    shoot(page, "36-phone-side")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Leave of ours")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400

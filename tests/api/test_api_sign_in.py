"""Signing in by the form, and what a user does with an account of its own."""

import logging
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from api_live import UI_PORT, Live
from argon2 import PasswordHasher
from playwright.sync_api import sync_playwright

from rag.api.border.throttle import FREE_OF_ADDRESS
from rag.api.routes.login import SignIn
from rag.store import Store
from rag.store.passwords import Passwords

PASSWORD = "a sentence is good"
OTHER = "another sentence is too"
PAGE = f"http://127.0.0.1:{UI_PORT}"

Browser = Callable[..., httpx.Client]


@pytest.fixture(scope="module", autouse=True)
def people(live: Live) -> Iterator[Store]:
    """amy and ben have a password, cat and the group staff have none; amy is an admin."""
    store = live.store
    real, quick = store.passwords, PasswordHasher(1, 1024, 1)
    store.passwords = Passwords(store._database, hasher=quick)
    store.permissions.add_principal("group", "staff")
    for name in ("amy", "ben", "cat"):
        store.permissions.add_principal("user", name)
    store.permissions.join_group("staff", ["ben"])
    store.permissions.grant("hr", "group:staff", "read")
    store.permissions.grant("finance", "group:staff", "read")
    store.permissions.grant("finance", "user:ben", "manage")
    store.accounts.give_role("user:amy", "admin")
    yield store
    store.passwords = real
    for name in ("amy", "ben", "cat"):
        store.permissions.remove_principal("user", name)
    store.permissions.remove_principal("group", "staff")


@pytest.fixture(autouse=True)
def passwords(live: Live, people: Store) -> None:
    """Nobody has failed to sign in yet, and the passwords are as they were."""
    live.app.state.sign_in = SignIn()
    for name in ("amy", "ben"):
        people.passwords.set(name, PASSWORD)


@pytest.fixture
def browser(live: Live) -> Iterator[Browser]:
    """Browsers, signed in by whom they are given."""
    opened: list[httpx.Client] = []

    def open_one(name: str = "", password: str = PASSWORD) -> httpx.Client:
        client = live.client(headers={"Accept": "text/html", "User-Agent": "a browser"})
        opened.append(client)
        if name:
            answer = client.post("/login", data={"name": name, "password": password})
            assert answer.status_code == 303, answer.text
        return client

    yield open_one
    for client in opened:
        client.close()


def me(client: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/me").json()
    return answer


def test_the_form_signs_in_and_leads_to_the_page(live: Live, browser: Browser) -> None:
    client = browser()
    answer = client.post("/login", data={"name": " ben ", "password": PASSWORD})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PAGE}/"
    cookie = set(answer.headers["set-cookie"].lower().split("; "))
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= cookie
    assert me(client) == {
        "name": "ben",
        "kind": "session",
        "roles": [],
        "rights": ["admin", "ingest", "query", "search"],
        "groups": ["staff"],
        "collections": [
            {"name": "finance", "right": "manage"},
            {"name": "hr", "right": "read"},
        ],
        "has_password": True,
    }


def test_the_form_needs_no_script_and_nothing_from_elsewhere(live: Live, browser: Browser) -> None:
    live.app.state.sign_in.options.append(("Sign in with <Example>", "/v1/example?a=1&b=2"))
    answer = browser().get("/login")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert f"form-action 'self' {PAGE};" in policy
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")
    assert "Sign in with &lt;Example&gt;" in answer.text
    assert 'href="/v1/example?a=1&amp;b=2"' in answer.text


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"name": "ben", "password": "wrong"}, 401, "The name or the password is wrong."),
        ({"name": "nobody", "password": PASSWORD}, 401, "The name or the password is wrong."),
        ({"name": "cat", "password": PASSWORD}, 401, "The name or the password is wrong."),
        ({"name": "operator", "password": PASSWORD}, 401, "The name or the password is wrong."),
        ({"name": '"><b>', "password": "x"}, 401, "The name or the password is wrong."),
        ({"name": "ben\0", "password": PASSWORD}, 401, "The name or the password is wrong."),
        ({"name": "ben"}, 400, "Type your name and your password."),
        ({}, 400, "Type your name and your password."),
    ],
)
def test_what_is_wrong_is_said_in_the_form(
    browser: Browser, form: dict[str, str], status: int, said: str
) -> None:
    answer = browser().post("/login", data=form)
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers
    [alert] = re.findall(r'<p role="alert" id="wrong">(.*)</p>', answer.text)
    assert alert.startswith(said)
    assert "<b>" not in answer.text
    assert (form.get("name") == "ben") == ('value="ben"' in answer.text)
    assert PASSWORD not in answer.text


def test_a_link_that_was_used_leads_a_browser_to_the_form(live: Live, browser: Browser) -> None:
    link = f"/login?token={live.store.signing.link('operator')}"
    assert browser().get(link).status_code == 303
    again = browser().get(link)
    assert again.status_code == 401
    assert "This login link has been used" in again.text
    assert "<form" in again.text


def test_a_page_of_another_site_cannot_sign_a_browser_in(browser: Browser) -> None:
    form = {"name": "ben", "password": PASSWORD}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = browser().post("/login", data=form, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_link_that_another_site_opens_signs_in_only_by_a_button(
    live: Live, browser: Browser
) -> None:
    for site in ("cross-site", "same-site"):
        client, token = browser(), live.store.signing.link(live.store.user_number("ben"))
        answer = client.get(f"/login?token={token}", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert "signs you in as <strong>ben</strong>" in answer.text
        [sent] = re.findall('name="token" value="(.*)"', answer.text)
        elsewhere = client.post(
            "/login", data={"token": sent}, headers={"Origin": "https://evil.example"}
        )
        assert elsewhere.status_code == 403
        own = {"Origin": live.url, "Sec-Fetch-Site": "same-origin"}
        assert client.post("/login", data={"token": sent}, headers=own).status_code == 303
        assert me(client)["name"] == "ben"


def test_a_link_does_not_end_the_session_of_somebody_else_unasked(
    live: Live, browser: Browser
) -> None:
    client, bens = browser("ben"), live.store.user_number("ben")
    answer = client.get(f"/login?token={live.store.signing.link('operator')}")
    assert answer.status_code == 200
    assert "as <strong>operator</strong>. It ends the session of <strong>ben" in answer.text
    assert me(client)["name"] == "ben"
    own = live.store.signing.link(bens)
    assert client.get(f"/login?token={own}").status_code == 303, "a link of one's own just works"


def test_used_links_are_slowed_and_good_ones_are_not(live: Live, browser: Browser) -> None:
    store = live.store
    used = store.signing.link("operator")
    store.signing.redeem(used)
    before = store.audit.head().seq
    client = browser()
    said = [client.get(f"/login?token={used}").status_code for _ in range(FREE_OF_ADDRESS + 5)]
    assert said == [401] * FREE_OF_ADDRESS + [429] * 5
    assert store.audit.head().seq == before + FREE_OF_ADDRESS
    good = store.signing.link("operator")
    assert client.get(f"/login?token={good}").status_code == 303


@pytest.mark.parametrize("site", ["none", "same-origin", None])
def test_a_link_that_a_person_opens_signs_in_at_once(
    live: Live, browser: Browser, site: str | None
) -> None:
    headers = {} if site is None else {"Sec-Fetch-Site": site}
    link = f"/login?token={live.store.signing.link('operator')}"
    assert browser().get(link, headers=headers).status_code == 303


def test_guessing_is_slowed_and_logged(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    client = browser()
    with caplog.at_level(logging.WARNING, "rag.api.routes.login"):
        for _ in range(4):
            answer = client.post("/login", data={"name": "ben", "password": "wrong"})
            assert answer.status_code == 401
    assert caplog.messages == ["sign-in as 'ben' from 127.0.0.1: wrong name or password"] * 4
    for password in ("wrong", PASSWORD):
        answer = client.post("/login", data={"name": "ben", "password": password})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert "Too many attempts to sign in have failed." in answer.text
    assert browser("amy"), "who is another is not kept out"


def test_signing_out_ends_this_session(live: Live, browser: Browser) -> None:
    first, second = browser("ben"), browser("ben")
    stolen = dict(first.cookies)
    answer = first.post("/v1/sign-out")
    assert answer.status_code == 204
    assert not first.cookies
    cookie = {"Cookie": f"citadel_session={stolen['citadel_session']}"}
    with live.client() as thief:
        assert thief.get("/v1/me", headers=cookie).status_code == 401
    assert me(second)["name"] == "ben"


def test_sessions_are_seen_and_ended_at_once(browser: Browser) -> None:
    here, there = browser("ben"), browser("ben")
    listed = here.get("/v1/sessions").json()["sessions"]
    assert [session["current"] for session in listed] == [False, True]
    assert {session["how"] for session in listed} == {"password"}
    assert {session["address"] for session in listed} == {"127.0.0.1"}
    assert {session["agent"] for session in listed} == {"a browser"}
    other = listed[0]["id"]
    assert here.delete(f"/v1/sessions/{other}").status_code == 204
    assert there.get("/v1/me").status_code == 401
    assert here.delete(f"/v1/sessions/{other}").status_code == 404


def test_other_peoples_sessions_are_the_admins(browser: Browser) -> None:
    amy, ben = browser("amy"), browser("ben")
    [mine] = amy.get("/v1/sessions").json()["sessions"]
    assert ben.delete(f"/v1/sessions/{mine['id']}").status_code == 404
    assert ben.get("/v1/sessions?user=amy").status_code == 403
    assert ben.get("/v1/sessions?user=eve").status_code == 403
    assert amy.get("/v1/sessions?user=eve").status_code == 404
    [bens] = amy.get("/v1/sessions?user=ben").json()["sessions"]
    assert not bens["current"]
    assert amy.delete(f"/v1/sessions/{bens['id']}").status_code == 204
    assert ben.get("/v1/me").status_code == 401


def test_a_changed_password_ends_the_other_sessions(browser: Browser) -> None:
    here, there = browser("ben"), browser("ben")
    change = {"password": OTHER, "current": "wrong"}
    assert here.post("/v1/me/password", json=change).status_code == 401
    assert there.get("/v1/me").status_code == 200
    change["current"] = PASSWORD
    assert here.post("/v1/me/password", json=change | {"password": "short"}).status_code == 400
    half = b'{"password": "half of a character \\ud800", "current": ""}'
    typed = {"Content-Type": "application/json"}
    assert here.post("/v1/me/password", content=half, headers=typed).status_code == 422
    assert here.post("/v1/me/password", json=change).status_code == 204
    assert here.get("/v1/me").status_code == 200
    assert there.get("/v1/me").status_code == 401
    old = browser().post("/login", data={"name": "ben", "password": PASSWORD})
    assert old.status_code == 401
    assert browser("ben", OTHER)


def test_who_came_by_a_link_sets_a_first_password_and_who_came_otherwise_does_not(
    live: Live,
) -> None:
    cat, store = live.store.user_number("cat"), live.store
    for how, status in (("oidc", 403), ("link", 204), ("oidc", 401)):
        cookie = {"Cookie": f"citadel_session={store.signing.begin(cat, how)}"}
        with live.client(headers=cookie) as client:
            answer = client.post("/v1/me/password", json={"password": PASSWORD})
            assert answer.status_code == status, how


@pytest.mark.browser
def test_a_browser_signs_in_by_the_form(live: Live) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 640})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{live.url}/login")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_label("Name").fill("ben")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        assert "is wrong" in page.get_by_role("alert").inner_text()
        assert page.get_by_label("Name").input_value() == "ben"
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "384px"
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_request(f"{PAGE}/"):  # nothing listens there in this test
            page.get_by_label("Password").press("Enter")
        [cookie] = page.context.cookies(live.url)
        browser.close()
    assert (cookie["name"], cookie["httpOnly"]) == ("citadel_session", True)
    assert all(url.startswith((live.url, PAGE)) for url in asked)

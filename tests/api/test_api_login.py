"""Tokens, links and sessions."""

import stat
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from api_live import UI_PORT, Live

from rag.api.border import tokens
from rag.api.border.tokens import api_token
from rag.errors import ConfigError
from rag.settings import load_settings


def link_of(live: Live) -> str:
    """A link as `citadel serve` prints it."""
    return f"/login?token={live.store.signing.link('operator')}"


def test_a_link_gives_a_session_and_leads_to_the_page(live: Live) -> None:
    with live.client() as browser:
        response = browser.get(link_of(live))
        assert response.status_code == 303
        assert response.headers["location"] == f"http://127.0.0.1:{UI_PORT}/"
        assert response.headers["cache-control"] == "no-store"
        cookie = response.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
        assert browser.get("/v1/status", headers={"Host": "box.example"}).status_code == 200


def test_a_link_works_once(live: Live) -> None:
    link = link_of(live)
    with live.client() as first, live.client() as second:
        assert first.get(link).status_code == 303
        again = second.get(link)
    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert "citadel serve" in again.json()["hint"]


def test_who_is_not_on_this_machine_is_told_to_ask_and_no_command(live: Live) -> None:
    link, far = link_of(live), {"X-Forwarded-For": "192.0.2.7"}
    with live.client() as browser:
        assert browser.get(link).status_code == 303
    with live.client(headers=far) as browser:
        answers = [browser.get(link), browser.get("/v1/status")]
        answers.append(browser.get("/v1/status", headers={"Authorization": "Bearer wrong"}))
        answers.append(browser.get("/v1/status", headers={"Authorization": "Bearer ck_wrong"}))
    for answer in answers:
        assert answer.status_code == 401
        assert "administrator" in answer.json()["hint"]
        assert "citadel" not in answer.json()["hint"]


def test_who_is_signed_in_gets_the_page_from_a_used_link(live: Live) -> None:
    link = link_of(live)
    with live.client() as browser:
        assert browser.get(link).status_code == 303
        again = browser.get(link)
    assert again.status_code == 303
    assert "set-cookie" not in again.headers


def test_a_session_is_no_link_and_a_link_no_session(live: Live) -> None:
    link = live.store.signing.link("operator")
    with live.client() as client:
        assert client.get(f"/login?token={live.session()}").status_code == 401
        cookie = {"Cookie": f"citadel_session={link}"}
        assert client.get("/v1/status", headers=cookie).status_code == 401


@pytest.mark.parametrize(
    ("host", "leads_to"),
    [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("evil.example", "127.0.0.1")],
)
def test_login_leads_to_a_name_of_ours_only(live: Live, host: str, leads_to: str) -> None:
    with live.client() as client:
        response = client.get(link_of(live), headers={"Host": f"{host}:{live.port}"})
    assert urlsplit(response.headers["location"]).hostname == leads_to


def test_a_program_can_ask_for_another_link(live: Live, client: httpx.Client) -> None:
    made = client.post("/v1/login-links").json()
    assert made["expires_in_s"] == 3600
    assert made["url"].startswith(live.url)
    with live.client() as browser:
        assert browser.get(made["url"]).status_code == 303


def test_the_api_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "new" / "data")
    token = api_token(settings)
    assert len(token) >= 43
    assert api_token(settings) == token
    file = settings.data_dir / tokens.TOKEN_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(settings.data_dir.iterdir()) == [file]


def test_processes_that_start_at_once_agree_on_the_api_token(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(api_token(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    api_token(settings)
    (tmp_path / tokens.TOKEN_FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        api_token(settings)


@pytest.mark.parametrize("token", ["short", "fünfzehn Zeichen und mehr", ""])
def test_a_weak_token_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(ConfigError, match="16 or more"):
        api_token(load_settings(data_dir=tmp_path, token=token))


def test_a_browser_at_the_bare_address_is_led_on_and_a_program_is_not(live: Live) -> None:
    html = {"Accept": "text/html"}
    with live.client() as browser:
        assert browser.get("/", headers=html).headers["location"] == "/login"
        browser.get(link_of(live))
        led = browser.get("/", headers=html)
        assert led.status_code == 303
        assert str(UI_PORT) in led.headers["location"]
        told = browser.get("/", headers={"Accept": "application/json"})
    assert (told.status_code, told.json()["status"]) == (404, 404)

"""Signing in by the company's OpenID provider, which runs in a process of its own."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import api_samples
import httpx
import pytest
from api_live import PLENTY, TOKEN, Live, serving, wait_for
from playwright.sync_api import sync_playwright

from rag.api.app import create_app
from rag.api.company import Company
from rag.appliance import Appliance
from rag.search.embed import load_embedder
from rag.settings import Settings, load_settings
from rag.store import Store
from tests.fakes.openid import CLIENT_ID, CLIENT_SECRET, Provider, openid_provider

PROXY = "127.0.0.2"  # an address of this machine as any other
SIGNED_IN = {"Host": "box.example"}  # so that nobody is taken for the operator
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with openid_provider() as running:
        yield running


@pytest.fixture(scope="module")
def company_settings(
    tmp_path_factory: pytest.TempPathFactory, models: Path, provider: Provider
) -> Settings:
    data_dir = tmp_path_factory.mktemp("company") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    return load_settings(
        data_dir=data_dir,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        trusted_proxies=[PROXY],
        proxy_groups_header="X-Remote-Groups",
    )


@pytest.fixture(scope="module")
def store(company_settings: Settings) -> Iterator[Store]:
    """Groups hr and finance may read the collections of those names; bob is a local user."""
    with Store.open(company_settings.url, data_dir=company_settings.data_dir) as store:
        api_samples.fill(store, load_embedder(company_settings))
        for group in ("hr", "finance"):
            store.permissions.add_principal("group", group)
            store.permissions.grant(group, f"group:{group}", "read")
        store.permissions.add_principal("user", "bob")
        yield store


@pytest.fixture(scope="module")
def live(company_settings: Settings, store: Store) -> Iterator[Live]:
    def make(port: int) -> Any:
        return create_app(
            lambda: Appliance(company_settings),
            token=TOKEN,
            host="127.0.0.1",
            port=port,
            ui_port=port,
            public_url=f"http://127.0.0.1:{port}",
            shares=PLENTY,
            company=Company.of(company_settings),
        )

    with serving(make) as (app, port):
        live = Live(app, port, {})
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


@pytest.fixture
def browser(live: Live) -> Iterator[httpx.Client]:
    with live.client() as client:
        yield client


@pytest.fixture
def by_proxy(live: Live) -> Iterator[httpx.Client]:
    """Who calls from the proxy's address."""
    transport = httpx.HTTPTransport(local_address=PROXY)
    with live.client(transport=transport, headers=SIGNED_IN) as client:
        yield client


def at_provider(browser: httpx.Client, provider: Provider) -> str:
    """Begin; returns the address to which the provider sends the browser back."""
    begun = browser.get("/login/oidc")
    assert begun.status_code == 303, begun.text
    answer = provider.client.get(begun.headers["location"])
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


def sign_in(browser: httpx.Client, provider: Provider) -> httpx.Response:
    return browser.get(at_provider(browser, provider))


def collections(client: httpx.Client, **headers: str) -> list[str]:
    """What the client may read."""
    answer = client.get("/v1/collections", headers=SIGNED_IN | headers)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["collections"]]


def test_a_browser_that_the_provider_sends_back_is_signed_in(
    browser: httpx.Client, provider: Provider, live: Live
) -> None:
    provider.person(sub="1", preferred_username="ann", groups=["hr", "unknown"])
    answer = sign_in(browser, provider)
    assert answer.status_code == 200
    assert f'content="0; url={live.url}/"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    cookies = [each.lower().split("; ") for each in answer.headers.get_list("set-cookie")]
    session = next(each for each in cookies if each[0].startswith("citadel_session="))
    assert {"httponly", "samesite=strict", "path=/"} <= set(session)
    assert collections(browser) == ["hr"], "the groups are those of the claim"


def test_a_removed_group_is_gone_at_the_next_sign_in(
    browser: httpx.Client, provider: Provider
) -> None:
    provider.person(sub="2", preferred_username="cyd", groups=["hr", "finance"])
    sign_in(browser, provider)
    assert collections(browser) == ["finance", "hr"]
    provider.person(sub="2", preferred_username="cyd", groups=["finance"])
    sign_in(browser, provider)
    assert collections(browser) == ["finance"]
    provider.person(sub="2", preferred_username="cyd")
    sign_in(browser, provider)
    assert collections(browser) == [], "no claim is no group"


def test_a_local_user_of_the_same_name_is_not_taken_over(
    browser: httpx.Client, provider: Provider, store: Store
) -> None:
    provider.person(sub="3", preferred_username="bob", groups=["hr"])
    refused = sign_in(browser, provider)
    assert refused.status_code == 403
    assert f"citadel user identity bob {provider.issuer} 3" in refused.json()["hint"]
    assert "set-cookie" not in refused.headers
    store.directory.link("bob", provider.issuer, "3")
    assert sign_in(browser, provider).status_code == 200
    assert store.directory.identities()[-1].user in {
        person.name for person in store.permissions.people()
    }
    assert collections(browser) == ["hr"]


def test_a_disabled_user_is_refused(
    browser: httpx.Client, provider: Provider, store: Store
) -> None:
    provider.person(sub="4", preferred_username="dan")
    sign_in(browser, provider)
    store.permissions.set_disabled("dan", True)
    assert sign_in(browser, provider).status_code == 401
    assert browser.get("/v1/collections", headers=SIGNED_IN).status_code == 401


NOW = int(time.time())
UNBELIEVABLE: dict[str, dict[str, Any]] = {
    "it has expired": {"claims": {"exp": NOW - 3600}},
    "it never expires": {"claims": {"exp": None}},
    "it was made in the future": {"claims": {"iat": NOW + 3600}},
    "it is for another audience": {"claims": {"aud": "payroll"}},
    "it is for others as well, and made for one of them": {
        "claims": {"aud": [CLIENT_ID, "payroll"], "azp": "payroll"}
    },
    "it is another issuer's": {"claims": {"iss": "http://evil.example"}},
    "it answers another sign-in": {"claims": {"nonce": "another"}},
    "it answers no sign-in": {"claims": {"nonce": None}},
    "it is nobody's": {"claims": {"sub": None}},
    "it goes with another access token": {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "a stranger has signed it": {"signed_by": "stranger"},
    "nobody has signed it": {"signed_by": "none"},
    "it is signed with what the browser could know": {"signed_by": "secret"},
}


@pytest.mark.parametrize("why", UNBELIEVABLE)
def test_a_token_is_refused_where(why: str, browser: httpx.Client, provider: Provider) -> None:
    provider.person(sub="1", preferred_username="ann", groups=["hr"])
    provider.behave(**UNBELIEVABLE[why])
    answer = sign_in(browser, provider)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the provider's token is not to be believed"
    assert "set-cookie" not in answer.headers


def test_a_code_is_worth_nothing_without_the_verifier_of_its_own_sign_in(
    browser: httpx.Client, live: Live, provider: Provider
) -> None:
    provider.person(sub="1", preferred_username="ann")
    with live.client() as other:
        stolen = parse_qs(urlsplit(at_provider(other, provider)).query)["code"][0]
    own = parse_qs(urlsplit(at_provider(browser, provider)).query)
    params = {"state": own["state"][0], "code": stolen}
    answer = browser.get("/login/oidc/callback", params=params)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the provider does not know this sign-in"


def test_a_sign_in_that_another_browser_began_is_refused(
    browser: httpx.Client, live: Live, provider: Provider
) -> None:
    provider.person(sub="1", preferred_username="ann")
    came_back = at_provider(browser, provider)
    with live.client() as other:
        assert "not begun in this browser" in other.get(came_back).json()["detail"]
        at_provider(other, provider)
        assert other.get(came_back).status_code == 401
        sealed = other.cookies["citadel_signing_in"]
        forged = {"Cookie": f"citadel_signing_in={sealed[:-4]}AAAA"}
        assert other.get(came_back, headers=forged).status_code == 401


def test_a_sign_in_is_finished_once(browser: httpx.Client, provider: Provider) -> None:
    provider.person(sub="1", preferred_username="ann")
    came_back = at_provider(browser, provider)
    kept = {"Cookie": f"citadel_signing_in={browser.cookies['citadel_signing_in']}"}
    assert browser.get(came_back).status_code == 200
    assert "citadel_signing_in" not in browser.cookies
    assert browser.get(came_back, headers=kept).status_code == 401


def test_who_says_no_at_the_provider_is_told_so(browser: httpx.Client, provider: Provider) -> None:
    provider.person(sub="1", preferred_username="ann")
    provider.behave(denied=True)
    came_back = at_provider(browser, provider)
    assert "access_denied" in browser.get(came_back).json()["detail"]
    page = browser.get(re.sub("error=[a-z_]+", "error=<script>", came_back), headers=HTML)
    assert page.status_code == 401
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_new_keys_of_the_provider_are_fetched_when_they_are_met(
    browser: httpx.Client, provider: Provider
) -> None:
    provider.person(sub="1", preferred_username="ann")
    sign_in(browser, provider)
    before = provider.asked()
    sign_in(browser, provider)
    provider.rotate()
    assert sign_in(browser, provider).status_code == 200
    assert sign_in(browser, provider).status_code == 200
    more = provider.asked() - before
    assert (more["/keys"], more["/.well-known/openid-configuration"]) == (1, 0)


def test_claims_that_cannot_be_used_are_the_administrators_to_mend(
    browser: httpx.Client, provider: Provider
) -> None:
    provider.person(sub="9")
    answer = sign_in(browser, provider)
    assert (answer.status_code, "CITADEL_OIDC_NAME_CLAIM" in answer.json()["hint"]) == (503, True)
    provider.person(sub="9", preferred_username="eve", groups={"hr": True})
    answer = sign_in(browser, provider)
    assert (answer.status_code, "CITADEL_OIDC_GROUPS_CLAIM" in answer.json()["hint"]) == (503, True)


def test_a_real_browser_comes_back_from_another_site_signed_in(
    live: Live, provider: Provider
) -> None:
    provider.person(sub="1", preferred_username="ann")
    provider.behave(form=True)
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = chromium.new_page(base_url=live.url)
        page.goto("/login/oidc")
        assert urlsplit(page.url).hostname == "localhost", "a site of its own"
        with page.expect_response(f"{live.url}/") as led_to:
            page.get_by_text("I am").click()
        sent = led_to.value.request.all_headers()
        assert "citadel_session=" in sent["cookie"]
        assert led_to.value.status == 404, "nothing is there, which only who is let in learns"
        chromium.close()


def test_the_sign_in_form_is_told_what_there_is(live: Live) -> None:
    assert ("Company account", "/login/oidc") in live.app.state.sign_in.options


def test_without_a_provider_nothing_is_there(live: Live) -> None:
    company, live.app.state.company = live.app.state.company, Company()
    with live.client() as client:
        for path in ("/login/oidc", "/login/oidc/callback", "/login/proxy"):
            assert client.get(path).status_code == 404
    live.app.state.company = company


# A proxy that has signed people in


def test_the_proxy_names_the_caller_and_the_callers_groups(by_proxy: httpx.Client) -> None:
    named = {"X-Remote-User": "pat", "X-Remote-Groups": "hr, finance"}
    assert collections(by_proxy, **named) == ["finance", "hr"]
    assert collections(by_proxy, **named | {"X-Remote-Groups": "hr"}) == ["hr"]
    assert collections(by_proxy, **{"X-Remote-User": "pat"}) == [], "it names no groups"


def test_the_proxys_word_goes_before_other_credentials(by_proxy: httpx.Client) -> None:
    named = {"X-Remote-User": "pat", "X-Remote-Groups": "hr"}
    assert collections(by_proxy, **named, Authorization="Basic cGF0OnNlY3JldA==") == ["hr"]
    assert collections(by_proxy, **named, Authorization=f"Bearer {TOKEN}") == ["hr"]


@pytest.mark.parametrize("name", ["X-Remote-User", "X-Remote-Groups"])
def test_the_proxys_header_from_another_address_is_refused(
    browser: httpx.Client, name: str
) -> None:
    for more in ({}, {"Authorization": f"Bearer {TOKEN}"}, {"X-Forwarded-For": PROXY}):
        answer = browser.get("/v1/collections", headers={name: "pat", **more})
        assert answer.status_code == 401
        assert "may not say who is calling" in answer.json()["detail"]
    assert browser.get("/login/proxy", headers={name: "pat"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Remote-User", "")],
        [("X-Remote-User", "pat"), ("X-Remote-User", "ann")],
        [("X-Remote-Groups", "hr")],
        [("X-Remote-User", b"\xff")],
    ],
)
def test_a_proxy_that_names_no_one_person_is_refused(
    by_proxy: httpx.Client, headers: list[tuple[str, Any]]
) -> None:
    assert by_proxy.get("/v1/collections", headers=headers).status_code == 401


def test_the_proxys_word_is_not_to_be_used_by_a_page_of_another_origin(
    by_proxy: httpx.Client, live: Live
) -> None:
    named = {"X-Remote-User": "pat", "X-Remote-Groups": "hr"}
    search = {"url": "/v1/search", "json": {"query": "leave"}}
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert by_proxy.post(**search, headers=named | foreign).status_code == 401
    own = {"Origin": live.url, "Sec-Fetch-Site": "same-origin"}
    assert by_proxy.post(**search, headers=named | own).status_code == 200


def test_who_comes_through_the_proxy_without_a_name_is_not_the_operator(
    live: Live, by_proxy: httpx.Client
) -> None:
    own = {"Host": f"127.0.0.1:{live.port}"}
    assert by_proxy.get("/v1/collections", headers=own).status_code == 401
    assert by_proxy.get("/login/proxy", headers=own).status_code == 401


def test_a_local_user_of_that_name_is_not_who_the_proxy_means(by_proxy: httpx.Client) -> None:
    answer = by_proxy.get("/v1/collections", headers={"X-Remote-User": "bob"})
    assert answer.status_code == 403
    assert "citadel user identity bob proxy bob" in answer.json()["hint"]


def test_a_named_user_who_is_disabled_is_refused(by_proxy: httpx.Client, store: Store) -> None:
    assert collections(by_proxy, **{"X-Remote-User": "quin"}) == []
    store.permissions.set_disabled("quin", True)
    answer = by_proxy.get("/v1/collections", headers={"X-Remote-User": "quin"})
    assert answer.status_code == 401


def test_a_named_user_may_not_make_login_links(by_proxy: httpx.Client) -> None:
    answer = by_proxy.post("/v1/login-links", headers={"X-Remote-User": "pat"})
    assert answer.status_code == 403


def test_the_proxys_word_becomes_a_session_for_the_page(
    by_proxy: httpx.Client, browser: httpx.Client
) -> None:
    named = {"X-Remote-User": "pat", "X-Remote-Groups": "hr", "Sec-Fetch-Site": "cross-site"}
    answer = by_proxy.get("/login/proxy", headers=named)
    assert answer.status_code == 200
    session = answer.cookies["citadel_session"]
    assert collections(browser, Cookie=f"citadel_session={session}") == ["hr"]

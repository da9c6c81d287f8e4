"""Tokens: random, each for one purpose, kept as hashes, and worth what their owner still is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx
import pytest
from api_house import House, open_house
from api_live import TOKEN
from api_product import PRODUCT, ROOT, imported
from test_api_access import ROUTES

from rag.store.minted import Mint, Purpose, digest

ELSEWHERE = {"Host": "citadel.example"}  # so that nobody is let in as this machine's own user
PASSWORD = "seven crooked lanterns"
KINDS = ("operator's token", "session", "link", "key")
SECRETS = ("session.secret", "prompt.secret", "sign-in.secret", "api.token")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("tokens"), models) as house:
        yield house


def made(house: House, kind: str, name: str = "ann") -> str:
    """A new token of this kind, of ann's where it is not the operator's."""
    number = house.store.user_number(name)
    if kind == "session":
        return house.store.signing.begin(number, "password")
    if kind == "link":
        return house.store.signing.link(number)
    if kind == "key":
        return house.store.keys.add(number, "a test", ["search", "query"])[1]
    return TOKEN


def opens(house: House, token: str) -> dict[str, bool]:
    """Where a token lets its bearer in."""
    with house.live.client(headers=ELSEWHERE) as client:
        bearer = client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        cookie = client.get("/v1/me", headers={"Cookie": f"citadel_session={token}"})
        link = client.get("/login", params={"token": token})
    found = {"bearer": bearer, "cookie": cookie, "link": link}
    assert {answer.status_code for answer in found.values()} <= {200, 303, 401}
    return {where: answer.status_code != 401 for where, answer in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_good_for_its_one_purpose(house: House, kind: str) -> None:
    """Row: a key for everything could be made out of a token for one shared page."""
    place = {"session": "cookie", "link": "link"}.get(kind, "bearer")
    token, data = made(house, kind), house.store.data_dir
    assert opens(house, token) == {where: where == place for where in ("bearer", "cookie", "link")}
    signed = [purpose for purpose in get_args(Purpose) if Mint(data).made(purpose, token)]
    assert signed == [kind] * (kind in get_args(Purpose)), "the signature alone says so, too"


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_is_made_out_of_another(house: House, kind: str) -> None:
    """Row: a key for everything could be made out of a token for one shared page."""
    token = made(house, kind)
    random, _, signature = token.partition(".")
    bare = random.removeprefix("ck_")
    other = made(house, "link" if kind == "session" else "session").partition(".")[2]
    attempts = {f"ck_{bare}", f"ck_{token}", bare, f"{bare}.", f"{bare}.{signature[::-1]}"}
    attempts |= {
        digest(token),
        f"ck_{digest(token)}",
        f"{bare}.{other}",
        f"{bare}.{digest(bare)[:32]}",
    }
    for attempt in attempts - {token}:
        assert not any(opens(house, attempt).values()), attempt


def test_of_a_token_only_its_hash_is_kept(house: House) -> None:
    """Row: tokens lay in the database as they were, for whoever could read a copy of it."""
    tokens = {kind: made(house, kind) for kind in KINDS[1:]}
    data = house.store.data_dir
    kept = b"".join(path.read_bytes() for path in data.glob("citadel.db*"))
    for token in tokens.values():
        random = token.partition(".")[0].removeprefix("ck_")
        assert digest(token).encode() in kept, "this is where it would be"
        assert token.encode() not in kept and random.encode() not in kept


def test_tokens_come_from_the_systems_randomness(house: House) -> None:
    """Row: tokens could be guessed from how they were made."""
    for kind in KINDS[1:]:
        several = [made(house, kind) for _ in range(3)]
        randoms = [re.sub(r"^ck_|\..*", "", token) for token in several]
        assert all(len(random) == 43 for random in randoms), "256 bits"
        starts = {random[:8] for random in randoms} | {random[-8:] for random in randoms}
        assert len(starts) == 6
    made_up = "rag/search/calibration.py"  # texts to quantise by, the same everywhere
    for path in (path for path in PRODUCT if not path.as_posix().endswith(made_up)):
        assert not imported(ast.parse(path.read_text())) & {"random", "numpy.random"}, (
            f"{path}: no such token is random"
        )


def test_secrets_are_their_owners_alone_to_read(house: House) -> None:
    """Row: what tokens are made with could be had beside them."""
    made(house, "session")
    there = [path for name in SECRETS if (path := house.store.data_dir / name).exists()]
    assert there and not any(path.stat().st_mode & 0o077 for path in there)


# A suspended account


@pytest.mark.parametrize("kind", ["session", "key"])
def test_what_a_suspended_user_holds_is_refused_by_every_route(house: House, kind: str) -> None:
    """Row: a suspended user's key went on working."""
    house.store.permissions.add_principal("user", f"sue-{kind}")
    token = made(house, kind, f"sue-{kind}")
    shown = {"Authorization": f"Bearer {token}"}
    shown = shown if kind == "key" else {"Cookie": f"citadel_session={token}"}
    with house.live.client(headers=shown) as client:
        assert client.get("/v1/me").status_code == 200
        suspended = {"disabled": True}
        changed = house.asked("ada", "PATCH", f"/v1/users/sue-{kind}", json=suspended)
        assert changed.status_code == 200
        for (method, route), call in ROUTES.items():
            path = house.live.filled(call.path)
            assert client.request(method, path, json=call.body).status_code == 401, route


def test_a_suspended_user_comes_in_by_no_link_no_form_and_nobody_who_acts_for_them(
    house: House,
) -> None:
    """Row: a suspended user's key went on working; here, all that gives a new session."""
    house.store.permissions.add_principal("user", "sid")
    number = house.store.user_number("sid")
    house.store.passwords.set("sid", PASSWORD)
    link, later = made(house, "link", "sid"), made(house, "link", "sid")
    _, acting = house.store.keys.add("operator", "acts", ["query", "search", "act_as"])
    form = {"name": "sid", "password": PASSWORD}
    as_sid = {"Authorization": f"Bearer {acting}", "X-Citadel-User": "sid"}

    def ways(token: str) -> list[int]:
        with house.live.client(headers=ELSEWHERE) as client:
            return [
                client.get("/login", params={"token": token}).status_code,
                client.post("/login", data=form).status_code,
                client.get("/v1/me", headers=as_sid).status_code,
            ]

    assert ways(link) == [303, 303, 200]
    house.asked("ada", "PATCH", "/v1/users/sid", json={"disabled": True})
    assert ways(later) == [401, 401, 403]
    asked = house.asked("operator", "POST", "/v1/login-links", json={"user": "sid"})
    assert asked.status_code == 403
    assert house.store.signing.sessions(number) == []


# The page's own cookie


@pytest.mark.parametrize("name", ["_streamlit_user", "_streamlit_user_tokens", "_streamlit_xsrf"])
def test_a_cookie_of_the_pages_framework_signs_nobody_in(house: House, name: str) -> None:
    """Row: the page's framework knows who somebody is, and says nothing of what they may do."""
    said = '{"origin": "http://citadel.example", "is_logged_in": true, "name": "ada"}'
    for value in (said, made(house, "session"), made(house, "key"), TOKEN):
        with httpx.Client(trust_env=False, verify=False, base_url=house.live.url) as client:
            cookies = {"Cookie": f"{name}={value.replace(' ', '').replace(',', '%2C')}"}
            assert client.get("/v1/me", headers=ELSEWHERE | cookies).status_code == 401


def test_the_page_asks_the_api_who_somebody_is(house: House) -> None:
    """Row: the page's framework knows who somebody is, and says nothing of what they may do."""
    for path in (ROOT / "ui").rglob("*.py"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if streamlits(node)}
        assert not names & {"login", "logout", "user", "experimental_user"}, path


def streamlits(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "st"

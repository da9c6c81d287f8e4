"""Signing in by an LDAP directory: a real slapd."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slapd_server import (
    ACCOUNT,
    ACCOUNT_PASSWORD,
    GROUPS,
    HOST,
    NOT_CERTIFIED,
    PEOPLE,
    Slapd,
    slapd,
)
from starlette.testclient import TestClient

from rag.api.app import create_app
from rag.api.border.quotas import Shares
from rag.api.company import Company
from rag.appliance import Appliance
from rag.directory.ldap import Ldap, ldap_sign_in
from rag.errors import DirectoryError, Forbidden, Unauthorized
from rag.settings import Settings, load_settings
from rag.store import Store

PASSWORD = "ann's password"
BY_TEMPLATE = {"ldap_user_dn": f"uid={{name}},{PEOPLE}"}
BY_ACCOUNT = {
    "ldap_bind_dn": ACCOUNT,
    "ldap_bind_password": ACCOUNT_PASSWORD,
    "ldap_user_base": PEOPLE,
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """Ann is in hr and in finance; eve is called so that it hurts."""
    with slapd(tmp_path_factory.mktemp("slapd")) as running:
        running.add_person("ann", PASSWORD)
        running.add_person("e*v(e), \\x", PASSWORD)
        yield running


@pytest.fixture(autouse=True)
def _groups(directory: Slapd) -> None:
    for name in ("hr", "finance"):
        directory.group(name, "ann")
    directory.group("others")


def configured(directory: Slapd, **more: Any) -> Settings:
    how = {"ldap_url": directory.url, "ldap_start_tls": False, "ldap_group_base": GROUPS}
    return load_settings(**how | more)


@pytest.fixture(params=[BY_TEMPLATE, BY_ACCOUNT], ids=["by template", "by account"])
def settings(request: pytest.FixtureRequest, directory: Slapd) -> Settings:
    return configured(directory, **request.param)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'citadel.db'}", data_dir=tmp_path) as store:
        for group in ("hr", "finance"):
            store.permissions.add_principal("group", group)
        yield store


def test_who_knows_the_password_is_who_the_directory_says(settings: Settings) -> None:
    ann = Ldap(settings).authenticate("ANN ", PASSWORD)
    assert ann is not None
    assert (ann.issuer, ann.name, ann.groups) == ("ldap", "ann", ("finance", "hr"))
    assert len(ann.subject) == 36, "the entry's UUID"


@pytest.mark.parametrize("password", ["wrong", PASSWORD + " ", "", "\0", "\u00ad"])
def test_a_wrong_or_empty_password_is_refused(settings: Settings, password: str) -> None:
    assert Ldap(settings).authenticate("ann", password) is None


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "",
        "*",
        "a*",
        "ann)(uid=*",
        "*)(objectClass=*",
        "nobody)(|(uid=ann",
        "ann,ou=people",
        f"ann,{PEOPLE}",
        "ann+cn=ann",
        "\\61nn",
        "an\\6e",
        "ann\0",
        "ann\n",
        "ann" * 100,
    ],
)
def test_a_name_finds_its_own_entry_or_none(settings: Settings, name: str) -> None:
    assert Ldap(settings).authenticate(name, PASSWORD) is None


def test_a_name_of_special_characters_finds_its_own_entry(settings: Settings) -> None:
    eve = Ldap(settings).authenticate("e*v(e), \\x", PASSWORD)
    assert eve is not None
    assert (eve.name, eve.groups) == ("e*v(e), \\x", ())


def test_groups_are_level_with_the_directory_after_each_sign_in(
    settings: Settings, store: Store, directory: Slapd
) -> None:
    number = ldap_sign_in(store, settings, "ann", PASSWORD)
    assert number == store.user_number("ann")
    assert store.permissions.people()[0].groups == ("finance", "hr")
    directory.group("hr")
    assert ldap_sign_in(store, settings, "ann", PASSWORD) == number
    assert store.permissions.people()[0].groups == ("finance",)
    assert ldap_sign_in(store, settings, "ann", "wrong") is None


def test_who_gets_the_name_of_somebody_who_has_left_is_somebody_else(
    settings: Settings, store: Store, directory: Slapd
) -> None:
    directory.add_person("sam", "the first")
    ldap_sign_in(store, settings, "sam", "the first")
    directory.remove_person("sam")
    directory.add_person("sam", "the second")
    try:
        with pytest.raises(Forbidden, match="'sam' already"):
            ldap_sign_in(store, settings, "sam", "the second")
    finally:
        directory.remove_person("sam")


def test_a_local_user_of_the_same_name_is_not_taken_over(settings: Settings, store: Store) -> None:
    store.permissions.add_principal("user", "ann")
    with pytest.raises(Forbidden, match="already"):
        ldap_sign_in(store, settings, "ann", PASSWORD)


def test_a_disabled_user_is_refused(settings: Settings, store: Store) -> None:
    ldap_sign_in(store, settings, "ann", PASSWORD)
    store.permissions.set_disabled("ann", True)
    with pytest.raises(Unauthorized):
        ldap_sign_in(store, settings, "ann", PASSWORD)


def test_without_a_directory_nobody_signs_in_by_it(store: Store) -> None:
    assert ldap_sign_in(store, load_settings(), "ann", PASSWORD) is None


def test_without_a_place_for_groups_none_are_asked_for(directory: Slapd) -> None:
    ann = Ldap(configured(directory, **BY_TEMPLATE, ldap_group_base=None)).authenticate(
        "ann", PASSWORD
    )
    assert ann is not None
    assert ann.groups is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ldap_url": "ldap://127.0.0.1:9"}, "cannot be used"),
        ({"ldap_bind_password": "wrong"}, f"does not let {ACCOUNT} in"),
        ({"ldap_user_base": "ou=nowhere,dc=example,dc=org"}, "noSuchObject"),
        ({"ldap_group_base": "ou=nowhere,dc=example,dc=org"}, "noSuchObject"),
        ({"ldap_user_filter": "(uid={name}"}, "filter"),
        ({"ldap_user_filter": "(|(uid={name})(objectClass=inetOrgPerson))"}, "finds 2 people"),
        ({"ldap_id_attribute": "objectGUID"}, "no attribute objectGUID"),
    ],
)
def test_a_directory_that_cannot_be_used_is_no_wrong_password(
    directory: Slapd, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(DirectoryError, match=what) as refused:
        Ldap(configured(directory, **BY_ACCOUNT | changes)).authenticate("ann", PASSWORD)
    assert refused.value.status == 503
    assert refused.value.hint


def test_a_directory_that_hangs_is_given_up(directory: Slapd) -> None:
    ldap = Ldap(configured(directory, **BY_TEMPLATE, ldap_timeout_s=1))
    with directory.hung(), pytest.raises(DirectoryError):
        ldap.authenticate("ann", PASSWORD)
    assert ldap.authenticate("ann", PASSWORD) is not None


@pytest.mark.parametrize("start_tls", [True, False])
def test_a_password_goes_only_to_a_server_with_the_right_certificate(
    directory: Slapd, start_tls: bool
) -> None:
    scheme, port = ("ldap", directory.port) if start_tls else ("ldaps", directory.tls_port)

    def ldap(host: str, ca_file: Path | None) -> Ldap:
        url = {"ldap_url": f"{scheme}://{host}:{port}", "ldap_start_tls": start_tls}
        return Ldap(configured(directory, **BY_TEMPLATE, **url, company_ca_file=ca_file))

    assert ldap(HOST, directory.ca_file).authenticate("ann", PASSWORD) is not None
    for host, ca_file in ((NOT_CERTIFIED, directory.ca_file), (HOST, None)):
        with pytest.raises(DirectoryError, match="certificate verify failed"):
            ldap(host, ca_file).authenticate("ann", PASSWORD)


def test_the_form_takes_a_password_that_only_the_directory_knows(
    directory: Slapd, tmp_path: Path, model_home: Path
) -> None:
    (tmp_path / "models").symlink_to(model_home / "models")
    settings = configured(directory, data_dir=tmp_path, **BY_TEMPLATE)
    where = {"token": "t" * 20, "host": "127.0.0.1", "port": 80, "ui_port": 81}
    shares, company = Shares.of(settings), Company.of(settings)
    app = create_app(lambda: Appliance(settings), shares=shares, company=company, **where)
    with TestClient(app, "http://127.0.0.1", follow_redirects=False) as browser:
        while browser.get("/readyz").status_code == 503:
            time.sleep(0.05)
        wrong = browser.post("/login", data={"name": "ann", "password": "a guess"})
        assert wrong.status_code == 401, wrong.text
        right = browser.post("/login", data={"name": "ann", "password": PASSWORD})
        assert right.status_code == 303, right.text
        me = browser.get("/v1/me").json()
        assert (me["name"], browser.get("/v1/sessions").json()["sessions"][0]["how"]) == (
            "ann",
            "ldap",
        )

"""Sessions, links, passwords and roles, as the store keeps them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rag.errors import BadRequest, Forbidden, NotFound
from rag.store import Store
from rag.store.passwords import Passwords

PASSWORD = "a sentence is good"
OTHER = "another sentence is too"
QUICK = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


class Time:
    """A clock that the tests set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **how_long: float) -> None:
        self.now += timedelta(**how_long)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(url: str, data_dir: Path, time: Time) -> Iterator[Store]:
    """A store by that clock, with the users ann and bob."""
    with Store.open(url, data_dir=data_dir, clock=time) as store:
        store.passwords = Passwords(store._database, time, QUICK)
        for name in ("ann", "bob"):
            store.permissions.add_principal("user", name)
        yield store


def owner_of(store: Store, token: str) -> object:
    signed_in = store.signing.session(token)
    return signed_in and signed_in.owner


def test_a_session_is_of_whom_it_was_begun_for_until_it_ends(store: Store, time: Time) -> None:
    ann = store.user_number("ann")
    token = store.signing.begin(ann, "password", address="192.0.2.1", agent="x" * 1000)
    operators = store.signing.begin("operator", "link")
    assert owner_of(store, token) == ann
    assert owner_of(store, operators) == "operator"
    [session] = store.signing.sessions(ann)
    assert (session.how, session.address, session.agent) == ("password", "192.0.2.1", "x" * 200)
    for _ in range(11):
        time.passes(hours=1)
        assert owner_of(store, token) == ann
    time.passes(hours=1)
    assert owner_of(store, token) is None
    assert store.signing.sessions(ann) == []


def test_a_session_that_nobody_uses_ends_sooner(store: Store, time: Time) -> None:
    token = store.signing.begin("operator", "link")
    time.passes(hours=3, minutes=59)
    assert owner_of(store, token) == "operator"
    time.passes(hours=3, minutes=59)
    assert owner_of(store, token) == "operator"
    time.passes(hours=4)
    assert owner_of(store, token) is None


def test_a_use_is_written_down_once_a_minute(store: Store, time: Time) -> None:
    ann = store.user_number("ann")
    token, began = store.signing.begin(ann, "link"), time.now
    time.passes(seconds=59)
    store.signing.session(token)
    assert store.signing.sessions(ann)[0].used_at == began
    time.passes(seconds=1)
    store.signing.session(token)
    assert store.signing.sessions(ann)[0].used_at == time.now


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_forged_token_is_refused_without_the_database(store: Store, backend: str) -> None:
    token = store.signing.begin("operator", "link")
    link = store.signing.link("operator")
    store.close()
    (store.data_dir / "citadel.db").unlink()
    (store.data_dir / "citadel.db").mkdir()
    random, _, signature = token.partition(".")
    for forged in (
        *("", ".", "x", random, f"{random}.", f"{random}x.{signature}", f".{signature}"),
        *(f"{random}.{signature[:-1]}", link, "ü.ü", "\udcff.\udcff", "0" * 10_000),
    ):
        assert store.signing.session(forged) is None
        if forged != link:
            assert store.signing.redeem(forged) is None
    assert store.signing.redeem(token) is None, "a session is no link"


def test_sessions_are_ended_by_their_owner_or_all_at_once(store: Store) -> None:
    ann, bob = store.user_number("ann"), store.user_number("bob")
    first, second = store.signing.begin(ann, "link"), store.signing.begin(ann, "link")
    [newest, oldest] = store.signing.sessions(ann)
    for number in (oldest.id + 100, oldest.id):
        with pytest.raises(NotFound, match="no such session"):
            store.signing.end(number, bob)
    store.signing.end(oldest.id, ann)
    assert (owner_of(store, first), owner_of(store, second)) == (None, ann)
    store.signing.end(newest.id)
    assert owner_of(store, second) is None
    third, link = store.signing.begin(ann, "link"), store.signing.link(ann)
    assert store.signing.end_all(ann) == 2
    assert owner_of(store, third) is None
    assert store.signing.redeem(link) is None


def test_a_browser_has_one_session(store: Store) -> None:
    first = store.signing.begin("operator", "link")
    other = store.signing.begin("operator", "link")
    second = store.signing.begin("operator", "link", instead_of=first)
    assert owner_of(store, first) is None
    assert owner_of(store, second) == owner_of(store, other) == "operator"


def test_the_number_of_sessions_and_links_is_bounded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.store.signing.MOST", 2)
    ann = store.user_number("ann")
    kept = store.signing.begin("operator", "link")
    tokens = [store.signing.begin(ann, "link") for _ in range(3)]
    assert [owner_of(store, token) for token in tokens] == [None, ann, ann]
    assert owner_of(store, kept) == "operator"
    links = [store.signing.link(ann) for _ in range(3)]
    assert sorted(store.signing.redeem(link) is None for link in links) == [False, False, True]


def test_a_link_signs_in_once_and_not_after_an_hour(store: Store, time: Time) -> None:
    ann = store.user_number("ann")
    link, late = store.signing.link(ann), store.signing.link("operator")
    assert store.signing.redeem(link) == ann
    assert store.signing.redeem(link) is None
    time.passes(hours=1)
    assert store.signing.redeem(late) is None


def test_who_is_disabled_or_gone_is_signed_out_and_stays_so(store: Store) -> None:
    ann = store.user_number("ann")
    session, link = store.signing.begin(ann, "link"), store.signing.link(ann)
    store.permissions.set_disabled("ann", True)
    for refused in (store.signing.begin, store.signing.link):
        with pytest.raises(Forbidden, match="no longer in use"):
            refused(ann, *(["link"] if refused == store.signing.begin else []))
    store.permissions.set_disabled("ann", False)
    assert owner_of(store, session) is None
    assert store.signing.redeem(link) is None
    again = store.signing.begin(ann, "link")
    store.permissions.remove_principal("user", "ann")
    store.permissions.add_principal("user", "ann")
    assert owner_of(store, again) is None


def test_a_password_is_known_again_and_nothing_else_is(store: Store) -> None:
    ann = store.user_number("ann")
    assert not store.passwords.has(ann)
    store.passwords.set("ann", PASSWORD)
    assert store.passwords.has(ann)
    assert store.passwords.check("ann", PASSWORD) == ann
    for name, password in (
        *(("ann", OTHER), ("ann", ""), ("ann", "x" * 5000), ("bob", PASSWORD)),
        *(("bob", ""), ("Ann", PASSWORD), ("nobody", ""), ("operator", PASSWORD), ("", "")),
    ):
        assert store.passwords.check(name, password) is None
    store.permissions.set_disabled("ann", True)
    assert store.passwords.check("ann", PASSWORD) is None


def test_one_password_is_one_however_a_keyboard_sends_it(store: Store) -> None:
    store.passwords.set("ann", "ein schönes Café")
    assert store.passwords.check("ann", "ein scho\u0308nes Cafe\u0301") is not None


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_password_against_the_rules_is_refused(store: Store, backend: str) -> None:
    store.permissions.add_principal("user", "ann.example.com")
    for password, said in (
        ("eleven char", "11 characters only"),
        ("", "0 characters only"),
        ("x" * 1001, "more than 1,000"),
        ("0" * 12, "over and over"),
        ("ANN.example.com", "is the name"),
    ):
        with pytest.raises(BadRequest, match=said) as refused:
            store.passwords.set("ann.example.com", password)
        assert "12 characters or more" in refused.value.hint


def test_a_new_password_ends_what_was_begun_with_the_old_one(store: Store) -> None:
    ann, bob = store.user_number("ann"), store.user_number("bob")
    mine, other, link = (
        store.signing.begin(ann, "password"),
        store.signing.begin(ann, "password"),
        store.signing.link(ann),
    )
    bobs = store.signing.begin(bob, "password")
    kept = store.signing.sessions(ann)[-1].id
    store.passwords.set("ann", PASSWORD, keep_session=kept)
    assert owner_of(store, mine) == ann
    assert owner_of(store, other) is None
    assert store.signing.redeem(link) is None
    assert owner_of(store, bobs) == bob
    store.passwords.set("ann", OTHER)
    assert owner_of(store, mine) is None
    assert store.passwords.check("ann", PASSWORD) is None


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_hash_of_weaker_times_is_renewed_at_the_next_check(store: Store, backend: str) -> None:
    store.passwords.set("ann", PASSWORD)
    stronger = Passwords(store._database, hasher=PasswordHasher(1, 2048, 1))

    def kept() -> str:
        with store._database.read() as connection:
            return str(connection.exec_driver_sql("SELECT hash FROM passwords").scalar_one())

    assert "m=1024" in kept()
    assert stronger.check("ann", OTHER) is None
    assert "m=1024" in kept()
    assert stronger.check("ann", PASSWORD) == store.user_number("ann")
    assert kept().startswith("$argon2id$v=19$m=2048")
    assert stronger.check("ann", PASSWORD) == store.user_number("ann")


def test_the_role_of_a_group_counts_for_its_members(store: Store) -> None:
    ann = store.user_number("ann")
    store.permissions.add_principal("group", "board")
    store.accounts.give_role("group:board", "auditor")
    store.accounts.give_role("user:ann", "admin")
    store.accounts.give_role("user:ann", "admin")
    assert store.accounts.standing(ann) == {"admin"}
    store.permissions.join_group("board", ["ann"])
    assert store.accounts.standing(ann) == {"admin", "auditor"}
    assert store.accounts.roles() == {"user:ann": ("admin",), "group:board": ("auditor",)}
    assert store.accounts.take_role("group:board", "auditor")
    assert not store.accounts.take_role("group:board", "auditor")
    assert store.accounts.standing(ann) == {"admin"}
    store.permissions.set_disabled("ann", True)
    assert store.accounts.standing(ann) is None


def test_the_first_admin_is_made_once(store: Store) -> None:
    assert store.accounts.first_admin() is None, "there are users"
    for name in ("ann", "bob"):
        store.permissions.remove_principal("user", name)
    assert store.accounts.first_admin() is None, "there have been some"


def test_the_first_admin_manages_what_there_is(url: str, data_dir: Path) -> None:
    with Store.open(url, data_dir=data_dir) as store:
        assert store.accounts.first_admin() == "admin"
        assert store.accounts.first_admin() is None
        account = store.accounts.account(store.user_number("admin"))
        assert (account.roles, account.collections) == ({"admin"}, {})
        store.permissions.remove_principal("user", "admin")
        assert store.accounts.first_admin() is None

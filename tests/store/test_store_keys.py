"""API keys, as the store keeps them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag.errors import BadRequest, Forbidden, NotFound
from rag.store import Store

PASSWORD = "a sentence is good"


@pytest.fixture
def ann(store: Store) -> int:
    store.permissions.add_principal("user", "ann")
    return store.user_number("ann")


def test_a_key_is_good_for_its_scopes_until_it_is_revoked(store: Store, ann: int) -> None:
    store.accounts.give_role("user:ann", "auditor")
    key, text = store.keys.add(ann, " intranet ", ["query", "search", "query"])
    assert text.startswith("ck_")
    assert (key.name, key.owner, key.scopes) == ("intranet", "ann", ("search", "query"))
    assert key.shown == text[:9]
    held = store.keys.held(text)
    assert held is not None
    assert (held.owner, held.scopes, held.roles) == (ann, {"search", "query"}, {"auditor"})
    store.keys.revoke(key.id)
    assert store.keys.held(text) is None
    [listed] = store.keys.listed()
    assert listed.revoked_at is not None
    assert listed.used_at is not None
    for wrong in ("", "ck_", text[:-1], "ck_ü\udcff"):
        assert store.keys.held(wrong) is None


def test_a_key_ends_when_it_was_said_to(url: str, data_dir: Path) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    with Store.open(url, data_dir=data_dir, clock=lambda: now) as store:
        _, text = store.keys.add("operator", "trial", ["search"], valid_for=timedelta(days=1))
        now += timedelta(hours=23)
        held = store.keys.held(text)
        assert held is not None
        assert held.owner == "operator"
        now += timedelta(hours=1)
        assert store.keys.held(text) is None


def test_a_disabled_users_key_stops_and_goes_on_with_its_owner(store: Store, ann: int) -> None:
    _, text = store.keys.add(ann, "intranet", ["query"])
    store.permissions.set_disabled("ann", True)
    assert store.keys.held(text) is None
    with pytest.raises(Forbidden, match="disabled or gone"):
        store.keys.add(ann, "another", ["query"])
    store.permissions.set_disabled("ann", False)
    assert store.keys.held(text) is not None
    store.permissions.remove_principal("user", "ann")
    store.permissions.add_principal("user", "ann")
    assert store.keys.held(text) is None
    assert store.keys.listed() == []


def test_keys_are_listed_and_revoked_by_their_owner(store: Store, ann: int) -> None:
    mine, _ = store.keys.add(ann, "mine", ["query"])
    other, _ = store.keys.add("operator", "other", ["admin"])
    assert [key.name for key in store.keys.listed(ann)] == ["mine"]
    assert [key.name for key in store.keys.listed()] == ["other", "mine"]
    for number in (other.id, other.id + 100):
        with pytest.raises(NotFound, match="no key"):
            store.keys.revoke(number, ann)
    store.keys.revoke(mine.id, ann)
    with pytest.raises(NotFound, match="no key"):
        store.keys.revoke(mine.id, ann)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_what_is_no_key_is_refused(
    store: Store, ann: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, scopes, said in (
        ("", ["query"], "no name"),
        ("x" * 101, ["query"], "no name"),
        ("two\nlines", ["query"], "no name"),
        ("ok", [], "no scope to do anything"),
        ("ok", ["act_as"], "no scope to do anything"),
        ("ok", ["everything"], "no scope everything"),
    ):
        with pytest.raises(BadRequest, match=said):
            store.keys.add(ann, name, scopes)  # type: ignore[arg-type]
    monkeypatch.setattr("rag.store.keys.MOST", 1)
    key, _ = store.keys.add(ann, "first", ["query"])
    with pytest.raises(BadRequest, match="keys of this owner already"):
        store.keys.add(ann, "second", ["query"])
    store.keys.revoke(key.id)
    store.keys.add(ann, "second", ["query"])


@pytest.mark.parametrize("backend", ["sqlite"])
def test_no_token_and_no_password_is_kept_in_clear(
    store: Store, ann: int, backend: str, data_dir: Path
) -> None:
    store.passwords.set("ann", PASSWORD)
    secrets = [
        store.signing.begin(ann, "link").partition(".")[0],
        store.signing.link("operator").partition(".")[0],
        store.keys.add(ann, "intranet", ["query"])[1].removeprefix("ck_"),
        PASSWORD,
    ]
    store.close()
    files = {file: file.read_bytes() for file in data_dir.rglob("*") if file.is_file()}
    assert any(b"argon2id" in content for content in files.values())
    for secret in secrets:
        assert not [file for file, content in files.items() if secret.encode() in content]

"""How people are let in, and systems, from the command line."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from commands import COMMAND, Ended, environment
from typer.testing import CliRunner

from rag.api.address import Address, published, running
from rag.cli.commands import app
from rag.settings import Settings
from rag.store import Store

PASSWORD = "a sentence is good"


class Citadel:
    """The command in this process: these commands load nothing heavy, and a new process does."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, *arguments: str, typed: str = "", **settings: str) -> Ended:
        env = {"CITADEL_DATA_DIR": str(self.data_dir), **settings}
        done = CliRunner().invoke(app, arguments, input=typed, env=env)
        return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def citadel(tmp_path: Path) -> Citadel:
    """The command over an empty store."""
    return Citadel(tmp_path / "data")


def store_of(citadel: Citadel) -> Store:
    return Store.open(Settings(data_dir=citadel.data_dir).url, data_dir=citadel.data_dir)


def test_a_user_is_added_with_a_password_and_a_role_and_signed_out_again(
    citadel: Citadel,
) -> None:
    added = citadel("user", "add", "ann", "--password-stdin", "--role", "admin", typed=PASSWORD)
    assert (added.code, added.out) == (0, "added user:ann\n")
    link = citadel("user", "link", "ann", CITADEL_PUBLIC_URL="https://citadel.example").out
    found = re.fullmatch(r"https://citadel\.example/login\?token=(\S+)\n", link)
    assert found
    with store_of(citadel) as store:
        ann = store.user_number("ann")
        assert store.passwords.check("ann", PASSWORD) == ann
        assert store.accounts.standing(ann) == {"admin"}
        assert store.signing.redeem(found[1]) == ann
        token = store.signing.begin(ann, "link", address="192.0.2.1")
    [session] = citadel("user", "sessions", "ann", "--json").json["sessions"]
    assert (session["how"], session["address"]) == ("link", "192.0.2.1")
    assert citadel("user", "sign-out", "ann").out == "user:ann is signed out\n"
    with store_of(citadel) as store:
        assert store.signing.session(token) is None
    changed = citadel("user", "role", "ann", "--give", "auditor", "--take", "admin")
    assert changed.out == "user:ann: auditor\n"
    listed = citadel("user", "list").out
    assert re.fullmatch(r"ann \(auditor\)  a password, last sign-in 2\d{3}-.* UTC\n", listed)
    [ann_json] = citadel("user", "list", "--json").json["users"]
    assert (ann_json["password"], ann_json["last_sign_in"][:1]) == (True, "2")


def test_a_password_is_typed_twice_and_not_shown(citadel: Citadel) -> None:
    with store_of(citadel) as store:
        store.permissions.add_principal("user", "ann")
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [*COMMAND, "user", "password", "ann"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(CITADEL_DATA_DIR=str(citadel.data_dir)),
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),  # its terminal
    )
    os.close(theirs)
    shown = b""
    for question in (b"Password for ann: ", b"Repeat for confirmation: "):
        while not shown.endswith(question):
            shown += os.read(ours, 1000)
        os.write(ours, PASSWORD.encode() + b"\n")
    out, _ = command.communicate(timeout=60)
    os.close(ours)
    assert (command.returncode, out) == (0, b"user:ann has a new password\n")
    assert PASSWORD.encode() not in shown
    with store_of(citadel) as store:
        assert store.passwords.check("ann", PASSWORD) is not None


def test_a_key_is_shown_once_listed_and_revoked(citadel: Citadel) -> None:
    made = citadel("key", "add", "intranet", "-s", "query", "-s", "search", "--days", "30")
    assert re.fullmatch(r"ck_\S+\n", made.out)
    assert "It is not shown again." in made.err
    listed = citadel("key", "list", "--json")
    [key] = listed.json["keys"]
    assert made.out.strip() not in listed.out
    assert (key["owner"], key["scopes"], key["revoked_at"]) == (
        *("operator", ["search", "query"]),
        None,
    )
    assert citadel("key", "revoke", str(key["id"])).out == f"revoked key {key['id']}\n"
    assert "revoked 2" in citadel("key", "list").out
    with store_of(citadel) as store:
        assert store.keys.held(made.out.strip()) is None


def test_what_cannot_be_is_said(citadel: Citadel) -> None:
    for arguments, said in (
        (("user", "add", "eve", "--password-stdin"), "the password has 0 characters only"),
        (("user", "add", "eve", "--password"), "Use --password-stdin in scripts."),
        (("user", "add", "eve", "--role", "boss"), "The roles are admin and auditor."),
        (("user", "add", "operator"), "Choose another name."),
        (("user", "link", "eve"), "there is no user 'eve'"),
        (("key", "add", "x", "-s", "everything"), "no scope everything"),
        (("key", "revoke", "7"), "there is no key 7 in use"),
    ):
        ended = citadel(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
    assert citadel("user", "list", "--json").json == {"users": []}


def test_a_question_that_is_not_answered_changes_nothing_and_says_so(citadel: Citadel) -> None:
    citadel("user", "add", "ann")
    asked = citadel("forget", "ann", typed="n\n")
    assert asked.code == 1
    assert asked.err.endswith("Nothing was changed.\n")
    assert citadel("user", "list", "--json").json["users"][0]["name"] == "ann"


def test_a_link_leads_to_the_server_that_runs(citadel: Citadel) -> None:
    citadel("user", "add", "ann")
    address = Address("http://127.0.0.1:18700", "http://box:18700")
    with published(citadel.data_dir, address):
        assert citadel("user", "link", "ann").out.startswith("http://box:18700/login?token=")
        assert citadel("user", "link").out.startswith("http://127.0.0.1:18700/login?token=")
        behind = citadel("user", "link", "ann", CITADEL_PUBLIC_URL="https://citadel.example")
        assert behind.out.startswith("https://citadel.example/login?token=")
        with published(citadel.data_dir, Address("http://x:1", "http://x:1")):
            assert running(citadel.data_dir) == address
    assert running(citadel.data_dir) is None
    alone = citadel("user", "link", "ann")
    assert alone.out.startswith("http://127.0.0.1:8000/login?token=")
    assert "No server runs here" in alone.err

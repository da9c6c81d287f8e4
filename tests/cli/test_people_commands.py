"""Who may read what, as an admin arranges it and as each user then finds it."""

from pathlib import Path

import pytest
from commands import Citadel, over_new_store, write_docs

from rag.settings import Settings
from rag.store import Said, Store

CANTEEN = "When does the canteen open?"


@pytest.fixture
def office(citadel: Citadel, docs: Path) -> Citadel:
    """The folder, ann and bob, of whom ann is in the group hr."""
    return settle(citadel, docs)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Citadel:
    """The same, for tests that change nothing."""
    home = tmp_path_factory.mktemp("settled")
    return settle(over_new_store(home, model_home), write_docs(home / "docs"))


def settle(citadel: Citadel, docs: Path) -> Citadel:
    assert citadel("ingest", docs).code == 0
    settings = Settings(data_dir=citadel.data_dir)
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        for kind, name in (("group", "hr"), ("user", "ann"), ("user", "bob")):
            store.permissions.add_principal(kind, name)
        store.permissions.join_group("hr", ["ann"])
    return citadel


def titles(office: Citadel, user: str) -> set[str]:
    listed = office("documents", "--as", user, "--json").json["documents"]
    return {Path(document["source_uri"]).name for document in listed}


def status(office: Citadel, user: str, question: str) -> str:
    answer = office("ask", question, "--as", user, "--json").json
    if answer["status"] != "answered":
        assert answer["citations"] == []
    return str(answer["status"])


def test_nothing_is_seen_until_it_is_granted_and_no_more_once_it_is_revoked(
    office: Citadel,
) -> None:
    assert titles(office, "bob") == set()
    assert office("access", "grant", "default", "user:bob").out == "user:bob may read default\n"
    assert titles(office, "bob") == {"travel.md", "prices.csv", "opening.txt"}
    assert office("access", "revoke", "default", "user:bob").code == 0
    assert titles(office, "bob") == set()


def test_two_users_get_two_answers_and_a_revoked_group_changes_the_next(
    office: Citadel, docs: Path
) -> None:
    for who in ("group:hr", "user:bob"):
        assert office("access", "grant", "default", who).code == 0
    said = office("access", "limit", docs / "sub" / ".." / "sub", "group:hr")
    assert "1 of 1 files there have changed" in said.err
    assert (status(office, "ann", CANTEEN), status(office, "bob", CANTEEN)) == (
        "answered",
        "no_evidence",
    )
    assert office("group", "leave", "hr", "ann").code == 0
    assert titles(office, "ann") == set()


def test_a_limit_holds_for_what_comes_into_the_folder_later_until_it_is_lifted(
    office: Citadel, docs: Path
) -> None:
    assert office("access", "grant", "default", "user:bob").code == 0
    assert office("access", "limit", docs / "sub").code == 0
    (docs / "sub" / "late.txt").write_text("The canteen closes at two.\n")
    assert office("ingest", docs).code == 0
    assert titles(office, "bob") == {"travel.md", "prices.csv"}
    (docs / "sub").rename(docs / "other")
    assert office("ingest", docs, "--json").json["moved"] == 2
    assert titles(office, "bob") == {"travel.md", "prices.csv"}, "the limit went along"
    assert office("access", "unlimit", docs).code == 0
    assert titles(office, "bob") == {"travel.md", "prices.csv", "opening.txt", "late.txt"}
    assert office("verify").code == 0


def test_a_folder_says_itself_who_may_read_what_is_in_it(office: Citadel, docs: Path) -> None:
    for name in ("ann", "bob"):
        assert office("access", "grant", "default", f"user:{name}").code == 0
    file = docs / "sub" / ".citadel-access.yaml"
    file.write_text("read: [group:hrr]")
    refused = office("ingest", docs)
    assert refused.code == 3
    assert f"{file}: there is no group 'hrr'" in refused.out
    assert "`citadel group add` adds one." in refused.out
    assert titles(office, "bob") == {"travel.md", "prices.csv"}
    file.write_text("read: [group:hr]")
    assert f"limit  {docs / 'sub'}: group:hr" in office("ingest", docs, "--dry-run").out
    assert office("ingest", docs).code == 0
    assert titles(office, "bob") == {"travel.md", "prices.csv"}
    file.write_text("read: hr")
    broken = office("ingest", docs)
    assert broken.code == 3 and "Closed to everyone but the operator" in broken.out
    assert "Not ingested" not in broken.out
    assert titles(office, "bob") == titles(office, "ann") == {"travel.md", "prices.csv"}
    file.unlink()
    assert office("ingest", docs).code == 0
    assert titles(office, "bob") == {"travel.md", "prices.csv", "opening.txt"}


def test_lifting_a_limit_says_that_permissions_hold_on(office: Citadel, docs: Path) -> None:
    settings = Settings(data_dir=office.data_dir)
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        store.permissions.sync_limits("default", Said([str(docs)], mapped=[str(docs)]))
    lifted = office("access", "unlimit", docs / "sub")
    assert "0 of 1 files there have changed" in lifted.err
    assert "Whom permissions keep out stays out." in lifted.err


def test_what_is_granted_and_limited_is_shown(office: Citadel, docs: Path) -> None:
    office("access", "grant", "default", "group:hr", "--manage")
    office("access", "limit", docs, "user:ann", "group:hr")
    assert office("access", "show").out.splitlines() == [
        "default: group:hr may manage",
        "default: operator may manage",
        f"default: {docs}: only group:hr, user:ann (by command)",
    ]
    shown = office("access", "show", "--json").json
    assert shown["limits"][0]["principals"] == ["group:hr", "user:ann"]
    assert office("group", "list").out == "hr  ann\n"
    assert office("user", "disable", "ann").code == 0
    listed = office("user", "list").out.splitlines()
    assert listed == [
        "ann (disabled)  hr  no password, no sign-in on record",
        "bob  no password, no sign-in on record",
    ]
    assert titles(office, "ann") == set()


def test_people_are_added_and_removed(office: Citadel) -> None:
    assert office("user", "add", "eve", "--group", "hr").out == "added user:eve\n"
    listed = office("user", "list", "--json").json["users"]
    assert [(u["name"], u["groups"]) for u in listed] == [
        *(("ann", ["hr"]), ("bob", []), ("eve", ["hr"])),
    ]
    assert office("group", "join", "hr", "bob").code == 0
    left = office("group", "leave", "hr", "bob", "eve").out
    assert left == "bob: no longer in group:hr\neve: no longer in group:hr\n"
    assert office("group", "leave", "hr", "bob").out == "bob: was not in group:hr\n"
    assert office("group", "join", "hr", "bob").code == 0
    assert office("user", "remove", "eve").code == 0
    assert office("group", "list").out == "hr  ann, bob\n"


def test_a_user_is_linked_with_a_person_of_the_directory(citadel: Citadel) -> None:
    citadel("user", "add", "bob")
    assert citadel("user", "identities").out.startswith("Nobody has signed in")
    assert citadel("user", "identity", "bob", "ldap", "7").out == "user:bob signs in as 7 of ldap\n"
    assert citadel("user", "identities").out == "bob  ldap  7\n"
    shown = citadel("user", "identities", "--json").json
    assert shown == {"identities": [{"user": "bob", "issuer": "ldap", "subject": "7"}]}
    assert citadel("user", "unlink", "bob", "ldap", "7").code == 0
    assert citadel("user", "unlink", "bob", "ldap", "7").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("access", "grant", "default", "bob"), "Write user:NAME or group:NAME."),
        (("access", "grant", "default", "user:eve"), "there is no user 'eve'"),
        (("user", "add", "bob"), "there is a user 'bob' already"),
        (("user", "add", "eve", "--group", "tax"), "there is no group 'tax'"),
        (("search", "hotel", "--as", "eve"), "there is no user 'eve'"),
        (("search", "hotel", "--as", "bob", "-c", "default"), "there is no collection 'default'"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(
    settled: Citadel, arguments: tuple[str, ...], said: str
) -> None:
    ended = settled(*arguments)
    assert ended.code == 2
    assert said in ended.err


def test_a_path_that_is_empty_or_nowhere_changes_nothing(settled: Citadel) -> None:
    for arguments in (("access", "limit", ""), ("ingest", "")):
        refused = settled(*arguments)
        assert (refused.code, "it is empty" in refused.err) == (2, True)
    nowhere = settled("access", "limit", "/srv/partnerss", "group:hr")
    assert (nowhere.code, "there is no file or folder" in nowhere.err) == (2, True)
    assert settled("access", "show", "--json").json["limits"] == []


def test_collections_are_made_listed_and_removed(office: Citadel) -> None:
    assert office("collection", "add", "contracts").out == "added collection contracts\n"
    assert office("collection", "add", "contracts").code == 1
    assert "contracts  0 documents" in office("collection", "list").out
    assert office("collection", "remove", "default").code == 1, "it holds documents"
    assert office("collection", "remove", "contracts").code == 0
    listed = office("collection", "list", "--json").json["collections"]
    assert [each["name"] for each in listed] == ["default"]

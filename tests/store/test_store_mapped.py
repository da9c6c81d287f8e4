"""What permissions of a file system say, with what commands and access files say besides."""

import random
from dataclasses import replace

import pytest
from store_samples import commit, source

from rag.store import Readers, Said, Store, meet
from rag.store.mapped import nearest

ALL = ("/d/a", "/d/hr/b", "/d/hr/c", "/d/hr/x/e")
OPEN: dict[str, Readers] = dict.fromkeys(("/d", "/d/a", "/d/hr", "/d/hr/b", "/d/hr/c"), None)
OPEN |= dict.fromkeys(("/d/hr/x", "/d/hr/x/e"), None)
HR, TAX, ANN, BOB = "group:hr", "group:tax", "user:ann", "user:bob"


@pytest.mark.parametrize("seed", range(20))
def test_who_is_among_both_is_who_is_in_each(seed: int) -> None:
    chance = random.Random(seed)
    users, groups = "abcdef", "gh"
    members = {g: frozenset(chance.sample(users, chance.randrange(6))) for g in groups}

    def some() -> tuple[str, ...]:
        named = [f"group:{g}" for g in groups if chance.random() < 0.5]
        return (*named, *sorted(f"user:{u}" for u in chance.sample(users, 2)))

    def may(user: str, readers: Readers) -> bool:
        mine = {f"user:{user}"} | {f"group:{g}" for g in groups if user in members[g]}
        return readers is None or bool(mine & {*readers})

    for one, other in [(some(), some()) for _ in range(20)]:
        both = meet(one, other, members)
        for user in users:
            assert may(user, both) == (may(user, one) and may(user, other))
        assert meet(other, one, members) == both
    assert meet(None, one, members) == meet(one, None, members) == one


def test_a_group_stays_a_group_where_both_name_it_and_is_spelled_out_elsewhere() -> None:
    members = {"hr": frozenset({"ann", "bob"}), "tax": frozenset({"bob", "cyd"})}
    assert meet((HR,), (ANN, HR), members) == (HR,)
    assert meet((HR,), (TAX,), members) == (BOB,)
    assert meet((HR, TAX), (ANN, TAX), members) == (TAX, ANN)


@pytest.fixture
def office(store: Store) -> Store:
    """ann and bob are in hr, bob is in tax, all read the collection."""
    for name in ("ann", "bob", "cyd"):
        store.permissions.add_principal("user", name)
    for name in ("hr", "tax"):
        store.permissions.add_principal("group", name)
    store.permissions.join_group("hr", ["ann", "bob"])
    store.permissions.join_group("tax", ["bob"])
    for uri in ALL:
        commit(store, uri, f"text of {uri}", collection="docs")
    for who in (ANN, BOB, "user:cyd"):
        store.permissions.grant("docs", who, "read")
    return store


def synced(store: Store, by_system: dict[str, Readers], **said: object) -> int:
    whole = Said(["/d"], by_system=OPEN | by_system, mapped=["/d"])
    return store.permissions.sync_limits("docs", replace(whole, **said))


def seen(store: Store, user: str) -> str:
    """The last letters of what the user may read."""
    found = store.list_documents(store.access_of_user(user))
    return "".join(sorted(document.source_uri[-1] for document in found))


def rules(store: Store) -> dict[str, Readers]:
    return {limit.uri: limit.principals for limit in store.permissions.limits()}


def test_a_rule_is_written_where_a_place_differs_from_its_folder(office: Store) -> None:
    closed = dict.fromkeys(("/d/hr", "/d/hr/b", "/d/hr/x", "/d/hr/x/e"), (HR,))
    assert synced(office, {**closed, "/d/hr/c": (ANN,)}) == 3
    assert rules(office) == {"/d": None, "/d/hr": (HR,), "/d/hr/c": (ANN,)}
    assert [seen(office, name) for name in ("ann", "bob", "cyd")] == ["abce", "abe", "a"]
    assert synced(office, {**closed, "/d/hr/c": (ANN,)}) == 0
    office.permissions.leave_group("hr", ["bob"])
    assert seen(office, "bob") == "a", "in force without a sync"
    assert synced(office, {}) == 3
    assert rules(office) == {"/d": None}


def test_what_a_command_says_must_let_through_as_well(office: Store) -> None:
    synced(office, {"/d/hr/c": (ANN,)})
    assert office.permissions.limit("docs", "/d/hr", [TAX]) == 3
    assert [seen(office, name) for name in ("ann", "bob", "cyd")] == ["a", "abe", "a"]
    assert synced(office, {"/d/hr/c": (ANN,), "/d/hr/b": (HR, TAX)}) == 0
    assert rules(office) == {"/d": None, "/d/hr": (TAX,), "/d/hr/c": ()}
    office.permissions.limit("docs", "/d/hr", [HR])
    synced(office, {"/d/hr/c": (ANN,)})
    assert [seen(office, name) for name in ("ann", "bob", "cyd")] == ["abce", "abe", "a"]


@pytest.mark.parametrize("seed", range(3))
def test_in_no_world_does_anyone_read_more_or_less_than_all_that_is_said(
    office: Store, seed: int
) -> None:
    chance = random.Random(seed)
    groups = {"hr": {"ann", "bob"}, "tax": {"bob"}}
    commands: dict[str, Readers] = {}

    def some() -> Readers:
        named = chance.sample((HR, TAX, ANN, BOB, "user:cyd"), chance.randrange(4))
        return tuple(sorted(named)) if chance.random() < 0.7 else None

    def may(user: str, readers: Readers) -> bool:
        mine = {f"user:{user}", *(f"group:{g}" for g in groups if user in groups[g])}
        return readers is None or bool(mine & {*readers})

    for _ in range(12):
        by_system = {uri: some() for uri in OPEN}
        by_file = {uri: some() for uri in ("/d", "/d/hr", "/d/hr/x") if chance.random() < 0.2}
        if chance.random() < 0.5:
            place = chance.choice([*OPEN])
            kept = {uri: named for uri, named in commands.items() if not below(uri, place)}
            commands = kept | {place: some()}
            before = {user: {*seen(office, user)} for user in ("ann", "bob", "cyd")}
            office.permissions.limit("docs", place, commands[place])
            if commands[place] is None and place not in rules(office):
                del commands[place]  # nothing was limited there that could be lifted
            if place not in ALL and office.permissions.mapped_roots("docs"):
                for user, letters in before.items():
                    assert {*seen(office, user)} <= letters
        synced(office, by_system, by_file=by_file)
        for user in ("ann", "bob", "cyd"):
            expected = ""
            for uri in ALL:
                both = [nearest(commands, uri), nearest(by_file, uri)]
                if uri not in commands:
                    both.append(by_system[uri])
                if all(may(user, readers) for readers in both):
                    expected += uri[-1]
            assert seen(office, user) == expected


@pytest.mark.parametrize("seed", range(3))
def test_commands_and_files_are_both_in_force_in_whatever_order_they_come(
    office: Store, seed: int
) -> None:
    chance = random.Random(seed)
    groups = {"hr": {"ann", "bob"}, "tax": {"bob"}}
    commands: dict[str, Readers] = {}
    by_file: dict[str, Readers] = {}
    for _ in range(25):
        named = tuple(sorted(chance.sample((HR, TAX, ANN, BOB), chance.randrange(3))))
        readers = named if chance.random() < 0.7 else None
        if chance.random() < 0.5:
            place = chance.choice([*OPEN])
            office.permissions.limit("docs", place, readers)
            commands = {uri: who for uri, who in commands.items() if not below(uri, place)}
            commands |= {place: readers}
        else:
            folder = chance.choice(("/", "/d", "/d/hr", "/d/hr/x"))
            by_file = {uri: who for uri, who in by_file.items() if uri != folder}
            by_file |= {folder: readers} if chance.random() < 0.7 else {}
            office.permissions.sync_limits(
                "docs", Said([chance.choice(("/d", "/d/hr/x"))], by_file=by_file)
            )
            office.permissions.sync_limits("docs", Said(["/d"], by_file=by_file))
        for user in ("ann", "bob", "cyd"):
            mine = {f"user:{user}", *(f"group:{g}" for g in groups if user in groups[g])}
            expected = ""
            for uri in ALL:
                both = [nearest(commands, uri), nearest(by_file, uri)]
                if all(who is None or mine & {*who} for who in both):
                    expected += uri[-1]
            assert seen(office, user) == expected


def test_a_file_that_moves_takes_its_limit_to_where_a_file_speaks_of_its_folder(
    office: Store,
) -> None:
    office.permissions.limit("docs", "/d/a", [HR])
    office.permissions.sync_limits("docs", Said(["/d"], by_file={"/d/hr": (TAX,)}))
    office.move_source("docs", "/d/a", source("/d/hr/a", "text of /d/a"))
    assert [seen(office, name) for name in ("ann", "bob", "cyd")] == ["", "abce", ""]


def test_a_limit_on_a_folder_around_mapped_ones_opens_nothing_in_them(office: Store) -> None:
    synced(office, {"/d/hr/c": (ANN,)})
    office.permissions.limit("docs", "/", None)
    assert seen(office, "bob") == "abe"


def below(uri: str, place: str) -> bool:
    return uri == place or uri.startswith(f"{place}/")


def test_lifting_a_limit_lifts_no_permissions(office: Store) -> None:
    synced(office, {"/d/hr/c": (ANN,)})
    office.permissions.limit("docs", "/d", None)
    assert [seen(office, name) for name in ("ann", "bob")] == ["abce", "abe"]
    assert office.permissions.mapped_roots("docs") == ["/d"]
    assert synced(office, {"/d/hr/c": (ANN,)}) == 0


def test_a_command_about_one_file_decides_alone(office: Store) -> None:
    synced(office, {"/d/hr/c": (ANN,)})
    office.permissions.limit("docs", "/d/hr/c", [BOB])
    assert synced(office, {"/d/hr/c": (ANN,)}) == 0
    assert [seen(office, name) for name in ("ann", "bob")] == ["abe", "abce"]


def test_an_access_file_and_permissions_must_both_let_through(office: Store) -> None:
    by_file = {"/d/hr": (HR,), "/d/hr/x": None}
    synced(office, {"/d/hr/c": (ANN, "user:cyd"), "/d/hr/x/e": (TAX,)}, by_file=by_file)
    assert [seen(office, name) for name in ("ann", "bob", "cyd")] == ["abc", "abe", "a"]
    assert rules(office)["/d/hr/x"] is None


def test_where_nobody_can_look_what_was_said_holds_on_but_only_for_those_who_get_there(
    office: Store,
) -> None:
    synced(office, {"/d/hr/x": (HR,), "/d/hr/x/e": (HR,)})
    unread = dict.fromkeys(("/d", "/d/a")) | {"/d/hr": (TAX,)}
    whole = Said(["/d"], by_system=unread, mapped=["/d"], unread=["/d/hr"])
    office.permissions.sync_limits("docs", whole)
    assert rules(office) == {"/d": None, "/d/hr": (TAX,), "/d/hr/x": (BOB,)}


def test_what_is_mapped_is_known_until_it_is_said_otherwise(office: Store) -> None:
    assert office.permissions.mapped_roots("docs") == []
    synced(office, {"/d/a": ()})
    assert office.permissions.mapped_roots("docs") == ["/d"]
    office.permissions.sync_limits("docs", Said(["/d/hr"]))
    assert office.permissions.mapped_roots("docs") == ["/d"]
    office.permissions.sync_limits("docs", Said(["/"]))
    assert (office.permissions.mapped_roots("docs"), rules(office)) == ([], {})


def test_who_is_gone_is_left_out_of_what_permissions_say(office: Store) -> None:
    assert synced(office, {"/d/a": (ANN, "user:zoe", "group:old")}) == 1
    assert rules(office)["/d/a"] == (ANN,)


def test_a_file_that_moves_has_the_permissions_of_its_new_place(office: Store) -> None:
    synced(office, {"/d/a": (ANN,)})
    there = {uri: None for uri in OPEN if uri != "/d/a"} | {"/d/hr/a": None}
    whole = Said(["/d"], by_system=there, mapped=["/d"])
    office.permissions.sync_limits("docs", whole, prune=False)
    office.move_source("docs", "/d/a", source("/d/hr/a", "text of /d/a"))
    office.permissions.sync_limits("docs", whole)
    assert (seen(office, "bob"), rules(office)) == ("abce", {"/d": None})


def test_thousands_of_files_change_hands_at_once(office: Store) -> None:
    many: dict[str, Readers] = {f"/d/{n}": (ANN,) if n % 2 else (BOB,) for n in range(6_000)}
    assert synced(office, {**many, "/d/a": (ANN,)}) == 1
    assert len(rules(office)) == 6_002
    assert synced(office, {}) == 1
    assert rules(office) == {"/d": None}

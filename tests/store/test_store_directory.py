"""Who somebody is to the company, and what follows for users and groups."""

from dataclasses import replace

import pytest

from rag.errors import BadRequest, Forbidden, NotFound, Unauthorized
from rag.store import Identity, Store, Terms, Vouched

ISSUER = "https://id.example"
ANN = Vouched(ISSUER, "subject-1", "ann", ())


def groups(store: Store, user: str = "ann") -> tuple[str, ...]:
    return next(person.groups for person in store.permissions.people() if person.name == user)


def test_who_comes_for_the_first_time_becomes_a_user_who_may_read_nothing(store: Store) -> None:
    number = store.directory.known_as(ANN)
    assert number == store.user_number("ann")
    assert not store.access_of_number(number).collections
    assert store.directory.known_as(ANN) == number
    assert store.directory.identities() == [Identity("ann", ISSUER, "subject-1")]


def test_a_new_name_in_the_directory_changes_nothing_here(store: Store) -> None:
    number = store.directory.known_as(ANN)
    assert store.directory.known_as(replace(ANN, name="ann.jones")) == number
    assert [person.name for person in store.permissions.people()] == ["ann"]


def test_a_local_user_of_the_same_name_is_not_taken_over(store: Store) -> None:
    store.permissions.add_principal("user", "ann")
    with pytest.raises(Forbidden, match="already") as refused:
        store.directory.known_as(ANN)
    assert f"citadel user identity ann {ISSUER} subject-1" in refused.value.hint
    store.directory.link("ann", ISSUER, "subject-1")
    assert store.directory.known_as(ANN) == store.user_number("ann")


def test_another_person_of_the_same_name_does_not_become_the_first(store: Store) -> None:
    store.directory.known_as(ANN)
    with pytest.raises(Forbidden, match="already"):
        store.directory.known_as(replace(ANN, subject="subject-2"))
    with pytest.raises(Forbidden, match="already"):
        store.directory.known_as(replace(ANN, issuer="ldap"))


def test_who_is_removed_and_comes_again_inherits_nothing(store: Store) -> None:
    first = store.directory.known_as(ANN)
    store.permissions.remove_principal("user", "ann")
    assert store.directory.known_as(ANN) > first


def test_without_sign_up_only_who_was_linked_comes_in(store: Store) -> None:
    terms = Terms(sign_up=False)
    with pytest.raises(Forbidden, match="no user here") as refused:
        store.directory.known_as(ANN, terms)
    assert "citadel user add ann" in refused.value.hint
    assert store.permissions.people() == []
    store.permissions.add_principal("user", "ann")
    store.directory.link("ann", ISSUER, "subject-1")
    assert store.directory.known_as(ANN, terms) == store.user_number("ann")


def test_a_disabled_user_is_refused_and_gets_no_groups(store: Store) -> None:
    store.permissions.add_principal("group", "hr")
    store.directory.known_as(ANN)
    store.permissions.set_disabled("ann", True)
    with pytest.raises(Unauthorized, match="no longer in use"):
        store.directory.known_as(replace(ANN, groups=("hr",)))
    assert groups(store) == ()


def test_a_name_that_cannot_be_one_here_is_refused(store: Store) -> None:
    with pytest.raises(BadRequest, match="no name for a user"):
        store.directory.known_as(replace(ANN, name="Ann Jones"))
    assert store.directory.identities() == []


def test_groups_are_those_that_the_directory_names_and_that_exist(store: Store) -> None:
    store.permissions.add_principal("group", "hr")
    store.permissions.add_principal("group", "sales")
    store.directory.known_as(replace(ANN, groups=("hr", "unknown", "not a name!")))
    assert groups(store) == ("hr",)
    store.directory.known_as(replace(ANN, groups=("sales",)))
    assert groups(store) == ("sales",), "what the directory names no more is left"
    store.directory.known_as(replace(ANN, groups=None))
    assert groups(store) == ("sales",), "a directory without groups says nothing of them"
    store.directory.known_as(ANN)
    assert groups(store) == ()


def test_groups_are_added_where_a_setting_says_so(store: Store) -> None:
    terms = Terms(create_groups=True)
    store.directory.known_as(replace(ANN, groups=("hr", "not a name!")), terms)
    store.directory.known_as(replace(ANN, groups=("hr", "new")), terms)
    assert groups(store) == ("hr", "new")


def test_what_a_command_has_given_the_directory_does_not_take(store: Store) -> None:
    for group in ("before", "after"):
        store.permissions.add_principal("group", group)
    store.permissions.add_principal("user", "ann")
    store.directory.link("ann", ISSUER, "subject-1")
    store.permissions.join_group("before", ["ann"])
    store.directory.known_as(replace(ANN, groups=("before", "after")))
    store.permissions.join_group("after", ["ann"])
    store.directory.known_as(ANN)
    assert groups(store) == ("after", "before")


def test_a_person_is_one_user(store: Store) -> None:
    store.directory.known_as(ANN)
    store.permissions.add_principal("user", "bob")
    with pytest.raises(BadRequest, match="'ann' already") as refused:
        store.directory.link("bob", ISSUER, "subject-1")
    assert refused.value.hint.startswith("First: citadel user unlink ann")
    store.directory.link("ann", ISSUER, "subject-1")
    with pytest.raises(NotFound):
        store.directory.link("eve", ISSUER, "subject-9")
    with pytest.raises(BadRequest):
        store.directory.link("bob", ISSUER, " ")


def test_who_is_unlinked_loses_what_came_with_the_directory(store: Store) -> None:
    store.permissions.add_principal("group", "hr")
    store.directory.known_as(replace(ANN, groups=("hr",)))
    store.directory.unlink("ann", ISSUER, "subject-1")
    assert groups(store) == ()
    with pytest.raises(NotFound, match="does not sign in"):
        store.directory.unlink("ann", ISSUER, "subject-1")
    with pytest.raises(Forbidden, match="already"):
        store.directory.known_as(ANN)

"""Names that nobody should take for others."""

import pytest

from rag.errors import BadRequest
from rag.store import Store, Terms, Vouched


@pytest.mark.parametrize(
    "name", ["ANN", "Ann", "\uff41\uff4e\uff4e", "..", ".", "Operator", "OPERATOR"]
)
def test_a_user_is_not_added_by_a_name_that_is_confusing(store: Store, name: str) -> None:
    store.permissions.add_principal("user", "ann")
    with pytest.raises(BadRequest):
        store.permissions.add_principal("user", name)
    assert [person.name for person in store.permissions.people()] == ["ann"]


def test_groups_and_collections_have_no_twins_either(store: Store) -> None:
    store.permissions.add_principal("group", "staff")
    store.create_collection("hr")
    with pytest.raises(BadRequest, match="taken for the group 'staff'"):
        store.permissions.add_principal("group", "Staff")
    for name in ("HR", "\uff48\uff52", "..", "."):
        with pytest.raises(BadRequest):
            store.create_collection(name)
    store.permissions.add_principal("user", "staff")
    store.create_collection("staff")


def test_a_directorys_group_that_is_a_twin_grants_nothing_and_lets_its_member_in(
    store: Store,
) -> None:
    store.permissions.add_principal("group", "staff")
    terms = Terms(sign_up=True, create_groups=True)
    groups = ("STAFF", "..", "Operator", "sales", "Sales")
    store.directory.known_as(Vouched("idp", "1", "ann", groups), terms)
    [ann] = store.permissions.people()
    assert ann.groups == ("Sales",)

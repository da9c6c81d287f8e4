"""Models beside each other: vectors of each, and which of them is in use."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from store_samples import DIM, MODEL, commit, vectors

from rag.errors import Conflict, NotFound
from rag.store import Model, Store, Unembedded
from rag.store.models import LAST_LAP
from rag.types import Vectors

OTHER = "other-model"


def turned(found: Sequence[Unembedded]) -> Vectors:
    """Vectors of the other model: the first one's with their signs changed."""
    return -vectors([chunk.text for each in found for chunk in each.chunks])


def enter(store: Store) -> Model:
    """The model of the samples in use, the other one added."""
    store.models.adopt(MODEL, "first", DIM, 256)
    store.models.add(OTHER, "second", DIM, 256)
    return store.models.one("second")


def build(store: Store, model: Model, batch: int = 2) -> int:
    """Fill in all that the model lacks; returns how many batches it took."""
    store.models.building(model)
    n = 0
    while found := store.models.lacking(model, batch):
        ids = [i for each in found for i in each.ids]
        store.models.fill(model, ids, turned(found), 0)
        n += 1
    assert store.models.settle(model)
    return n


def built(store: Store) -> Model:
    model = enter(store)
    build(store, model)
    return store.models.one("second")


def chunk_ids(store: Store) -> list[int]:
    with store.reading() as (_, batches):
        return sorted({row.chunk_id for rows in batches for row in rows})


def test_each_chunk_has_a_vector_of_each_model(store: Store) -> None:
    commit(store, "/a", "one", "two", "three")
    built(store)
    ids = chunk_ids(store)
    for model_id, sign in ((MODEL, 1), (OTHER, -1)):
        rows = store.index_rows(ids, model_id)
        assert [(row.text, row.model_id) for row in rows] == [
            (word, model_id) for word in ("one", "two", "three")
        ]
        wanted = sign * vectors(["one", "two", "three"])
        np.testing.assert_array_equal(np.array([row.vector for row in rows]), wanted)
    assert store.models.n_vectors() == {MODEL: 3, OTHER: 3}
    assert store.check() == []


def test_a_chunk_without_a_vector_of_the_model_comes_without_one(store: Store) -> None:
    commit(store, "/a", "one")
    enter(store)
    (row,) = store.index_rows(chunk_ids(store), OTHER)
    assert (row.text, row.model_id, row.vector.shape) == ("one", "", (0,))
    with store.reading(model_id=OTHER) as (_, batches):
        assert [row.model_id for rows in batches for row in rows] == [""]


def test_what_is_embedded_comes_with_its_document(store: Store) -> None:
    commit(store, "/folder/rules.txt", "one", "two")
    (found,) = store.models.lacking(enter(store), 10)
    assert (found.title, found.name, found.text) == ("A title", "rules.txt", "one\n\ntwo")
    assert [chunk.text for chunk in found.chunks] == ["one", "two"]
    assert found.chunks[0].heading_path == ("Part", "§ 1")


def test_a_build_goes_on_where_it_was_and_takes_in_what_came_and_went(store: Store) -> None:
    commit(store, "/a", "one", "two", "three")
    commit(store, "/b", "four", "five")
    model = enter(store)
    (first,) = store.models.lacking(model, 2)
    store.models.fill(model, first.ids, turned([first]), 1)
    assert store.models.n_lacking(model) == 3
    commit(store, "/c", "six")
    store.remove_sources("docs", ["/b"])
    assert build(store, store.models.one("second")) == 1
    assert store.models.n_vectors() == {MODEL: 4, OTHER: 4}
    after = store.models.one("second")
    assert (after.state, after.n_cut, after.reached) == ("built", 1, max(chunk_ids(store)))


def test_vectors_of_chunks_that_went_meanwhile_are_left_out(store: Store) -> None:
    commit(store, "/a", "one")
    commit(store, "/b", "two")
    model = enter(store)
    found = store.models.lacking(model, 10)
    store.remove_sources("docs", ["/a"])
    ids = [i for each in found for i in each.ids]
    store.models.fill(model, ids, turned(found), 0)
    store.models.fill(model, ids, turned(found), 0)  # by another process as well
    assert store.models.n_vectors() == {MODEL: 1, OTHER: 1}


def test_only_vectors_of_the_model_in_use_are_told_to_the_indexes(store: Store) -> None:
    commit(store, "/a", "one")
    before = store.head()
    model = built(store)
    assert store.head() == before, "nobody searches with it"
    assert store.models.switch(model, turned, {})
    (document_id,) = commit(store, "/b", "two")
    before = store.head()
    build(store, model)
    (change,) = store.changes(before)
    assert (change.op, change.document_id) == ("put", document_id)


def test_a_switch_embeds_the_last_ones_itself_and_asks_for_more_time_otherwise(
    store: Store,
) -> None:
    commit(store, "/a", "one")
    model = built(store)
    commit(store, "/many", *map(str, range(LAST_LAP + 1)))
    assert not store.models.switch(model, turned, {})
    assert store.models.current() == store.models.one("first")
    store.remove_sources("docs", ["/many"])
    commit(store, "/few", "two")
    assert store.models.switch(model, turned, {})
    assert [m.state for m in store.models.listed()] == ["previous", "current"]
    assert store.models.n_lacking(model) == 0


def test_a_model_that_is_not_built_is_not_switched_to(store: Store) -> None:
    model = enter(store)
    with pytest.raises(Conflict, match="second is added"):
        store.models.switch(model, turned, {})


def test_back_and_the_replaced_one_waits_to_be_switched_to(store: Store) -> None:
    commit(store, "/a", "one")
    assert store.models.switch(built(store), turned, {})
    commit(store, "/b", "two")
    assert store.models.switch_back({}).name == "first"
    assert [m.state for m in store.models.listed()] == ["current", "built"]
    with pytest.raises(Conflict, match="no previous"):
        store.models.switch_back({})


def test_a_removed_model_leaves_no_vector_and_stays_known(store: Store) -> None:
    commit(store, "/a", "one", "two", "three")
    model = built(store)
    store.models.withdraw(model)
    while store.models.drop_vectors(model, 2):
        pass
    store.models.remove(model)
    assert store.models.n_vectors() == {MODEL: 3}
    assert [m.name for m in store.models.listed()] == ["first"]
    assert store.models.ids() == {MODEL, OTHER}
    store.models.add(OTHER, "second", DIM, 256)
    assert store.models.one("second").reached == 0


def test_the_model_in_use_is_not_removed(store: Store) -> None:
    enter(store)
    with pytest.raises(Conflict, match="first is the model that searches use"):
        store.models.withdraw(store.models.one("first"))


def test_models_are_found_by_name_and_by_the_beginning_of_their_id(store: Store) -> None:
    enter(store)
    assert store.models.one("other-m").name == "second"
    for name in ("third", "", "o" * 100):
        with pytest.raises(NotFound) as raised:
            store.models.one(name)
        assert "first, second" in raised.value.hint


def test_neither_model_nor_name_comes_twice(store: Store) -> None:
    enter(store)
    with pytest.raises(Conflict, match="as second"):
        store.models.add(OTHER, "third", DIM, 256)
    with pytest.raises(Conflict, match="called second already"):
        store.models.add("third-model", "second", DIM, 256)


def test_the_first_to_enter_its_model_is_the_one_that_stays(store: Store) -> None:
    assert store.models.adopt(MODEL, "first", DIM, 256).id == MODEL
    assert store.models.adopt(OTHER, "second", DIM, 256).id == MODEL


def test_removing_a_document_takes_the_vectors_of_all_models(store: Store) -> None:
    commit(store, "/a", "one", "two")
    built(store)
    store.remove_sources("docs", ["/a"])
    assert store.models.n_vectors() == {}


def test_vectors_from_before_there_were_models_stay(tmp_path: Path) -> None:
    """The key of the table changes, which SQLite does by copying it."""
    url = f"sqlite:///{tmp_path / 'citadel.db'}"
    with Store.open(url, data_dir=tmp_path) as store:
        commit(store, "/a", "one", "two")
    _as_before(url)
    with Store.open(url, data_dir=tmp_path) as store:
        rows = store.index_rows([1, 2], MODEL)
        np.testing.assert_array_equal(np.array([r.vector for r in rows]), vectors(["one", "two"]))
        assert store.models.current() is None
        assert store.check() == []


def _as_before(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    from rag.store.migrate import MIGRATIONS

    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.downgrade(config, "0005")
        assert connection.scalar(text("SELECT count(*) FROM vectors")) == 2
    engine.dispose()

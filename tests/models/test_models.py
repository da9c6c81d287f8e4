"""Another embedding model: brought in, built, compared, switched to, taken back."""

import io
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from model_steps import add, bring_level, build, opened, problems, quiet, states, switch
from other_models import BUNDLED, Others, lay_out

from ingest.level import level
from ingest.progress import Lines
from ingest.site import open_site
from ingest.sync import Report, carry_out, make_plan
from rag.appliance import Appliance
from rag.errors import BadRequest, ConfigError, Conflict, ModelError
from rag.models.adding import _copy, remove
from rag.models.compare import compare_on_own, compare_on_set, read_questions, result
from rag.models.switching import rollback
from rag.search.chosen import files_of, load_current, load_model
from rag.search.embed import model_sha256
from rag.settings import Settings
from rag.store import Model, Store
from rag.store.models import Models
from rag.types import Vectors

QUESTIONS = (
    ("How much may a hotel cost?", "travel.md"),
    ("How many days of holiday do I get?", "leave.md"),
    ("When can I have lunch?", "opening.txt"),
    ("How often is the pump maintained?", "pump.txt"),
)
Ingest = Callable[[], Report]


def vectors(store: Store, model: Model) -> dict[tuple[str, str], Vectors]:
    """The stored vectors of a model by file name and text."""
    with store.reading(model_id=model.id) as (_, batches):
        rows = [row for batch in batches for row in batch]
    return {(row.name, row.text): row.vector for row in rows}


def counted(report: Report) -> dict[str, int]:
    fields = ("added", "updated", "moved", "unchanged", "removed")
    return {name: n for name in fields if (n := getattr(report, name))}


# Building


def test_built_vectors_are_those_of_a_fresh_ingest(
    house: Settings, others: Others, docs: Path, tmp_path: Path
) -> None:
    with opened(house) as store:
        ours = vectors(store, store.models.one("turned"))
    assert len(ours) > 5
    new = {"data_dir": lay_out(tmp_path / "new", others), "model_dir": others.turned}
    bring_level(house.model_copy(update=new), docs)
    with opened(house.model_copy(update=new)) as store:
        (fresh,) = store.models.listed()
        theirs = vectors(store, fresh)
    assert ours.keys() == theirs.keys()
    for key, vector in ours.items():
        np.testing.assert_allclose(vector, theirs[key], atol=1e-5)


def test_what_changes_between_build_and_switch_is_followed(
    house: Settings, ingest: Ingest, docs: Path
) -> None:
    (docs / "pump.txt").unlink()
    (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
    ingest()
    switch(house, "turned")
    assert problems(house) == []


# Switching


def test_after_a_switch_nothing_is_read_again(house: Settings, ingest: Ingest, docs: Path) -> None:
    switch(house, "turned")
    with opened(house) as store:
        head = store.head()
    assert counted(ingest()) == {"unchanged": 5}
    (docs / "pump.txt").rename(docs / "pumps.txt")
    (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
    assert counted(ingest()) == {"added": 1, "moved": 1, "unchanged": 4}
    with opened(house) as store:
        assert store.head() == head + 2
    assert problems(house) == []


def test_only_vectors_are_made_for_what_the_model_in_use_lacks(
    house: Settings, ingest: Ingest
) -> None:
    switch(house, "turned")
    with opened(house) as store:
        model = store.models.one("turned")
        assert store.models.drop_vectors(model, 3) == 3
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE models SET reached = 0")
    assert "3 passages lack a vector of turned" in problems(house)[0]
    assert counted(ingest()) == {"unchanged": 5}
    assert problems(house) == []


@pytest.fixture
def appliance(house: Settings) -> Iterator[Appliance]:
    """A running one, which looks for another model as a server does."""
    ended = threading.Event()
    with Appliance(house, quiet) as running:

        def follow() -> None:
            while not ended.wait(0.05):
                running.follow_model()

        following = threading.Thread(target=follow)
        following.start()
        yield running
        ended.set()
        following.join()


def test_questions_are_answered_throughout_and_never_by_two_models_at_once(
    appliance: Appliance, house: Settings
) -> None:
    """The turned model's cosines are the bundled one's; between the two they mean nothing."""
    wanted = {q: _top(appliance, q) for q, _ in QUESTIONS}
    before = appliance.embedder.model_id
    ended = threading.Event()

    def ask(question: str) -> int:
        n = 0
        while not ended.is_set():
            document, cosine = _top(appliance, question)
            assert document == wanted[question][0]
            assert cosine == pytest.approx(wanted[question][1], abs=0.05)
            n += 1
        return n

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, question) for question in wanted]
        try:
            switch(house, "turned")
            _wait_for(lambda: appliance.embedder.model_id != before)
            with opened(house) as store:
                rollback(store, house, now=False, say=quiet)
            _wait_for(lambda: appliance.embedder.model_id == before)
        finally:
            ended.set()
        assert all(future.result(timeout=30) > 5 for future in asking)


def _top(appliance: Appliance, question: str) -> tuple[str, float]:
    hit = appliance.search(question, appliance.store.access_to_all()).hits[0]
    return hit.chunk.source_uri, hit.dense


def _wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if condition():
            return
        waiting.wait(0.05)
    pytest.fail("the server did not follow")


def test_who_has_begun_with_a_model_ends_with_it(appliance: Appliance, house: Settings) -> None:
    with appliance._current.held() as held:
        switch(house, "turned")
        _wait_for(lambda: appliance.embedder is not held.embedder)
        access = appliance.store.access_to_all()
        hits = held.retriever.retrieve("Where do I get lunch?", access, 3).hits
        assert hits[0].chunk.title == "opening"
    assert appliance.indexes is not held.indexes
    folders = list((house.data_dir / "work").iterdir())
    assert len(folders) == 1, "the one before is closed"


def test_a_model_that_cannot_be_loaded_leaves_the_one_in_use(
    appliance: Appliance, house: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    before = appliance.embedder.model_id
    with opened(house) as store:
        model = store.models.one("turned")
        shutil.move(files_of(house, model.id), house.data_dir / "away")
        with caplog.at_level(logging.WARNING):
            store.models.switch(model, lambda rest: np.empty((0, 384), np.float32), {})
            _wait_for(lambda: "searches go on with the one before" in caplog.text)
    assert "restore" in caplog.text, "and what to do"
    assert appliance.embedder.model_id == before
    assert _top(appliance, QUESTIONS[0][0])[0].endswith("travel.md")


def test_a_model_is_not_switched_to_before_it_is_built_and_compared(house: Settings) -> None:
    with opened(house) as store:
        store.models.withdraw(store.models.one("turned"))
    with pytest.raises(Conflict, match="not made yet"):
        switch(house, "turned", force=True)
    build(house, "turned")
    with pytest.raises(Conflict, match="not been compared"):
        switch(house, "turned", force=False)
    assert _compare(house, "turned")["worse"] is False
    switch(house, "turned", force=False)
    assert states(house)["turned"] == "current"
    with pytest.raises(Conflict, match="in use already"):
        switch(house, "turned")


def _compare(settings: Settings, name: str, questions: Path | None = None) -> dict[str, object]:
    with opened(settings) as store:
        current, model = store.models.current(), store.models.one(name)
        assert current is not None
        found = compare_on_own(store, settings, (current, model), questions, quiet)
        store.models.compared(model, found)
    return found


def test_a_model_is_not_called_worse_for_what_came_since_it_was_built(
    house: Settings, ingest: Ingest, docs: Path
) -> None:
    for n in range(16):
        (docs / f"machine-{n}.txt").write_text(f"Machine {n} stands in hall {n * 7 % 16}.\n")
    ingest()
    found = _compare(house, "turned")
    assert found["after"] == pytest.approx(found["before"], abs=0.01)
    assert found["worse"] is False


def test_a_worse_model_is_switched_to_by_force_only(
    house: Settings, ingest: Ingest, others: Others, docs: Path
) -> None:
    for n in range(16):
        text = f"Machine {n} stands in hall {n * 7 % 16} and is painted in colour {n * 11 % 16}.\n"
        (docs / f"machine-{n}.txt").write_text(text)
    ingest()
    add(house, others.poor, "poor")
    build(house, "poor")
    found = _compare(house, "poor")
    assert found["worse"] is True
    assert float(str(found["after"])) < float(str(found["before"]))
    with pytest.raises(Conflict, match=r"poor is worse than .*: dense/ndcg@10 0\.\d+") as raised:
        switch(house, "poor", force=False)
    assert "--force" in raised.value.hint
    assert states(house)["poor"] == "built"
    switch(house, "poor", force=True)
    assert states(house)["poor"] == "current"


def test_a_site_compares_on_its_own_questions(house: Settings, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    lines = [{"question": q, "documents": [name]} for q, name in QUESTIONS]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    found = _compare(house, "turned", file)
    assert (found["questions"], found["measure"]) == (4, "fused/ndcg@10")
    assert found["before"] == pytest.approx(1, abs=0.2)
    assert found["after"] == pytest.approx(1, abs=0.2)
    assert found["worse"] is False


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "line 1: this is not JSON"),
        ('{"question": "x", "documents": ["nowhere.md"]}', "no document is called nowhere.md"),
        ('{"question": "x"}', "no question with a document"),
    ],
)
def test_questions_that_cannot_be_used_are_named(
    line: str, message: str, house: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(line)
    with opened(house) as store, pytest.raises(BadRequest, match=message):
        read_questions(store, store.access_to_all(), file)


@pytest.mark.long
def test_an_evaluation_set_compares_models_before_they_are_built(
    house: Settings, others: Others, tmp_path: Path
) -> None:
    entries = [
        {"_id": str(n), "title": "", "text": f"Pump {n} cools hall {n * 7 % 40}."}
        for n in range(40)
    ]
    asked = [{"_id": f"q{n}", "text": f"the cooling of hall {n * 7 % 40}"} for n in range(40)]
    for name, rows in (("corpus.jsonl", entries), ("queries.jsonl", asked)):
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    rows = "".join(f"q{n}\t{n}\t1\n" for n in range(40))
    (tmp_path / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    added = add(house, others.poor, "poor")
    with opened(house) as store:
        current = store.models.current()
        assert current is not None
        found = compare_on_set(house, added, current, tmp_path)
    assert (found["questions"], found["measure"]) == (40, "fused/ndcg@10")
    assert found["on"] == f"the set {tmp_path.name}"
    assert 0 < float(str(found["after"])) <= float(str(found["before"])) + 0.05


def test_a_difference_by_chance_is_not_taken_for_one(house: Settings) -> None:
    with opened(house) as store:
        model = store.models.one("turned")
    assert not result(model, "a set", "mrr", [1, 0, 1, 1], [0, 1, 1, 0])["worse"]
    assert not result(model, "a set", "mrr", [0] * 20, [1] * 20)["worse"]
    assert result(model, "a set", "mrr", [1] * 20, [0] * 20)["worse"]


# Back


@pytest.mark.parametrize("now", [False, True])
def test_back_to_the_model_before_with_all_that_came_since(
    now: bool, house: Settings, ingest: Ingest, docs: Path
) -> None:
    switch(house, "turned")
    (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
    ingest()
    with opened(house) as store:
        back = rollback(store, house, now=now, say=quiet)
        assert store.models.current() == store.models.one(back.name)
        assert load_current(store, house).model_id == back.id
    assert problems(house) == []
    assert states(house) == {back.name: "current", "turned": "built"}
    assert counted(ingest()) == {"unchanged": 6}


def test_a_removed_model_is_gone_with_vectors_and_files(house: Settings, ingest: Ingest) -> None:
    switch(house, "turned")
    (bundled,) = (name for name, state in states(house).items() if state == "previous")
    with opened(house) as store:
        gone, turned = store.models.one(bundled), store.models.one("turned")
        n = sum(1 for _ in vectors(store, gone))
        assert remove(store, house, gone, quiet) == n
        assert store.model_ids() == {turned.id}
        assert not files_of(house, gone.id).exists()
        with pytest.raises(Conflict, match="turned is the model that searches use"):
            remove(store, house, turned, quiet)
    assert counted(ingest()) == {"unchanged": 5}, "cut for a model that is known"
    assert problems(house) == []


def test_an_ingest_stores_under_a_models_name_only_what_that_one_makes(
    house: Settings, docs: Path
) -> None:
    """Its model is loaded when the first file needs it, and searches may use another by then."""
    with open_site(house, Lines(io.StringIO())) as site:
        switch(house, "turned")
        assert site.embedder().model_id == site.recipe.model_id
        (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
        carry_out(site, make_plan(site, [docs], "default"), "default")
    assert problems(house) == []


@pytest.mark.parametrize("value", [np.nan, 0.0, 2.0])
def test_vectors_that_cannot_be_compared_are_not_stored(
    value: float, house: Settings, ingest: Ingest, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
    ingest()
    with opened(house) as store:
        turned = store.models.one("turned")
        embedder, before = load_model(house, turned), store.models.n_vectors()
        encode = embedder.encode
        monkeypatch.setattr(embedder, "encode", lambda texts: value * encode(texts))
        with pytest.raises(ModelError, match="turned makes vectors that cannot be compared"):
            level(store, turned, embedder)
        found = store.models.lacking(turned, 10)
        with pytest.raises(ValueError, match="length 1"):
            store.models.fill(turned, found[0].ids, embedder.encode(["x"]), 0)
        assert store.models.n_vectors() == before


# Coming in


def test_a_model_stays_when_its_directory_goes(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(BUNDLED, folder, copy_function=os.link)
    own = tmp_path / "embedders" / model_sha256(folder)
    own.parent.mkdir()
    _copy(folder, own)
    shutil.rmtree(folder)
    assert model_sha256(own) == own.name


def test_models_are_added_one_at_a_time(
    house: Settings, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, refused = Models.check_new, []

    def meanwhile(self: Models, model_id: str, name: str) -> None:
        with pytest.raises(Conflict, match="another model is being added") as raised:
            add(house, others.poor, "second")
        refused.append(raised.value.hint)
        check(self, model_id, name)

    monkeypatch.setattr(Models, "check_new", meanwhile)
    add(house, others.poor, "first")
    assert len(refused) == 1
    assert states(house)["first"] == "added"
    own = files_of(house, model_sha256(others.poor))
    assert model_sha256(own) == own.name


def test_what_a_killed_add_has_left_is_gone_after_the_next(house: Settings, others: Others) -> None:
    left = [files_of(house, "0" * 64), house.data_dir / "embedders" / ".adding-x"]
    left.append(house.data_dir / "models" / f"{'0' * 64}-f32")
    theirs = house.data_dir / "embedders" / "backup"
    for folder in (*left, theirs):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"x")
    add(house, others.poor, "poor")
    assert not any(folder.exists() for folder in left)
    assert theirs.is_dir(), "not of an add"
    assert files_of(house, model_sha256(others.turned)).is_dir(), "entered"


@pytest.mark.parametrize(
    ("file", "content"),
    [("modules.json", None), ("modules.json", "not json"), ("tokenizer.json", None)],
)
def test_what_is_no_model_is_refused_at_once(
    file: str, content: str | None, house: Settings, tmp_path: Path
) -> None:
    folder = _spoilt(tmp_path, file, content)
    with pytest.raises(BadRequest, match=f"no sentence-transformers model in .*{file}") as raised:
        add(house, folder, "given")
    assert raised.value.hint
    assert "given" not in states(house)


def test_what_cannot_be_loaded_leaves_nothing(house: Settings, tmp_path: Path) -> None:
    before = sorted(house.data_dir.rglob("*"))
    with pytest.raises(ModelError) as raised:
        add(house, _spoilt(tmp_path, "config.json", "{}"), "given")
    assert str(tmp_path / "given") in raised.value.message, "the directory that was given"
    assert raised.value.hint
    assert "given" not in states(house)
    assert sorted(house.data_dir.rglob("*")) == before


def _spoilt(tmp_path: Path, file: str, content: str | None) -> Path:
    """The bundled model with a file that is missing or holds something else."""
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "given"))
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    return folder


def test_the_model_in_use_is_not_added_again(house: Settings) -> None:
    with pytest.raises(Conflict, match="here already"):
        add(house, BUNDLED, "again")


def test_another_model_in_the_settings_is_refused_once_documents_are_there(
    house: Settings, others: Others
) -> None:
    other = house.model_copy(update={"model_dir": others.poor})
    with opened(house) as store, pytest.raises(ConfigError, match="CITADEL_MODEL_DIR") as raised:
        load_current(store, other)
    assert "citadel model add" in raised.value.hint
    with pytest.raises(ConfigError):
        Appliance(other, quiet)


def test_after_a_switch_the_settings_model_is_told_not_to_be_used(
    house: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    switch(house, "turned")
    first = house.model_copy(update={"model_dir": BUNDLED})
    with opened(house) as store, caplog.at_level(logging.WARNING):
        turned = store.models.one("turned")
        assert load_current(store, first).model_id == turned.id
    assert "CITADEL_MODEL_DIR is not used: the model is turned" in caplog.text

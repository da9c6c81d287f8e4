"""What has been forgotten is nowhere any more, from the next question on, and stays away."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import forgettable
import pytest
from forgettable import ATTACHED, BODY, OTHER, QUESTION

from rag.acting import Actor, acting
from rag.appliance import Appliance
from rag.errors import BadRequest, Forgotten, NotFound
from rag.forget.probes import of_documents, of_user
from rag.forget.prove import Place, prove
from rag.forget.steps import STEPS, finish, steps
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.store import Store, Wanted

HERE = Path(__file__).parent
SECRETS = ("Bremerhaven", "Blaubart", "eleven monthly", "dismissal", "parachute")


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory, model_home: Path, embedder: Embedder
) -> Path:
    """A data directory with everything in it; each test has a copy."""
    data_dir = tmp_path_factory.mktemp("forget") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(model_home / "models")
    settings = Settings(data_dir=data_dir, embed_backend="openvino")
    with Store.open(settings.url, data_dir=data_dir) as store:
        ids = forgettable.fill(store, embedder)
        assert ids == {"mail": 1, "attached": 2, "other": 3}
        forgettable.talk(store, ids)
        forgettable.snapshots(store, embedder, settings)
    return data_dir


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    shutil.copytree(template, tmp_path / "data", symlinks=True)
    return Settings(data_dir=tmp_path / "data", embed_backend="openvino")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        yield store


def forget(store: Store, document: int) -> list[str]:
    return list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))


def found(places: list[Place]) -> dict[str, list[str]]:
    return {place.name: place.found for place in places if place.found}


def test_a_document_that_was_quoted_everywhere_is_gone_from_everywhere(
    store: Store, settings: Settings
) -> None:
    probes = of_documents(store, store.erasure.of_document(1))
    assert len(found(prove(store, settings, probes))) == 4, "the search does find it before"
    assert forget(store, 1) == list(STEPS["documents"])
    assert found(prove(store, settings, probes)) == {}
    left = forgettable.everything(store)
    assert not [secret for secret in SECRETS if secret in left]
    assert store.audit.verify().problems == []
    assert store.check() == []


def test_the_attachment_takes_its_mail_along(store: Store) -> None:
    forget(store, 2)
    assert [each.id for each in store.list_documents(store.access_to_all())] == [3]


def test_conversations_keep_what_quotes_something_else(store: Store) -> None:
    forget(store, 1)
    everything = forgettable.everything(store)
    assert OTHER in everything
    assert "When does it open?" in everything
    assert "Something quite different." in everything
    assert "[This quoted a document that has been forgotten.]" in everything
    assert QUESTION in everything, "the user's own words, which quote nothing"


def test_the_record_of_it_says_what_and_not_what_was_in_it(store: Store) -> None:
    forget(store, 1)
    [record] = store.audit.read(Wanted(kind="forget"))
    assert record.detail["documents"] == [1, 2]
    assert (record.detail["turns"], record.detail["blocked"]) == (1, 1)
    assert len(record.detail["sha256s"]) == 2
    assert store.audit.verify().n_forgotten > 0


def test_the_next_question_finds_nothing_of_it_in_a_process_that_was_running(
    settings: Settings,
) -> None:
    with (
        Appliance(settings) as appliance,
        Store.open(settings.url, data_dir=settings.data_dir) as s,
    ):
        everyone = appliance.store.access_to_all()
        before = appliance.search(QUESTION, everyone)
        assert {hit.chunk.document_id for hit in before.hits} == {1, 2, 3}
        probes = of_documents(s, s.erasure.of_document(1))
        left = steps(s, s.erasure.begin_documents(s.erasure.of_document(1)))
        assert next(left) == "content"
        after = appliance.search(QUESTION, everyone)
        assert {hit.chunk.document_id for hit in after.hits} == {3}
        assert len(list(left)) == 3
        held = found(prove(s, settings, probes))
        assert [name.split("/")[-2] for names in held.values() for name in names] == ["work"]
        appliance.drop_forgotten()
        assert found(prove(s, settings, probes)) == {}
        again = appliance.search(QUESTION, everyone)
        assert {hit.chunk.document_id for hit in again.hits} == {3}


@pytest.mark.parametrize("n", range(len(STEPS["documents"]) + 1))
def test_killed_after_any_step_it_is_finished_by_whoever_comes_next(
    settings: Settings, n: int
) -> None:
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        probes = of_documents(store, store.erasure.of_document(1))
    command = [sys.executable, str(HERE / "dying.py"), str(settings.data_dir), "1", str(n)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        assert (store.list_documents(store.access_to_all())[0].id == 1) == (n == 0)
        assert finish(store) == (n < len(STEPS["documents"]))
        assert finish(store) == 0
        assert found(prove(store, settings, probes)) == {}
        assert len(store.audit.read(Wanted(kind="forget"))) == 1
        assert store.audit.verify().problems == []


def test_two_processes_may_finish_the_same_deletion(store: Store, settings: Settings) -> None:
    begun = store.erasure.begin_documents(store.erasure.of_document(1))
    behind, ahead = steps(store, begun), steps(store, begun)
    assert next(behind) == "content"
    assert len(list(ahead)) == 4
    assert store.erasure.newest() == begun.id
    assert next(behind) == "originals"
    assert (store.erasure.newest(), store.erasure.unfinished()) == (begun.id, [])


LEFTOVERS = {
    "tables": "conversations.title",
    "database file, free pages and log": "citadel.db-journal",
    "index snapshots and running processes' copies": "snapshots",
    "originals": "originals",
    "other files in the data directory": "error.log",
    "backups": "backup",
}


@pytest.mark.parametrize("name", LEFTOVERS)
def test_whatever_is_left_anywhere_is_found(
    name: str, settings: Settings, store: Store, tmp_path: Path
) -> None:
    """A proof that cannot fail proves nothing."""
    probes = of_documents(store, store.erasure.of_document(1))
    kept = tmp_path / "kept"
    shutil.copytree(settings.data_dir, kept, symlinks=True)
    forget(store, 1)
    data_dir, line = settings.data_dir, f"x{BODY[0]}\n{BODY[1]}\n{ATTACHED}x"
    if name == "tables":
        execute(store, f"UPDATE conversations SET title = '{line}'")
    elif name.startswith("database"):
        (data_dir / "citadel.db-journal").write_text(line)
    elif name.startswith("index"):
        [old] = (kept / "snapshots").glob("lexical-*")
        shutil.copytree(old, data_dir / "snapshots" / "left", dirs_exist_ok=True)
    elif name == "originals":
        shutil.copytree(kept / "originals", data_dir / "originals", dirs_exist_ok=True)
    elif name.startswith("other"):
        (data_dir / "logs").mkdir()
        (data_dir / "logs" / "error.log").write_text(line)
    else:
        settings = settings.model_copy(update={"backup_dirs": [tmp_path / "backup"]})
        (tmp_path / "backup").mkdir()
        shutil.make_archive(str(tmp_path / "backup" / "monday"), "gztar", kept)
    places = found(prove(store, settings, probes))
    assert any(LEFTOVERS[name] in each for each in places[name]), places


def execute(store: Store, statement: str) -> None:
    from sqlalchemy import text

    with store._database.write() as connection:
        connection.execute(text(statement))


def test_free_pages_are_searched_as_well(store: Store, settings: Settings) -> None:
    probes = of_documents(store, store.erasure.of_document(1))
    deletion = store.erasure.begin_documents(store.erasure.of_document(1))
    with store._database.write() as connection:
        connection.exec_driver_sql("PRAGMA secure_delete = OFF")
    left = steps(store, deletion)
    for _ in range(3):
        next(left)
    assert list(found(prove(store, settings, probes))) == ["database file, free pages and log"]
    assert list(left) == ["space"]
    assert found(prove(store, settings, probes)) == {}


def test_a_backup_that_cannot_be_looked_into_is_said(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "monday.gpg").write_bytes(b"\x85")
    backups = [tmp_path, tmp_path / "absent"]
    told = settings.model_copy(update={"backup_dirs": backups})
    probes = of_documents(store, store.erasure.of_document(3))
    forget(store, 3)
    said = found(prove(store, told, probes))["backups"]
    assert any("monday.gpg cannot be searched" in each for each in said)
    assert any("there is no such folder" in each for each in said)


def test_a_forgotten_content_does_not_come_in_again(store: Store, embedder: Embedder) -> None:
    content = b"From: the board\n\n" + "\n\n".join([*BODY, forgettable.ORDER]).encode()
    forget(store, 1)
    token = acting.set(Actor("operator"))
    with pytest.raises(Forgotten) as refusal:
        store.originals.put(content)
    acting.reset(token)
    assert ".citadelignore" in refusal.value.hint
    with pytest.raises(Forgotten):
        forgettable.fill(store, embedder)
    assert not [path for path in store.originals._folder.rglob("*") if path.name.startswith("tmp")][
        1:
    ]


def test_a_copy_elsewhere_is_forgotten_too(store: Store, embedder: Embedder) -> None:
    forgettable.put(store, embedder, "/elsewhere/menu.txt", OTHER, "kitchen")
    named = store.erasure.named(store.erasure.of_path("/docs/canteen.txt"))
    assert {each.source_uri for each in named} == {"/docs/canteen.txt", "/elsewhere/menu.txt"}


def test_a_folder_means_all_that_is_in_it(store: Store) -> None:
    assert len(store.erasure.named(store.erasure.of_path("/docs"))) == 3
    with pytest.raises(NotFound):
        store.erasure.of_path("/doc")
    with pytest.raises(NotFound):
        store.erasure.of_document(2**70)


def test_a_user_is_a_number_that_means_nobody(store: Store, settings: Settings) -> None:
    number = store.user_number("ann")
    probes = of_user(store, "ann")
    assert found(prove(store, settings, probes))
    assert list(steps(store, store.erasure.begin_user("ann"))) == ["content", "space"]
    assert found(prove(store, settings, probes)) == {}
    assert store.audit.names([number]) == {}
    everything = forgettable.everything(store)
    assert "When does it open?" not in everything
    assert store.audit.verify().problems == []
    assert [each.id for each in store.list_documents(store.access_to_all())] == [1, 2, 3]
    with pytest.raises((NotFound, BadRequest)):
        store.erasure.begin_user("ann")


@pytest.mark.parametrize("n", range(len(STEPS["user"]) + 1))
def test_killed_after_any_step_a_user_is_forgotten_by_whoever_comes_next(
    settings: Settings, n: int
) -> None:
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        number, probes = store.user_number("ann"), of_user(store, "ann")
    command = [sys.executable, str(HERE / "dying.py"), str(settings.data_dir), "ann", str(n)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        assert (store.audit.names([number]) == {}) == (n > 0), "in force with the first step"
        assert finish(store) == (n < len(STEPS["user"]))
        assert found(prove(store, settings, probes)) == {}
        assert store.audit.verify().problems == []

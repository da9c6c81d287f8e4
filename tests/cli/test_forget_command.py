"""`citadel forget`, from a folder of files to the proof, and what the next ingest says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Citadel, over_new_store, write_docs
from inside import inside

from rag.settings import Settings
from rag.store import Store

CANTEEN = "When does the canteen open?"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Citadel:
    """A folder of three files, ingested; the tests forget them one after the other."""
    home = tmp_path_factory.mktemp("office")
    citadel = over_new_store(home, model_home)
    assert inside(citadel.data_dir, "ingest", write_docs(home / "docs")).code == 0
    return citadel


@pytest.fixture(autouse=True)
def same_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CITADEL_EMBED_BACKEND", "openvino")
    yield


def titles(citadel: Citadel) -> set[str]:
    listed = inside(citadel.data_dir, "documents", "--json").json["documents"]
    return {Path(document["source_uri"]).name for document in listed}


def test_a_file_is_forgotten_and_does_not_come_back(office: Citadel) -> None:
    docs = office.data_dir.parent / "docs"
    assert inside(office.data_dir, "ask", CANTEEN, "--json").json["status"] == "answered"
    ended = inside(office.data_dir, "forget", docs / "sub" / "opening.txt", "--prove", "--yes")
    assert ended.code == 0, ended.out
    assert "1 documents of 1 files" in ended.out
    assert ended.out.count("searched, nothing") == 6
    assert inside(office.data_dir, "ask", CANTEEN, "--json").json["status"] == "no_evidence"
    again = inside(office.data_dir, "ingest", docs, "--json")
    assert again.code == 3
    [failed] = again.json["failed"]
    assert failed["path"] == str(docs / "sub" / "opening.txt")
    assert "was to be forgotten" in failed["error"]
    assert ".citadelignore" in failed["hint"]
    assert titles(office) == {"travel.md", "prices.csv"}
    assert not [f for f in (office.data_dir / "originals").rglob("*") if "canteen" in read(f)]
    sound = inside(office.data_dir, "verify")
    assert sound.code == 0, sound.out


def read(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def test_it_asks_first_and_shows_what_goes(office: Citadel) -> None:
    before = titles(office)
    listed = inside(office.data_dir, "documents", "--json").json["documents"]
    asked = inside(office.data_dir, "forget", str(listed[0]["id"]))
    assert asked.code == 1
    assert "Forget this for good?" in asked.err
    assert "1 documents of 1 files" in asked.err
    assert titles(office) == before


def test_a_user_is_forgotten_by_name(office: Citadel) -> None:
    settings = Settings(data_dir=office.data_dir)
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        store.permissions.add_principal("user", "ann")
    ended = inside(office.data_dir, "forget", "ann", "--prove", "--yes", "--json")
    assert ended.code == 0, ended.out
    assert ended.json["steps"] == ["content", "space"]
    assert {place["place"] for place in ended.json["proof"]} >= {"tables", "backups"}
    assert inside(office.data_dir, "forget", "ann", "--yes").code == 2


def test_what_is_left_in_a_backup_is_said_and_the_exit_code_tells(
    office: Citadel, tmp_path: Path
) -> None:
    (tmp_path / "old.txt").write_text((office.data_dir.parent / "docs" / "travel.md").read_text())
    folders = f'["{tmp_path}"]'
    path = office.data_dir.parent / "docs" / "travel.md"
    arguments = ("forget", path, "--path", "--prove", "--yes")
    ended = inside(office.data_dir, *arguments, CITADEL_BACKUP_DIRS=folders)
    assert ended.code == 1
    assert f"backups: 1 searched, FOUND in {tmp_path / 'old.txt'}" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["999"], "there is no document 999"),
        (["/nowhere/at/all"], "nothing was ingested from /nowhere/at/all"),
        (["nobody"], "there is no user 'nobody'"),
        (["x", "--document"], "'x' is no number of a document"),
        (["1", "--document", "--user"], "can't be a document and a user"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = inside(tmp_path, "forget", *arguments, "--yes")
    assert ended.code == 2
    assert said in ended.err

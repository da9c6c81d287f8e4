"""A company's folder, and the command over an empty store or one that holds the folder."""

from pathlib import Path

import pytest
from commands import Citadel


@pytest.fixture
def citadel(tmp_path: Path, model_home: Path) -> Citadel:
    """The command over an empty store."""
    return over_new_store(tmp_path, model_home)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with three documents."""
    return write_docs(tmp_path / "docs")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Citadel:
    """The command over a store that holds the folder and knows one broken file.

    The tests of a module share it and change nothing.
    """
    home = tmp_path_factory.mktemp("filled")
    folder = write_docs(home / "docs")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nthis is not a document")
    citadel = over_new_store(home, model_home)
    assert citadel("ingest", folder).code == 3
    return citadel


def over_new_store(home: Path, model_home: Path) -> Citadel:
    data_dir = home / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "models").symlink_to(model_home / "models")
    return Citadel(data_dir)


def write_docs(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "travel.md").write_text(
        "# Travel policy\n\nA hotel in London may cost up to 180 pounds a night.\n\n"
        "## Trains\n\nSecond class is booked for journeys under four hours.\n"
    )
    (folder / "prices.csv").write_text("part,price\nbolt M8,0.35\nnut M8,0.12\n")
    (folder / "sub" / "opening.txt").write_text("The canteen opens at half past eleven.\n")
    return folder

"""A company's folder, and the command over an empty store or one that holds the folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import FORKER, Citadel, over_new_store, write_docs


@pytest.fixture(scope="session", autouse=True)
def forker() -> Iterator[None]:
    """Ends the process that the commands are forks of."""
    yield
    FORKER.end()


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

"""An empty store for each test, copied from one that is migrated once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.store import Store


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an empty database."""
    data_dir = tmp_path_factory.mktemp("migrated") / "data"
    Store.open(f"sqlite:///{data_dir / 'citadel.db'}", data_dir=data_dir).close()
    return data_dir


@pytest.fixture
def data_dir(tmp_path: Path, migrated: Path) -> Path:
    """Where the store keeps its files."""
    return Path(shutil.copytree(migrated, tmp_path / "data"))


@pytest.fixture
def store(data_dir: Path) -> Iterator[Store]:
    """An open, empty store."""
    with Store.open(f"sqlite:///{data_dir / 'citadel.db'}", data_dir=data_dir) as opened:
        yield opened

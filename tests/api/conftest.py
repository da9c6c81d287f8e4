"""The real API over a real store, on a free port of this machine."""

from collections.abc import Iterator
from pathlib import Path

import api_samples
import httpx
import pytest
from api_live import TOKEN, Live, running, wait_for

from rag.appliance import Appliance
from rag.search.embed import load_embedder
from rag.settings import Settings, load_settings
from rag.store import Store


@pytest.fixture(scope="session")
def models(model_home: Path) -> Path:
    """The converted models, shared with the other rooms' tests."""
    return model_home / "models"


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    data_dir = tmp_path_factory.mktemp("api") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    return load_settings(data_dir=data_dir, token=TOKEN)


@pytest.fixture(scope="session")
def ids(settings: Settings) -> dict[str, int]:
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        return api_samples.fill(store, load_embedder(settings))


@pytest.fixture(scope="session")
def live(settings: Settings, ids: dict[str, int]) -> Iterator[Live]:
    """A server that is ready."""
    with running(lambda: Appliance(settings), ids) as live:
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    """A program with the API token."""
    with live.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client

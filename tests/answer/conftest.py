"""An appliance over the documents of a small company, put in once for all tests that only ask."""

from collections.abc import Iterator
from pathlib import Path

import company
import pytest

from rag.appliance import Appliance
from rag.search.embed import Embedder
from rag.settings import Settings


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory, model_home: Path, embedder: Embedder
) -> Iterator[Appliance]:
    """The company's appliance; tests that use it change nothing."""
    folder = tmp_path_factory.mktemp("company") / "data"
    with Appliance(company.settings_in(folder, model_home)) as appliance:
        company.fill(appliance.store, embedder)
        yield appliance


@pytest.fixture
def changed(settings: Settings, embedder: Embedder) -> Iterator[Appliance]:
    """The same for a test that changes something."""
    with Appliance(settings) as appliance:
        company.fill(appliance.store, embedder)
        yield appliance

"""A site to ingest at: real store, real model, real parser processes, one data folder a test."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sync_steps import data_dir

from ingest.chunk import CHUNKER_VERSION
from ingest.parse.formats import PARSER_VERSION
from ingest.plan import Recipe
from ingest.progress import Lines
from ingest.sync import Site
from rag.search.embed import Embedder
from rag.settings import load_settings
from rag.store import Store


@pytest.fixture
def models(model_home: Path) -> Path:
    """Where the converted model lies."""
    return model_home / "models"


@pytest.fixture
def site(tmp_path: Path, models: Path, embedder: Embedder) -> Iterator[Site]:
    settings = load_settings(data_dir=data_dir(tmp_path, models), ingest_workers=2)
    recipe = Recipe(PARSER_VERSION, CHUNKER_VERSION, embedder.model_id)
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        yield Site(store, settings, recipe, lambda: embedder, Lines(io.StringIO(), verbose=True))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with three small documents."""
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "travel.md").write_text(
        "# Travel policy\n\nA hotel in London may cost up to 180 pounds a night.\n\n"
        "## Trains\n\nSecond class is booked for journeys under four hours.\n"
    )
    (folder / "prices.csv").write_text("part,price\nbolt M8,0.35\nnut M8,0.12\n")
    (folder / "sub" / "opening.txt").write_text("The canteen opens at half past eleven.\n")
    return folder

"""A house with documents, and two more models for it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from model_steps import add, bring_level, build
from other_models import Others, lay_out, prepared

from ingest.sync import Report
from rag.settings import Settings

TEXTS = {
    "travel.md": "# Travel policy\n\nA hotel in London may cost up to 180 pounds a night.\n\n"
    "## Trains\n\nSecond class is booked for journeys under four hours.\n",
    "leave.md": "# Leave\n\nEach employee has thirty days of annual leave.\n\n## Illness\n\n"
    "A doctor's note is needed from the third day of illness on.\n",
    "prices.csv": "part,price\nbolt M8,0.35\nnut M8,0.12\n",
    "opening.txt": "The canteen opens at half past eleven and closes at two.\n",
    "pump.txt": "The cooling pump must be serviced every five hundred hours of operation.\n",
}


@pytest.fixture(scope="session")
def others(request: pytest.FixtureRequest, model_home: Path) -> Others:
    """The other two models, converted."""
    return prepared(request.config, model_home)


@dataclass(frozen=True, slots=True)
class Template:
    """A house as every test finds it, and the folder that its documents are from."""

    data_dir: Path
    docs: Path
    pristine: Path  # what `docs` holds at the beginning of each test


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, others: Others) -> Template:
    """Five documents, searched with the bundled model, with `turned` built beside it."""
    home = tmp_path_factory.mktemp("template")
    made = Template(lay_out(home / "data", others), home / "docs", home / "pristine")
    made.pristine.mkdir()
    for name, text in TEXTS.items():
        (made.pristine / name).write_text(text)
    shutil.copytree(made.pristine, made.docs)
    settings = Settings(data_dir=made.data_dir, embed_backend="openvino")
    bring_level(settings, made.docs)
    add(settings, others.turned, "turned")
    build(settings, "turned")
    return made


@pytest.fixture
def docs(template: Template) -> Path:
    """The folder with the five documents; tests may change it."""
    shutil.rmtree(template.docs)
    return Path(shutil.copytree(template.pristine, template.docs))


@pytest.fixture
def house(template: Template, docs: Path, tmp_path: Path) -> Settings:
    """Settings of a data directory of its own, as the template is."""

    def copied(source: str, target: str) -> str:
        if "/embedders/" in source:  # large, and never written again
            os.link(source, target)
            return target
        return str(shutil.copy2(source, target))

    data_dir = tmp_path / "data"
    shutil.copytree(template.data_dir, data_dir, symlinks=True, copy_function=copied)
    return Settings(data_dir=data_dir, embed_backend="openvino")


@pytest.fixture
def ingest(house: Settings, docs: Path) -> Callable[[], Report]:
    """What `citadel ingest docs` does."""
    return lambda: bring_level(house, docs)

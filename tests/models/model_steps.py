"""What the tests of models say in one word."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.progress import Lines
from ingest.site import open_site
from ingest.sync import Report, carry_out, make_plan
from rag.models.adding import add as add_model
from rag.models.building import build as build_model
from rag.models.switching import switch as switch_model
from rag.search.chosen import load_current
from rag.search.verify import verify
from rag.settings import Settings
from rag.store import Model, Store


def quiet(_: str) -> None:
    """Hears what is said, and forgets it."""


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        yield store


def bring_level(settings: Settings, docs: Path) -> Report:
    """What `citadel ingest docs` does."""
    with open_site(settings, Lines(io.StringIO())) as site:
        return carry_out(site, make_plan(site, [docs], "default"), "default")


def add(settings: Settings, folder: Path, name: str) -> Model:
    with opened(settings) as store:
        return add_model(store, settings, folder, name, quiet)


def build(settings: Settings, name: str) -> int:
    with opened(settings) as store:
        return build_model(store, settings, store.models.one(name), lambda made, wanted: None)


def switch(settings: Settings, name: str, *, force: bool = True) -> None:
    with opened(settings) as store:
        switch_model(store, settings, store.models.one(name), force=force, say=quiet)


def states(settings: Settings) -> dict[str, str]:
    with opened(settings) as store:
        return {model.name: model.state for model in store.models.listed()}


def problems(settings: Settings) -> list[str]:
    """What `citadel verify` says."""
    with opened(settings) as store:
        embedder = load_current(store, settings)
        return verify(store, embedder.model_id, embedder.dim, "auto", quiet)

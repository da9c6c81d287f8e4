"""A model against the one in use, question by question, and whether it is worse.

Three sorts of questions: an evaluation set, which goes through a data directory of its own; a
site's own questions with the documents that answer them; and, where there are neither, sentences
drawn from the documents, each of which should find the document it is from. The last can only show
that a model does not work here: a sentence is no question.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from rag.errors import BadRequest, Conflict
from rag.search.chosen import load_model
from rag.search.current import Searching, open_searching
from rag.settings import Settings
from rag.store import Model, Store
from rag.text import sentence_spans
from rag.types import Access

DRAWN = 200  # sentences
LEAST_CHARS, MOST_CHARS = 40, 300  # of a drawn sentence
DEPTH = 10
CHUNKS = 100  # looked at for DEPTH documents
SURE = 0.05  # from which on a difference is not taken for chance
RESAMPLES = 10_000
PAGE = 500

Branch = Literal["dense", "fused"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the documents that answer it."""

    text: str
    documents: frozenset[int]


def compare_on_own(
    store: Store, settings: Settings, models: tuple[Model, Model], file: Path | None, say: Say
) -> dict[str, Any]:
    """Put questions to the site's own documents by both models: the one in use, and the other.

    Raises:
        BadRequest: the file of questions cannot be read, or names no document that is here.
        Conflict: nothing is stored, or the other model is not built.
        ModelError: a model cannot be loaded.
    """
    current, model = models
    if model.state in ("added", "building"):
        raise Conflict(
            f"the vectors of {model.name} are not made yet",
            hint=f"Make them (citadel model build {model.name})",
        )
    access = store.access_to_all()
    asked = drawn(store, access) if file is None else read_questions(store, access, file)
    if not asked:
        raise Conflict("there are no documents to compare on", hint="Ingest some first.")
    # A sentence from a document is found by its words alone: only the vectors tell models apart.
    branch: Branch = "dense" if file is None else "fused"
    values = []
    for each in models:
        say(f"asking {len(asked):,} questions of {each.name}")
        searching = open_searching(store, settings, load_model(settings, each), say)
        with searching.indexes:
            values.append([_ndcg(_found(store, searching, access, q, branch), q) for q in asked])
    about = "drawn sentences" if file is None else f"the questions in {file.name}"
    return result(current, about, f"{branch}/ndcg@{DEPTH}", *values)


def result(
    current: Model, about: str, measure: str, before: Sequence[float], after: Sequence[float]
) -> dict[str, Any]:
    """The comparison as it is kept with the model."""
    p = chance(before, after)
    mean_before, mean_after = float(np.mean(before)), float(np.mean(after))
    return {
        "against": current.id,
        "on": about,
        "questions": len(before),
        "measure": measure,
        "before": round(mean_before, 4),
        "after": round(mean_after, 4),
        "p": round(p, 6),
        "worse": p < SURE and mean_after < mean_before,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def chance(before: Sequence[float], after: Sequence[float]) -> float:
    """How often chance alone makes a difference as large: a paired permutation test, two-sided."""
    differences = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (RESAMPLES, len(differences)))
    as_large = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12
    return float((as_large.sum() + 1) / (RESAMPLES + 1))


# Questions


def drawn(store: Store, access: Access) -> list[Asked]:
    """Sentences of the documents, the same ones as long as these stay."""
    places = (np.arange(2 * DRAWN) + 0.5) / (2 * DRAWN)
    found: list[Asked] = []
    chunks = store.chunks(access, store.models.some_chunks(places.tolist()))
    for stored in chunks.values():
        text = stored.chunk.text
        spans = sentence_spans(text, stored.language)
        fitting = [(a, b) for a, b in spans if LEAST_CHARS <= b - a <= MOST_CHARS]
        if fitting and not stored.header:
            start, end = fitting[len(fitting) // 2]
            found.append(Asked(text[start:end], frozenset({stored.document_id})))
    return found[:: max(1, len(found) // DRAWN)][:DRAWN]


def read_questions(store: Store, access: Access, file: Path) -> list[Asked]:
    """Lines of `{"question": …, "documents": [path or file name, …]}`.

    Raises:
        BadRequest: the file cannot be read, a line is no question, or none names a document.
    """
    names = _names(store, access)
    asked: list[Asked] = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        text, documents = _parsed(file, number, line)
        known = frozenset(i for name in documents for i in names.get(name, ()))
        if documents and not known:
            raise BadRequest(
                f"{file}, line {number}: no document is called {documents[0]}",
                hint="`citadel documents` lists what there is; name the path, or the file alone.",
            )
        if known:
            asked.append(Asked(text, known))
    if not asked:
        raise BadRequest(f"{file} has no question with a document that answers it")
    return asked


def _parsed(file: Path, number: int, line: str) -> tuple[str, list[str]]:
    try:
        value = json.loads(line)
        text, documents = value["question"], value.get("documents", [])
        if not isinstance(text, str) or not all(isinstance(name, str) for name in documents):
            raise TypeError("a question and names of documents are texts")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(
            f"{file}, line {number}: this is no question",
            hint='Write lines such as {"question": "…", "documents": ["travel.pdf"]}.',
        ) from error
    return text, list(documents)


def _names(store: Store, access: Access) -> dict[str, set[int]]:
    """Documents by path and by file name."""
    names: dict[str, set[int]] = {}
    after = 0
    while page := store.list_documents(access, after=after, limit=PAGE):
        for document in page:
            uri = document.source_uri
            for name in (uri, PurePosixPath(uri).name):
                names.setdefault(name, set()).add(document.id)
        after = page[-1].id
    return names


# Judging


def _found(
    store: Store, searching: Searching, access: Access, asked: Asked, branch: Branch
) -> list[int]:
    """The documents that are found, best first."""
    if branch == "fused":
        hits = searching.retriever.retrieve(asked.text, access, CHUNKS).hits
        ranked = [hit.chunk.document_id for hit in hits]
    else:
        searching.indexes.catch_up()
        vector = searching.embedder.encode([asked.text])[0]  # (dim,)
        ids = [i for i, _ in searching.indexes.search_dense(vector, CHUNKS, access)]
        chunks = store.chunks(access, ids)
        ranked = [chunks[i].document_id for i in ids if i in chunks]
    return list(dict.fromkeys(ranked))[:DEPTH]


def _ndcg(found: Sequence[int], asked: Asked) -> float:
    gains = [1 / math.log2(rank + 2) for rank in range(DEPTH)]
    best = sum(gains[: len(asked.documents)])
    return sum(gains[i] for i, d in enumerate(found) if d in asked.documents) / best

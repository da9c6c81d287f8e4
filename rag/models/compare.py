"""A model against the one in use, question by question, and whether it is worse.

Three sorts of questions: an evaluation set, which goes through a data directory of its own; a
site's own questions with the documents that answer them; and, where there are neither, sentences
drawn from the documents, each of which should find the document it is from. The last can only show
that a model does not work here: a sentence is no question.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from ingest.level import catch_up
from rag.errors import BadRequest, Conflict
from rag.eval.lines import LAYOUTS
from rag.eval.report import leading
from rag.eval.retrieval import evaluate
from rag.eval.sets import load_questions
from rag.eval.statistics import SURE, difference
from rag.search.chosen import load_model
from rag.search.current import Searching, open_searching
from rag.settings import Settings
from rag.store import Model, Store
from rag.text import sentence_spans
from rag.times import time_json
from rag.types import Access

DRAWN = 200  # sentences
LEAST_CHARS, MOST_CHARS = 40, 300  # of a drawn sentence
DEPTH = 10
CHUNKS = 100  # looked at for DEPTH documents
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
    embedders = [load_model(settings, each) for each in models]
    catch_up(store, model, embedders[1], say)  # or it would be called worse for what it never saw
    for each, embedder in zip(models, embedders, strict=True):
        say(f"asking {len(asked):,} questions of {each.name}")
        searching = open_searching(store, settings, embedder, say)
        with searching.indexes:
            values.append([_ndcg(_found(store, searching, access, q, branch), q) for q in asked])
    about = "drawn sentences" if file is None else f"the questions in {file.name}"
    return result(current, about, f"{branch}/ndcg@{DEPTH}", *values)


def compare_on_set(
    settings: Settings, model: Model, current: Model, folder: Path
) -> dict[str, Any]:
    """Put an evaluation set through the product with each model; see `rag.eval.retrieval`.

    Raises:
        BadRequest: there is no set, or it is malformed.
        ModelError: a model cannot be loaded.
    """
    before = evaluate(folder, settings, load_model(settings, current))
    after = evaluate(folder, settings, load_model(settings, model))
    measure = leading(after.values)
    old, new = before.values[measure], after.values[measure]
    asked = sorted(old.keys() & new.keys())
    values = [old[q] for q in asked], [new[q] for q in asked]
    return result(current, f"the set {after.set}", measure, *values)


def result(
    current: Model, about: str, measure: str, before: Sequence[float], after: Sequence[float]
) -> dict[str, Any]:
    """The comparison as it is kept with the model."""
    found = difference(before, after)
    return {
        "against": current.id,
        "on": about,
        "questions": len(before),
        "measure": measure,
        "before": round(found.before, 4),
        "after": round(found.after, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "p": round(found.p, 6),
        "worse": found.p < SURE and found.value < 0,
        "at": time_json(datetime.now(UTC)),
    }


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
    """The questions of a file as `citadel eval answers` reads it, that name a document.

    Raises:
        BadRequest: the file is malformed, or names a document that is not here, or none.
    """
    names = _names(store, access)
    asked: list[Asked] = []
    for question in load_questions(file):
        files = dict.fromkeys(place.file for place in question.gold.places)
        for name in files:
            if name not in names:
                raise BadRequest(
                    f"{file}, question {question.id!r}: no document is called {name}",
                    hint="`citadel documents` lists what there is; name the path, or the file.",
                )
        if files:
            asked.append(Asked(question.text, frozenset(i for f in files for i in names[f])))
    if not asked:
        raise BadRequest(f"{file} has no question with a document that answers it", hint=LAYOUTS)
    return asked


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
        ids = [i for i, _ in searching.indexes.dense.search(vector, CHUNKS, access)]
        chunks = store.chunks(access, ids)
        ranked = [chunks[i].document_id for i in ids if i in chunks]
    return list(dict.fromkeys(ranked))[:DEPTH]


def _ndcg(found: Sequence[int], asked: Asked) -> float:
    gains = [1 / math.log2(rank + 2) for rank in range(DEPTH)]
    best = sum(gains[: len(asked.documents)])
    return sum(gains[i] for i, d in enumerate(found) if d in asked.documents) / best

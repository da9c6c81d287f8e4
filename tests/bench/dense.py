"""The dense index by type and size: time, recall and memory under filters of 1, 10 and 100 %.

Vectors are real ones, and beyond their number real ones with noise; queries are real questions.
`flat`, `sq8` and `ivf` go through `rag.search.dense.DenseIndex`, as the product searches: k = 200,
one query at a time. HNSW is raw FAISS under the same filters. Recall is against exact inner
products.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.search.dense import IVF_FROM, DenseIndex, Kind
from rag.search.retrieve import BRANCH_K
from rag.types import Access, Vectors
from tests.bench.embedding import real_texts
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad")
CORPORA = ("scifact", "cisi", "policyqa_dev", "xquad/en")
NOISE = 0.025  # a coordinate: a copy's cosine to its model is about .9 in 384 dimensions
RECALL_K = 10
HNSW_LINKS, HNSW_EF = 32, 128
HNSW_UP_TO = 100_000
# Share of the rows that a caller may read -> the collections that hold them.
FILTERS = {"1 %": ("one",), "10 %": ("one", "nine"), "100 %": ("one", "nine", "rest")}
SHARES = {"one": 0.01, "nine": 0.09, "rest": 0.9}

Search = Callable[[NDArray[np.float32], frozenset[str]], list[int]]


class Made(NamedTuple):
    """What is searched: vectors (n, dim), the collection of each row, and queries (m, dim)."""

    vectors: Vectors
    collections: NDArray[np.str_]
    queries: Vectors


class Built(NamedTuple):
    """An index to be measured."""

    name: str
    build_s: float
    bytes_per_row: float
    search: Search


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Dense index", " ".join(__doc__.split("\n\n")[1].split()), quick=run.quick)
    real, queries = _real(run)
    rows: list[list[Cell]] = []
    for size in run.pick((5_000, 20_000, 100_000), (1_000, 4_000)):
        made = _made(real, queries, size)
        with scratch() as folder:
            baseline: dict[str, float] = {}
            for built in _indexes(made, folder):
                rows += _measure(built, made, baseline)
                progress(f"{size:,}: {built.name}")
    header = ("rows, type", "readable", "ms p50", "ms p95", "× flat p50", "recall@10")
    print_table((*header, "bytes a row", "build s"), rows)
    print_line(
        f"{len(queries)} queries. Baseline of the ratio: `flat` at the same size and filter. "
        f"`auto` takes ivf from {IVF_FROM:,} rows. HNSW{HNSW_LINKS} with efSearch {HNSW_EF}, "
        f"up to {HNSW_UP_TO:,} rows (building it takes minutes beyond)."
    )


def _real(run: Run) -> tuple[Vectors, Vectors]:
    _, _, real, asked = real_texts(run, run.pick(CORPORA, CORPORA[-2:]), run.pick(50, 10))
    return real, asked


def _made(real: Vectors, queries: Vectors, size: int) -> Made:
    random = np.random.default_rng(size)
    models = random.permutation(np.resize(np.arange(len(real)), size))  # (size,)
    vectors = real[models].copy()
    seen = np.zeros(len(real), np.bool_)
    is_copy = np.ones(size, np.bool_)
    for row, model in enumerate(models):
        is_copy[row] = seen[model]
        seen[model] = True
    vectors[is_copy] += random.normal(0, NOISE, (is_copy.sum(), real.shape[1])).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = random.choice(list(SHARES), size, p=list(SHARES.values()))
    return Made(vectors, names, queries)


def _indexes(made: Made, folder: Path) -> list[Built]:
    kinds: Sequence[Kind] = ("flat", "sq8", "ivf")
    built = [_product(made, kind, folder / kind) for kind in kinds]
    if len(made.vectors) <= HNSW_UP_TO:
        built.append(_hnsw(made, folder / "hnsw.faiss"))
    return built


def _product(made: Made, kind: Kind, folder: Path) -> Built:
    began = time.perf_counter()
    index = DenseIndex(made.vectors.shape[1], kind, len(made.vectors))
    index.append(range(len(made.vectors)), made.collections.tolist(), made.vectors)
    build_s = time.perf_counter() - began
    folder.mkdir()
    index.save(folder)
    size = sum(file.stat().st_size for file in folder.iterdir())

    def search(vector: NDArray[np.float32], readable: frozenset[str]) -> list[int]:
        return [row for row, _ in index.search(vector, BRANCH_K, Access(readable))]

    return Built(kind, build_s, size / len(made.vectors), search)


def _hnsw(made: Made, file: Path) -> Built:
    began = time.perf_counter()
    index: Any = faiss.IndexHNSWFlat(made.vectors.shape[1], HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.add(made.vectors)
    build_s = time.perf_counter() - began
    faiss.write_index(index, str(file))
    selectors: dict[frozenset[str], Any] = {}

    def search(vector: NDArray[np.float32], readable: frozenset[str]) -> list[int]:
        if readable not in selectors:
            bits = np.packbits(np.isin(made.collections, list(readable)), bitorder="little")
            selectors[readable] = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        params: Any = faiss.SearchParametersHNSW()  # type: ignore[attr-defined]
        params.sel, params.efSearch = selectors[readable], HNSW_EF
        _, rows = index.search(vector[None, :], BRANCH_K, params=params)  # (1, k)
        return [int(row) for row in rows[0] if row >= 0]

    return Built("HNSW", build_s, file.stat().st_size / len(made.vectors), search)


def _measure(built: Built, made: Made, baseline: dict[str, float]) -> list[list[Cell]]:
    """A row for each filter; `baseline` is filled by the first index, which is flat."""
    rows: list[list[Cell]] = []
    for share, names in FILTERS.items():
        readable = frozenset(names)
        allowed = np.flatnonzero(np.isin(made.collections, names))
        truth = _exact(made, allowed)
        built.search(made.queries[0], readable)
        ms, recalls = [], []
        for query, best in zip(made.queries, truth, strict=True):
            began = time.perf_counter()
            found = built.search(query, readable)
            ms.append((time.perf_counter() - began) * 1000)
            recalls.append(len(best & set(found[:RECALL_K])) / len(best))
        p50, p95, _ = percentiles(ms)
        baseline.setdefault(share, p50)
        name = f"{len(made.vectors):,} {built.name}"
        figures: list[Cell] = [
            f"{p50:.2f}",
            f"{p95:.2f}",
            p50 / baseline[share],
            float(np.mean(recalls)),
        ]
        rows.append([name, share, *figures, round(built.bytes_per_row), f"{built.build_s:.1f}"])
    return rows


def _exact(made: Made, allowed: NDArray[np.intp]) -> list[set[int]]:
    """The nearest readable rows of each query, by plain arithmetic."""
    scores = made.queries @ made.vectors[allowed].T  # (m, allowed)
    k = min(RECALL_K, len(allowed))
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return [set(allowed[row].tolist()) for row in best]

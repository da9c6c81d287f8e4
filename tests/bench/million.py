"""The dense index at a million chunks: kinds of FAISS indexes under filters, and changes meanwhile.

Vectors are real ones, and beyond their number mixtures of real neighbours: a row, up to half of a
neighbour, half of what two more neighbours differ by, and a little noise. Queries are real
questions, searched one at a time by one thread, k = 200; milliseconds are of processor time.
Recall is against exact inner products. A filter lets rows through that were drawn, or those that
lie around drawn places, as the documents of one department do. Where a kind is refined, its best
candidates are compared once more by codes of one byte a coordinate; the kind with lists and
`SQ8` compares all of them by these.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.search.dense import TRAINING_ROWS, DenseIndex, Kind
from rag.search.retrieve import BRANCH_K
from rag.search.snapshot import directory_sha256
from rag.types import Access, Vectors
from tests.bench.embedding import real_texts
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad")
CORPORA = ("scifact", "cisi", "policyqa_dev", "xquad/en", "xquad/de", "xquad/es")
NEIGHBOURS, TANGENT, NOISE = 32, 0.5, 0.01
RECALL_K = 10
BATCH = 50_000
SCORED_AT_ONCE = 60  # queries
SHARES = (0.1, 0.01, 0.001)
TOPICS = 1000
HNSW_LINKS, HNSW_EF = 32, 128
PROBED, CANDIDATES = 64, 3  # of the kinds with lists, and times k that are compared again
CHANGED = 200  # rows, as of one long document

IP = faiss.METRIC_INNER_PRODUCT
Search = Callable[[NDArray[np.float32], str], list[int]]


class Made(NamedTuple):
    """Vectors (n, dim), queries (m, dim), and by filter the allowed rows and the true best."""

    vectors: Vectors
    queries: Vectors
    masks: dict[str, NDArray[np.bool_]]
    best: dict[str, list[set[int]]]


class Built(NamedTuple):
    """An index to be measured."""

    name: str
    build_s: float
    bytes_per_row: float
    search: Search


def main(run: Run) -> None:
    """Print the section."""
    print_heading("A million chunks", " ".join(__doc__.split("\n\n")[1].split()), quick=run.quick)
    real, queries = _real(run)
    _print_likeness(real, queries)
    made = _made(real, queries, run.pick(1_000_000, 20_000))
    rows: list[list[Cell]] = []
    baseline: dict[str, float] = {}
    faiss.omp_set_num_threads(1)
    for built in _indexes(made):
        rows += _measure(built, made, baseline)
        progress(built.name)
    header = ("kind", "readable", "ms p50", "p95", "p99", "× flat p50", f"recall@{RECALL_K}")
    print_table((*header, "bytes a row", "build s"), rows)
    _print_changes(made)


def _real(run: Run) -> tuple[Vectors, Vectors]:
    _, _, real, asked = real_texts(run, run.pick(CORPORA, CORPORA[-2:]), run.pick(40, 10))
    return np.unique(real, axis=0), asked


def _mixed(real: Vectors, neighbours: NDArray[np.int64], n: int, seed: int) -> Vectors:
    """Made vectors, shape (n, dim)."""
    random = np.random.default_rng(seed)
    at = random.integers(len(real), size=n)

    def one() -> Vectors:
        found: Vectors = real[neighbours[at, random.integers(neighbours.shape[1], size=n)]]
        return found

    share = random.uniform(0, 0.5, (n, 1)).astype(np.float32)
    vectors = real[at] * (1 - share) + one() * share + TANGENT * (one() - one())
    vectors += random.normal(0, NOISE, vectors.shape).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _neighbours(real: Vectors) -> NDArray[np.int64]:
    return np.asarray(faiss.knn(real, real, NEIGHBOURS + 1, metric=IP)[1][:, 1:], np.int64)


def _made(real: Vectors, queries: Vectors, size: int) -> Made:
    neighbours = _neighbours(real)
    vectors = np.empty((size, real.shape[1]), np.float32)
    n_real = min(len(real), size)
    vectors[:n_real] = real[:n_real]
    for first in range(n_real, size, BATCH):
        last = min(first + BATCH, size)
        vectors[first:last] = _mixed(real, neighbours, last - first, first)
    random = np.random.default_rng(1)
    vectors = vectors[random.permutation(size)] if size <= BATCH else vectors
    masks = {"100 %": np.ones(size, np.bool_)}
    for share in SHARES:
        masks[f"{share:.1%}, drawn"] = random.random(size) < share
    masks |= _around(real, vectors, random)
    allowed = {name: np.flatnonzero(mask) for name, mask in masks.items()}
    best: dict[str, list[set[int]]] = {name: [] for name in masks}
    for first in range(0, len(queries), SCORED_AT_ONCE):
        scores = queries[first : first + SCORED_AT_ONCE] @ vectors.T  # (≤ SCORED_AT_ONCE, n)
        for name, rows in allowed.items():
            best[name] += _best(scores, rows)
    return Made(vectors, queries, masks, best)


def _around(
    real: Vectors, vectors: Vectors, random: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    """Rows around drawn places, as many of these as make the shares."""
    centres = real[random.permutation(len(real))[:TOPICS]]
    near = np.concatenate(
        [
            (vectors[first : first + BATCH] @ centres.T).argmax(axis=1)
            for first in range(0, len(vectors), BATCH)
        ]
    )
    order = random.permutation(len(centres))
    size = np.cumsum(np.bincount(near, minlength=len(centres))[order]) / len(vectors)
    return {
        f"{share:.1%}, around": np.isin(near, order[: int(np.searchsorted(size, share)) + 1])
        for share in SHARES
    }


def _best(scores: NDArray[np.float32], allowed: NDArray[np.intp]) -> list[set[int]]:
    mine = scores[:, allowed]
    k = min(RECALL_K, len(allowed))
    return [set(allowed[np.argpartition(-row, k - 1)[:k]].tolist()) for row in mine]


def _print_likeness(real: Vectors, queries: Vectors) -> None:
    """Whether made vectors are as hard to search as as many real ones."""
    made = _mixed(real, _neighbours(real), len(real), 9)
    rows: list[list[Cell]] = []
    for name, vectors in (("real", real), ("made", made)):
        best = _best(queries @ vectors.T, np.arange(len(vectors)))
        distances = np.sqrt(np.maximum(1e-12, faiss.knn(queries, vectors, 20)[0]))
        ratios = np.log(distances[:, :-1] / distances[:, -1:])
        hnsw: Any = faiss.IndexHNSWFlat(vectors.shape[1], 16, IP)
        sq8: Any = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, IP)
        figures: list[float] = []
        for index in (sq8, hnsw):
            index.train(vectors)
            index.add(vectors)
            found = index.search(queries, RECALL_K)[1]
            figures.append(_recall([row.tolist() for row in found], best))
        rows.append([name, len(vectors), float(np.median(-1 / ratios.mean(axis=1))), *figures])
    header = ("vectors", "n", "intrinsic dimension at the questions", "recall@10: sq8")
    print_table((*header, "HNSW16, efSearch 16"), rows)


def _indexes(made: Made) -> Iterator[Built]:
    """One at a time, so that only one is in memory."""
    kinds: tuple[Kind, ...] = ("flat", "sq8", "ivf")
    for kind in kinds:
        yield _product(made, kind)
    n_lists = int(2 ** round(np.log2(len(made.vectors)) / 2))
    dim = made.vectors.shape[1]
    lists = f"IVF{n_lists}"
    in_lists = dim + 8  # bytes: one a coordinate, and the row's number
    yield _factory(made, f"{lists},SQ8", in_lists)
    yield _factory(made, f"RR{dim},{lists},PQ96x4fs,Refine(SQ8)", in_lists + dim / 8 + 48)
    yield _factory(made, f"RR{dim},{lists},RaBitQfs,Refine(SQ8)", in_lists + dim / 8)
    yield _factory(made, f"HNSW{HNSW_LINKS},SQ8", dim + 8 * HNSW_LINKS + 16)


def _product(made: Made, kind: Kind) -> Built:
    began = time.perf_counter()
    index, names = _filled(made, kind)
    build_s = time.perf_counter() - began
    access = {
        filtered: Access(frozenset(np.unique(names[mask]).tolist()))
        for filtered, mask in made.masks.items()
    }

    def search(vector: NDArray[np.float32], filtered: str) -> list[int]:
        return [row for row, _ in index.search(vector, BRANCH_K, access[filtered])]

    with scratch() as folder:
        index.save(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
    extra = 16 + (16 if kind == "ivf" else 0)  # rows by id, and places in and of lists
    return Built(f"{kind} (product)", build_s, size / len(made.vectors) + extra, search)


def _filled(made: Made, kind: Kind) -> tuple[DenseIndex, NDArray[np.str_]]:
    """The product's index, and the collection of each row: one for each mixture of filters."""
    codes = sum(mask.astype(np.int64) << i for i, mask in enumerate(made.masks.values()))
    names = np.char.add("c", np.asarray(codes).astype(np.str_))
    size = len(made.vectors)
    index = DenseIndex(made.vectors.shape[1], kind, size)
    if kind != "flat":
        index.train(made.vectors[:: max(1, size // TRAINING_ROWS)])
    for first in range(0, size, BATCH):
        ids = range(first, min(first + BATCH, size))
        part = slice(ids.start, ids.stop)
        index.append(ids, names[part].tolist(), made.vectors[part])
    return index, names


def _factory(made: Made, name: str, bytes_per_row: float) -> Built:
    began = time.perf_counter()
    index: Any = faiss.index_factory(made.vectors.shape[1], name, IP)
    index.train(made.vectors[:: max(1, len(made.vectors) // TRAINING_ROWS)])
    for first in range(0, len(made.vectors), BATCH):
        index.add(made.vectors[first : first + BATCH])
    build_s = time.perf_counter() - began
    selectors: dict[str, Any] = {
        filtered: faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))  # type: ignore[call-arg, arg-type]
        for filtered, mask in made.masks.items()
    }

    def search(vector: NDArray[np.float32], filtered: str) -> list[int]:
        params = _params(index, name, selectors[filtered] if filtered != "100 %" else None)
        rows = index.search(vector[None, :], BRANCH_K, params=params)[1][0]
        return [int(row) for row in rows if row >= 0]

    return Built(name, build_s, bytes_per_row, search)


def _params(index: Any, name: str, selector: Any) -> Any:
    if name.startswith("HNSW"):
        return faiss.SearchParametersHNSW(efSearch=HNSW_EF, sel=selector)  # type: ignore[call-arg]
    inner = faiss.SearchParametersIVF(nprobe=PROBED, sel=selector)  # type: ignore[call-arg]
    if name.endswith(",SQ8"):
        return inner
    through: Any = faiss.SearchParametersPreTransform(index_params=inner)  # type: ignore[call-arg, attr-defined]
    return faiss.IndexRefineSearchParameters(  # type: ignore[attr-defined]
        k_factor=CANDIDATES, base_index_params=through
    )


def _measure(built: Built, made: Made, baseline: dict[str, float]) -> list[list[Cell]]:
    """A row for each filter; `baseline` is filled by the first index, which is flat."""
    rows: list[list[Cell]] = []
    for filtered, best in made.best.items():
        try:
            built.search(made.queries[0], filtered)
        except RuntimeError:
            rows.append([built.name, filtered, "no such filter", *[None] * 6])
            continue
        ms, found = [], []
        for query in made.queries:
            began = time.process_time()
            found.append(built.search(query, filtered))
            ms.append((time.process_time() - began) * 1000)
        p50, p95, p99 = percentiles(ms)
        baseline.setdefault(filtered, p50)
        figures: list[Cell] = [f"{p50:.2f}", f"{p95:.2f}", f"{p99:.2f}", p50 / baseline[filtered]]
        figures += [_recall(found, best), round(built.bytes_per_row), f"{built.build_s:.0f}"]
        rows.append([built.name, filtered, *figures])
    return rows


def _recall(found: list[list[int]], best: list[set[int]]) -> float:
    both = zip(found, best, strict=True)
    return float(np.mean([len(true & set(mine[:RECALL_K])) / len(true) for mine, true in both]))


def _print_changes(made: Made) -> None:
    """What changes cost, and what a query waits while they are made."""
    index, names = _filled(made, "ivf")
    rows: list[list[Cell]] = []

    def timed(name: str, act: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = act()
        rows.append([name, f"{(time.perf_counter() - began) * 1000:.1f}"])
        return result

    with scratch() as folder:
        timed("save", lambda: index.save(folder))
        timed("SHA-256 of what was saved", lambda: directory_sha256(folder))
        loaded: DenseIndex = timed("load", lambda: DenseIndex.load(folder, "ivf"))
        access = Access(frozenset(names.tolist()))
        query = made.queries[0]
        timed("first query", lambda: loaded.search(query, BRANCH_K, access))
        timed("second query", lambda: loaded.search(query, BRANCH_K, access))
        ids = [len(names) + i for i in range(CHANGED)]
        add = [names[0].item()] * CHANGED, made.vectors[:CHANGED]
        timed(f"add {CHANGED} rows", lambda: loaded.append(ids, *add))
        timed("query after it", lambda: loaded.search(query, BRANCH_K, access))
        timed(f"delete {CHANGED} rows", lambda: loaded.delete(ids))
        timed("query after it", lambda: loaded.search(query, BRANCH_K, access))
        timed("query while nothing else goes on, longest of 300", lambda: None)
        rows[-1][1] = f"{_longest(loaded, made, access, lambda: None):.1f}"
        rows.append(["… while rows are added, longest", ""])
        rows[-1][1] = f"{_longest(loaded, made, access, lambda: loaded.append(ids, *add)):.1f}"
        rows.append(["… while it is saved, longest", ""])
        saved = Path(folder) / "again"
        saved.mkdir()
        rows[-1][1] = f"{_longest(loaded, made, access, lambda: loaded.save(saved)):.1f}"
    print_table(("ivf, milliseconds on the clock", "ms"), rows)
    print_line(f"{len(names):,} rows, {len(made.queries)} queries.")


def _longest(index: DenseIndex, made: Made, access: Access, act: Callable[[], None]) -> float:
    """The longest of 300 queries, in milliseconds, while `act` is done over and over."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event

    done = Event()

    def keep_on() -> None:
        while not done.is_set():
            act()
            done.wait(0.01)

    longest = 0.0
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(keep_on)
        for number in range(300):
            began = time.perf_counter()
            index.search(made.queries[number % len(made.queries)], BRANCH_K, access)
            longest = max(longest, (time.perf_counter() - began) * 1000)
        done.set()
        going.result()
    return longest

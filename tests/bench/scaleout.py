"""Past one machine: Milvus beside FAISS with Tantivy, and Ray beside the product's own parsers.

Milvus is milvus-lite in this process, which scans in Python where a server has an engine: its
figures show what the interface costs and that nothing is lost, not how fast a Milvus is. Vectors
and texts are real ones, repeated with noise up to the size; 1 and 10 % are what a reader may read.
Ray is a cluster of this machine alone, so that its figures are what it adds to a file.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from ingest.parse.model import Job
from ingest.parse.pool import ParserPool, Parsers
from ingest.parse.ray_pool import RayPool
from rag.errors import ParseError
from rag.search import milvus_dense, milvus_lexical
from rag.search.dense import DenseIndex
from rag.search.interface import Dense, Lexical
from rag.search.lexical import LexicalIndex
from rag.search.milvus import SAMPLE
from rag.search.milvus_client import Milvus, Shelf
from rag.search.milvus_dense import MilvusDense
from rag.search.milvus_lexical import MilvusLexical
from rag.settings import load_settings
from rag.types import Access, IndexRow, IndexServer, Vectors
from tests.bench import sets
from tests.bench.embedding import real_texts
from tests.bench.fusions import min_max, ndcg
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad", "contoso")
CORPORA = ("scifact", "cisi", "policyqa_dev", "xquad/en")
NOISE = 0.025  # a coordinate, as in `dense`
BATCH, K = 500, 100
DENSE_WEIGHT = 0.55
RECALL_K = 10
SHARES = {"one": 0.01, "nine": 0.09, "rest": 0.9}
FILTERS = {"1 %": ("one",), "10 %": ("one", "nine"), "100 %": ("one", "nine", "rest")}
MIB = 1024**2
SMALL_FILES = 300


class Made(NamedTuple):
    """What is searched for, and in what."""

    rows: list[IndexRow]
    vectors: Vectors  # (n, dim), of the rows
    questions: list[str]
    asked: Vectors  # (m, dim), of the questions


@dataclass
class Built:
    """Both halves, and what they cost."""

    name: str
    dense: Dense
    lexical: Lexical | None  # where only vectors are looked at
    build_s: float
    grown_bytes: int  # of this process
    disk_bytes: int


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Past one machine", " ".join(__doc__.split("\n\n")[1].split()), quick=run.quick)
    for size in run.pick((10_000,), (1_000,)):
        _print_indexes(_made(run, size))
    _print_quality(run)
    _print_parsing(run)


# Indexes


def _made(run: Run, size: int) -> Made:
    texts, asked, real, questions = real_texts(run, run.pick(CORPORA, CORPORA[-1:]), 8)
    random = np.random.default_rng(size)
    models = random.permutation(np.resize(np.arange(len(real)), size))  # (size,)
    noise = random.normal(0, NOISE, (size, real.shape[1])).astype(np.float32)
    vectors = real[models] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = random.choice(list(SHARES), size, p=list(SHARES.values()))
    rows = [
        _row(number, str(names[number]), texts[model], vectors[number])
        for number, model in enumerate(models)
    ]
    return Made(rows, vectors, asked, questions)


def _row(number: int, collection: str, text: str, vector: NDArray[np.float32]) -> IndexRow:
    head, _, _ = text.partition("\n")
    return IndexRow(
        chunk_id=number,
        document_id=number,
        collection=collection,
        list_id=0,
        language="en",
        title=head[:80],
        name="",
        heading="",
        text=text,
        model_id="",
        vector=vector,
    )


def _print_indexes(made: Made) -> None:
    rows: list[list[Cell]] = []
    costs: list[list[Cell]] = []
    baseline: dict[tuple[str, str], float] = {}
    for build in (_embedded, _milvus("FLAT"), _milvus("HNSW")):
        with scratch() as folder, build(made, folder) as built:
            progress(f"{len(made.rows):,} rows: {built.name} built")
            costs.append(_costs(built, made, costs))
            rows += _searches(built, made, baseline)
    n = len(made.rows)
    header = (f"{n:,} rows", "rows/s in", "× FAISS + Tantivy", "MiB grown", "MiB on disk")
    print_table(header, costs)
    header = (f"{n:,} rows", "readable", "ms p50", "ms p95", "× FAISS + Tantivy", "recall@10")
    print_table(header, rows)
    print_line(
        f"{len(made.questions)} questions, one at a time, k = {K}. Recall of dense search is "
        "against exact inner products, that of words against Tantivy's best ten where no two tie."
    )


def _costs(built: Built, made: Made, before: Sequence[Sequence[Cell]]) -> list[Cell]:
    rate = len(made.rows) / built.build_s
    first = float(before[0][1]) if before else rate  # type: ignore[arg-type]
    grown, disk = built.grown_bytes / MIB, built.disk_bytes / MIB
    return [built.name, rate, rate / first, round(grown), round(disk)]


@contextmanager
def _embedded(made: Made, folder: Path) -> Iterator[Built]:
    with _watched() as spent:
        dense, lexical = DenseIndex(made.vectors.shape[1], "flat"), LexicalIndex(folder)
        for start in range(0, len(made.rows), BATCH):
            some = made.rows[start : start + BATCH]
            ids, names = [row.chunk_id for row in some], [row.collection for row in some]
            dense.append(ids, names, made.vectors[start : start + BATCH])
            lexical.append(some)
        lexical.close()
        lexical.search(made.questions[0], 1, Access(frozenset(SHARES)))  # loads what it needs
    disk = _size(folder) + made.vectors.nbytes
    yield Built("FAISS + Tantivy", dense, lexical, spent["s"], int(spent["bytes"]), disk)


def _milvus(kind: str) -> Callable[[Made, Path], AbstractContextManager[Built]]:
    @contextmanager
    def build(made: Made, folder: Path) -> Iterator[Built]:
        """With the graph, the vectors only: the words' index is the same."""
        milvus = Milvus(IndexServer(str(folder / "index.db")))
        milvus.is_lite = kind == "FLAT"  # what the dense collection's index goes by
        shelves = [Shelf(milvus, name, lambda: "Bounded", _fail) for name in ("v", "w")]
        dense = MilvusDense(shelves[0], made.vectors.shape[1])
        lexical = MilvusLexical(shelves[1]) if kind == "FLAT" else None
        access = Access(frozenset(SHARES))
        try:
            with _watched() as spent:
                milvus_dense.create(milvus, "v", made.vectors.shape[1])
                for start in range(0, len(made.rows), BATCH):
                    milvus.upsert("v", milvus_dense.records(made.rows[start : start + BATCH]))
                milvus.flush("v")
                while kind == "HNSW" and not list(folder.rglob("*.hnsw.idx")):
                    time.sleep(0.1)  # the graph is built aside
                dense.search(made.asked[0], 1, access)
                if lexical is not None:
                    _fill(milvus, lexical, made.rows)
                    lexical.search(made.questions[0], 1, access)
            name, size = f"milvus-lite, {kind}", _size(folder)
            yield Built(name, dense, lexical, spent["s"], int(spent["bytes"]), size)
        finally:
            milvus.close()

    return build


def _fill(milvus: Milvus, lexical: MilvusLexical, rows: list[IndexRow]) -> None:
    average_words = lexical.average_words(rows[:SAMPLE])
    milvus_lexical.create(milvus, "w")
    for start in range(0, len(rows), BATCH):
        milvus.upsert("w", lexical.records(rows[start : start + BATCH], average_words))
    milvus.flush("w")


def _fail() -> None:
    raise AssertionError("nobody has taken the collection away")


@contextmanager
def _watched() -> Iterator[dict[str, float]]:
    """Seconds, and bytes by which this process has grown."""
    process, spent = psutil.Process(), {"s": 0.0, "bytes": 0.0}
    began, before = time.perf_counter(), process.memory_info().rss
    yield spent
    spent["s"] = time.perf_counter() - began
    spent["bytes"] = process.memory_info().rss - before


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


_tantivys: dict[tuple[int, str], list[dict[int, float]]] = {}


def _searches(
    built: Built, made: Made, baseline: dict[tuple[str, str], float]
) -> Iterator[list[Cell]]:
    for share, names in FILTERS.items():
        access = Access(frozenset(names))
        ms: dict[str, list[float]] = {"dense": [], "words": [], "both": []}
        by_vector, by_words = [], []
        for question, vector in zip(made.questions, made.asked, strict=True):
            began = time.perf_counter()
            by_vector.append(built.dense.search(vector, K, access))
            between = time.perf_counter()
            ms["dense"].append((between - began) * 1000)
            if built.lexical is not None:
                by_words.append(built.lexical.search(question, K, access))
                min_max(dict(by_vector[-1]), dict(by_words[-1]), DENSE_WEIGHT)
                ended = time.perf_counter()
                ms["words"].append((ended - between) * 1000)
                ms["both"].append((ended - began) * 1000)
        recalls: dict[str, float | None] = {"dense": _recall(made, names, by_vector)}
        recalls["words"] = _overlap((len(made.rows), share), by_words) if by_words else None
        for name, taken in ms.items():
            if taken:
                p50, p95, _ = percentiles(taken)
                first = baseline.setdefault((share, name), p50)
                figures: list[Cell] = [f"{p50:.2f}", f"{p95:.2f}", p50 / first, recalls.get(name)]
                yield [f"{built.name}: {name}", share, *figures]


def _recall(
    made: Made, names: Sequence[str], found: Sequence[Sequence[tuple[int, float]]]
) -> float:
    allowed = [row.chunk_id for row in made.rows if row.collection in names]
    exact = made.asked @ made.vectors[allowed].T  # (m, allowed)
    k = min(RECALL_K, len(allowed))
    best = np.argpartition(-exact, k - 1, axis=1)[:, :k]
    pairs = zip(best, found, strict=True)
    hits = (len({allowed[i] for i in row} & {i for i, _ in one[:k]}) for row, one in pairs)
    return sum(hits) / (k * len(found))


def _overlap(key: tuple[int, str], found: Sequence[Sequence[tuple[int, float]]]) -> float:
    """Against what Tantivy found, of which copies of one text have the same score."""
    if key not in _tantivys:
        _tantivys[key] = [dict(one) for one in found]
        return 1.0
    shares = []
    for theirs, mine in zip(_tantivys[key], found, strict=True):
        if theirs:
            least = sorted(theirs.values(), reverse=True)[:RECALL_K][-1] * (1 - 1e-4)
            good = {i for i, score in theirs.items() if score >= least}
            first = [i for i, _ in mine[:RECALL_K]]
            shares.append(sum(i in good for i in first) / max(1, len(first)))
    return float(np.mean(shares))


# Quality


def _print_quality(run: Run) -> None:
    rows: list[list[Cell]] = []
    for name in run.pick(("scifact", "cisi"), ("xquad/en",)):
        data = sets.ranked(run.eval_dir, name)
        asked = run.some(list(data.queries), 300, 20)
        texts = zip(data.titles, data.texts, strict=True)
        nothing = np.zeros(2, np.float32)
        made = [_row(n, "one", f"{a}\n{b}".strip(), nothing) for n, (a, b) in enumerate(texts)]
        with scratch() as folder:
            (folder / "tantivy").mkdir()
            tantivy = LexicalIndex(folder / "tantivy")
            tantivy.append(made)
            tantivy.close()
            milvus = Milvus(IndexServer(str(folder / "index.db")))
            shared = MilvusLexical(Shelf(milvus, "w", lambda: "Bounded", _fail))
            _fill(milvus, shared, made)
            a, b = (_ndcg(index, data, asked) for index in (tantivy, shared))
            milvus.close()
        rows.append([name, len(asked), a, b, b - a])
        progress(f"{name}: words ranked")
    print_table(("words alone, nDCG@10", "questions", "Tantivy", "Milvus", "difference"), rows)


def _ndcg(index: Lexical, data: sets.Ranked, asked: Sequence[str]) -> float:
    access = Access(frozenset({"one"}))
    total = 0.0
    for query in asked:
        found = index.search(data.queries[query], RECALL_K, access)
        total += ndcg([data.ids[i] for i, _ in found], data.relevant[query])
    return total / len(asked)


# Parsing


def _print_parsing(run: Run) -> None:
    files = sorted(p for p in (run.eval_dir / "contoso" / "docs").rglob("*") if p.is_file())
    files = run.some(files, 12, 4)
    with scratch() as folder:
        small = [folder / f"{n}.txt" for n in range(run.pick(SMALL_FILES, 20))]
        for file in small:
            file.write_text(f"A short text, number {file.stem}.")
        rows: list[list[Cell]] = []
        for workers in (1, 2):
            first: dict[str, float] = {}
            for name, make in (("own pool", _own), ("Ray", _ray)):
                began = time.perf_counter()
                with make(workers) as pool:
                    _parse(pool, small[: 2 * workers])  # the processes are there then
                    start_s = time.perf_counter() - began
                    large_s, small_s = _parse(pool, files), _parse(pool, small)
                rate, each_ms = len(files) / large_s, small_s / len(small) * 1000
                ratio = rate / first.setdefault("rate", rate)
                progress(f"{name}, {workers} workers")
                cells: list[Cell] = [f"{name}, {workers}", f"{start_s:.1f}", rate, ratio, each_ms]
                rows.append(cells)
    header = ("parsers", "s to start", "files/s", "× own pool", "ms a small file")
    print_table(header, rows)
    print_line(f"{len(files)} files of contoso, then {len(small)} texts of one line.")


def _own(workers: int) -> ParserPool:
    limits = load_settings()
    timeout_s, memory_bytes = limits.parse_timeout_s, limits.parse_memory_bytes
    return ParserPool(workers, timeout_s=timeout_s, memory_bytes=memory_bytes)


def _ray(workers: int) -> RayPool:
    limits = load_settings()
    timeout_s, memory_bytes = limits.parse_timeout_s, limits.parse_memory_bytes
    return RayPool("local", workers, timeout_s=timeout_s, memory_bytes=memory_bytes)


def _parse(pool: Parsers, files: Sequence[Path]) -> float:
    began = time.perf_counter()
    futures = [pool.submit(Job(str(file), file.name)) for file in files]
    for future in futures:
        try:
            future.result()
        except ParseError as error:
            progress(f"not read: {error}")
    return time.perf_counter() - began

"""The server at 20,000 chunks: from its start to ready, and warm questions over HTTP.

Baseline is the embedding of the question alone, as the server itself times it in the same request:
what is left is search, quotes, citations, HTTP and JSON.
"""

import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from rag.search.embed import load_embedder
from rag.settings import load_settings
from rag.store import Store
from rag.types import NewDocument
from tests.bench import sets, stores
from tests.bench.embedding import CachedEmbedder, cached_embedder, model_home, new_data_dir
from tests.bench.processes import Served, citadel_serve
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch
from tests.bench.stages import ingest_with

NEEDS = ("contoso", "scifact", "cisi", "policyqa_dev", "xquad", "kgrag_sec10q")
CORPORA = ("xquad/en", "xquad/de", "xquad/es", "policyqa_dev", "cisi", "scifact")
CLIENTS = 4
STARTS = 3
WARM_UP = 5
MIB = 1024**2

Answer = dict[str, Any]


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Server and questions", __doc__.split("\n")[0], quick=run.quick)
    with scratch() as folder:
        data_dir = new_data_dir(folder / "data")
        n_documents, n_chunks = _fill(run, data_dir, run.pick(20_000, 600))
        size = sum(file.stat().st_size for file in data_dir.rglob("*") if not _linked(file))
        print_line(f"{n_documents:,} documents, {n_chunks:,} chunks, {size / MIB:,.0f} MiB on disk")
        _print_starts(data_dir, folder)
        questions = _questions(run)
        progress(f"{len(questions)} questions")
        with citadel_serve(data_dir, folder / "log") as server:
            _print_questions(server, questions)


def _fill(run: Run, data_dir: Path, n_chunks: int) -> tuple[int, int]:
    """Real documents, real texts, and where these are too few, varied copies of the texts."""
    settings = load_settings(data_dir=data_dir)
    with cached_embedder() as embedder, Store.open(settings.url, data_dir=data_dir) as store:
        ingest_with(embedder, settings, _folders(run), "docs")
        embedder.save()
        documents = _documents(run, embedder, n_chunks - store.stats().chunks)
        progress(f"storing {len(documents):,} documents")
        stores.put_all(store, embedder, documents)
        stores.refresh(store, settings, embedder)
        return store.stats().documents, store.stats().chunks


def _folders(run: Run) -> list[Path]:
    docs = run.eval_dir / "contoso" / "docs"
    return run.pick([docs, run.eval_dir / "kgrag_sec10q" / "docs"], [docs / "PerksPlus.pdf"])


def _documents(run: Run, embedder: CachedEmbedder, n_chunks: int) -> list[NewDocument]:
    titles, texts = _texts(run, n_chunks)
    real = stores.made_documents(embedder, titles, texts)
    documents: list[NewDocument] = []
    chance = random.Random(1)
    size = copy = 0
    while size < n_chunks:
        for document in real:
            documents.append(stores.varied(document, copy, chance) if copy else document)
            size += len(document.chunks)
            if size >= n_chunks:
                break
        copy += 1
    progress(f"{copy - 1} rounds of copies")
    return documents


def _texts(run: Run, n_chunks: int) -> tuple[list[str], list[str]]:
    titles, texts = [], []
    for name in CORPORA:
        corpus = sets.ranked(run.eval_dir, name)
        most = min(len(corpus.texts), run.pick(n_chunks, 60))
        titles += corpus.titles[:most]
        texts += corpus.texts[:most]
    return titles, texts


def _questions(run: Run) -> list[str]:
    asked = [
        *run.some(sets.contoso(run.eval_dir), 30, 6),
        *run.some(sets.kgrag(run.eval_dir), 20, 4),
        *run.some(sets.spans(run.eval_dir, "xquad/en"), 30, 6),
        *run.some(sets.spans(run.eval_dir, "policyqa_dev"), 20, 4),
    ]
    return [question.text for question in asked]


def _print_starts(data_dir: Path, folder: Path) -> None:
    ready, memory = [], []
    for number in range(STARTS):
        progress(f"start {number + 1}")
        with citadel_serve(data_dir, folder / "log") as server:
            ready.append(server.ready_s)
            memory.append(server.memory_bytes())
    alone = []
    for _ in range(STARTS):
        began = time.perf_counter()
        load_embedder(load_settings(data_dir=model_home()))
        alone.append(time.perf_counter() - began)
    baseline = statistics.median(alone)
    rows: list[list[Cell]] = [
        ["loading the model alone (baseline)", baseline, 1.0, None],
        [
            "`citadel serve` to the first 200 of /readyz",
            statistics.median(ready),
            statistics.median(ready) / baseline,
            round(statistics.median(memory) / MIB),
        ],
    ]
    print_table((f"start, median of {STARTS}", "s", "× baseline", "MiB, page included"), rows)


def _print_questions(server: Served, questions: Sequence[str]) -> None:
    with server.client() as client:
        for question in questions[:WARM_UP]:
            _ask(client, question)
        asked = [_ask(client, question) for question in questions]
        searched = [_search(client, question) for question in questions]
    rows = [_row("POST /v1/query, total", [ms for ms, _ in asked])]
    embed = [answer["timings_ms"]["embed"] for _, answer in asked]
    rows.append(_row("… embedding of the question (baseline)", embed))
    beyond = [ms - answer["timings_ms"]["embed"] for ms, answer in asked]
    rows.append(_row("… beyond the embedding of the question", beyond))
    for name in (name for name in asked[0][1]["timings_ms"] if name not in ("embed", "total")):
        values = [answer["timings_ms"].get(name, 0.0) for _, answer in asked]
        rows.append(_row(f"…… {name}", values))
    inside = [answer["timings_ms"]["total"] for _, answer in asked]
    outside = [ms - own for (ms, _), own in zip(asked, inside, strict=True)]
    rows.append(_row("…… HTTP and JSON (client's time less the server's)", outside))
    rows.append(_row("POST /v1/search, total", [ms for ms, _ in searched]))
    rows += _at_once(server, questions)
    answered = sum(answer["status"] == "answered" for _, answer in asked)
    baseline = percentiles(embed)[0]
    print_table(
        ("ms", "p50", "p95", "p99", "p50 × embedding"),
        [[name, *(round(v, 1) for v in figures), figures[0] / baseline] for name, figures in rows],
    )
    print_line(f"{len(questions)} real questions one after the other, {answered} answered.")


def _row(name: str, values: Sequence[float]) -> tuple[str, tuple[float, float, float]]:
    return name, percentiles(values)


def _at_once(
    server: Served, questions: Sequence[str]
) -> list[tuple[str, tuple[float, float, float]]]:
    """The same questions by several clients at once."""

    def client_run(part: Sequence[str]) -> list[float]:
        with server.client() as client:
            return [_ask(client, question)[0] for question in part]

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [questions[i::CLIENTS] for i in range(CLIENTS)]
        values = [ms for part in pool.map(client_run, shares) for ms in part]
    rate = len(values) / (time.perf_counter() - began)
    return [_row(f"POST /v1/query, {CLIENTS} clients at once, {rate:.1f} answers/s", values)]


def _ask(client: httpx.Client, question: str) -> tuple[float, Answer]:
    return _post(client, "/v1/query", {"question": question})


def _search(client: httpx.Client, query: str) -> tuple[float, Answer]:
    return _post(client, "/v1/search", {"query": query})


def _post(client: httpx.Client, path: str, body: dict[str, str]) -> tuple[float, Answer]:
    began = time.perf_counter()
    response = client.post(path, json=body)
    ms = (time.perf_counter() - began) * 1000
    response.raise_for_status()
    answer: Answer = response.json()
    return ms, answer


def _linked(file: Path) -> bool:
    return file.is_dir() or any(parent.is_symlink() for parent in (file, *file.parents))

"""A server's questions while another model is built, switched to and taken back, against alone.

The other model is the bundled one with a layer that turns its vectors: as large, as good, and of no
use against the first one's vectors. Wrong would be an answer that is none, or another best document
than alone.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from rag.settings import load_settings
from rag.store import Store
from tests.bench import sets
from tests.bench.embedding import cached_embedder, new_data_dir
from tests.bench.processes import CITADEL, Finished, Served, citadel_serve, finish
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, cache_dir, progress, scratch
from tests.bench.stages import ingest_with
from tests.other_models import turned

NEEDS = ("contoso",)
ALONE_S = 20.0
POLL_S = 0.05
ROUNDS = 1000  # of all questions: more than there is time for


@dataclass(slots=True)
class Asking:
    """Asks questions over HTTP, one after the other, until it is told to end."""

    client: httpx.Client
    questions: Sequence[str]
    best: dict[str, str]  # the best document of each, as found alone
    ms: list[float] = field(default_factory=list)
    n_other: int = 0  # answers with another best document

    def during(self, work: Callable[[], object]) -> float:
        """Ask while `work` is done; returns its seconds."""
        done = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self._ask_until, done)
            began = time.perf_counter()
            try:
                work()
                seconds = time.perf_counter() - began
            finally:
                done.set()
            asking.result()  # a question that failed ends the benchmark
        return seconds

    def _ask_until(self, done: threading.Event) -> None:
        for question in list(self.questions) * ROUNDS:
            if done.is_set():
                return
            began = time.perf_counter()
            response = self.client.post("/v1/search", json={"query": question})
            self.ms.append((time.perf_counter() - began) * 1000)
            response.raise_for_status()
            found = response.json()["hits"][0]["source_uri"]
            self.n_other += self.best.setdefault(question, found) != found


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Another embedding model", __doc__.split("\n")[0], quick=run.quick)
    with scratch() as folder:
        data_dir = new_data_dir(folder / "data")
        settings = load_settings(data_dir=data_dir)
        with cached_embedder() as embedder:
            docs = run.eval_dir / "contoso" / "docs"
            paths = run.some(sorted(docs.iterdir()), 10, 4)
            ingest_with(embedder, settings, paths, "docs")
        _command(data_dir, "model", "add", _other(), "--name", "turned")
        questions = [q.text for q in run.some(sets.contoso(run.eval_dir), 40, 6)]
        with citadel_serve(data_dir, folder / "log") as server, server.client() as client:
            _print(server, data_dir, client, questions)
        with Store.open(settings.url, data_dir=data_dir) as store:
            print_line(f"{store.stats().chunks:,} passages of contoso, {len(questions)} questions.")


def _print(served: Served, data_dir: Path, client: httpx.Client, questions: list[str]) -> None:
    best: dict[str, str] = {}
    Asking(client, questions, best).during(lambda: time.sleep(2))  # warm
    phases: list[tuple[str, Callable[[], object]]] = [
        ("alone (baseline)", lambda: time.sleep(ALONE_S)),
        ("`model build`", lambda: _command(data_dir, "model", "build", "turned")),
        ("`model switch`", lambda: _changed(served, data_dir, "switch", "turned", "--force")),
        ("after it", lambda: time.sleep(ALONE_S)),
        ("`model rollback --now`", lambda: _changed(served, data_dir, "rollback", "--now")),
    ]
    rows: list[list[Cell]] = []
    alone = 0.0
    for name, work in phases:
        progress(name)
        asking = Asking(client, questions, best)
        seconds = asking.during(work)
        p50, p95, p99 = percentiles(asking.ms)
        alone = alone or p50
        figures = [round(value, 1) for value in (p50, p95, p99, max(asking.ms))]
        rows.append([name, seconds, len(asking.ms), *figures, p50 / alone, asking.n_other])
    header = ("meanwhile", "s", "searches", "p50 ms", "p95", "p99", "longest", "p50 × alone")
    print_table((*header, "another best document"), rows)


def _changed(served: Served, data_dir: Path, *arguments: str) -> None:
    """Run the command, and wait until the server has changed over."""
    with served.client() as client:
        before = client.get("/v1/status").json()["model_id"]
        _command(data_dir, "model", *arguments)
        while client.get("/v1/status").json()["model_id"] == before:
            time.sleep(POLL_S)


def _command(data_dir: Path, *arguments: str | Path) -> Finished:
    return finish([*CITADEL, "--data-dir", data_dir, *arguments])


def _other() -> Path:
    """The other model, made once."""
    folder = cache_dir() / "model-turned"
    if not folder.is_dir():
        turned(folder.with_suffix(".new")).rename(folder)
    return folder

"""Questions to a million chunks as a whole: both branches, fused, merged and checked by the store.

A store of a million chunks, made and asked as for the access filter, by one thread, milliseconds on
the clock without the embedding of the question. Then another process commits and deletes documents
while questions go on, and the indexes follow the log in a thread as they do in a server. The
server's start is a `citadel serve` of its own.
"""

import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from rag.settings import Settings, load_settings
from rag.store import Store
from rag.types import Access
from tests.bench import changing, readers, stores
from tests.bench.embedding import CachedEmbedder, cached_embedder, new_data_dir
from tests.bench.processes import citadel_serve
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import REPOSITORY, Run, progress, scratch

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad")
HITS = 10
CHUNKS_A_DOCUMENT = 50
ASKING = ("100 %", "10 %, by collections", "10 %, by lists", "1 %, by both")
LAPS = ("catch_up", "dense", "lexical", "fuse", "store")
ROUNDS = 2
CHANGED_S = 15.0  # seconds of questions while another process changes the store
MIB = 1024**2

Ask = Callable[[str], dict[str, float]]  # question to milliseconds of each lap


def main(run: Run) -> None:
    """Print the section."""
    what = " ".join(__doc__.split("\n\n")[1].split())
    print_heading("A million chunks, asked as a whole", what, quick=run.quick)
    n_chunks = run.pick(1_000_000, 5_000)
    with scratch() as folder, cached_embedder() as embedder:
        settings = load_settings(data_dir=new_data_dir(folder / "data"))
        _make(run, settings, embedder, n_chunks)
        os.sync()  # else the disk is at work with what was just made
        with citadel_serve(settings.data_dir, folder / "serve.log") as served:
            ready = served.ready_s, served.memory_bytes() / MIB
        before = psutil.Process().memory_info().rss
        with stores.opened(settings, embedder) as parts:
            gc.collect()
            gc.freeze()  # as a server does once it has loaded
            grown = (psutil.Process().memory_info().rss - before) / MIB
            asked = readers.questions(run)
            embedder.encode(asked)
            print_line(
                f"{n_chunks:,} chunks, dense index {parts.indexes.dense.kind}: `citadel serve` is "
                f"ready after {ready[0]:.1f} s and takes {ready[1]:,.0f} MiB with its page; the "
                f"indexes add {grown:,.0f} MiB to a process."
            )
            _print_times(parts, asked, run.pick(ROUNDS, 1))
            _print_changes(run, parts, asked, folder)


def _make(run: Run, settings: Settings, embedder: CachedEmbedder, n_chunks: int) -> None:
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        began = time.monotonic()
        readers.fill(run, store, embedder, n_chunks, CHUNKS_A_DOCUMENT)
        progress(f"stored in {time.monotonic() - began:.0f} s; writing the indexes")
        began = time.monotonic()
        stores.refresh(store, settings, embedder)
        progress(f"both indexes in {time.monotonic() - began:.0f} s")


def _print_times(parts: stores.Parts, asked: Sequence[str], rounds: int) -> None:
    rows: list[list[Cell]] = []
    for name in ASKING:
        ask = _asker(parts, list(readers.READERS).index(name))
        first = [ask(question) for question in asked]
        again = [ask(question) for _ in range(rounds) for question in asked]
        for when, laps in (("first time", first), ("again", again)):
            each = [percentiles([one[lap] for one in laps])[0] for lap in LAPS]
            figures = [f"{ms:.1f}" for ms in percentiles([sum(one.values()) for one in laps])]
            rows.append([f"{name}, {when}", *figures, *[f"{ms:.1f}" for ms in each]])
    header = ("readable", "ms p50", "p95", "p99", *[f"{lap}, p50" for lap in LAPS])
    print_table(header, rows)
    print_line(
        f"{len(asked)} real questions; the first time, a reader's words are counted among what the "
        f"reader may read, which is kept until the index changes."
    )


def _asker(parts: stores.Parts, number: int) -> Ask:
    reader = parts.store.user_number(readers.user(number))

    def ask(question: str) -> dict[str, float]:
        access: Access = parts.store.access_of_number(reader)
        laps = parts.retriever.retrieve(question, access, HITS).timings_ms
        del laps["embed"]
        return laps

    return ask


def _print_changes(run: Run, parts: stores.Parts, asked: Sequence[str], folder: Path) -> None:
    """How long questions take while another process commits and deletes documents."""
    parts.indexes.follow()
    seconds = run.pick(CHANGED_S, 2.0)
    ask = _asker(parts, 0)
    rows: list[list[Cell]] = []
    for name, arguments in (("alone (baseline)", ()), *changing.PACES.items()):
        with _beside(parts.settings.data_dir, arguments, folder):
            ms = list(_asked_for(ask, asked, seconds))
        figures = [f"{one:.1f}" for one in (*percentiles(ms), max(ms))]
        rows.append([name, len(ms), *figures, sum(one > 50 for one in ms) / len(ms)])
    header = ("meanwhile, in another process", "questions", "ms p50", "p95", "p99", "longest")
    print_table((*header, "over 50 ms"), rows)
    print_line(f"{seconds:.0f} s each, by the reader of everything. {os.cpu_count()} cores.")


def _asked_for(ask: Ask, asked: Sequence[str], seconds: float) -> Iterator[float]:
    chance, end = random.Random(3), time.monotonic() + seconds
    while time.monotonic() < end:
        yield sum(ask(chance.choice(asked)).values())
        time.sleep(0.01)


@contextmanager
def _beside(data_dir: Path, arguments: Sequence[str], folder: Path) -> Iterator[None]:
    """`tests.bench.changing` at work until the block is left; nothing where it has no arguments."""
    if not arguments:
        yield
        return
    command = [sys.executable, "-m", "tests.bench.changing", str(data_dir), *arguments]
    with (folder / "changing.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        try:
            time.sleep(3)  # it starts
            if process.poll() is not None:
                raise RuntimeError((folder / "changing.log").read_text())
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

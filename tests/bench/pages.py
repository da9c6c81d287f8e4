"""Thousands of PDF pages: memory and speed over the run, and a run that is broken off twice.

The pages are drawn at random from the evaluation sets' PDFs, each with a line of its own, in files
of 40. One ingest runs through; another of the same files is interrupted by Ctrl-C after a third and
killed with SIGKILL after two thirds, and begun again each time. What both leave in the store must
be the same, and nothing that was committed may be done again. `--pages 50000` says how many: then
there is only the run that is broken off, and each page must be in the store by its own line.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import psutil

from tests.bench.embedding import new_data_dir
from tests.bench.many_pages import PAGES_A_FILE, write_pages
from tests.bench.processes import CITADEL, tree_bytes
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import REPOSITORY, Run, progress, scratch

NEEDS = ("contoso", "kgrag_sec10q")
MIB = 1024**2
N_PAGES, N_PAGES_QUICK = 1_000, 200
SAMPLE_EVERY_S = 0.25
PARTS = 10
OWN_LINE = re.compile(r"of copy \d+, sheet \d+")
NOT_SCANS = 4_000_000  # bytes; the larger PDFs of contoso are scans


class Sample(NamedTuple):
    """All processes of an ingest at a moment, with the processor time used since its start."""

    at: float
    size: int
    busy_s: float


@dataclass(slots=True)
class Watched:
    """An ingest: when each file was committed, and the memory of all its processes over time."""

    seconds: float = 0.0
    returncode: int = 0
    committed: list[tuple[float, str]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds: each file's chunks as a hash and a number, all vectors in order."""

    chunks: dict[str, tuple[str, int]]
    vectors: np.ndarray
    lines: set[str]  # those that `write_pages` gave to the pages


def main(run: Run) -> None:
    """Print the section."""
    what = " ".join(__doc__.split("\n\n")[1].split())
    print_heading("Many pages", what, quick=run.quick)
    n_pages = run.n_pages or run.pick(N_PAGES, N_PAGES_QUICK)
    with scratch() as folder:
        progress(f"writing {n_pages:,} pages")
        sources = [
            file
            for name in ("contoso", "kgrag_sec10q")
            for file in sorted((run.eval_dir / name / "docs").glob("*.pdf"))
            if file.stat().st_size < NOT_SCANS
        ]
        n_files = write_pages(sources, folder / "tree", n_pages)
        if run.n_pages:
            runs = _broken_off(folder / "broken", folder / "tree", n_files)
            contents = _contents(folder / "broken")
            _print_over_time(_joined(runs), contents, n_pages)
            _print_runs(runs)
            _print_lines(contents, n_pages)
            return
        progress("one ingest")
        through = _ingest(new_data_dir(folder / "through"), folder / "tree")
        whole = _contents(folder / "through")
        _print_over_time(through, whole, n_pages)
        runs = _broken_off(folder / "broken", folder / "tree", n_files)
        _print_runs(runs, through)
        _print_same(through, runs, whole, _contents(folder / "broken"))


def _broken_off(folder: Path, tree: Path, n_files: int) -> list[Watched]:
    progress("one that is broken off twice")
    broken = new_data_dir(folder)
    return [
        _ingest(broken, tree, signal.SIGINT, n_files // 3),
        _ingest(broken, tree, signal.SIGKILL, n_files // 3),
        _ingest(broken, tree),
    ]


def _joined(runs: Sequence[Watched]) -> Watched:
    """One after the other, as if they were one."""
    whole, busy = Watched(), 0.0
    for one in runs:
        began = whole.seconds
        whole.committed += [(began + at, uri) for at, uri in one.committed]
        whole.samples += [Sample(began + s.at, s.size, busy + s.busy_s) for s in one.samples]
        whole.seconds += one.seconds
        busy = whole.samples[-1].busy_s
    return whole


def _ingest(
    data_dir: Path, tree: Path, end_by: signal.Signals | None = None, after: int = 0
) -> Watched:
    """`citadel ingest`, sent a signal once it has committed so many files."""
    log = data_dir / "stderr.txt"
    arguments = ["--data-dir", data_dir, "ingest", "--verbose", "--json", tree]
    began, watched = time.perf_counter(), Watched()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*CITADEL, *map(str, arguments)],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )
    root = psutil.Process(process.pid)
    with log.open() as lines:
        while process.poll() is None:
            time.sleep(SAMPLE_EVERY_S)
            _note(watched, lines.readlines(), time.perf_counter() - began)
            if size := tree_bytes(root):
                at = time.perf_counter() - began
                watched.samples.append(Sample(at, size, _busy_s(root)))
            if end_by and len(watched.committed) >= after:
                process.send_signal(end_by)
                process.wait()
        _note(watched, lines.readlines(), time.perf_counter() - began)
    watched.seconds = time.perf_counter() - began
    watched.returncode = process.returncode
    return watched


def _busy_s(root: psutil.Process) -> float:
    """What a process, its descendants and those of them that have ended have used."""
    used = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (root, *root.children(recursive=True)):
            used += sum(process.cpu_times()[:4])
    return used


def _note(watched: Watched, lines: Sequence[str], at: float) -> None:
    for line in lines:
        if line.startswith("committed ") and line.endswith("\n"):
            watched.committed.append((at, line.removeprefix("committed ").strip()))


def _contents(data_dir: Path) -> Contents:
    chunks: dict[str, tuple[str, int]] = {}
    vectors: list[bytes] = []
    lines: set[str] = set()
    query = """select d.source_uri, c.text, c.boxes, v.vector from documents d
        join chunks c on c.document_id = d.id join vectors v on v.chunk_id = c.id
        order by d.source_uri, c.ordinal"""
    with sqlite3.connect(data_dir / "citadel.db") as db:
        for uri, text, boxes, vector in db.execute(query):
            digest, n_chunks = chunks.get(uri, ("", 0))
            joined = f"{digest}\0{text}\0{json.dumps(boxes)}"
            chunks[uri] = hashlib.sha256(joined.encode()).hexdigest(), n_chunks + 1
            vectors.append(vector)
            lines.update(OWN_LINE.findall(text))
    held = np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1)
    return Contents(chunks, held, lines)


def _print_over_time(through: Watched, whole: Contents, n_pages: int) -> None:
    """Speed and memory in each tenth of the run, by chunks."""
    counts = [(at, whole.chunks[uri][1]) for at, uri in through.committed]
    total = sum(n for _, n in counts)
    rows: list[list[Cell]] = []
    done, began, n_here = 0, 0.0, 0
    for at, n_chunks in counts:
        done, n_here = done + n_chunks, n_here + n_chunks
        if done < total * (len(rows) + 1) / PARTS:
            continue
        here = [sample for sample in through.samples if began <= sample.at <= at]
        here = here or [sample for sample in through.samples if sample.at <= at][-1:]
        sizes = [round(sample.size / MIB) for sample in here]
        busy = here[-1].busy_s - here[0].busy_s
        mean, per_busy_s = round(fmean(sizes)), n_here / max(busy, SAMPLE_EVERY_S)
        rate = n_here / max(at - began, SAMPLE_EVERY_S)
        part = f"{len(rows) + 1} of {PARTS}"
        rows.append([part, n_here, at - began, rate, per_busy_s, mean, max(sizes)])
        began, n_here = at, 0
    header = ("part of the run", "chunks", "s", "chunks/s", "chunks a processor second")
    print_table((*header, "mean MiB", "peak MiB"), rows)
    late_by_early = [
        sum(float(row[column] or 0) for row in rows[-3:])
        / sum(float(row[column] or 0) for row in rows[1:4])
        for column in (5, 3, 4)
    ]
    print_line(
        f"{n_pages:,} pages in {len(through.committed):,} files of {PAGES_A_FILE}: {total:,} "
        f"chunks in {through.seconds:.0f} s, {n_pages / through.seconds:.1f} pages/s. The last "
        f"three tenths against the second to fourth: {late_by_early[0]:.2f} of the memory, "
        f"{late_by_early[1]:.2f} of the chunks a second, {late_by_early[2]:.2f} of those a "
        f"processor second. The first tenth includes the start. Load at the end: "
        f"{os.getloadavg()[0]:.1f}."
    )


def _print_runs(runs: Sequence[Watched], through: Watched | None = None) -> None:
    """What each of the runs did, and whether it did anything again."""
    names = ("until Ctrl-C", "until SIGKILL", "to the end")
    rows: list[list[Cell]] = []
    if through:
        figures = through.returncode, len(through.committed), 0, through.seconds
        rows.append(["through (baseline)", *figures])
    before: set[str] = set()
    for name, one in zip(names, runs, strict=True):
        files = [uri for _, uri in one.committed]
        again = len(before.intersection(files))
        rows.append([name, one.returncode, len(files), again, one.seconds])
        before.update(files)
    print_table(("ingest", "exit code", "files committed", "of these again", "s"), rows)


def _print_same(
    through: Watched, runs: Sequence[Watched], whole: Contents, ended: Contents
) -> None:
    """Whether a run that was broken off came to the same as one that was not."""
    seconds = sum(one.seconds for one in runs) / through.seconds
    same = whole.chunks == ended.chunks
    apart = float(np.abs(whole.vectors - ended.vectors).max()) if same else float("nan")
    print_line(
        f"Files, chunks' texts and boxes {'are the same' if same else '**differ**'}; the largest "
        f"difference between two numbers of their vectors is {apart:.1g}. The three together took "
        f"{seconds:.2f} of the time of one."
    )


def _print_lines(contents: Contents, n_pages: int) -> None:
    """Whether every page is in the store, by the line of its own."""
    print_line(f"{len(contents.lines):,} of {n_pages:,} pages are in the store by their own line.")

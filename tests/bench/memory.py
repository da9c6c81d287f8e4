"""Peak memory of an ingest, all processes together, as the folder grows.

The folders are made up: half text files, half PDFs, of sentences drawn from real documents. What is
asked: does the peak grow with the number of files, and is it under 1.5 GiB?
"""

import random
import sys
from pathlib import Path

from tests.bench.embedding import new_data_dir
from tests.bench.processes import citadel_ingest, finish
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch
from tests.bench.words import paragraphs, real_sentences, write_pdf

NEEDS = ("contoso",)
MIB = 1024**2
LIMIT_BYTES = 1536 * MIB
PARAGRAPHS = 12  # some ten chunks a file


def main(run: Run) -> None:
    """Print the section."""
    what = "Summed proportional set sizes of every process of the run, sampled five times a second."
    print_heading("Memory of an ingest", what, quick=run.quick)
    sizes = run.pick((30, 120, 480), (6, 18))
    rows: list[list[Cell]] = []
    peaks = []
    with scratch() as folder:
        sentences = real_sentences(run.eval_dir / "contoso" / "docs")
        for n_files in sizes:
            tree = _tree(folder / f"tree-{n_files}", n_files, sentences)
            if n_files == sizes[0]:
                rows.append(_plain(tree, folder))
            progress(f"citadel ingest of {n_files} files")
            done = citadel_ingest(new_data_dir(folder / f"data-{n_files}"), [tree])
            peaks.append(done.peak_bytes)
            figures = [n_files, done.json["chunks"], done.seconds]
            rows.append(["citadel ingest", *figures, *_memory(done.peak_bytes, peaks[0])])
        header = ("what", "files", "texts", "wall s", "peak MiB", "× smallest folder", "< 1.5 GiB")
        print_table(header, rows)
    grown = peaks[-1] / peaks[0]
    print_line(
        f"{sizes[-1] / sizes[0]:.0f} times the files take {grown:.2f} times the memory. "
        "Baseline of the ratio: the smallest folder by `citadel ingest`."
    )


def _plain(tree: Path, folder: Path) -> list[Cell]:
    progress("the plain script")
    done = finish([sys.executable, "-m", "tests.bench.plain", folder / "plain", tree], watch=True)
    peak = round(done.peak_bytes / MIB)
    return ["plain script", done.json["files"], done.json["texts"], done.seconds, peak, None, None]


def _memory(peak_bytes: int, smallest: int) -> list[Cell]:
    within = "yes" if peak_bytes < LIMIT_BYTES else "no"
    return [round(peak_bytes / MIB), peak_bytes / smallest, within]


def _tree(root: Path, n_files: int, sentences: list[str]) -> Path:
    chance = random.Random(n_files)
    for number in range(n_files):
        folder = root / f"{number // 50:03}"
        folder.mkdir(parents=True, exist_ok=True)
        texts = paragraphs(sentences, chance, PARAGRAPHS)
        if number % 2:
            write_pdf(folder / f"{number:05}.pdf", texts)
        else:
            (folder / f"{number:05}.txt").write_text("\n\n".join(texts))
    return root

"""A second ingest of an unchanged tree of 10,000 files, as a whole process.

The baseline is the least that any program must do to know that nothing has changed: a Python
process that walks the tree and asks for each file's size and time. `citadel --version` shows what
of the difference is starting the command.
"""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.embedding import new_data_dir
from tests.bench.processes import CITADEL, Finished, citadel_ingest, finish
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch

NEEDS: tuple[str, ...] = ()
WALK = """
import os, sys
n = 0
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        status = os.stat(os.path.join(folder, name))
        n += status.st_size > 0 and status.st_mtime_ns > 0
print(n)
"""


def main(run: Run) -> None:
    """Print the section."""
    n_files, repeats = run.pick((10_000, 5), (500, 3))
    print_heading("Ingest of an unchanged tree", __doc__.split("\n")[0], quick=run.quick)
    with scratch() as folder:
        tree, data_dir = _tree(folder / "tree", n_files), new_data_dir(folder / "data")
        progress(f"first ingest of {n_files:,} files")
        first = citadel_ingest(data_dir, [tree])
        progress("again, unchanged")
        _check(citadel_ingest(data_dir, [tree], watch=False), n_files)
        again = _median(repeats, lambda: citadel_ingest(data_dir, [tree], watch=False))
        walk = _median(repeats, lambda: finish([sys.executable, "-c", WALK, tree]))
        version = _median(repeats, lambda: finish([*CITADEL, "--version"]))
    rows: list[list[Cell]] = [
        ["walk and stat (baseline)", n_files, walk, 1.0],
        ["`citadel --version`", 0, version, version / walk],
        ["`citadel ingest`, nothing changed", n_files, again, again / walk],
        ["`citadel ingest`, the first time", n_files, first.seconds, first.seconds / walk],
    ]
    print_table(("process", "files", "wall s", "× walk and stat"), rows)
    print_line(f"Median of {repeats}, the first time once; the page cache is warm.")


def _median(repeats: int, measure: Callable[[], Finished]) -> float:
    return statistics.median(measure().seconds for _ in range(repeats))


def _check(done: Finished, n_files: int) -> None:
    if done.json["unchanged"] != n_files:
        raise RuntimeError(f"not unchanged: {done.stdout}")


def _tree(root: Path, n_files: int) -> Path:
    for number in range(n_files):
        folder = root / f"{number // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"note-{number:05}.txt").write_text(f"Note {number}: the invoice was paid.\n")
    return root

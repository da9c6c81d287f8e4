"""The command: lists the benchmarks, or runs one or all of them."""

import argparse
import importlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.published import publish
from tests.bench.run import REPOSITORY, Run, default_eval_dir, progress

TIMED = (  # one after the other, and nothing else beside them
    "embed",
    "ingest",
    "peers",
    "pages",
    "memory",
    "unchanged",
    "query",
    "dense",
    "million",
    "hybrid",
    "access",
    "parse",
    "support",
    "guarding",
    "admission",
    "switching",
    "scaleout",
)
JUDGED = (  # of which no figure is a time, so that several may run at once; the longest first
    "packing",
    "quality",
    "evidence",
    "retrieval",
    "ranking",
    "injection",
    "languages",
    "followups",
)
NAMES = (*TIMED, *JUDGED)
_PRINTING = threading.Lock()


def main() -> int:
    """Run what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=(*NAMES, "all"))
    parser.add_argument("--quick", action="store_true", help="a small slice, to see that it works")
    parser.add_argument("--write", action="store_true", help="all: write into BENCHMARKS.md")
    parser.add_argument("--eval", type=Path, help="folder of the evaluation sets")
    parser.add_argument(
        "--fit", action="store_true", help="evidence, injection: print fitted constants"
    )
    parser.add_argument(
        "--whole",
        nargs="*",
        metavar="SET",
        help="peers: every file of these sets, or of all, however long it takes",
    )
    parser.add_argument("--pages", type=int, default=0, help="pages: how many, such as 50000")
    given = parser.parse_args()
    usual = default_eval_dir()
    eval_dir = (given.eval or usual).absolute()
    if given.name is None:
        print("\n".join(f"{name:10} {_summary(name)}" for name in NAMES))
        return 0
    if given.name == "all":
        return _run_all(eval_dir, quick=given.quick, write=given.write)
    return _run_one(given.name, Run(eval_dir, given.quick, given.fit, given.whole, given.pages))


def _run_one(name: str, run: Run) -> int:
    module = importlib.import_module(f"tests.bench.{name}")
    if missing := run.missing(module.NEEDS):
        print(f"{name}: not run, because {run.eval_dir} has no {', '.join(missing)}.")
        return 0
    module.main(run)
    return 0


def _run_all(eval_dir: Path, *, quick: bool, write: bool) -> int:
    """Each in a process of its own, so that none finds what another has left in memory."""
    began = time.monotonic()

    def run(name: str) -> bool:
        return _run_alone(name, eval_dir, quick=quick, write=write)

    broken = [name for name in TIMED if not run(name)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        broken += [name for name, ok in zip(JUDGED, pool.map(run, JUDGED), strict=True) if not ok]
    progress(f"all of it took {(time.monotonic() - began) / 60:.0f} minutes")
    if broken:
        progress(f"these ended with an error: {', '.join(broken)}")
    return 1 if broken else 0


def _run_alone(name: str, eval_dir: Path, *, quick: bool, write: bool) -> bool:
    """Run one and print what it printed; whether it came to its end."""
    progress(f"running {name}")
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.bench", name, "--eval", str(eval_dir)]
    done = subprocess.run(
        [*command, *(["--quick"] if quick else [])],
        cwd=REPOSITORY,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    with _PRINTING:
        print(done.stdout, flush=True)
        progress(f"{name} took {time.monotonic() - began:.0f} s")
        if write and not quick and not done.returncode and done.stdout.startswith("## "):
            publish(REPOSITORY / "BENCHMARKS.md", name, done.stdout)
    return not done.returncode


def _summary(name: str) -> str:
    text = importlib.import_module(f"tests.bench.{name}").__doc__ or ""
    return text.split("\n")[0]


if __name__ == "__main__":
    sys.exit(main())

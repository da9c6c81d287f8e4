"""What every benchmark is handed, and the sentence for when its data is not there."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """How a benchmark is to be run."""

    eval_dir: Path
    quick: bool = False
    fit: bool = False
    whole: Sequence[str] | None = None  # sets of which every file is read; all of them if empty
    n_pages: int = 0

    def pick(self, full: T, quick: T) -> T:
        """The one or the other size."""
        return quick if self.quick else full

    def some(self, items: Sequence[T], full: int, quick: int) -> list[T]:
        """At most so many items, spread evenly over the whole."""
        most = min(self.pick(full, quick), len(items))
        return [items[i * len(items) // most] for i in range(most)]

    def missing(self, sets: Sequence[str]) -> list[str]:
        """The evaluation sets that are not there."""
        return [name for name in sets if not (self.eval_dir / name).is_dir()]


def default_eval_dir() -> Path:
    """Where the evaluation sets are unless it is said."""
    given = os.environ.pop("CITADEL_EVAL", None)  # not a setting: the product would refuse it
    return Path(given) if given else REPOSITORY.parent / "shared" / "eval"


def cache_dir() -> Path:
    """Where results that never change are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(home) / "citadel-bench"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="citadel-bench-") as folder:
        yield Path(folder)


def progress(text: str) -> None:
    """A line on stderr."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)

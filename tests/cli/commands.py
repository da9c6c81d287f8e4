"""Runs `citadel` in a process of its own, as a person or a script would."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forking import Forker

REPOSITORY = Path(__file__).parents[2]
FORKER = Forker()
COMMAND = (sys.executable, "-c", "from rag.cli import main; main()")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without its settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CITADEL_")}
    model = {"CITADEL_EMBED_BACKEND": "openvino", "CITADEL_EMBED_PRECISION": "f32"}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **model, **settings}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout; whatever else stood there would make this fail."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Citadel:
    """The command over one data directory."""

    data_dir: Path

    def __call__(self, *arguments: str | Path, **settings: str) -> Ended:
        home = self.data_dir.parent
        out, err = home / ".stdout", home / ".stderr"
        order = {
            "arguments": [*map(str, arguments)],
            "environment": environment(CITADEL_DATA_DIR=str(self.data_dir), **settings),
            "folder": str(home),
            "out": str(out),
            "err": str(err),
        }
        code = FORKER.run(order, timeout_s=100)
        ended = Ended(code, out.read_text(), err.read_text())
        assert "Traceback" not in ended.err
        return ended


def over_new_store(home: Path, model_home: Path) -> Citadel:
    data_dir = home / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "models").symlink_to(model_home / "models")
    return Citadel(data_dir)


def write_docs(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "travel.md").write_text(
        "# Travel policy\n\nA hotel in London may cost up to 180 pounds a night.\n\n"
        "## Trains\n\nSecond class is booked for journeys under four hours.\n"
    )
    (folder / "prices.csv").write_text("part,price\nbolt M8,0.35\nnut M8,0.12\n")
    (folder / "sub" / "opening.txt").write_text("The canteen opens at half past eleven.\n")
    return folder

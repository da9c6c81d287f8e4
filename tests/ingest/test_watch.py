"""`citadel watch` as a process, followed through what it says on stderr."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sync_steps import data_dir

from rag.settings import load_settings
from rag.store import Store

COMMAND = (sys.executable, "-c", "from rag.cli import main; main()")
PATIENCE_S = 60.0


class Watching:
    """A running `citadel watch`."""

    def __init__(self, home: Path, docs: Path) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "--data-dir", str(home), "watch", str(docs)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "CITADEL_EMBED_BACKEND": "openvino"},
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.put(line.rstrip("\n"))

    def wait_for(self, text: str) -> None:
        """Read on until a line contains the text."""
        while text not in self._lines.get(timeout=PATIENCE_S):
            pass

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=PATIENCE_S)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture
def home(tmp_path: Path, models: Path) -> Path:
    return data_dir(tmp_path, models)


@pytest.fixture
def watching(home: Path, docs: Path) -> Iterator[Watching]:
    process = Watching(home, docs)
    yield process
    process.end()


def names(home: Path, docs: Path) -> list[str]:
    settings = load_settings(data_dir=home)
    with Store.open(settings.url, data_dir=home) as store:
        found = store.list_documents(store.access_to_all())
    return sorted(str(Path(d.source_uri).relative_to(docs)) for d in found)


def test_what_is_added_changed_moved_and_removed_is_followed_until_ctrl_c(
    watching: Watching, home: Path, docs: Path
) -> None:
    watching.wait_for("3 added")
    (docs / "new.txt").write_text("The lift is being repaired until Friday.\n")
    watching.wait_for("1 added")
    (docs / "new.txt").write_text("The lift works again, since yesterday.\n")
    watching.wait_for("1 updated")
    (docs / "new.txt").rename(docs / "sub" / "lift.txt")
    watching.wait_for("1 moved")
    (docs / "travel.md").unlink()
    watching.wait_for("1 removed")
    (docs / "sub" / ".citadel-access.yaml").write_text("read: []")
    watching.wait_for("2 with other readers")

    assert names(home, docs) == ["prices.csv", "sub/lift.txt", "sub/opening.txt"]
    assert watching.interrupt() == 130
    watching.wait_for("citadel: interrupted")

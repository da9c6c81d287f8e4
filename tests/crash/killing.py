"""Starts ingests, kills them, and says what they had acknowledged."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_S = 0.004
GONE_WITHIN_S = 10.0
LONGEST_RUN_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """An ingest that has ended. `exit_code` is -9 where it was killed."""

    exit_code: int
    lines: list[str]  # of stderr, complete ones only
    seconds: float

    @property
    def acknowledged(self) -> list[str]:
        """The files that it said were committed."""
        return [line.removeprefix("committed ") for line in self.lines if _is_commit(line)]


class Warm:
    """A process that forks ingests; see `warm.py`."""

    def __init__(self, process: "subprocess.Popen[str]", scratch: Path) -> None:
        self._process = process
        self._log = scratch / "stderr"

    def ingest(
        self, data_dir: Path, folder: Path, *, until: Callable[[float, list[str]], bool]
    ) -> Run:
        """Ingest, and kill it as soon as `until(seconds, lines)` says so.

        It is asked every four milliseconds with the run's age and the lines it has written.
        """
        arguments = ["--data-dir", str(data_dir), "ingest", "--verbose", "--json", str(folder)]
        self._log.write_bytes(b"")
        started = time.monotonic()
        pid = self._order(json.dumps({"arguments": arguments, "stderr": str(self._log)}))
        while not _has_ended(pid) and not until(time.monotonic() - started, self._lines()):
            assert time.monotonic() - started < LONGEST_RUN_S, self._log.read_text()
            time.sleep(POLL_S)
        seconds = time.monotonic() - started
        exit_code = self._order("end")
        wait_until_gone(pid)
        return Run(exit_code, self._lines(), seconds)

    def _order(self, line: str) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def _lines(self) -> list[str]:
        *complete, _ = self._log.read_text().split("\n")
        return complete


@contextmanager
def warm_process(scratch: Path) -> Iterator[Warm]:
    """A warm process, with temporary files and settings of its own."""
    temporary = scratch / "tmp"
    temporary.mkdir()
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=scratch,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(repository),
            "TMPDIR": str(temporary),
            "HOME": str(scratch),
            "CITADEL_EMBED_BACKEND": "openvino",
            "CITADEL_EMBED_PRECISION": "f32",
            "CITADEL_INGEST_WORKERS": "2",
        },
    )
    with process:
        yield Warm(process, scratch)
        assert process.stdin is not None
        process.stdin.close()


def never(seconds: float, lines: list[str]) -> bool:
    """For runs that are not to be killed."""
    return False


def wait_until_gone(parent: int) -> None:
    """Wait until no parser process of an ingest is left, as the kernel promises."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while left := parsers_of(parent):
        assert time.monotonic() < deadline, f"parsers outlived their ingest: {left}"
        time.sleep(POLL_S)


def parsers_of(parent: int) -> list[int]:
    """Ids of the parser processes that an ingest has started."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if "ingest.parse.worker" in command and command[-1] == str(parent):
            found.append(process.pid)
    return found


def _has_ended(pid: int) -> bool:
    return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def _is_commit(line: str) -> bool:
    return line.startswith("committed ")

"""The product as a user runs it: processes, timed, with the memory of all of them together."""

import json
import os
import resource
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.bench.run import REPOSITORY

SAMPLE_EVERY_S = 0.2
CITADEL = (sys.executable, "-c", "from rag.cli import main; main()")
READY_WITHIN_S = 120
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command did and what it took."""

    seconds: float
    peak_bytes: int  # of the command and all its descendants together, 0 where not watched
    returncode: int
    stdout: str
    stderr: str
    busy_s: float = 0.0  # processor time of all its processes, which other work disturbs less

    @property
    def json(self) -> dict[str, Any]:
        """The object that it printed."""
        value: dict[str, Any] = json.loads(self.stdout)
        return value


class _Watch(threading.Thread):
    """Samples the proportional set size of a process tree: shared pages count once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._root = psutil.Process(pid)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(self._root))

    def end(self) -> int:
        """Stop; returns the highest sum seen."""
        self._ended.set()
        self.join()
        return self.peak_bytes


def tree_bytes(root: psutil.Process) -> int:
    """Summed proportional set sizes of a process and all its descendants, 0 once it has ended."""
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_pss(process) for process in processes)


def _pss(process: psutil.Process) -> int:
    """One process's share, 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (OSError, psutil.Error):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def finish(
    command: Sequence[str | Path], *, watch: bool = False, codes: Sequence[int] = (0,)
) -> Finished:
    """Run a command to its end in the repository's root.

    Raises:
        RuntimeError: it ended with a code that is not among `codes`.
    """
    began, busy = time.perf_counter(), _children_busy_s()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watching = _Watch(process.pid) if watch else None
    if watching:
        watching.start()
    stdout, stderr = process.communicate()
    seconds = time.perf_counter() - began
    peak = watching.end() if watching else 0
    if process.returncode not in codes:
        raise RuntimeError(f"{command} ended with {process.returncode}:\n{stderr[-2000:]}")
    busy_s = _children_busy_s() - busy
    return Finished(seconds, peak, process.returncode, stdout, stderr, busy_s)


def _children_busy_s() -> float:
    """Processor time of all descendants of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def citadel_ingest(data_dir: Path, paths: Sequence[Path], *, watch: bool = True) -> Finished:
    """`citadel ingest PATHS --json`; failed files are part of a real folder, so 3 is fine too."""
    command: list[str | Path] = [*CITADEL, "--data-dir", data_dir, "ingest", "--json", *paths]
    return finish(command, watch=watch, codes=(0, 3))


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    url: str
    token: str
    ready_s: float  # from the process's start to the first 200 of /readyz
    process: subprocess.Popen[bytes]

    def client(self) -> httpx.Client:
        """A client with a connection of its own."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def memory_bytes(self) -> int:
        """What the API's process and the page's take together."""
        return tree_bytes(psutil.Process(self.process.pid))


@contextmanager
def citadel_serve(data_dir: Path, log: Path) -> Iterator[Served]:
    """`citadel serve` on free ports until the block is left.

    Raises:
        RuntimeError: it ended, or was not ready in time.
    """
    port, ui_port = _free_ports()
    token = secrets.token_urlsafe(24)
    command = [*CITADEL, "--data-dir", str(data_dir), "serve"]
    command += ["--port", str(port), "--ui-port", str(ui_port)]
    # One client asks faster than any person does, and without a pause.
    unlimited = {"CITADEL_CALLER_REQUESTS_PER_MINUTE": "1000000"}
    environment = {**os.environ, **unlimited, "CITADEL_TOKEN": token}
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=stream, stderr=stream
        )
        try:
            _wait_ready(url, process, log)
            yield Served(url, token, time.perf_counter() - began, process)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_WITHIN_S
    with httpx.Client(base_url=url, timeout=2) as client:
        while process.poll() is None and time.monotonic() < end:
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_S)
    raise RuntimeError(f"the server is not ready:\n{log.read_text()[-2000:]}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]

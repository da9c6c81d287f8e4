"""`citadel` as a person runs it: processes of their own, ended by their id."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ui

READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
_CITADEL = [sys.executable, "-c", "import sys; from rag.cli import main; sys.exit(main())"]


def fresh(folder: Path, model_home: Path) -> Path:
    """A new data directory that has the converted model."""
    folder.mkdir()
    (folder / "models").symlink_to(model_home / "models")
    return folder


@dataclass
class Server:
    """`citadel serve` after it has said that it is ready."""

    process: subprocess.Popen[str]
    login: str  # the one-time address
    cookies: list[Any]  # of the browser that has logged in
    page: str = ""  # the page's address, once a browser has logged in

    @property
    def api(self) -> str:
        return self.login.split("/login")[0]


def ingest(data_dir: Path, folder: Path) -> int:
    """`citadel ingest`; returns the exit code."""
    command = [*_CITADEL, "ingest", str(folder)]
    done = subprocess.run(command, env=_environment(data_dir), capture_output=True, timeout=90)
    return done.returncode


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Server]:
    """`citadel serve` on free ports, with these variables in its environment."""
    command = [*_CITADEL, "serve", "--port", "0", "--ui-port", "0"]
    with (
        data_dir.with_suffix(".stderr").open("w") as errors,
        _running(command, _environment(data_dir) | settings, errors) as process,
    ):
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
        line = process.stdout.readline() if readable else ""
        found = re.fullmatch(r"Citadel is ready: (http://127\.0\.0\.1:\d+/login\?\S+)\n", line)
        assert found, data_dir.with_suffix(".stderr").read_text()
        yield Server(process, found[1], [])


@contextmanager
def page_alone(api: str) -> Iterator[str]:
    """The page without the server around it; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(ui.__file__).with_name("app.py")
    options = ["--server.address=127.0.0.1", f"--server.port={port}", "--server.headless=true"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    environment = os.environ | {"CITADEL_API_URL": api}
    with _running(command, environment, subprocess.DEVNULL):
        _await_listening(port)
        yield f"http://127.0.0.1:{port}"


def _await_listening(port: int) -> None:
    end = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the page does not listen")


def _environment(data_dir: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("CITADEL_")}
    model = {"CITADEL_EMBED_BACKEND": "openvino", "CITADEL_EMBED_PRECISION": "f32"}
    return inherited | model | {"CITADEL_DATA_DIR": str(data_dir)}


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], errors: Any
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

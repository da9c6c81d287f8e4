"""`citadel engine serve` with a small stand-in for vLLM: started together, ended together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from published import published

COMMAND = (sys.executable, "-c", "from rag.cli import main; main()", "engine", "serve")
REPOSITORY = Path(__file__).parents[2]
WAIT_S = 60
MODELS = ("llama-3.3-70b-fp8", "llama-3.1-8b")
# Answers /health, and notes its key and what it sees; ends with status 3, or is silent, when told.
VLLM = """#!{python}
import http.server, os, pathlib, sys
if sys.argv[1:] == ["--version"]:
    print("{version}"); sys.exit()
role = sys.argv[sys.argv.index("--served-model-name") + 1]
notes = pathlib.Path("{notes}")
(notes / role).write_text(" ".join([str(os.getpid()), os.environ.get("VLLM_API_KEY", "-"),
                                    os.environ["CUDA_VISIBLE_DEVICES"],
                                    os.environ["HF_HUB_OFFLINE"],
                                    *(path.name for path in notes.glob("answered-*"))]))
if (notes / ("broken-" + role)).exists():
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        silent = (notes / ("silent-" + role)).exists()
        self.send_response(503 if silent else 200); self.end_headers()
        (notes / ("answered-" + role)).touch()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])),
                       Handler).serve_forever()
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A machine with five GPUs, two small models, and a program called vllm."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs / "vllm", VLLM.format(python=sys.executable, version="0.32.0", notes=tmp_path))
    rows = "; ".join(f"echo {n}, 81559, 4, 9.0" for n in range(5))
    program(programs / "nvidia-smi", f"#!/bin/sh\n{rows}\n")
    for name in MODELS:
        folder = published(name, tmp_path)
        (folder / "model-00001-of-00001.safetensors").touch()  # named by the index, not read
        (folder / "tokenizer.json").touch()
    key = tmp_path / "key"
    key.write_text("a-key-for-the-tests\n")
    key.chmod(0o600)
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def command(site: Path, *more: str) -> list[str]:
    ports = ["--port", str(free_port()), "--guard-port", str(free_port())]
    main, guard = (str(site / name) for name in MODELS)
    models = ["--model", main, "--guard-model", guard]
    return [*COMMAND, *models, *ports, "--key-file", str(site / "key"), *more]


def environment(site: Path) -> dict[str, str]:
    path = f"{site / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    return {"PATH": path, "HOME": str(site), "PYTHONPATH": str(REPOSITORY)}


@contextmanager
def serving(site: Path, *more: str) -> Iterator["subprocess.Popen[str]"]:
    """The command, once both servers are ready."""
    running = subprocess.Popen(
        command(site, *more), env=environment(site), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        said = [running.stdout.readline() for _ in range(2)]
        assert all("ready: http://127.0.0.1:" in line for line in said), said
        yield running
    finally:
        running.kill()
        running.communicate()


def pid_of(site: Path, role: str) -> int:
    return int((site / role).read_text().split()[0])


def ended(pid: int) -> bool:
    deadline = time.monotonic() + WAIT_S
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_both_are_started_with_their_gpus_and_the_key_and_end_on_a_signal(site: Path) -> None:
    with serving(site) as running:
        pids = [pid_of(site, role) for role in ("main", "guard")]
        for role in ("main", "guard"):
            _, key, _, offline, *_ = (site / role).read_text().split()
            assert (key, offline) == ("a-key-for-the-tests", "1")
        running.send_signal(signal.SIGTERM)
        assert running.wait(WAIT_S) == 0
    assert all(map(ended, pids))


def test_a_guard_that_shares_the_only_gpu_takes_its_part_before_the_engine_starts(
    site: Path,
) -> None:
    program(site / "bin" / "nvidia-smi", "#!/bin/sh\necho 0, 143771, 4, 9.0\n")
    with serving(site, "--kv-dtype", "fp8"):
        _, _, engine_gpu, _, *answered = (site / "main").read_text().split()
        _, _, guard_gpu, _, *before = (site / "guard").read_text().split()
    assert engine_gpu == guard_gpu == "0"
    assert (before, answered) == ([], ["answered-guard"])


def test_a_server_that_never_answers_is_given_up_and_the_other_ended(site: Path) -> None:
    (site / "silent-guard").touch()
    assert "the guard did not answer within 3 s" in failed(site, "--start-timeout", "3")
    assert all(ended(pid_of(site, role)) for role in ("main", "guard"))


def test_where_one_ends_the_other_is_ended_too(site: Path) -> None:
    with serving(site) as running:
        engine = pid_of(site, "main")
        os.kill(pid_of(site, "guard"), signal.SIGKILL)
        assert running.wait(WAIT_S) == 1
        assert running.stderr is not None
        assert "the guard has ended" in running.stderr.read()
    assert ended(engine)


def test_where_we_are_killed_they_end(site: Path) -> None:
    with serving(site) as running:
        pids = [pid_of(site, role) for role in ("main", "guard")]
        running.kill()
        running.wait(WAIT_S)
    assert all(map(ended, pids))


def failed(site: Path, *more: str) -> str:
    done = subprocess.run(
        command(site, *more), env=environment(site), capture_output=True, text=True, timeout=WAIT_S
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr and "hint: " in done.stderr
    return done.stderr


def test_a_server_that_does_not_start_is_named_and_the_other_ended(site: Path) -> None:
    (site / "broken-guard").touch()
    assert "the guard has ended with status 3" in failed(site)
    assert ended(pid_of(site, "main"))


def test_an_old_vllm_is_refused(site: Path) -> None:
    program(
        site / "bin" / "vllm",
        VLLM.format(python=sys.executable, version="0.29.1", notes=site),
    )
    assert "known security holes" in failed(site)


def test_without_vllm_it_is_said_how_to_install_it(site: Path) -> None:
    (site / "bin" / "vllm").unlink()
    assert "environment of its own" in failed(site)


def test_a_key_that_everyone_can_read_is_refused(site: Path) -> None:
    (site / "key").chmod(0o644)
    assert "everyone can read the key" in failed(site)


def test_no_public_address_is_offered(site: Path) -> None:
    assert "no private address" in failed(site, "--host", "0.0.0.0")

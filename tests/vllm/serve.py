"""A real vLLM in a process of its own, on a free port of this machine.

    with serving(models, ["engine"], folder) as [engine]:   # conftest.py has fixtures for it
        settings = Settings(engine_url=engine.url, engine_model_dir=engine.model_dir)
        engine.script(Line("You have 28 days. [key of 28 days of annual leave]", when="leave"))
        …
        engine.kill(); engine.start(); engine.wait()   # the same port again

The engine writes nonsense, always the same, unless a `Line` applies. The guard judges by the words
of `MARKED` in `make_models.py` ("poison" is S1, "passport" is S7) wherever they stand in the
conversation. A server's output goes to `.artefacts/vllm/NAME.log`.
"""

import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from rag.answer.engine import EngineMetrics
from rag.answer.engine_wire import read_metrics

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VENV = ROOT / ".venv-vllm"
LOGS = ROOT / ".artefacts" / "vllm"
START_S = 420  # 25 to 40 alone on a quiet machine
STOP_S = 20
POLL_S = 0.25
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_libc = ctypes.CDLL(None)
WINDOW_TOKENS = {"engine": 8192, "guard": 16_384}
FLAGS = (
    "--enforce-eager --no-async-scheduling --enable-prompt-tokens-details --max-num-seqs 16"
    " --dtype float32 --seed 0 --uvicorn-log-level warning"
)
ENGINE_FLAGS = (
    "--enable-auto-tool-choice --tool-call-parser llama3_json --logits-processors scripted:Scripted"
)
ENVIRONMENT = {
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, a whole number
    "VLLM_HOST_IP": "127.0.0.1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What the engine answers to prompts in which the regular expression `when` is found.

    `[key of PHRASE]` in `says` becomes the citation marker of the passage with that phrase: the
    last match of `key` before it in the prompt. `token_s` is a pause before each token.
    """

    says: str
    when: str = ""
    token_s: float = 0.0
    key: str = r"\[([a-z0-9]{4})\]"


def installed() -> bool:
    """Whether `tests/vllm/install.sh` has run to its end."""
    return (VENV / ".stamp").exists()


def make_models(cache: Path) -> Path:
    """The models, made in seconds and kept in `cache` until what makes them changes."""
    texts = [HERE / "make_models.py", HERE / "requirements.lock", ROOT / "README.md"]
    texts += sorted((ROOT / "examples" / "content").rglob("*.md"))
    name = hashlib.sha256(b"".join(path.read_bytes() for path in texts)).hexdigest()[:12]
    models = cache / f"models-{name}"
    if not (models / "done").exists():
        program = [VENV / "bin" / "python", HERE / "make_models.py", models]
        subprocess.run(program, check=True, capture_output=True, timeout=START_S)
    return models


class RealVLLM:
    """One server. `start()` returns at once, `wait()` when it answers."""

    def __init__(self, models: Path, name: str, folder: Path) -> None:
        self.name = name
        self.model_dir = models / name
        self.port = _free_port()
        self._folder = folder / name  # all that it writes but its log
        self._folder.mkdir()
        self._script = self._folder / "script.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.script()

    @property
    def root(self) -> str:
        """The address beside its API: `/tokenize`, `/metrics`, `/health`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of its OpenAI API."""
        return f"{self.root}/v1"

    @property
    def log(self) -> Path:
        """Everything that it wrote to its terminal."""
        return LOGS / f"{self.name}.log"

    def script(self, *lines: Line) -> None:
        """What the engine writes from the next request on; nothing given, its nonsense."""
        text = json.dumps([asdict(line) for line in lines])
        draft = self._script.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._script)

    def start(self) -> None:
        """Start it, on the same port each time."""
        LOGS.mkdir(parents=True, exist_ok=True)
        command = [VENV / "bin" / "vllm", "serve", self.model_dir, *FLAGS.split()]
        command += ["--served-model-name", self.name, "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--max-model-len", str(WINDOW_TOKENS[self.name])]
        if self.name == "engine":
            command += ENGINE_FLAGS.split()
        places = dict.fromkeys(("HOME", "TMPDIR", "VLLM_CACHE_ROOT"), str(self._folder))
        paths = {"PYTHONPATH": str(HERE), "CITADEL_TEST_SCRIPT": str(self._script)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={"PATH": os.environ["PATH"], **ENVIRONMENT, **places, **paths},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its workers die with it: see kill()
                preexec_fn=_die_with_parent,
            )

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: it ended instead, or took longer than `START_S`.
        """
        assert self._process is not None
        until = time.monotonic() + START_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
                raise RuntimeError(f"vLLM ({self.name}) did not start; {self.log}:\n{tail}")
            time.sleep(POLL_S)

    def kill(self) -> None:
        """End it and its workers on the spot, as a crash would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S)
            self._process = None

    def stop(self) -> None:
        """Ask it to end, and see to it that it and its workers do."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    def metrics(self) -> EngineMetrics:
        """What it says of its load now."""
        said = read_metrics(httpx2.get(f"{self.root}/metrics", trust_env=False).text)
        assert said is not None
        return said

    def _healthy(self) -> bool:
        try:
            return httpx2.get(f"{self.root}/health", trust_env=False, timeout=5).is_success
        except httpx2.TransportError:
            return False


@contextmanager
def serving(models: Path, names: Sequence[str], folder: Path) -> Iterator[list[RealVLLM]]:
    """Servers of the models `names`, started side by side; `folder` is for their small files."""
    servers = [RealVLLM(models, name, folder) for name in names]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.stop()


def prefix_hit_rate(before: EngineMetrics, after: EngineMetrics) -> float:
    """Share of the prompt tokens between two readings that the prefix cache already held."""
    looked_up = after.prefix_queries - before.prefix_queries
    return (after.prefix_hits - before.prefix_hits) / looked_up if looked_up else 0.0


def _die_with_parent() -> None:
    """Have the kernel end this process, which ends its workers, when the tests are killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port

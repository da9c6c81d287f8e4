"""Nothing leaves the building: no process of ours, the converter included, calls a host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag.search.precision import Precision, kinds, processor_flags

WATCH = """
import os, sys
CALLS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
def watch(event, args):
    if event not in CALLS:
        return
    with open(os.environ["ATTEMPTS"], "a") as attempts:
        attempts.write(f"{event} {args[1:] if event == 'socket.connect' else args}\\n")
with open(os.environ["ATTEMPTS"], "a") as attempts:
    attempts.write(f"watching {' '.join(sys.orig_argv[1:3])[:40]!r}\\n")
sys.addaudithook(watch)
"""

USE = """
import sys
from pathlib import Path
from company import DOCS, ask, fill
from rag.appliance import Appliance
from rag.search.indexes import refresh_snapshots
from rag.settings import Settings
settings = Settings(data_dir=Path(sys.argv[1]), embed_backend="openvino")
with Appliance(settings) as appliance:
    fill(appliance.store, appliance.embedder)
    embedder = appliance.embedder
    refresh_snapshots(appliance.store, embedder.model_id, embedder.dim, "auto", lambda _: None)
    print(ask(appliance, "How many days of annual leave do employees have?").status)
    print(ask(appliance, "Who won the football world cup?").status)
    print(len(appliance.search("leave", DOCS).hits) > 0)
"""


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_opening_converting_filling_searching_and_answering_call_no_host(
    precision: Precision, tmp_path: Path
) -> None:
    attempts = tmp_path / "attempts"
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    here = Path(__file__).parent
    paths = [tmp_path / "watch", here, here.parent, here.parent.parent]
    environment = {  # nothing else: libraries keep quiet where they see CI
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "ATTEMPTS": str(attempts),
        "HOME": str(tmp_path),
        "CITADEL_EMBED_PRECISION": precision,
    }
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["answered", "no_evidence", "True"]
    watched, called = [], []
    for line in attempts.read_text().splitlines():
        (watched if line.startswith("watching") else called).append(line)
    assert any("rag.search.convert" in line for line in watched), "the converter was watched too"
    assert called == []
    (converted,) = (tmp_path / "data" / "models").iterdir()
    expected = kinds(precision, processor_flags())[0].name
    assert converted.name.endswith(f"-{expected}"), "it was converted in the way that was asked for"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [], (
        "nothing is written into the home directory"
    )

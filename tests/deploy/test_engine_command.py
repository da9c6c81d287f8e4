"""`citadel engine` as an admin runs it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from rag.cli import main; main()", "engine")
PAPER = ("--gpus", "8", "--gpu-memory", "80GiB")


def run(*arguments: str, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": str(path or "/usr/bin"), "HOME": "/nonexistent"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_node_on_paper_is_planned_as_json() -> None:
    planned = json.loads(run("plan", *PAPER, "--json").stdout)
    assert planned["gpus"] == 8
    assert planned["tensor_parallel"] == 4
    assert planned["kv_bytes_per_token"] == 327_680
    assert planned["guard_gpu"] == 4
    assert planned["concurrent"]["131072"] == pytest.approx(3.6, abs=0.1)
    assert set(planned["concurrent"]) == {"8192", "32768", "131072"}
    assert len(planned["commands"]) == 2


def test_the_commands_are_shell_ready_and_offline() -> None:
    engine, guard = run("command", *PAPER).stdout.splitlines()
    words = shlex.split(engine)
    assert "CUDA_VISIBLE_DEVICES=0,1,2,3" in words
    assert {"HF_HUB_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1"} <= set(words)
    assert words[words.index("vllm") :][:2] == ["vllm", "serve"]
    assert words[words.index("--tensor-parallel-size") + 1] == "4"
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert "--api-key" not in words
    assert "--kv-cache-dtype" not in words
    assert "CUDA_VISIBLE_DEVICES=4" in shlex.split(guard)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_printed_command_starts_no_server_without_the_key_that_it_names(
    shell: str, tmp_path: Path
) -> None:
    program, key = tmp_path / "vllm", tmp_path / "the key"
    program.write_text('#!/bin/sh\necho "started with $VLLM_API_KEY"\n')
    program.chmod(0o755)
    line = run("command", *PAPER, "--key-file", str(key)).stdout.splitlines()[0]

    def started() -> tuple[bool, str]:
        path = f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"
        done = subprocess.run(
            [shell, "-c", line], env={"PATH": path}, capture_output=True, text=True, timeout=30
        )
        return done.returncode == 0, done.stdout

    assert started() == (False, "")
    key.write_text("\n")
    assert started() == (False, ""), "vLLM takes an empty key for none"
    key.write_text("secret\n")
    assert started() == (True, "started with secret\n")


def test_an_eight_bit_cache_is_only_used_where_it_is_asked_for() -> None:
    said = run("command", *PAPER, "--model", "llama-3.3-70b-fp8", "--kv-dtype", "fp8").stdout
    engine, guard = said.splitlines()
    assert "--kv-cache-dtype fp8" in engine
    assert "--data-parallel-size 3" in engine, "three replicas of two GPUs behind one address"
    assert "CUDA_VISIBLE_DEVICES=6" in guard


def test_the_gpus_of_this_machine_are_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nfor i in 0 1 2 3 4; do echo $i, 81559, 4, 9.0; done\n")
    program.chmod(0o755)
    planned = run("plan", path=Path(f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"))
    assert planned.returncode == 0, planned.stderr
    assert "5 GPUs of 79.6 GiB" in planned.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan",), "nvidia-smi"),
        (("plan", "--gpus", "1", "--gpu-memory", "24GiB"), "does not fit"),
        (("plan", "--gpus", "2"), "needs both"),
        (("plan", *PAPER, "--model", "meta-llama/Llama-3.3-70B"), "no directory"),
        (("plan", *PAPER, "--kv-dtype", "int4"), "no KV type"),
    ],
)
def test_what_cannot_be_planned_is_said_with_what_to_do(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    ended = run(*arguments, path=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr

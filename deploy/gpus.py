"""The GPUs of this machine, as nvidia-smi names them."""

import shutil
import subprocess

from deploy.sizing import GIB, Node
from rag.errors import ConfigError

MIB = 1024**2
QUERY = ("index", "memory.total", "memory.used", "compute_cap")
TIMEOUT_S = 30
ALIKE = 1.02  # cards of one kind differ by some MiB
IDLE_BYTES = GIB  # what drivers and a desktop may hold
HINT = "Describe the node instead: --gpus 8 --gpu-memory 80GiB."


def this_node() -> Node:
    """Number, memory and capability of this machine's GPUs.

    Raises:
        ConfigError: there are none, they cannot be asked, or they differ.
    """
    rows = [_row(line) for line in _listed().splitlines() if line.strip()]
    if not rows:
        raise ConfigError("nvidia-smi names no GPU", hint=HINT)
    totals = [total for _, total, _, _ in rows]
    if max(totals) > ALIKE * min(totals):
        sizes = ", ".join(f"{total / GIB:.0f} GiB" for total in totals)
        raise ConfigError(f"the GPUs of this machine differ: {sizes}", hint=HINT)
    return Node(
        len(rows),
        min(totals),
        min(capability for *_, capability in rows),
        tuple(index for index, _, used, _ in rows if used > IDLE_BYTES),
    )


def _listed() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        raise ConfigError("there is no nvidia-smi on this machine", hint=HINT)
    asked = [program, f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(
            asked, capture_output=True, text=True, check=True, timeout=TIMEOUT_S
        ).stdout
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or error.stdout or "nothing").split())
        raise ConfigError(f"nvidia-smi fails and says: {said[:200]}", hint=HINT) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"nvidia-smi does not tell the GPUs: {error}", hint=HINT) from error


def _row(line: str) -> tuple[int, int, int, float]:
    try:
        index, total, used, capability = (field.strip() for field in line.split(","))
        return int(index), int(total) * MIB, int(used) * MIB, float(capability)
    except ValueError as error:
        raise ConfigError(f"nvidia-smi says {line!r} of a GPU", hint=HINT) from error

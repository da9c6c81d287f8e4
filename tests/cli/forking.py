"""Runs `citadel` in forks of one process that has already imported it, a second sooner each.

Each command still has a process, an environment, a working directory and an exit code of its own;
what is shared is only the reading of the libraries. One line of JSON in, one line with the exit
code out. Nothing that starts threads happens before a fork.
"""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


class Forker:
    """The process that forks; made at the first command, ended with the tests."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, order: dict[str, Any], timeout_s: float) -> int:
        """The exit code of a command."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], timeout_s)
        if not ready:
            process.kill()
            self._process = None
            raise TimeoutError(f"citadel {order['arguments']} takes more than {timeout_s} s")
        return int(process.stdout.readline())

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()  # which closes its stdin
            self._process = None

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            )
        return self._process


def _serve() -> None:
    import rag.appliance
    import rag.cli.commands
    import rag.store  # noqa: F401  what the commands import when they first need it

    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(order: dict[str, Any]) -> None:
    """Turn this process into the command; never returns."""
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, order["out"]), (2, order["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["citadel", *order["arguments"]]
    sys.stdin = open(0)  # noqa: SIM115  the other one has read ahead
    from rag.cli import main

    main()
    sys.exit(0)


if __name__ == "__main__":
    _serve()

"""Runs `citadel` inside of the test's process: the same code, without a second's start for each."""

import contextvars
from pathlib import Path

from commands import Ended
from typer.testing import CliRunner

from rag.cli.commands import app


def inside(data_dir: Path, *arguments: str | Path, **settings: str) -> Ended:
    """The command over a data directory; who acts is not left behind."""

    def run() -> Ended:
        given = ["--data-dir", str(data_dir), *map(str, arguments)]
        done = CliRunner(env=settings).invoke(app, given, catch_exceptions=False)
        return Ended(done.exit_code, done.stdout, done.stderr)

    return contextvars.copy_context().run(run)

"""The command `citadel`: arguments in, one result on stdout, everything else on stderr.

What comes in is what a person typed; what goes out is text, or with `--json` exactly one object,
and an exit code. This room does not know how anything is done: every command calls the room that
does. What is heavy is imported only when a command needs it, so that `--help` is quick.
"""

from rag.cli import (  # noqa: F401  each adds its own
    ask,
    audit,
    blocked,
    collections,
    engine,
    eval,
    forget,
    house,
    ingest,
    keys,
    models,
    people,
    quarantine,
    sign_in,
)
from rag.cli.app import main

__all__ = ["main"]

"""The command `citadel`: arguments in, one result on stdout, everything else on stderr.

What comes in is what a person typed; what goes out is text, or with `--json` exactly one object,
and an exit code. This room does not know how anything is done: every command calls the room that
does. What is heavy is imported only when a command needs it, so that `--help` is quick.
"""

import os

INTERRUPTED = 130


def main() -> None:
    """Run the command line; ends the process with an exit code."""
    try:
        from rag.cli.commands import run
    except KeyboardInterrupt:  # while it was being imported; nothing has begun
        os.write(2, b"citadel: interrupted\n")
        raise SystemExit(INTERRUPTED) from None
    run()


__all__ = ["main"]

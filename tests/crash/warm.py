"""A process with everything imported, that forks a `citadel` for each order it reads.

An order is a line of JSON: the command's arguments, and the file that its stderr goes to. The
answer is the child's process id. The child then stays a zombie when it ends, so that its id can
not become another's, until a second line asks for it to be killed; the answer is how it ended.
"""

import json
import os
import signal
import sys
from typing import NoReturn

import ingest.pipeline
import ingest.site  # noqa: F401
import rag.cli
import rag.cli.show
import rag.search.indexes
import rag.search.silent
import rag.text


def main() -> None:
    rag.text.detect_language("This loads what takes half a second.")
    while order := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            become_citadel(**json.loads(order))
        print(pid, flush=True)
        sys.stdin.readline()
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become_citadel(arguments: list[str], stderr: str) -> NoReturn:
    code: object = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.argv = ["citadel", *arguments]
        rag.cli.main()
    except SystemExit as end:
        code = end.code
    finally:
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    main()

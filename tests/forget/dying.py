"""A process that begins to forget and is killed after N steps: DATA_DIR DOCUMENT|USER N."""

import os
import signal
import sys
from pathlib import Path

from rag.forget.steps import steps
from rag.store import Store


def main(data_dir: str, what: str, n: str) -> None:
    store = Store.open(f"sqlite:///{data_dir}/citadel.db", data_dir=Path(data_dir))
    if what.isdecimal():
        deletion = store.erasure.begin_documents(store.erasure.of_document(int(what)))
    else:
        deletion = store.erasure.begin_user(what)
    left = steps(store, deletion)
    for _ in range(int(n)):
        next(left)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])

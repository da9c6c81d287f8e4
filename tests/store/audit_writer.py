"""A process that adds records one after the other: URL DATA_DIR N."""

import sys
from pathlib import Path

from rag.store import Store


def main(url: str, data_dir: str, n: str) -> None:
    with Store.open(url, data_dir=Path(data_dir)) as store:
        for i in range(int(n)):
            store.audit.record("search", {"number": i})


if __name__ == "__main__":
    main(*sys.argv[1:])

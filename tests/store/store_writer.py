"""A process that stores files one after the other and says so after each: URL DATA_DIR FOLDER N."""

import sys
from pathlib import Path

from store_samples import commit

from rag.store import Store


def main(url: str, data_dir: str, folder: str, n: str) -> None:
    with Store.open(url, data_dir=Path(data_dir)) as store:
        for i in range(int(n)):
            uri = f"{folder}/{i}.txt"
            commit(store, uri, *(f"paragraph {p} of {uri}" for p in range(20)))
            print(uri, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

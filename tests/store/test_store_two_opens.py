"""A process that opens the store twice loses nothing to another process that closes it."""

import subprocess
import sys
from pathlib import Path

from rag.store import Store

OTHER = """
import sys
from pathlib import Path
from rag.store import Store
with Store.open(sys.argv[1], data_dir=Path(sys.argv[2])) as store:
    print(",".join(info.name for info in store.collections()))
"""


def seen_elsewhere(url: str, data_dir: Path) -> str:
    command = [sys.executable, "-c", OTHER, url, str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_written_after_another_process_has_closed_is_seen_by_the_next(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'citadel.db'}"
    with (
        Store.open(url, data_dir=tmp_path) as store,
        Store.open(url, data_dir=tmp_path) as again,
    ):
        store.create_collection("first")
        assert seen_elsewhere(url, tmp_path) == "first"
        store.create_collection("second")
        again.create_collection("third")
        assert seen_elsewhere(url, tmp_path) == "first,second,third"

"""Two ingests at once over the same folder, into the same store."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from archive import ATTACHED, Archive, read_mark

from rag.search.embed import Embedder
from rag.search.verify import verify
from rag.settings import Settings
from rag.store import Store

WITH_FAILURES = 3  # the exit code: one of the files is broken
COMMAND = (sys.executable, "-c", "from rag.cli import main; main()")


def start(settings: Settings, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "--data-dir", str(settings.data_dir), "ingest", "--json", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "CITADEL_EMBED_BACKEND": "openvino", "CITADEL_INGEST_WORKERS": "1"},
    )


def both_end_well(settings: Settings, folder: Path) -> None:
    for run in [start(settings, folder), start(settings, folder)]:
        _, said = run.communicate(timeout=100)
        assert run.returncode == WITH_FAILURES, said
        assert "Traceback" not in said


def marks(store: Store) -> list[tuple[int, int]]:
    access = store.access_to_all()
    documents = store.list_documents(access, limit=1000)
    return sorted(read_mark(store.text(access, document.id)) for document in documents)


def expected(archive: Archive) -> list[tuple[int, int]]:
    files = archive.at().values()
    attached = [(n + ATTACHED, v) for n, v in files if archive.files[n][0].suffix == ".eml"]
    return sorted([*files, *attached])


@pytest.mark.long
def test_two_ingests_at_once_leave_each_document_once(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    archive = Archive(folder, random.Random(7))
    archive.fill(60)

    both_end_well(settings, folder)
    archive.disturb(30)
    both_end_well(settings, folder)

    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        assert marks(store) == expected(archive)
        assert verify(store, embedder.model_id, embedder.dim, "auto", lambda line: None) == []
        assert [source.uri for _, source in store.failures()] == [str(folder / "broken.pdf")]

"""Copies of the source files are kept by content."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from store_samples import commit

from rag.errors import NotFound, StoreError
from rag.store import Originals, Store
from rag.types import Access


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*/*")]


def test_content_is_kept_under_its_hash(tmp_path: Path) -> None:
    originals = Originals(tmp_path / "originals")
    (tmp_path / "a.txt").write_bytes(b"content")
    sha256 = originals.put(tmp_path / "a.txt")
    assert sha256 == hashlib.sha256(b"content").hexdigest() == originals.put(b"content")
    (tmp_path / "a.txt").unlink()
    path = originals.path(sha256)
    assert path.read_bytes() == b"content"
    assert path.relative_to(tmp_path) == Path("originals", sha256[:2], sha256)
    assert path.stat().st_mode & 0o077 == 0
    assert _files(tmp_path / "originals") == [sha256]


def test_empty_and_large_contents_are_kept(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    large = os.urandom(3 * 1024 * 1024 + 1)
    for content in (b"", large):
        assert originals.path(originals.put(content)).read_bytes() == content


def test_threads_putting_the_same_content_keep_it_once(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        hashes = set(threads.map(originals.put, [b"same"] * 50))
    assert _files(tmp_path) == list(hashes)


def test_missing_content_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Originals(tmp_path).path("0" * 64)


def test_unreadable_source_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Originals(tmp_path).put(tmp_path / "absent")


def test_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StoreError, match="/proc/originals"):
        Originals(Path("/proc/originals")).put(b"x")


def test_sweep_deletes_only_what_is_old_and_unreferenced(tmp_path: Path) -> None:
    originals = Originals(tmp_path)
    kept, fresh, renewed, gone = (originals.put(text) for text in (b"a", b"b", b"c", b"d"))
    for sha256 in (kept, renewed, gone):
        os.utime(originals.path(sha256), (0, 0))
    interrupted = tmp_path / "tmp" / "half"
    interrupted.write_bytes(b"ha")
    os.utime(interrupted, (0, 0))
    assert originals.put(b"c") == renewed
    assert originals.sweep({kept}) == 1
    assert sorted(_files(tmp_path)) == sorted([kept, fresh, renewed])
    with pytest.raises(NotFound):
        originals.path(gone)


def test_store_sweeps_what_no_document_refers_to(store: Store) -> None:
    (document_id,) = commit(store, "/a", "x")
    sha256 = store.document(Access(frozenset({"docs"})), document_id).content_sha256
    assert store.originals.put(b"x") == sha256
    other = store.originals.put(b"other")
    for kept in (sha256, other):
        os.utime(store.originals.path(kept), (0, 0))
    assert store.sweep_originals() == 1
    assert store.originals.path(sha256).read_bytes() == b"x"


def test_an_original_that_is_damaged_or_gone_is_found(tmp_path: Path) -> None:
    originals = Originals(tmp_path / "kept")
    sound, damaged, gone = (originals.put(text) for text in (b"a", b"b", b"c"))
    originals.path(damaged).write_bytes(b"other")
    originals.path(gone).unlink()
    problems = originals.check([sound, damaged, gone])
    assert sorted(problem.split()[1] for problem in problems) == sorted([damaged, gone])
    assert all("ingest its file again" in problem for problem in problems)

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.scan import Limits, Scan, absolute_roots, scan
from rag.errors import BadRequest

LIMITS = Limits(max_file_bytes=1000)
NOBODY = 65534


def write(root: Path, *names: str, text: str = "words") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def look(root: Path, limits: Limits = LIMITS) -> Scan:
    seen = Scan()
    scan(str(root), limits, seen, lambda n: None)
    return seen


def names(seen: Scan, root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in seen.files]


def reasons(seen: Scan, root: Path) -> dict[str, str]:
    return {os.path.relpath(path, root): file.error for path, file in seen.refused.items()}


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything: be somebody else for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_files_are_found_with_size_and_time_in_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "a.txt", "c/d.txt")
    os.utime(tmp_path / "a.txt", ns=(1, 123_456_789))

    seen = look(tmp_path)

    assert names(seen, tmp_path) == ["a.txt", "b.txt", "c/d.txt"]
    first = seen.files[str(tmp_path / "a.txt")]
    assert (first.size_bytes, first.mtime_ns) == (5, 123_456_789)
    assert not seen.refused


def test_hidden_files_and_what_office_programs_leave_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", ".hidden.txt", ".git/config", "~$a.docx", "Thumbs.db")

    seen = look(tmp_path)

    assert names(seen, tmp_path) == ["a.txt"]


def test_the_deepest_ignore_file_that_says_anything_decides(tmp_path: Path) -> None:
    write(
        tmp_path, "old.log", "keep.log", "build/x.txt", "sub/build/x.txt", "sub/b.log", "sub/c.md"
    )
    (tmp_path / ".citadelignore").write_text("# logs\n*.log\n!keep.log\n/build/\n")
    (tmp_path / "sub" / ".citadelignore").write_text("!b.log\n*.md\n")

    assert names(look(tmp_path), tmp_path) == ["keep.log", "sub/b.log", "sub/build/x.txt"]


def test_an_ignore_file_can_bring_a_hidden_folder_back(tmp_path: Path) -> None:
    write(tmp_path, ".github/notes.md", ".cache/x.txt")
    (tmp_path / ".citadelignore").write_text("!.github/\n")

    assert names(look(tmp_path), tmp_path) == [".github/notes.md"]


def test_a_folder_whose_ignore_file_cannot_be_used_is_left_out_and_reported(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "secret/b.txt")
    (tmp_path / "secret" / ".citadelignore").write_bytes(b"*.txt \xff\n")

    seen = look(tmp_path)

    assert names(seen, tmp_path) == ["a.txt"]
    assert "cannot be read" in reasons(seen, tmp_path)["secret"]
    assert not seen.knows(str(tmp_path / "secret" / "b.txt"))


def test_a_directory_loop_is_reported_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.txt")
    (tmp_path / "sub" / "again").symlink_to(tmp_path)

    seen = look(tmp_path)

    assert names(seen, tmp_path) == ["sub/a.txt"]
    assert "directory loop" in reasons(seen, tmp_path)["sub/again"]


def test_links_are_followed_to_files_inside_the_folder_and_refused_elsewhere(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    write(root, "a.txt", "sub/b.txt")
    write(tmp_path, "outside.txt")
    (root / "same.txt").symlink_to("a.txt")
    (root / "out.txt").symlink_to("../outside.txt")
    (root / "dead.txt").symlink_to("nothing")
    (root / "circle").symlink_to("circle")
    (root / "side").symlink_to("sub")

    seen = look(root)

    assert names(seen, root) == ["a.txt", "same.txt", "sub/b.txt"]
    said = reasons(seen, root)
    assert set(said) == {"out.txt", "dead.txt", "circle"}
    assert "leads out of the folder" in said["out.txt"]
    assert "leads nowhere" in said["dead.txt"]


def test_a_root_that_is_a_link_is_scanned_under_its_own_name(tmp_path: Path) -> None:
    write(tmp_path / "real", "a.txt")
    (tmp_path / "link").symlink_to("real")

    assert list(look(tmp_path / "link").files) == [str(tmp_path / "link" / "a.txt")]


def test_what_is_no_document_is_refused_with_a_reason_and_a_hint(tmp_path: Path) -> None:
    write(tmp_path, "empty.txt", text="")
    write(tmp_path, "large.txt", text="x" * 1001)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        seen = look(tmp_path)

    said = reasons(seen, tmp_path)
    assert set(said) == {"empty.txt", "large.txt", "pipe", "socket"}
    assert "0 bytes" in said["empty.txt"]
    assert all(file.hint and file.state == "failed" for file in seen.refused.values())


def test_a_name_that_is_not_utf8_is_refused_under_a_name_that_can_be_shown(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xfc.txt")).write_text("words")

    seen = look(tmp_path)

    assert names(seen, tmp_path) == ["a.txt"]
    assert reasons(seen, tmp_path) == {"f\\xfc.txt": "its name is not UTF-8"}


def test_a_folder_that_may_not_be_read_is_reported_and_the_rest_found(public: Path) -> None:
    write(public, "a.txt", "locked/b.txt")
    (public / "locked").chmod(0o000)

    with unprivileged():
        seen = look(public)
    (public / "locked").chmod(0o700)

    assert names(seen, public) == ["a.txt"]
    assert "Permission denied" in reasons(seen, public)["locked"]
    assert not seen.knows(str(public / "locked" / "b.txt"))
    assert seen.knows(str(public / "gone.txt"))


def test_the_appliances_own_data_is_never_scanned(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "data/citadel.db")

    seen = look(tmp_path, Limits(1000, exclude=str(tmp_path / "data")))

    assert names(seen, tmp_path) == ["a.txt"]


def test_folders_nested_deeper_than_python_may_call_are_walked(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    seen = look(tmp_path)
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # Python's rmtree is not up to it

    assert not seen.files and not seen.refused


def test_a_named_file_is_taken_even_when_hidden(tmp_path: Path) -> None:
    write(tmp_path, ".notes.txt")

    assert names(look(tmp_path / ".notes.txt"), tmp_path) == [".notes.txt"]


def test_roots_are_absolute_and_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "docs/a.txt")
    monkeypatch.chdir(tmp_path)

    roots = absolute_roots([Path("docs"), tmp_path / "docs", Path("docs/../docs")])

    assert roots == [str(tmp_path / "docs")]


def test_a_root_that_does_not_exist_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="there is no file or folder"):
        absolute_roots([tmp_path / "nothing"])

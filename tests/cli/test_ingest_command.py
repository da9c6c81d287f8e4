import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

from commands import COMMAND, Citadel, environment

REPORT = (
    "added",
    "updated",
    "moved",
    "unchanged",
    "removed",
    "failed",
    "closed",
    "warned",
    "documents",
    "chunks",
    "seconds",
)

ERASE_LINE = b"\x1b[2K"


def did(report: dict[str, object]) -> dict[str, object]:
    """The counts that are not nothing."""
    return {name: report[name] for name in REPORT[:5] if report[name]}


def test_json_is_one_object_of_the_documented_shape_and_all_of_stdout(
    citadel: Citadel, docs: Path
) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\nthis is not a document")

    run = citadel("ingest", docs, "--json")

    assert run.code == 3
    assert tuple(run.json) == REPORT
    assert did(run.json) == {"added": 3}
    assert run.json["documents"] == 3 and run.json["chunks"] >= 3 and run.json["seconds"] > 0
    [failure] = run.json["failed"]
    assert failure.keys() == {"path", "error", "hint"}
    assert failure["path"] == str(docs / "broken.pdf")
    assert failure["error"] and failure["hint"]
    assert "ingesting 4 files" in run.err


def test_a_run_without_failures_ends_with_0_and_a_summary(citadel: Citadel, docs: Path) -> None:
    first = citadel("ingest", docs, "--verbose")
    second = citadel("ingest", docs)

    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith("3 added in ")
    assert "collection 'default' holds 3 documents" in first.out
    assert f"committed {docs}/travel.md" in first.err
    assert second.out.startswith("3 unchanged in ")
    assert second.err == ""


def test_what_was_not_read_as_it_is_named_is_told_at_the_end_and_listed(
    citadel: Citadel, docs: Path
) -> None:
    (docs / "note.docx").write_text("The gate closes at six.\n")
    (docs / "other.docx").write_text("The canteen opens at noon.\n")

    run = citadel("ingest", docs)
    listed = citadel("documents", "--warnings")

    what = "the file is named .docx but its content is plain text; it was read as plain text"
    assert run.code == 0, "they are in"
    told = f"Read, but to be looked at (2):\n  {docs}/note.docx\n  {docs}/other.docx\n    {what}\n"
    assert told in run.out
    assert listed.out.count(what) == 2 and f"{docs}/note.docx\n" in listed.out
    assert len(citadel("documents", "--warnings", "--json").json["documents"]) == 2
    (docs / "third.docx").write_text("Visitors sign in.\n")
    again = citadel("ingest", docs, "--json").json
    assert again["warned"] == [{"path": f"{docs}/third.docx", "warnings": [what]}]


def test_a_dry_run_before_the_first_ingest_leaves_nothing_behind(
    tmp_path: Path, docs: Path
) -> None:
    data_dir = tmp_path / "not yet"
    run = Citadel(data_dir)("ingest", docs, "--dry-run", "--json")
    assert run.code == 0
    assert len(run.json["add"]) == 3
    assert not data_dir.exists()


def test_a_dry_run_shows_the_plan_and_changes_nothing(citadel: Citadel, docs: Path) -> None:
    citadel("ingest", docs)
    before = citadel("documents", "--json").json
    (docs / "new.txt").write_text("A new file.\n")
    (docs / "empty.txt").touch()
    (docs / "travel.md").write_text("# Travel policy\n\nNobody travels.\n")
    (docs / "prices.csv").unlink()
    (docs / "sub").rename(docs / "later")

    run = citadel("ingest", docs, "--dry-run", "--json")
    text = citadel("ingest", docs, "--dry-run")

    plan = run.json
    failed = plan.pop("failed")
    assert run.code == text.code == 0
    assert plan == {
        "add": [str(docs / "new.txt")],
        "update": [str(docs / "travel.md")],
        "move": [{"from": f"{docs}/sub/opening.txt", "to": f"{docs}/later/opening.txt"}],
        "remove": [str(docs / "prices.csv")],
        "unchanged": 0,
        "closed": [],
    }
    assert [failure["path"] for failure in failed] == [str(docs / "empty.txt")]
    assert f"add  {docs}/new.txt" in text.out
    assert citadel("documents", "--json").json == before
    assert citadel("status", "--json").json["failed"] == []


def test_a_path_that_does_not_exist_is_wrong_usage(citadel: Citadel, docs: Path) -> None:
    run = citadel("ingest", docs, docs / "nothing", "--json")

    assert (run.code, run.out) == (2, "")
    first, second = run.err.splitlines()
    assert first == f"citadel: there is no file or folder {docs}/nothing"
    assert second.startswith("hint: ")
    assert citadel("status", "--json").json["documents"] == 0


def test_a_folder_that_was_emptied_is_believed_only_when_told(citadel: Citadel, docs: Path) -> None:
    citadel("ingest", docs)
    shutil.rmtree(docs)
    docs.mkdir()

    refused = citadel("ingest", docs)
    allowed = citadel("ingest", docs, "--allow-empty", "--json")

    assert (refused.code, refused.out) == (1, "")
    assert "--allow-empty" in refused.err
    assert allowed.code == 0 and did(allowed.json) == {"removed": 3}


def test_collections_are_kept_apart(citadel: Citadel, docs: Path) -> None:
    citadel("ingest", docs / "sub", "--collection", "canteen")
    citadel("ingest", docs, "-c", "all")

    held = {c["name"]: c["documents"] for c in citadel("status", "--json").json["collections"]}
    assert held == {"all": 3, "canteen": 1}
    found = citadel("documents", "-c", "canteen", "--json").json["documents"]
    assert [d["source_uri"] for d in found] == [f"{docs}/sub/opening.txt"]


def test_ctrl_c_in_the_middle_keeps_what_was_committed_and_says_so(
    citadel: Citadel, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(1000):
        (folder / f"{n}.txt").write_text(f"Note {n}. The valve {n} closes at {n % 90} bar.\n" * 20)
    with subprocess.Popen(
        [*COMMAND, "ingest", str(folder), "--verbose"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(CITADEL_DATA_DIR=str(citadel.data_dir)),
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("committed "):
            pass
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()  # what of it is buffered, `communicate` would leave out
        out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-2:] == [
        "citadel: interrupted; what was committed stays",
        "hint: continue by running the same command again",
    ]
    held = citadel("status", "--json").json["documents"]
    assert 0 < held < 1000
    assert held == 1 + err.count("committed /")
    assert citadel("verify").code == 0


def test_on_a_terminal_progress_is_one_line_that_is_gone_in_the_end(
    citadel: Citadel, docs: Path
) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "ingest", str(docs)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=environment(CITADEL_DATA_DIR=str(citadel.data_dir), TERM="xterm", COLUMNS="100"),
    ) as process:
        os.close(theirs)
        shown = read_all(ours)
        out, _ = process.communicate(timeout=60)
    os.close(ours)

    assert process.returncode == 0
    assert out.startswith("3 added in ")
    assert b"of 3 files" in shown
    assert shown.rindex(ERASE_LINE) > shown.rindex(b"of 3 files")
    assert b"committed" not in shown


def read_all(terminal: int) -> bytes:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # nobody has it open any more
            return shown
        if not part:
            return shown
        shown += part

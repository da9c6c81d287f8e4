import subprocess
import sys
from pathlib import Path

import pytest
import typer
from commands import REPOSITORY, Citadel, environment
from typer.testing import CliRunner

from rag.cli.app import Border
from rag.cli.app import citadel as options
from rag.errors import NotReady

HEAVY = {"torch", "openvino", "unstructured", "faiss", "sentence_transformers", "streamlit"}


def test_status_lists_what_failed_with_reason_and_advice(filled: Citadel) -> None:
    text, value = filled("status"), filled("status", "--json")

    assert (text.code, value.code) == (0, 0)
    assert text.out.startswith("default: 3 documents, ")
    assert "Not ingested (1):" in text.out and "broken.pdf" in text.out and "→" in text.out
    [failure] = value.json["failed"]
    assert failure.keys() == {"collection", "path", "error", "hint"}
    assert value.json["documents"] == 3


def test_documents_are_listed_and_filtered_by_title(filled: Citadel) -> None:
    assert len(filled("documents").out.splitlines()) == 3
    [found] = filled("documents", "--title", "TRAVEL", "--json").json["documents"]
    assert found["title"] == "Travel policy"


def test_reindex_and_verify_agree(filled: Citadel) -> None:
    assert filled("reindex").out.startswith("indexed ")
    assert filled("verify", "--json").json == {"ok": True, "problems": []}
    assert filled("verify").out == "store and indexes are sound and agree\n"


@pytest.mark.parametrize(
    "wrong", [["nonsense"], ["ingest"], ["ask"], ["search", "x", "-k", "0"], ["ingest", "--what"]]
)
def test_wrong_usage_ends_with_2_and_says_how_to_get_help(
    citadel: Citadel, wrong: list[str]
) -> None:
    run = citadel(*wrong)

    assert (run.code, run.out) == (2, "")
    assert "Usage: citadel" in run.err


def test_a_misspelt_setting_is_wrong_usage_in_one_line_and_a_hint(citadel: Citadel) -> None:
    run = citadel("status", CITADEL_DATADIR="/tmp")

    assert (run.code, run.out) == (2, "")
    first, second = run.err.splitlines()
    assert first.startswith("citadel: ") and "CITADEL_DATADIR" in first
    assert second.startswith("hint: ")


def test_a_database_that_is_none_could_not_be_used(citadel: Citadel) -> None:
    (citadel.data_dir / "citadel.db").write_text("this is not a database " * 100)

    run = citadel("status")

    assert (run.code, run.out) == (1, "")
    first, second = run.err.splitlines()
    assert first.startswith("citadel: ") and second.startswith("hint: ")


def explosive(error: Exception) -> typer.Typer:
    """A command line with the real border around a command that raises."""
    app = typer.Typer(cls=Border)
    app.callback()(options)

    @app.command()
    def explode(ctx: typer.Context) -> None:
        ctx.obj.settings()
        raise error

    return app


def test_a_defect_is_one_line_and_a_log(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        explosive(RuntimeError("a\nb")), ["--data-dir", str(tmp_path), "explode"]
    )

    assert (run.exit_code, run.stdout) == (1, "")
    first, second = run.stderr.splitlines()
    assert first == "citadel: unexpected error (RuntimeError: a b)"
    [log] = (tmp_path / "logs").iterdir()
    assert second.startswith("hint: ") and second.endswith(str(log))
    assert "Traceback" in log.read_text() and "Traceback" not in run.stderr


def test_a_known_failure_is_one_line_and_a_hint_without_a_log(tmp_path: Path) -> None:
    error = NotReady("the server is starting", hint="Wait a moment.")

    run = CliRunner().invoke(explosive(error), ["--data-dir", str(tmp_path), "explode"])

    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr == "citadel: the server is starting\nhint: Wait a moment.\n"
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["ingest", "--help"]])
def test_quick_commands_import_nothing_heavy(citadel: Citadel, arguments: list[str]) -> None:
    code = (
        "import sys\nfrom rag.cli import main\ntry:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment(CITADEL_DATA_DIR=str(citadel.data_dir)),
        check=True,
    )

    loaded = {name.split(".")[0] for name in run.stderr.split()}
    assert "rag" in loaded
    assert not loaded & HEAVY


def test_ctrl_c_while_the_command_is_still_being_imported_is_one_line() -> None:
    code = (
        "import os, signal, sys\n"
        "class CtrlC:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'rag.cli.ask':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, CtrlC())\n"
        "from rag.cli import main\nmain()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "status"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "citadel: interrupted\n")


def test_help_says_what_the_exit_codes_mean(citadel: Citadel) -> None:
    run = citadel("--help")

    assert run.code == 0
    assert "Exit codes: 0 done; 1 could not be done; 2 wrong usage; 3 done, but" in run.out
    for command in ("ingest", "watch", "ask", "search", "serve", "status", "doctor", "verify"):
        assert command in run.out


def test_a_reader_that_leaves_early_is_no_error_with_a_traceback(filled: Citadel) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from rag.cli import main; main()", "search", "the", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=environment(CITADEL_DATA_DIR=str(filled.data_dir)),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert said == ""

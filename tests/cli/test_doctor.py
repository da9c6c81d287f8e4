import sys
from pathlib import Path

import pytest
from commands import Citadel

from deploy.doctor import Check, diagnose, format_checks
from rag.settings import Settings


def by_name(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in diagnose(settings)}


def test_on_a_machine_that_runs_these_tests_nothing_required_is_missing(
    settings: Settings,
) -> None:
    checks = by_name(settings)

    assert [check.name for check in checks.values() if check.required and not check.ok] == []
    assert checks["database"].detail == "0 documents, 0 chunks"
    assert "384 wide" in checks["embedding model"].detail


def test_a_missing_program_is_a_warning_with_its_install_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent / "nowhere"))

    checks = by_name(settings)

    for name, package in {
        "LibreOffice": "libreoffice-writer",
        "tesseract": "tesseract-ocr",
    }.items():
        assert not checks[name].ok and not checks[name].required
        assert checks[name].hint.startswith(f"apt-get install {package}")


def test_a_data_directory_that_others_may_read_is_a_warning(settings: Settings) -> None:
    settings.data_dir.chmod(0o755)

    check = by_name(settings)["data directory"]

    assert not check.ok and not check.required
    assert check.hint == f"chmod 700 {settings.data_dir}"


def test_a_database_that_cannot_be_used_is_a_problem(settings: Settings) -> None:
    (settings.data_dir / "citadel.db").write_text("this is not a database " * 100)

    check = by_name(settings)["database"]

    assert not check.ok and check.required and check.hint


def test_checks_are_printed_with_what_to_do_below() -> None:
    checks = [
        Check("Python", True, "3.11"),
        Check("tesseract", False, "not installed", "apt-get install it", required=False),
        Check("database", False, "locked", "Wait."),
    ]

    assert format_checks(checks).splitlines() == [
        "ok    Python: 3.11",
        "warn  tesseract: not installed",
        "      → apt-get install it",
        "FAIL  database: locked",
        "      → Wait.",
        "",
        "1 problem, 1 warning",
    ]


def test_the_command_prints_one_object_and_ends_with_0_where_only_warnings_are_left(
    citadel: Citadel,
) -> None:
    run = citadel("doctor", "--json")

    assert run.code == 0
    assert run.json["ok"] is True
    keys = {"name", "ok", "detail", "hint", "required"}
    assert all(check.keys() == keys for check in run.json["checks"])

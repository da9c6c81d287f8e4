"""`citadel ingest` and `citadel watch`."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import (
    DONE,
    INTERRUPTED,
    WITH_FAILURES,
    CollectionOption,
    Frame,
    JsonOption,
    a_path,
    app,
    print_json,
    say,
)

if TYPE_CHECKING:
    from ingest.plan import Plan
    from ingest.sync import Report
    from rag.settings import Settings

Paths = Annotated[
    list[Path], typer.Argument(help="Files and folders.", metavar="PATH…", parser=a_path)
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="A line for every file.")]


class Whose(StrEnum):
    """Whose word counts on who may read a file, besides grants and limits."""

    posix = "posix"
    none = "none"


PermissionsOption = Annotated[
    Whose | None,
    typer.Option(
        help="posix: only users and groups read a file whom its mode, its ACL and the folders "
        "above let read it; none: all with the collection; as before where it isn't given.",
    ),
]
AllowEmpty = Annotated[
    bool, typer.Option(help="Take a PATH that is empty or missing as really emptied.")
]


@app.command()
def ingest(
    ctx: typer.Context,
    paths: Paths,
    collection: CollectionOption = "default",
    as_json: JsonOption = False,
    dry_run: Annotated[bool, typer.Option(help="Show what would be done, and do nothing.")] = False,
    allow_empty: AllowEmpty = False,
    permissions: PermissionsOption = None,
    verbose: Verbose = False,
) -> None:
    """Bring a collection level with files and folders.

    New and changed files are added, moved ones moved, those that are gone removed.

    Hidden files and what a .citadelignore (gitignore syntax) names are passed over.
    """
    from ingest.permissions import format_strangers
    from ingest.progress import open_progress
    from ingest.site import open_site
    from ingest.sync import carry_out, make_plan
    from rag.cli.show import format_plan, format_report

    frame: Frame = ctx.obj
    settings = frame.settings()
    try:
        with (
            _leaving_no_trace(settings, dry_run=dry_run) as settings,
            open_progress(verbose=verbose) as progress,
            open_site(settings, progress) as site,
        ):
            posix = _is_posix(permissions)
            plan = make_plan(site, paths, collection, allow_empty=allow_empty, posix=posix)
            if plan.strangers:
                progress.say(format_strangers(plan.strangers))
            report = None if dry_run else carry_out(site, plan, collection)
    except KeyboardInterrupt as interrupt:
        say("citadel: interrupted; what was committed stays")
        say("hint: continue by running the same command again")
        raise typer.Exit(INTERRUPTED) from interrupt
    if report is None:
        print_json(plan_json(plan)) if as_json else typer.echo(format_plan(plan))
        raise typer.Exit(DONE)
    print_json(report_json(report)) if as_json else typer.echo(format_report(report, collection))
    raise typer.Exit(WITH_FAILURES if report.failed or report.closed else DONE)


@contextmanager
def _leaving_no_trace(settings: "Settings", *, dry_run: bool) -> "Iterator[Settings]":
    """The settings; for a dry run before the first ingest with a data directory that goes away."""
    if not dry_run or settings.database_url or (settings.data_dir / "citadel.db").exists():
        yield settings
        return
    with TemporaryDirectory(prefix="citadel-dry-run-") as folder:
        yield settings.model_copy(update={"data_dir": Path(folder)})


@app.command()
def watch(
    ctx: typer.Context,
    paths: Paths,
    collection: CollectionOption = "default",
    permissions: PermissionsOption = None,
    verbose: Verbose = False,
) -> None:
    """Keep a collection level with folders until Ctrl-C."""
    from ingest.progress import open_progress
    from ingest.site import open_site
    from ingest.watch import watch as watch_paths

    frame: Frame = ctx.obj
    settings = frame.settings()
    with open_progress(verbose=verbose) as progress, open_site(settings, progress) as site:
        watch_paths(site, paths, collection, posix=_is_posix(permissions))


def _is_posix(permissions: Whose | None) -> bool | None:
    return None if permissions is None else permissions is Whose.posix


def report_json(report: "Report") -> dict[str, Any]:
    """The report as it is printed with `--json`."""
    return {
        "added": report.added,
        "updated": report.updated,
        "moved": report.moved,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": [failed._asdict() for failed in report.failed],
        "closed": [closed._asdict() for closed in report.closed],
        "warned": [{"path": w.path, "warnings": list(w.warnings)} for w in report.warned],
        "documents": report.documents,
        "chunks": report.chunks,
        "seconds": report.seconds,
    }


def plan_json(plan: "Plan") -> dict[str, Any]:
    """The plan as it is printed with `--dry-run --json`."""
    permissions = {"limited": plan.n_limited} if plan.said.mapped else {}
    return permissions | {
        "add": [task.seen.uri for task in plan.tasks if not task.is_update],
        "update": [task.seen.uri for task in plan.tasks if task.is_update],
        "move": [{"from": move.old_uri, "to": move.new.uri} for move in plan.moves],
        "remove": [source.uri for source in plan.gone if source.state == "ingested"],
        "failed": [
            {"path": source.uri, "error": source.error, "hint": source.hint}
            for source in (*plan.refused, *plan.listed)
        ],
        "closed": [closed._asdict() for closed in plan.closed],
        "unchanged": plan.n_unchanged,
    }

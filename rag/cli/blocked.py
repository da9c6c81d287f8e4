"""`citadel blocked`: what the guard stopped, for whoever administers the installation."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import JsonOption, app, open_store, print_json
from rag.times import time_json

if TYPE_CHECKING:
    from rag.store import Withheld

SNIPPET_CHARS = 120
MAX_DAYS = 100_000

commands = typer.Typer(
    no_args_is_help=True,
    help="Questions and answers that the guard has stopped: list, show or purge them.",
)
app.add_typer(commands, name="blocked")


@commands.command("list")
def list_blocked(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show what was stopped, the newest first."""
    with open_store(ctx) as store:
        found = store.withheld.listed(limit)
        numbers = [record.id for record in found]
        store.audit.record("opened", {"what": "blocked", "records": numbers})
    if as_json:
        print_json({"blocked": [_json(record) for record in found]})
    else:
        typer.echo("\n".join(map(_line, found)) or "The guard has stopped nothing.")


@commands.command()
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="A number from the list.", metavar="ID")],
    as_json: JsonOption = False,
) -> None:
    """Show one with everything that was written before it was stopped."""
    with open_store(ctx) as store:
        record = store.withheld.one(number)
        store.audit.record("opened", {"what": "blocked", "records": [number]})
    print_json(_json(record)) if as_json else typer.echo(_whole(record))


@commands.command()
def purge(
    ctx: typer.Context,
    older_than: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_DAYS, metavar="DAYS", help="Only what is older than that."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what was kept."""
    before = None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)
    with open_store(ctx) as store:
        n = store.withheld.purge(before)
    print_json({"purged": n}) if as_json else typer.echo(f"deleted {n:,}")


def _json(record: "Withheld") -> dict[str, Any]:
    return {
        "id": record.id,
        "created_at": time_json(record.created_at),
        "request_id": record.request_id,
        "status": record.status,
        "stage": record.stage,
        "categories": list(record.categories),
        "probability": record.probability,
        "reason": record.reason,
        "question": record.question,
        "text": record.text,
        "collections": list(record.collections),
        "engine": record.engine,
    }


def _line(record: "Withheld") -> str:
    question = _safe(record.question)
    cut = question if len(question) <= SNIPPET_CHARS else f"{question[:SNIPPET_CHARS]} …"
    when = record.created_at.strftime("%Y-%m-%d %H:%M UTC")
    return f"{record.id:>6}  {when}  {_why(record)} ({record.stage})  {cut}"


def _whole(record: "Withheld") -> str:
    lines = [
        f"{record.created_at:%Y-%m-%d %H:%M:%S UTC}  request {_safe(record.request_id)}",
        f"{_why(record)}{_probability(record)}, in the {record.stage}{_writer(record)}",
        f"asked of {', '.join(map(_safe, record.collections)) or 'no collection'}",
        f"question: {_safe(record.question)}",
    ]
    written = "\n".join(_safe(line) for line in record.text.splitlines())
    return "\n".join([*lines, "", written or "Nothing had been written."])


def _why(record: "Withheld") -> str:
    from rag.answer.guard import CATEGORIES

    if record.status == "no_verdict":
        return f"no verdict: {record.reason or 'unclear'}"
    about = ", ".join(f"{code} {CATEGORIES.get(code, '')}".strip() for code in record.categories)
    return f"blocked: {about or record.reason or 'unsafe'}"


def _probability(record: "Withheld") -> str:
    return "" if record.probability is None else f" (probability {record.probability:.2f})"


def _writer(record: "Withheld") -> str:
    return f", written by {_safe(record.engine)}" if record.engine else ""


def _safe(text: str) -> str:
    """One line on which nothing has an effect on the terminal."""
    from ingest.progress import one_line

    return one_line(" ".join(text.split()))

"""`citadel audit`: what people and programs have done, and the proof that no record is missing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import COULD_NOT, DONE, Frame, JsonOption, app, open_store, print_json
from rag.errors import BadRequest, ConfigError
from rag.times import time_json

if TYPE_CHECKING:
    from rag.store import Record, Store, Wanted

PAGE = 500  # records read at a time
FOLLOW_S = 1.0
ABOUT = ("collection", "right", "document", "documents", "what", "status", "how", "of")

commands = typer.Typer(
    no_args_is_help=True, help="Records of what was done: list, export or verify them."
)
app.add_typer(commands, name="audit")

Since = Annotated[
    str | None,
    typer.Option(
        help="From this day or moment on: 2026-11-26 or 2026-11-26T08:00.", metavar="WHEN"
    ),
]
KindOption = Annotated[str | None, typer.Option(help="Only records of this kind.")]
UserOption = Annotated[
    str | None, typer.Option("--user", help="Only what this user did.", metavar="USER")
]


@commands.command("list")
def list_records(
    ctx: typer.Context,
    since: Since = None,
    kind: KindOption = None,
    user: UserOption = None,
    question: Annotated[
        str | None, typer.Option(help="Only where exactly this was asked, also if it is hashed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show records, the oldest first."""
    with open_store(ctx) as store:
        wanted = _wanted(store, since, kind, user)
        found = [
            r for r in _records(store, wanted) if question is None or _asks(store, r, question)
        ]
        names = _names(store, found)
        _note_reading(store, "list")
    if as_json:
        print_json({"records": [_json(record, names) for record in found]})
    else:
        typer.echo("\n".join(_line(r, names) for r in found) or "There are no such records.")


@commands.command()
def export(
    ctx: typer.Context,
    since: Since = None,
    kind: KindOption = None,
    user: UserOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Append to this file, not to stdout.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with each new record, until Ctrl-C.")
    ] = False,
    syslog: Annotated[
        bool, typer.Option("--syslog", help="Send what was not sent yet to CITADEL_AUDIT_SYSLOG.")
    ] = False,
) -> None:
    """Write records as JSON lines with the field names of OCSF."""
    with open_store(ctx) as store:
        if syslog:
            _send(ctx, store)
            return
        wanted = _wanted(store, since, kind, user)
        _note_reading(store, "export")
        with _written_to(output) as file:
            _export(store, wanted, file, follow=follow)


@commands.command()
def verify(
    ctx: typer.Context,
    head: Annotated[
        str | None, typer.Option(help="What `citadel audit head` once printed.", metavar="SEQ:HASH")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that no record was changed, taken out or cut off at the end."""
    with open_store(ctx) as store:
        proof = store.audit.verify(head)
    if as_json:
        print_json(
            {
                "ok": not proof.problems,
                "records": proof.n_records,
                "head": str(proof.head),
                "problems": proof.problems,
            }
        )
    else:
        sound = f"{proof.n_records:,} records, none changed and none missing; head {proof.head}"
        typer.echo("\n".join(proof.problems) or sound)
    raise typer.Exit(COULD_NOT if proof.problems else DONE)


@commands.command()
def head(ctx: typer.Context) -> None:
    """Print number and hash of the newest record, to be kept elsewhere for `verify --head`."""
    with open_store(ctx) as store:
        typer.echo(str(store.audit.head()))


@commands.command()
def prune(
    ctx: typer.Context,
    days: Annotated[
        int | None, typer.Option(min=1, help="Keep those of so many days (audit_keep_days).")
    ] = None,
) -> None:
    """Remove old records; the rest can still be verified."""
    frame: Frame = ctx.obj
    kept = days or frame.settings().audit_keep_days
    if kept is None:
        raise BadRequest("no time is set", hint="Set CITADEL_AUDIT_KEEP_DAYS, or give --days.")
    with open_store(ctx) as store:
        n = store.audit.prune(datetime.now(UTC) - timedelta(days=kept))
    typer.echo(f"removed {n:,} records")


def _records(store: "Store", wanted: "Wanted") -> "Iterator[Record]":
    from dataclasses import replace

    while page := store.audit.read(wanted):
        yield from page
        wanted = replace(wanted, after=page[-1].seq)


def _wanted(store: "Store", since: str | None, kind: str | None, user: str | None) -> "Wanted":
    from rag.store import Wanted

    number = None if user is None else store.user_number(user)
    moment = None if since is None else _moment(since)
    return Wanted(limit=PAGE, kind=kind, user=number, since=moment)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "Write 2026-11-26 or 2026-11-26T08:00+01:00; without a zone it is local time."
        raise BadRequest(f"{text!r} is no time", hint=hint) from error
    return moment.astimezone(UTC)


def _asks(store: "Store", record: "Record", question: str) -> bool:
    said = (record.private or {}).get("question")
    return said == question or record.detail.get("question_hash") == store.audit.keyed(question)


def _names(store: "Store", records: "list[Record]") -> dict[int, str]:
    from rag.audit.ocsf import numbers_in

    return store.audit.names([number for record in records for number in numbers_in(record)])


def _note_reading(store: "Store", how: str) -> None:
    store.audit.record("audit_read", {"how": how})


def _send(ctx: typer.Context, store: "Store") -> None:
    from rag.audit.forward import CURSOR_FILE, Cursor, forward

    frame: Frame = ctx.obj
    settings = frame.settings()
    if settings.audit_syslog is None:
        hint = "Set CITADEL_AUDIT_SYSLOG, to tcp://host:601 for example."
        raise ConfigError("no syslog server is set", hint=hint)
    n = forward(store, settings.audit_syslog, Cursor(settings.data_dir / CURSOR_FILE))
    typer.echo(f"sent {n:,} records")


@contextmanager
def _written_to(path: Path | None) -> "Iterator[IO[str]]":
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise BadRequest(f"cannot write {path}: {error.strerror}") from error


def _export(store: "Store", wanted: "Wanted", file: IO[str], *, follow: bool) -> None:
    from dataclasses import replace

    from rag.audit.forward import lines

    while True:
        while page := store.audit.read(wanted):
            file.writelines(f"{line}\n" for line in lines(store, page))
            file.flush()
            wanted = replace(wanted, after=page[-1].seq)
        if not follow:
            return
        time.sleep(FOLLOW_S)


def _who(record: "Record", names: dict[int, str]) -> str:
    number = record.actor.get("number")
    if number is None:
        account = (record.private or {}).get("account", "")
        return f"{record.actor['kind']} {account}".rstrip()
    return names.get(number, f"user #{number}, who was forgotten")


def _line(record: "Record", names: dict[int, str]) -> str:
    when = record.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    what = record.kind if record.outcome == "success" else f"{record.kind} (failed)"
    private = record.private or {}
    rest = [str(private[key]) for key in ("uri", "question", "address") if key in private]
    whom = [names[n] for n in _others(record) if n in names]
    about = [f"{key}={record.detail[key]}" for key in ABOUT if key in record.detail]
    return "  ".join([f"{record.seq}", when, _who(record, names), what, *whom, *about, *rest])


def _others(record: "Record") -> list[int]:
    from rag.audit.ocsf import numbers_in

    return [n for n in numbers_in(record) if n != record.actor.get("number")]


def _json(record: "Record", names: dict[int, str]) -> dict[str, Any]:
    from dataclasses import asdict

    values = asdict(record) | {"at": time_json(record.at), "who": _who(record, names)}
    return values | {"principals": {str(n): names[n] for n in _others(record) if n in names}}

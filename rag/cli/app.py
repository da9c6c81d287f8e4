"""The command's frame: options that hold for every command, and the border where errors end."""

import errno
import json
import os
import pwd
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from rag import __version__
from rag.acting import Actor, acting
from rag.errors import BadRequest, CitadelError, ConfigError, NotFound
from rag.settings import Settings, load_settings

if TYPE_CHECKING:
    from rag.store import Store

DONE, COULD_NOT, WRONG_USAGE, WITH_FAILURES, INTERRUPTED = 0, 1, 2, 3, 130

EPILOG = """Exit codes: 0 done; 1 could not be done; 2 wrong usage; 3 done, but some files could not
be ingested; 130 interrupted.

Settings come from CITADEL_* variables and from citadel.toml in the working directory."""


ORDER = ("ingest", "watch", "ask", "search", "serve", "status", "documents")  # the rest follows


class Border(TyperGroup):
    """Turns whatever a command raises into one line on stderr and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands as `--help` shows them: what is used most comes first."""
        first = [name for name in ORDER if name in self.commands]
        return [*first, *(name for name in self.commands if name not in ORDER)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, TyperException):
            raise
        except typer.Abort as abort:  # a question was not answered; all are asked before the deed
            say("\nNothing was changed.")
            raise typer.Exit(COULD_NOT) from abort
        except KeyboardInterrupt as interrupt:
            say("citadel: interrupted")
            raise typer.Exit(INTERRUPTED) from interrupt
        except CitadelError as error:
            say_error(error)
            wrong_usage = isinstance(error, BadRequest | ConfigError | NotFound)
            raise typer.Exit(WRONG_USAGE if wrong_usage else COULD_NOT) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # `citadel … | head`
                raise
            _say_unexpected(error, ctx.obj)
            raise typer.Exit(COULD_NOT) from error


app = typer.Typer(
    name="citadel",
    cls=Border,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
CollectionOption = Annotated[
    str, typer.Option("--collection", "-c", help="The collection that the documents belong to.")
]


def a_path(text: str) -> Path:
    """A path as it was typed; an empty one, of an unset variable say, would mean this folder."""
    if not text.strip():
        raise typer.BadParameter("it is empty; write . for this folder")
    return Path(text)


class Frame:
    """What holds for every command. Settings are read when a command first needs them."""

    def __init__(self, data_dir: Path | None) -> None:
        self._overrides: dict[str, object] = {"data_dir": data_dir} if data_dir else {}
        self.data_dir: Path | None = None

    def settings(self, **overrides: object) -> Settings:
        """The settings; an override that is None does not count."""
        given = {name: value for name, value in overrides.items() if value is not None}
        settings = load_settings(**self._overrides, **given)
        self.data_dir = settings.data_dir
        return settings


def open_store(ctx: typer.Context) -> "Store":
    """The store of this command's settings; what was being forgotten is finished first."""
    from rag.forget.steps import finish
    from rag.store import Store

    frame: Frame = ctx.obj
    settings = frame.settings()
    store = Store.open(settings.url, data_dir=settings.data_dir)
    finish(store)
    return store


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"citadel {__version__}")
        raise typer.Exit(DONE)


@app.callback()
def citadel(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show it.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept (CITADEL_DATA_DIR).")
    ] = None,
) -> None:
    """Answers from your own documents, every sentence cited. Nothing leaves this machine."""
    ctx.obj = Frame(data_dir)
    acting.set(Actor("operator", how="command", account=_account()))


def _account() -> str:
    """The name of the operating system's user who runs the command."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container
        return str(os.getuid())


def run() -> None:
    """Run the command line; ends the process with an exit code."""
    os.umask(os.umask(0o077) | 0o077)  # what is written is for this user
    app(prog_name="citadel")


def say(text: str) -> None:
    """A line on stderr."""
    typer.echo(text, err=True)


def say_error(error: CitadelError) -> None:
    """What failed, and what to do, on stderr."""
    say(f"citadel: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")


def print_json(value: dict[str, Any]) -> None:
    """The command's one object on stdout. Not ASCII only: names and texts stay readable."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _say_unexpected(error: Exception, frame: Frame | None) -> None:
    """A defect: one line, and the details in a file for whoever mends it."""
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    data_dir = frame.data_dir if frame else None
    where = _write_log(error, data_dir) if data_dir else None
    say(f"citadel: unexpected error ({what})")
    if where:
        say(f"hint: this is a defect in Citadel; the details are in {where}")
    else:
        say("".join(traceback.format_exception(error)).rstrip())


def _write_log(error: Exception, data_dir: Path) -> Path | None:
    path = data_dir / "logs" / f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None
    return path

"""`citadel model`: another embedding model in the place of the one in use."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import Frame, JsonOption, a_path, app, open_store, print_json, say
from rag.errors import BadRequest, Conflict
from rag.times import time_json

if TYPE_CHECKING:
    from rag.settings import Settings
    from rag.store import Model, Store

LOG_FILE = "model-build.log"
LINE_EVERY_S = 5.0
COMMAND = (sys.executable, "-c", "from rag.cli import main; main()")

commands = typer.Typer(
    no_args_is_help=True, help="Embedding models: bring one in, try it, and switch to it."
)
app.add_typer(commands, name="model")

Name = Annotated[str, typer.Argument(help="A model's name, or the beginning of its id.")]
OneName = Annotated[
    str | None, typer.Argument(help="A model's name; the only one there is to build when unset.")
]


@commands.command("list")
def list_models(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show the models, how far their vectors are, and how they compared."""
    from rag.models.building import being_built

    frame: Frame = ctx.obj
    with open_store(ctx) as store:
        known, n_vectors = store.models.listed(), store.models.n_vectors()
        n_chunks = store.stats().chunks
    building = being_built(frame.settings())
    if as_json:
        rows = [_json(m, n_vectors.get(m.id, 0), m.id == building) for m in known]
        print_json({"models": rows, "chunks": n_chunks})
        return
    lines = [_line(m, n_vectors.get(m.id, 0), n_chunks, m.id == building) for m in known]
    typer.echo("\n".join(lines) or "None yet: the first ingest enters the one that is set.")


@commands.command()
def add(
    ctx: typer.Context,
    directory: Annotated[
        Path,
        typer.Argument(help="A sentence-transformers directory.", metavar="DIR", parser=a_path),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it; as DIR when unset.")] = None,
) -> None:
    """Copy a model in, and see that it can be loaded. Searches go on with the one in use."""
    from rag.models.adding import add as add_model

    frame: Frame = ctx.obj
    called = (name or directory.resolve().name).strip()
    if not called or not called.isprintable():
        raise BadRequest("a model needs a name", hint="Give it one with --name.")
    with open_store(ctx) as store:
        model = add_model(store, frame.settings(), directory, called, say)
    typer.echo(
        f"added {model.name}: {model.dim} wide, reads {model.max_tokens} tokens, id {model.id[:12]}"
    )
    say(f"Next: citadel model build {shlex.quote(model.name)}")


@commands.command()
def build(
    ctx: typer.Context,
    name: OneName = None,
    in_background: Annotated[
        bool, typer.Option("--background", help="Return at once, and go on behind the scenes.")
    ] = False,
) -> None:
    """Make a model's vectors for all that is stored, at low priority.

    Ctrl-C or a kill loses nothing: the same command goes on from there.
    """
    from rag.models.building import build as build_model
    from rag.models.building import refuse_second, step_back

    frame: Frame = ctx.obj
    with open_store(ctx) as store:
        model = _to_build(store, name)
        if in_background:
            refuse_second(frame.settings())
            _start_behind(frame.settings(), model)
            return
        step_back()
        made = build_model(store, frame.settings(), model, _Told())
        model = store.models.one(model.id)
    typer.echo(f"{model.name} has a vector for every passage; {made:,} were made")
    if model.n_cut:
        say(f"{model.n_cut:,} passages are longer than its {model.max_tokens} tokens and were cut")
    if model.state == "built":
        say(f"Next: citadel model compare {shlex.quote(model.name)}")


@commands.command()
def compare(
    ctx: typer.Context,
    name: Name,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--set", help="A set, as for `citadel eval retrieval`.", metavar="DIR", parser=a_path
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="Questions about your own documents, as for `citadel eval answers`.",
            metavar="FILE",
            parser=a_path,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put the same questions to a model and to the one in use, and keep what came of it.

    Without --set or --questions: sentences drawn from your documents, each to find its document.
    """
    from rag.models.compare import compare_on_own, compare_on_set

    frame: Frame = ctx.obj
    if folder is not None and questions is not None:
        raise BadRequest("--set and --questions are two ways to compare", hint="Give one of them.")
    with open_store(ctx) as store:
        model, current, settings = store.models.one(name), store.models.current(), frame.settings()
        if current is None or current.id == model.id:
            raise Conflict(f"{model.name} is in use: there is nothing to compare it with")
        if folder is not None:
            found = compare_on_set(settings, model, current, folder)
        else:
            found = compare_on_own(store, settings, (current, model), questions, say)
        store.models.compared(model, found)
    if as_json:
        print_json({"model": model.name, "current": current.name, **found})
        return
    typer.echo(_compared(found, current.name, model.name))


@commands.command()
def switch(
    ctx: typer.Context,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Also where it is worse, or was not compared.")
    ] = False,
) -> None:
    """Search with another model from now on. Running servers follow within seconds."""
    from rag.models.switching import switch as switch_model

    frame: Frame = ctx.obj
    with open_store(ctx) as store:
        model = store.models.one(name)
        switch_model(store, frame.settings(), model, force=force, say=say)
    typer.echo(f"searching with {model.name}")
    say("Running servers load it and change over by themselves. Back: citadel model rollback")


@commands.command()
def rollback(
    ctx: typer.Context,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Embed what came in since the switch afterwards, instead of before."
        ),
    ] = False,
) -> None:
    """Search with the model before the last switch again."""
    from rag.models.switching import rollback as roll_back

    frame: Frame = ctx.obj
    with open_store(ctx) as store:
        model = roll_back(store, frame.settings(), now=now, say=say)
    typer.echo(f"searching with {model.name} again")


@commands.command()
def remove(ctx: typer.Context, name: Name) -> None:
    """Delete a model that is not in use, with its vectors and files."""
    from rag.models.adding import remove as remove_model

    frame: Frame = ctx.obj
    with open_store(ctx) as store:
        model = store.models.one(name)
        n = remove_model(store, frame.settings(), model, say)
    typer.echo(f"removed {model.name} with {n:,} vectors")


class _Told:
    """Says how far a build is, every few seconds."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, made: int, wanted: int) -> None:
        from ingest.progress import duration

        now = time.monotonic()
        if now - self._last < LINE_EVERY_S and made < wanted:
            return
        self._last = now
        rate = made / (now - self._began)
        left = f", about {duration((wanted - made) / rate)} left" if made < wanted else ""
        say(f"{made:,} of {wanted:,} passages, {rate:,.0f}/s{left}")


def _to_build(store: "Store", name: str | None) -> "Model":
    if name is not None:
        return store.models.one(name)
    waiting = [m for m in store.models.listed() if m.state in ("added", "building")]
    if len(waiting) != 1:
        names = ", ".join(model.name for model in waiting) or "none"
        raise BadRequest("which model?", hint=f"Give its name. To be built: {names}.")
    return waiting[0]


def _start_behind(settings: "Settings", model: "Model") -> None:
    """The same command in a process of its own, which outlives this one."""
    log = settings.data_dir / "logs" / LOG_FILE
    log.parent.mkdir(mode=0o700, exist_ok=True)
    order = [*COMMAND, "--data-dir", str(settings.data_dir), "model", "build", model.id]
    with log.open("ab") as output:
        process = subprocess.Popen(
            order,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    typer.echo(f"building {model.name} in process {process.pid}")
    say(f"`citadel model list` shows how far it is; what it says is in {log}")


def _line(model: "Model", n_vectors: int, n_chunks: int, is_building: bool) -> str:
    share = f"{n_vectors:,} of {n_chunks:,} passages"
    state = {"current": "in use", "previous": "in use before"}.get(model.state, model.state)
    if is_building:
        state = "being built"
    elif model.state == "building":
        state = "partly built"
    line = f"{model.name}  {state}, {share}, {model.dim} wide, id {model.id[:12]}"
    found = model.comparison
    if found is None or model.state == "current":
        return line
    verdict = "worse" if found["worse"] else "not worse"
    return f"{line}\n  {verdict}: {found['measure']} {found['after']:.3f}, in use then" + (
        f" {found['before']:.3f}, on {found['on']}"
    )


def _json(model: "Model", n_vectors: int, is_building: bool) -> dict[str, Any]:
    return {
        "name": model.name,
        "id": model.id,
        "state": model.state,
        "dim": model.dim,
        "max_tokens": model.max_tokens,
        "vectors": n_vectors,
        "cut": model.n_cut,
        "building": is_building,
        "added_at": time_json(model.added_at),
        "comparison": model.comparison,
    }


def _compared(found: dict[str, Any], current: str, model: str) -> str:
    verdict = {
        True: f"{model} is worse",
        False: f"{model} is not worse",
    }[found["worse"]]
    return (
        f"{found['measure']} on {found['on']}, {found['questions']:,} questions\n"
        f"{current} (in use): {found['before']:.4f}\n"
        f"{model}: {found['after']:.4f} ({found['after'] - found['before']:+.4f},"
        f" p = {found['p']:.3g})\n{verdict}"
    )

"""`citadel forget`: documents or a user gone for good, and the proof of it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import COULD_NOT, DONE, Frame, JsonOption, app, open_store, print_json, say
from rag.errors import BadRequest

if TYPE_CHECKING:
    from rag.forget.probes import Probes
    from rag.forget.prove import Place
    from rag.settings import Settings
    from rag.store import Deletion, Store

SHOWN = 20  # documents that are named before it is asked


@dataclass(frozen=True, slots=True)
class _Target:
    """What would be forgotten, in words; how to begin, and what to look for afterwards."""

    words: list[str]
    begin: Callable[[], "Deletion"]
    probes: Callable[[], "Probes"]
    is_about_documents: bool = True


@app.command()
def forget(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(help="A document's number, a path, or a user.", metavar="WHAT")
    ],
    document: Annotated[bool, typer.Option("--document", help="WHAT is a number.")] = False,
    path: Annotated[bool, typer.Option("--path", help="WHAT is a file or folder.")] = False,
    user: Annotated[bool, typer.Option("--user", help="WHAT is a user's name.")] = False,
    proof: Annotated[
        bool, typer.Option("--prove", help="Search everything for what is left of it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove documents or a user from everywhere, for good.

    A document goes with its whole file: a mail with its attachments, and every copy of it. Its
    content is not ingested again. In force for the next question, and finished by the next command
    if this one is cut off.
    """
    from rag.forget.steps import steps, wait_for_servers, working_folders

    frame: Frame = ctx.obj
    with open_store(ctx) as store:
        target = _target(store, what, _kind(what, document=document, path=path, user=user))
        if not yes:
            say("\n".join(target.words))
            typer.confirm("Forget this for good?", abort=True, err=True)
        probes = target.probes() if proof else None
        running = working_folders(store)
        done = list(steps(store, target.begin()))
        if target.is_about_documents:
            if not wait_for_servers(store, running, say):
                say("a running process still holds an index; it lets go of it by itself")
            _index_again(store, frame.settings())
        places = _prove(store, frame.settings(), probes) if probes is not None else None
    _tell(target, done, places, as_json=as_json)
    raise typer.Exit(COULD_NOT if places and any(place.found for place in places) else DONE)


def _kind(what: str, *, document: bool, path: bool, user: bool) -> str:
    """What is meant: as said, or as it looks."""
    said = [name for name, on in (("document", document), ("path", path), ("user", user)) if on]
    if len(said) > 1:
        raise BadRequest(f"{what} can't be a {' and a '.join(said)}", hint="Give one of them.")
    if said:
        return said[0]
    if what.isdecimal():
        return "document"
    if "/" in what or Path(what).exists():
        return "path"
    return "user"


def _target(store: "Store", what: str, kind: str) -> _Target:
    from rag.forget import probes

    if kind == "user":
        name = what.removeprefix("user:")
        store.erasure.check_user(name)
        return _Target(
            [f"the user {name}, with all conversations, keys and permissions"],
            lambda: store.erasure.begin_user(name),
            lambda: probes.of_user(store, name),
            is_about_documents=False,
        )
    if kind == "document":
        if not re.fullmatch(r"\d{1,18}", what):
            raise BadRequest(f"{what!r} is no number of a document", hint="`citadel documents`")
        sources = store.erasure.of_document(int(what))
    else:
        from ingest.scan import absolute_roots

        (path,) = absolute_roots([Path(what)], allow_missing=True)
        sources = store.erasure.of_path(path)
    return _Target(
        _words(store, sources),
        lambda: store.erasure.begin_documents(sources),
        lambda: probes.of_documents(store, sources),
    )


def _words(store: "Store", sources: Sequence[int]) -> list[str]:
    named = store.erasure.named(sources)
    lines = [f"{each.id}  {each.title}  {each.source_uri}" for each in named[:SHOWN]]
    more = [f"… and {len(named) - SHOWN:,} more"] if len(named) > SHOWN else []
    return [f"{len(named):,} documents of {len(sources):,} files:", *lines, *more]


def _index_again(store: "Store", settings: "Settings") -> None:
    """Build the indexes anew at once, so that the next question does not wait for it."""
    if not store.stats().chunks:
        return
    from rag.search.chosen import load_current
    from rag.search.indexes import refresh_snapshots

    embedder = load_current(store, settings)
    refresh_snapshots(store, embedder.model_id, embedder.dim, settings.index, say)


def _prove(store: "Store", settings: "Settings", probes: "Probes") -> "list[Place]":
    from rag.forget.prove import prove

    say(f"searching everything for {probes.n:,} pieces of it")
    return prove(store, settings, probes)


def _tell(target: _Target, done: list[str], places: "list[Place] | None", *, as_json: bool) -> None:
    if as_json:
        print_json({"forgotten": target.words, "steps": done, "proof": _json(places)})
        return
    typer.echo("forgotten: " + "\n".join(target.words))
    for place in places or ():
        result = "FOUND in " + ", ".join(place.found) if place.found else "nothing"
        note = f" ({place.note})" if place.note else ""
        typer.echo(f"{place.name}: {place.n_searched:,} searched, {result}{note}")


def _json(places: "list[Place] | None") -> list[dict[str, Any]] | None:
    if places is None:
        return None
    return [
        {"place": p.name, "searched": p.n_searched, "found": p.found, "note": p.note}
        for p in places
    ]

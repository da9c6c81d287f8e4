"""`citadel quarantine`: passages that read like instructions to a model, and their fate."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import JsonOption, app, open_store, print_json

if TYPE_CHECKING:
    from rag.store import Quarantined

SNIPPET_CHARS = 400

commands = typer.Typer(
    no_args_is_help=True,
    help="Passages that read like instructions to a model: list, release or remove them.",
)
app.add_typer(commands, name="quarantine")

Ids = Annotated[list[int], typer.Argument(help="Numbers from the list.", metavar="ID…")]


@commands.command("list")
def list_quarantined(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show the passages that nobody is shown, and why."""
    with open_store(ctx) as store:
        held = store.quarantine.listed()
        numbers = [passage.id for passage in held]
        store.audit.record("opened", {"what": "quarantine", "chunks": numbers})
    if as_json:
        print_json({"quarantined": [_passage_json(passage) for passage in held]})
    else:
        typer.echo("\n\n".join(map(_passage, held)) or "Nothing is in quarantine.")


@commands.command()
def release(ctx: typer.Context, ids: Ids, as_json: JsonOption = False) -> None:
    """Let passages be found and cited, also when their file is read anew."""
    with open_store(ctx) as store:
        n = store.quarantine.release(ids)
    print_json({"released": n}) if as_json else typer.echo(f"released {_count(n)}")


@commands.command()
def remove(ctx: typer.Context, ids: Ids, as_json: JsonOption = False) -> None:
    """Delete passages from the store, also when their file is read anew.

    The file that they are from stays as it is.
    """
    with open_store(ctx) as store:
        n = store.quarantine.remove(ids)
    print_json({"removed": n}) if as_json else typer.echo(f"removed {_count(n)}")


def _passage_json(passage: "Quarantined") -> dict[str, Any]:
    return {
        "id": passage.id,
        "document_id": passage.document_id,
        "collection": passage.collection,
        "title": passage.title,
        "path": passage.source_uri,
        "page": passage.page,
        "reason": passage.reason,
        "score": round(passage.score, 3),
        "text": passage.text,
    }


def _passage(passage: "Quarantined") -> str:
    """A passage for a person, on whose terminal nothing in it may have an effect."""
    from ingest.progress import one_line

    page = "" if passage.page is None else f", page {passage.page}"
    text = one_line(" ".join(passage.text.split()))
    cut = text if len(text) <= SNIPPET_CHARS else f"{text[:SNIPPET_CHARS]} …"
    lines = [f"{passage.id}  {one_line(passage.title)}{page}  [{passage.collection}]"]
    lines += [one_line(passage.source_uri), f"because {passage.reason}", cut]
    return "\n   ".join(lines)


def _count(n: int) -> str:
    return f"{n:,} passage{'s' * (n != 1)}"

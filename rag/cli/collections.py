"""`citadel collection`: what documents are kept in, and what is granted."""

from typing import Annotated

import typer

from rag.cli.app import JsonOption, app, open_store, print_json

collections = typer.Typer(no_args_is_help=True, help="Collections of documents.")
app.add_typer(collections, name="collection")

Name = Annotated[str, typer.Argument(help="Letters, digits, blanks and any of . _ @ + -")]


@collections.command("add")
def add(ctx: typer.Context, name: Name) -> None:
    """Make an empty collection, to be granted and uploaded to; `ingest -c` makes one by itself."""
    with open_store(ctx) as store:
        store.create_collection(name)
    typer.echo(f"added collection {name}")


@collections.command("list")
def list_collections(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show all collections with what they hold."""
    with open_store(ctx) as store:
        found = store.collections()
    if as_json:
        shown = [
            {"name": c.name, "n_documents": c.n_documents, "n_chunks": c.n_chunks} for c in found
        ]
        print_json({"collections": shown})
        return
    lines = [f"{c.name}  {c.n_documents:,} documents, {c.n_chunks:,} chunks" for c in found]
    typer.echo("\n".join(lines) or "There are none yet. Make one: citadel collection add NAME")


@collections.command("remove")
def remove(
    ctx: typer.Context,
    name: Name,
    with_documents: Annotated[
        bool, typer.Option("--with-documents", help="Also where it holds some.")
    ] = False,
) -> None:
    """Remove a collection with its grants and limits."""
    with open_store(ctx) as store:
        n_removed = store.remove_collection(name, with_documents=with_documents)
    typer.echo(f"removed collection {name} with {n_removed:,} documents")

"""The commands about the appliance itself: what it holds, whether it is sound, and serving it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import COULD_NOT, DONE, Frame, JsonOption, app, open_store, print_json, say
from rag.cli.ask import AsUser, Collections, access_to
from rag.times import time_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rag.settings import Settings
    from rag.store import Store
    from rag.types import Access, Document

PAGE = 500  # documents read at a time


@app.command()
def status(
    ctx: typer.Context,
    as_json: JsonOption = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Every failed file, not just 20.")
    ] = False,
) -> None:
    """Show the collections and the files that could not be ingested."""
    from ingest.sync import Failed
    from rag.cli.show import format_status

    settings, store = _open_store(ctx)
    with store:
        collections = store.collections()
        failures = [(name, Failed(f.uri, f.error, f.hint)) for name, f in store.failures()]
    if as_json:
        print_json(
            {
                "data_dir": str(settings.data_dir),
                "collections": [
                    {"name": c.name, "documents": c.n_documents, "chunks": c.n_chunks}
                    for c in collections
                ],
                "documents": sum(c.n_documents for c in collections),
                "chunks": sum(c.n_chunks for c in collections),
                "failed": [{"collection": name, **f._asdict()} for name, f in failures],
            }
        )
    else:
        shown = [failure for _, failure in failures]
        typer.echo(format_status(collections, shown, show_all=show_all))


@app.command()
def documents(
    ctx: typer.Context,
    collections: Collections = None,
    user: AsUser = None,
    title: Annotated[str, typer.Option(help="Only titles that contain this.")] = "",
    warnings: Annotated[
        bool, typer.Option("--warnings", help="Only those not read as a whole, and why.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the documents."""
    from rag.cli.show import format_documents

    _, store = _open_store(ctx)
    with store:
        found = list(_documents(store, access_to(store, collections, user), title))
    if warnings:
        found = [document for document in found if document.warnings]
    if as_json:
        print_json({"documents": [_document_json(document) for document in found]})
    elif found:
        typer.echo(format_documents(found, with_warnings=warnings))


def _documents(store: "Store", access: "Access", title: str) -> "Iterator[Document]":
    after = 0
    while page := store.list_documents(access, after=after, limit=PAGE, title_contains=title):
        yield from page
        after = page[-1].id


def _document_json(document: "Document") -> dict[str, Any]:
    return {
        "id": document.id,
        "collection": document.collection,
        "title": document.title,
        "source_uri": document.source_uri,
        "media_type": document.media_type,
        "language": document.language,
        "pages": document.n_pages,
        "chunks": document.n_chunks,
        "warnings": list(document.warnings),
        "parent_id": document.parent_id,
        "ingested_at": time_json(document.ingested_at),
    }


@app.command()
def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API.")] = None,
    ui_port: Annotated[int | None, typer.Option(help="Port of the page.")] = None,
    with_page: Annotated[
        bool, typer.Option("--page/--no-page", help="Whether to serve the page as well.")
    ] = True,
) -> None:
    """Serve the API and the page until Ctrl-C."""
    from rag.api.serve import serve as run

    frame: Frame = ctx.obj
    raise typer.Exit(
        run(frame.settings(host=host, port=port, ui_port=ui_port), with_page=with_page)
    )


@app.command()
def token(ctx: typer.Context) -> None:
    """Print the API's token."""
    from rag.api.border.tokens import api_token

    frame: Frame = ctx.obj
    found = api_token(frame.settings())
    with open_store(ctx) as store:
        store.audit.record("opened", {"what": "token"})  # before it is shown
    typer.echo(found)


@app.command()
def reindex(ctx: typer.Context) -> None:
    """Build the search indexes anew from the store."""
    from rag.search.chosen import load_current
    from rag.search.indexes import rebuild

    settings, store = _open_store(ctx)
    with store:
        embedder = load_current(store, settings)
        n = rebuild(store, embedder.model_id, embedder.dim, settings.index, say)
    typer.echo(f"indexed {n:,} chunks")


@app.command()
def verify(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Prove that store and indexes agree."""
    from rag.search.chosen import load_current
    from rag.search.verify import verify as find_problems

    settings, store = _open_store(ctx)
    with store:
        embedder = load_current(store, settings)
        problems = find_problems(store, embedder.model_id, embedder.dim, settings.index, say)
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    else:
        typer.echo("\n".join(problems) or "store and indexes are sound and agree")
    if problems and not as_json:
        say("hint: `citadel reindex` builds the indexes anew; the store needs its backup")
    raise typer.Exit(COULD_NOT if problems else DONE)


@app.command()
def doctor(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Check that all that is needed is there and works."""
    from deploy.doctor import diagnose, format_checks

    frame: Frame = ctx.obj
    checks = diagnose(frame.settings())
    ok = all(check.ok or not check.required for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": [check._asdict() for check in checks]})
    else:
        typer.echo(format_checks(checks))
    raise typer.Exit(DONE if ok else COULD_NOT)


def _open_store(ctx: typer.Context) -> "tuple[Settings, Store]":
    frame: Frame = ctx.obj
    return frame.settings(), open_store(ctx)

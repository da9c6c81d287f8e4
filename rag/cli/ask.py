"""`citadel search` and `citadel ask`."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import Frame, JsonOption, app, print_json, say
from rag.errors import NotFound
from rag.types import Access

if TYPE_CHECKING:
    from rag.store import Store

Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Only this collection; may be given several times."),
]


@app.command()
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="Words or a question.")],
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="How many passages.")] = 10,
    collections: Collections = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that fit a query best."""
    from rag.appliance import Appliance
    from rag.cli.show import format_hits
    from rag.wire import search_json

    frame: Frame = ctx.obj
    with Appliance(frame.settings(), say) as appliance:
        _say_if_empty(appliance.store)
        result = appliance.search(query, access_to(appliance.store, collections), k)
    print_json(search_json(result)) if as_json else typer.echo(format_hits(result.hits))


@app.command()
def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="A question, in words.")],
    collections: Collections = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question with quotes from the documents.

    Where they don't answer it, this is said, with what was searched; the exit code is 0 then too.
    """
    from rag.answer.pipeline import collect
    from rag.appliance import Appliance
    from rag.cli.show import format_answer
    from rag.wire import final_json

    frame: Frame = ctx.obj
    with Appliance(frame.settings(), say) as appliance:
        _say_if_empty(appliance.store)
        access = access_to(appliance.store, collections)
        events = appliance.answer(question, access, request_id=uuid.uuid4().hex)
        final = asyncio.run(collect(events))
    print_json(final_json(final)) if as_json else typer.echo(format_answer(final))


def _say_if_empty(store: "Store") -> None:
    if not store.stats().documents:
        say("Nothing has been ingested yet. Begin with: citadel ingest PATH")


def access_to(store: "Store", names: list[str] | None) -> Access:
    """Access to the named collections, to all where none is named.

    Raises:
        NotFound: there is no collection of that name.
    """
    access = store.access_to_all()
    if not names:
        return access
    if unknown := set(names) - access.collections:
        raise NotFound(
            f"there is no collection {min(unknown)!r}",
            hint=f"There are: {', '.join(sorted(access.collections)) or 'none yet'}.",
        )
    return Access(frozenset(names))

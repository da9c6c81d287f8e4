"""`citadel search` and `citadel ask`."""

import asyncio
import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import Frame, JsonOption, app, print_json, say
from rag.errors import NotFound
from rag.types import Access

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rag.answer.events import Event, Final
    from rag.store import Store


class DepthName(StrEnum):
    """As `rag.answer.events.Depth`."""

    quick = "quick"
    standard = "standard"
    exhaustive = "exhaustive"


Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Only this collection; may be given several times."),
]
AsUser = Annotated[
    str | None, typer.Option("--as", help="As this user would see it.", metavar="USER")
]


@app.command()
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="Words or a question.")],
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="How many passages.")] = 10,
    collections: Collections = None,
    user: AsUser = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that fit a query best."""
    from rag.appliance import Appliance
    from rag.cli.show import format_hits
    from rag.wire import search_json

    frame: Frame = ctx.obj
    with Appliance(frame.settings(), say) as appliance:
        _say_if_empty(appliance.store)
        result = appliance.search(query, access_to(appliance.store, collections, user), k)
    print_json(search_json(result)) if as_json else typer.echo(format_hits(result.hits))


@app.command()
def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="A question, in words.")],
    collections: Collections = None,
    user: AsUser = None,
    depth: Annotated[
        DepthName | None, typer.Option(help="How much the engine reads: 8k, 32k, or all it can.")
    ] = None,
    research: Annotated[
        bool, typer.Option("--research", help="Let the engine search by itself first; slower.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from the documents: with an engine in its words, else in quotes.

    Where they don't answer it, this is said, with what was searched; the exit code is 0 then too.
    """
    from rag.answer.options import Options
    from rag.appliance import Appliance
    from rag.cli.show import format_answer
    from rag.wire import final_json

    frame: Frame = ctx.obj
    with Appliance(frame.settings(), say) as appliance:
        _say_if_empty(appliance.store)
        access = access_to(appliance.store, collections, user)
        options = Options(depth=depth.value if depth else None, research=research)
        events = appliance.answer(question, access, request_id=uuid.uuid4().hex, options=options)
        final = asyncio.run(_told(events))
    print_json(final_json(final)) if as_json else typer.echo(format_answer(final))


async def _told(events: "AsyncIterator[Event]") -> "Final":
    """The final event; the steps before it are told as they happen."""
    from rag.answer.events import Step
    from rag.answer.pipeline import collect
    from rag.cli.show import format_step

    async def telling() -> "AsyncIterator[Event]":
        async for event in events:
            if isinstance(event, Step):
                say(format_step(event))
            yield event

    return await collect(telling())


def _say_if_empty(store: "Store") -> None:
    if not store.stats().documents:
        say("Nothing has been ingested yet. Begin with: citadel ingest PATH")


def access_to(store: "Store", names: list[str] | None, user: str | None = None) -> Access:
    """The operator's or a user's access to the named collections, to all where none is named.

    Raises:
        NotFound: there is no such user, or no collection of that name for this one to see.
    """
    access = store.access_to_all() if user is None else store.access_of_user(user)
    if not names:
        return access
    if unknown := set(names) - access.collections:
        raise NotFound(
            f"there is no collection {min(unknown)!r}",
            hint=f"There are: {', '.join(sorted(access.collections)) or 'none yet'}.",
        )
    return access.within(names)

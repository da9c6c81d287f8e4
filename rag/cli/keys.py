"""`citadel key`: the API keys of systems."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, cast

import typer

from rag.cli.app import JsonOption, app, open_store, print_json, say
from rag.times import time_json_or_none

if TYPE_CHECKING:
    from rag.store import Key, Owner, Scope, Store

keys = typer.Typer(no_args_is_help=True, help="API keys of systems.")
app.add_typer(keys, name="key")

UserOption = Annotated[
    str | None, typer.Option("--user", help="Whose key; yours, the operator's, where unset.")
]


@keys.command("add")
def add_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scopes: Annotated[
        list[str],
        typer.Option("--scope", "-s", help="search, query, ingest, admin or act_as; repeatable."),
    ],
    user: UserOption = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it is valid; for ever, if unset.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once. It never reads more than its owner may.

    With act_as it acts for the user whom a request names in the header X-Citadel-User, as long as
    its owner is an admin. Give such a key to an admin who may read nothing, so that a request
    without the header finds nothing.
    """
    valid_for = None if days is None else timedelta(days=days)
    with open_store(ctx) as store:
        wanted = cast("list[Scope]", scopes)  # the store refuses what is none
        key, text = store.keys.add(_owner(store, user), name, wanted, valid_for=valid_for)
    if as_json:
        print_json(key_json(key) | {"key": text})
        return
    typer.echo(text)
    say(f"Key {key.id} of {key.owner}: {', '.join(key.scopes)}. It is not shown again.")


@keys.command("list")
def list_keys(ctx: typer.Context, user: UserOption = None, as_json: JsonOption = False) -> None:
    """Show all keys, or those of one user, newest first, without their text."""
    with open_store(ctx) as store:
        found = store.keys.listed(None if user is None else store.user_number(user))
    if as_json:
        print_json({"keys": [key_json(key) for key in found]})
        return
    typer.echo(
        "\n".join(map(_line, found))
        or "There are no keys. Add one: citadel key add NAME --scope query"
    )


@keys.command("revoke")
def revoke_key(ctx: typer.Context, key_id: Annotated[int, typer.Argument(min=1)]) -> None:
    """End a key at once."""
    with open_store(ctx) as store:
        store.keys.revoke(key_id)
    typer.echo(f"revoked key {key_id}")


def _owner(store: "Store", user: str | None) -> "Owner":
    return "operator" if user is None else store.user_number(user)


def _line(key: "Key") -> str:
    ends = f", until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
    used = f"{key.used_at:%Y-%m-%d}" if key.used_at else "never"
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else f"last used {used}{ends}"
    return f"{key.id}  {key.shown}…  {key.owner}  {key.name}  {','.join(key.scopes)}  {state}"


def key_json(key: "Key") -> dict[str, object]:
    """A key as JSON output shows it."""
    times = {name: getattr(key, name) for name in _TIMES}
    return {
        "id": key.id,
        "owner": key.owner,
        "name": key.name,
        "shown": key.shown,
        "scopes": list(key.scopes),
        **{name: time_json_or_none(time) for name, time in times.items()},
    }


_TIMES = ("created_at", "used_at", "expires_at", "revoked_at")

"""`citadel user …` and `citadel group role`: how people sign in, and what they administer."""

from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import Frame, JsonOption, open_store, print_json, say
from rag.cli.passwords import StdinOption, password_for
from rag.cli.people import Name, groups, users
from rag.times import time_json

if TYPE_CHECKING:
    from rag.store import Session

Given = Annotated[list[str] | None, typer.Option("--give", help="admin or auditor.")]
Taken = Annotated[list[str] | None, typer.Option("--take", help="admin or auditor.")]


@users.command("password")
def set_password(ctx: typer.Context, name: Name, from_stdin: StdinOption = False) -> None:
    """Give a user a password. Who is signed in by that name is signed out."""
    with open_store(ctx) as store:
        store.user_number(name)
        store.passwords.set(name, password_for(name, from_stdin))
    typer.echo(f"user:{name} has a new password")


@users.command("link")
def make_link(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A user; you, the operator, where none is named.")
    ] = None,
) -> None:
    """Print a link that signs one browser in, once, within the hour."""
    from rag.api.address import base_url, running

    frame: Frame = ctx.obj
    settings = frame.settings()
    with open_store(ctx) as store:
        token = store.signing.link("operator" if name is None else store.user_number(name))
    server = running(settings.data_dir)
    if server is None:
        base = base_url(settings.host, settings.port)
        if settings.public_url is None:
            say(f"No server runs here at this moment; the link is for one at {base}.")
    else:  # the operator is on this machine, a user perhaps on another
        base = server.here if name is None else server.elsewhere
    typer.echo(f"{settings.public_url or base}/login?token={token}")


@users.command("role")
def user_role(
    ctx: typer.Context,
    name: Name,
    give: Given = None,
    take: Taken = None,
    as_json: JsonOption = False,
) -> None:
    """Show, give or take a user's roles: admin (people, grants, keys), auditor (the records).

    A role alone opens no document.
    """
    _change_roles(ctx, f"user:{name}", (give or [], take or []), as_json)


@groups.command("role")
def group_role(
    ctx: typer.Context,
    name: Name,
    give: Given = None,
    take: Taken = None,
    as_json: JsonOption = False,
) -> None:
    """Show, give or take the roles of all in a group."""
    _change_roles(ctx, f"group:{name}", (give or [], take or []), as_json)


@users.command("sessions")
def list_sessions(ctx: typer.Context, name: Name, as_json: JsonOption = False) -> None:
    """Show where a user is signed in, newest first."""
    with open_store(ctx) as store:
        found = store.signing.sessions(store.user_number(name))
    if as_json:
        print_json({"sessions": [_session_json(session) for session in found]})
        return
    lines = [
        f"{s.id}  by {s.how} from {s.address or '?'}, last used {s.used_at:%Y-%m-%d %H:%M} UTC"
        for s in found
    ]
    typer.echo("\n".join(lines) or f"user:{name} is not signed in.")


@users.command("sign-out")
def sign_out(ctx: typer.Context, name: Name) -> None:
    """End every session of a user at once, and void the login links. Keys go on working."""
    with open_store(ctx) as store:
        ended = store.signing.end_all(store.user_number(name))
    typer.echo(f"user:{name} is signed out")
    say(f"{ended} sessions and links ended")


def _change_roles(
    ctx: typer.Context, principal: str, changes: tuple[list[str], list[str]], as_json: bool
) -> None:
    from rag.store import role_of

    given, taken = ([role_of(written) for written in each] for each in changes)
    with open_store(ctx) as store:
        store.permissions.check_principals([principal])
        for role in given:
            store.accounts.give_role(principal, role)
        for role in taken:
            store.accounts.take_role(principal, role)
        roles = store.accounts.roles().get(principal, ())
    if as_json:
        print_json({"principal": principal, "roles": list(roles)})
        return
    typer.echo(f"{principal}: {', '.join(roles) or 'no role'}")


def _session_json(session: "Session") -> dict[str, object]:
    return {
        "id": session.id,
        "how": session.how,
        "address": session.address,
        "agent": session.agent,
        "created_at": time_json(session.created_at),
        "used_at": time_json(session.used_at),
        "expires_at": time_json(session.expires_at),
    }

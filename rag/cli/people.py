"""`citadel user`, `citadel group` and `citadel access`: who there is, and who may read what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import (
    CollectionOption,
    JsonOption,
    a_path,
    app,
    open_store,
    print_json,
    say,
)
from rag.cli.passwords import StdinOption, password_for
from rag.times import time_json_or_none

if TYPE_CHECKING:
    from rag.store import Person
    from rag.store.accounts import WayIn

users = typer.Typer(no_args_is_help=True, help="The people who may be granted something.")
groups = typer.Typer(no_args_is_help=True, help="Groups of people.")
access = typer.Typer(no_args_is_help=True, help="Who may read which documents.")
for name, commands in (("user", users), ("group", groups), ("access", access)):
    app.add_typer(commands, name=name)

ORIGINS = {
    "command": "by command",
    "file": "by its .citadel-access.yaml",
    "permissions": "by permissions",
}
Name = Annotated[str, typer.Argument(help="Letters, digits and any of . _ @ + -")]
Who = Annotated[str, typer.Argument(help="user:NAME or group:NAME.", metavar="WHO")]
Issuer = Annotated[str, typer.Argument(help="The OpenID provider's address; or ldap, or proxy.")]
Subject = Annotated[str, typer.Argument(help="Its identifier for the person.")]
Collection = Annotated[str, typer.Argument(help="A collection's name.")]
Place = Annotated[
    Path, typer.Argument(help="A file, or a folder with all below it.", parser=a_path)
]


@users.command("add")
def add_user(
    ctx: typer.Context,
    name: Name,
    into: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="Put into this group as well.")
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="admin or auditor; repeatable.")
    ] = None,
    typed: Annotated[bool, typer.Option("--password", help="Ask for a password.")] = False,
    from_stdin: StdinOption = False,
) -> None:
    """Add a user, who may read nothing until something is granted.

    Without a password the user signs in by links (`citadel user link`), or as the company does.
    """
    from rag.store import role_of

    given = [role_of(role) for role in roles or ()]
    password = password_for(name, from_stdin) if typed or from_stdin else None
    with open_store(ctx) as store:
        known = {group.name for group in store.permissions.groups()}
        if missing := sorted(set(into or ()) - known):
            _no_group(missing[0])
        store.permissions.add_principal("user", name)
        for group in into or ():
            store.permissions.join_group(group, [name])
        for role in given:
            store.accounts.give_role(f"user:{name}", role)
        if password is not None:
            store.passwords.set(name, password)
    typer.echo(f"added user:{name}")


@users.command("list")
def list_users(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show all users with their groups, whether they have a password, and the last sign-in."""
    with open_store(ctx) as store:
        found, ways = store.permissions.people(), store.accounts.ways_in()
    if as_json:
        print_json({"users": [_user_json(person, ways[person.name]) for person in found]})
        return
    lines = [_user_line(person, ways[person.name]) for person in found]
    typer.echo("\n".join(lines) or "There are no users yet. Add one with: citadel user add NAME")


def _user_json(person: "Person", way: "WayIn") -> dict[str, object]:
    last = way.last_sign_in
    return {
        "name": person.name,
        "disabled": person.disabled,
        "groups": list(person.groups),
        "roles": list(person.roles),
        "password": way.has_password,
        "last_sign_in": time_json_or_none(last),
    }


def _user_line(person: "Person", way: "WayIn") -> str:
    marks = [*person.roles, *(["disabled"] if person.disabled else [])]
    name = f"{person.name} ({', '.join(marks)})" if marks else person.name
    last = f"last sign-in {way.last_sign_in:%Y-%m-%d %H:%M} UTC" if way.last_sign_in else ""
    password = f"{'a' if way.has_password else 'no'} password"
    groups = ", ".join(person.groups)
    return "  ".join(filter(None, (name, groups, f"{password}, {last or 'no sign-in on record'}")))


@users.command("disable")
def disable_user(ctx: typer.Context, name: Name) -> None:
    """Let a user in no more: sessions end, keys stop; what was granted is kept."""
    with open_store(ctx) as store:
        store.permissions.set_disabled(name, True)
    typer.echo(f"disabled user:{name}")


@users.command("enable")
def enable_user(ctx: typer.Context, name: Name) -> None:
    """Let a disabled user in again, to what was granted; keys work again."""
    with open_store(ctx) as store:
        store.permissions.set_disabled(name, False)
    typer.echo(f"enabled user:{name}")


@users.command("remove")
def remove_user(ctx: typer.Context, name: Name) -> None:
    """Remove a user with all that was granted; who comes by that name later inherits nothing."""
    with open_store(ctx) as store:
        store.permissions.remove_principal("user", name)
    typer.echo(f"removed user:{name}")


@users.command("identity")
def add_identity(ctx: typer.Context, name: Name, issuer: Issuer, subject: Subject) -> None:
    """Let a user sign in as this person of the company's directory."""
    with open_store(ctx) as store:
        store.directory.link(name, issuer, subject)
    typer.echo(f"user:{name} signs in as {subject} of {issuer}")


@users.command("unlink")
def remove_identity(ctx: typer.Context, name: Name, issuer: Issuer, subject: Subject) -> None:
    """Let a user sign in as this person no more, and take the groups that came with it."""
    with open_store(ctx) as store:
        store.directory.unlink(name, issuer, subject)
    typer.echo(f"user:{name} no longer signs in as {subject} of {issuer}")


@users.command("identities")
def list_identities(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show who signs in as whom of the company's directory."""
    with open_store(ctx) as store:
        found = store.directory.identities()
    if as_json:
        print_json(
            {
                "identities": [
                    {"user": i.user, "issuer": i.issuer, "subject": i.subject} for i in found
                ]
            }
        )
        return
    lines = [f"{i.user}  {i.issuer}  {i.subject}" for i in found]
    typer.echo("\n".join(lines) or "Nobody has signed in by the company's directory yet.")


@groups.command("add")
def add_group(ctx: typer.Context, name: Name) -> None:
    """Add a group without members."""
    with open_store(ctx) as store:
        store.permissions.add_principal("group", name)
    typer.echo(f"added group:{name}")


@groups.command("list")
def list_groups(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show all groups with their members."""
    with open_store(ctx) as store:
        found = store.permissions.groups()
    if as_json:
        print_json({"groups": [{"name": g.name, "members": list(g.members)} for g in found]})
        return
    lines = [f"{g.name}  {', '.join(g.members)}".rstrip() for g in found]
    typer.echo("\n".join(lines) or "There are no groups yet. Add one with: citadel group add NAME")


@groups.command("join")
def join(ctx: typer.Context, group: Name, members: Annotated[list[str], typer.Argument()]) -> None:
    """Put users into a group."""
    with open_store(ctx) as store:
        store.permissions.join_group(group, members)
    typer.echo(f"{', '.join(members)}: in group:{group}")


@groups.command("leave")
def leave(ctx: typer.Context, group: Name, members: Annotated[list[str], typer.Argument()]) -> None:
    """Take users out of a group."""
    with open_store(ctx) as store:
        left = store.permissions.leave_group(group, members)
    for name in members:
        typer.echo(f"{name}: {'no longer' if name in left else 'was not'} in group:{group}")


@groups.command("remove")
def remove_group(ctx: typer.Context, name: Name) -> None:
    """Remove a group with all that was granted to it; its members stay."""
    with open_store(ctx) as store:
        store.permissions.remove_principal("group", name)
    typer.echo(f"removed group:{name}")


@access.command("show")
def show(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show every grant and every limit."""
    with open_store(ctx) as store:
        grants, limits = store.permissions.grants(), store.permissions.limits()
    if as_json:
        print_json(
            {
                "grants": [
                    {"collection": g.collection, "principal": g.principal, "right": g.right}
                    for g in grants
                ],
                "limits": [
                    {
                        "collection": limit.collection,
                        "uri": limit.uri,
                        "principals": limit.principals and list(limit.principals),
                        "origin": limit.origin,
                    }
                    for limit in limits
                ],
            }
        )
        return
    lines = [f"{g.collection}: {g.principal} may {g.right}" for g in grants]
    for limit in limits:
        who = "everyone" if limit.principals is None else ", ".join(limit.principals)
        who = f"only {who}" if limit.principals else who or "nobody but the operator"
        lines.append(f"{limit.collection}: {limit.uri}: {who} ({ORIGINS[limit.origin]})")
    typer.echo("\n".join(lines) or "There are no collections yet.")


@access.command("grant")
def grant(
    ctx: typer.Context,
    collection: Collection,
    who: Who,
    manage: Annotated[bool, typer.Option("--manage", help="Manage it too.")] = False,
) -> None:
    """Let a user or a group read a collection, or manage it."""
    with open_store(ctx) as store:
        store.permissions.grant(collection, who, "manage" if manage else "read")
    typer.echo(f"{who} may {'manage' if manage else 'read'} {collection}")


@access.command("revoke")
def revoke(ctx: typer.Context, collection: Collection, who: Who) -> None:
    """Take a grant back. In force for the next question."""
    with open_store(ctx) as store:
        had = store.permissions.revoke(collection, who)
    typer.echo(f"{who} {'may no longer' if had else 'could not'} read {collection}")


@access.command("limit")
def limit(
    ctx: typer.Context,
    place: Place,
    who: Annotated[
        list[str] | None,
        typer.Argument(help="user:NAME or group:NAME; nobody where none is named.", metavar="WHO"),
    ] = None,
    collection: CollectionOption = "default",
) -> None:
    """Let only these, of those with the collection, read a file or what is in a folder.

    It holds for files that come into the folder later as well.
    """
    _limit(ctx, collection, place, who or [])


@access.command("unlimit")
def unlimit(ctx: typer.Context, place: Place, collection: CollectionOption = "default") -> None:
    """Let everyone with the collection read a file or what is in a folder."""
    _limit(ctx, collection, place, None)


def _limit(ctx: typer.Context, collection: str, place: Path, who: list[str] | None) -> None:
    from ingest.scan import absolute_roots

    (uri,) = absolute_roots([place], allow_missing=True)
    with open_store(ctx) as store:
        if not place.exists() and not store.sources(collection, uri):
            _no_place(uri)
        n_changed = store.permissions.limit(collection, uri, who)
        there = store.sources(collection, uri)
        mapped = store.permissions.mapped_roots(collection)
    n_there, is_file = len(there), any(source.uri == uri for source in there)
    whom = "everyone with the collection" if who is None else ", ".join(who) or "nobody"
    typer.echo(f"{uri}: {whom}")
    say(f"{n_changed:,} of {n_there:,} files there have changed")
    near = (Path(uri).is_relative_to(root) or Path(root).is_relative_to(uri) for root in mapped)
    if any(near) and not is_file:
        say("Whom permissions keep out stays out. Who may again, may from the next ingest on.")
    if not n_there:
        say(f"Nothing there is in collection {collection!r} yet; it holds for what will be.")


def _no_place(uri: str) -> None:
    from rag.errors import NotFound

    raise NotFound(
        f"there is no file or folder {uri}, and nothing was ingested from there",
        hint="Nothing was changed. Check the path; for what is still to come, make the folder.",
    )


def _no_group(name: str) -> None:
    from rag.errors import NotFound

    raise NotFound(f"there is no group {name!r}", hint=f"citadel group add {name}")

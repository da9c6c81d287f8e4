"""How a password comes to the command: never as an argument, which others could see."""

import sys
from typing import Annotated

import typer

from rag.errors import BadRequest

StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def password_for(name: str, from_stdin: bool) -> str:
    """A password that is typed twice and not shown, or the first line of standard input.

    Raises:
        BadRequest: there is nothing to read, or it is against the rules.
    """
    from rag.store.passwords import obeying

    if from_stdin:
        return obeying(name, sys.stdin.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise BadRequest(
            "there is no terminal to type a password at", hint="Use --password-stdin in scripts."
        )
    typed = obeying(name, _typed(f"Password for {name}"))
    if obeying(name, _typed("Repeat for confirmation")) != typed:
        raise BadRequest("the two passwords are not the same", hint="Nothing was changed.")
    return typed


def _typed(prompt: str) -> str:
    text: str = typer.prompt(prompt, hide_input=True, err=True)
    return text

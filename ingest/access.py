"""`.citadel-access.yaml`: who may read what is in its folder, and in those below it.

    read: [group:hr, user:ann]     # nobody else, of those who may read the collection
    read: []                       # nobody but the operator
    read: everyone                 # whatever the file of a folder above says

The nearest file decides, also one above the folder that ingest was given. It limits and never
opens: what commands and permissions say must let a reader through as well. A folder
whose file cannot be understood, or has nearly that name, is closed to everyone but the operator
until that is mended, with all below: it may hold what must not be shown to anyone.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from rag.errors import BadRequest, IngestError
from rag.store import Readers, parsed_principal

ACCESS_FILE = ".citadel-access.yaml"
EVERYONE = "everyone"
MAX_BYTES = 100_000
_NEARLY = re.compile(r"\.?citadel[-_]?access(\.ya?ml(\.txt)?)?", re.IGNORECASE)


class Closed(NamedTuple):
    """A folder that nobody but the operator reads, because of a file, and what to do."""

    folder: str
    path: str
    error: str
    hint: str


def refuse_nearly(folder: str, names: Iterable[str]) -> None:
    """See that no file in a folder has nearly the name of one that says who may read.

    Raises:
        IngestError: one has.
    """
    for name in names:
        if name != ACCESS_FILE and _NEARLY.fullmatch(name):
            raise IngestError(
                f"it is not read: a file that says who may read is named {ACCESS_FILE}",
                hint=f"Rename {Path(folder, name)}, or remove it.",
            )


def readers_of(folder: str) -> dict[str, Readers]:
    """The folder with what its own file says; empty where it has none.

    Raises:
        IngestError: the file cannot be read or says something else.
    """
    file = Path(folder, ACCESS_FILE)
    try:
        with file.open("rb") as opened:
            said = yaml.safe_load(opened.read(MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(file, f"cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise _unusable(file, f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(said, dict) or said.keys() != {"read"}:
        raise _unusable(file, "needs the one key 'read'")
    return {folder: _readers(file, said["read"])}


def _readers(file: Path, said: object) -> Readers:
    if said == EVERYONE:
        return None
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise _unusable(file, "needs a list after 'read', or 'everyone'")
    try:
        for each in said:
            parsed_principal(each)
    except BadRequest as error:
        raise _unusable(file, f"has a reader that is none: {error.message}") from error
    return tuple(sorted(set(said)))


def _unusable(file: Path, what: str) -> IngestError:
    return IngestError(
        f"it {what}",
        hint="Write for example 'read: [group:hr, user:ann]'.",
    )

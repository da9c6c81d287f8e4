"""`.citadel-access.yaml`: who may read what is in its folder, and in those below it.

    read: [group:hr, user:ann]     # nobody else, of those who may read the collection
    read: []                       # nobody but the operator
    read: everyone                 # whatever the file of a folder above says

The nearest file decides, also one above the folder that ingest was given. It limits and never
opens: what commands and permissions say must let a reader through as well. A folder whose file
cannot be understood is left out until it can: it may hold what must not be shown to anyone.
"""

from pathlib import Path

import yaml

from rag.errors import BadRequest, IngestError
from rag.store import Readers, parsed_principal

ACCESS_FILE = ".citadel-access.yaml"
EVERYONE = "everyone"
MAX_BYTES = 100_000


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


def readers_above(root: str) -> dict[str, Readers]:
    """What the files in the folders above say.

    Raises:
        IngestError: one cannot be read or says something else.
    """
    found: dict[str, Readers] = {}
    for folder in Path(root).parents:
        found |= readers_of(str(folder))
    return found


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
        f"{file} {what}",
        hint="Write for example 'read: [group:hr, user:ann]'; until then its folder is left out.",
    )

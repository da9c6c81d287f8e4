"""Names that people would take for one another, or for something else."""

import unicodedata
from collections.abc import Iterable

from rag.errors import BadRequest

OPERATOR = "operator"  # who runs the commands on the machine


def refuse_confusing(kind: str, name: str, taken: Iterable[str]) -> None:
    """See that a new name is not confused with one that is taken, nor with a folder.

    Raises:
        BadRequest: it is.
    """
    if not set(_folded(name)) - {"."}:
        raise BadRequest(f"{name!r} is no name for a {kind}", hint="Use letters or digits, too.")
    twin = twin_of(name, taken)
    if twin is not None:
        raise BadRequest(
            f"{name!r} would be taken for the {kind} {twin!r}",
            hint="Choose a name that differs in more than capitals or widths.",
        )


def twin_of(name: str, others: Iterable[str]) -> str | None:
    """One of the others that is the same but for capitals and for forms of the same letter."""
    folded = _folded(name)
    return next((other for other in others if _folded(other) == folded), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())

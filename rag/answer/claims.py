"""The model's text in pieces in, claims out: sentences with the keys of the passages they cite."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "lead"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, list item, table row or block of code of an answer, without its markers.

    `glue + text` of all claims, one after the other, is the answer without markers. A `lead` says
    nothing by itself (a heading, "The steps are:", a table's header): it need not be cited, and is
    to be shown only when something follows that is.
    """

    text: str
    keys: tuple[str, ...] = ()  # known ones, in order, none twice
    n_unknown: int = 0  # markers of keys that name no passage; removed
    glue: str = ""  # white space before it, as the model wrote it
    kind: Kind = "sentence"


class ClaimSplitter:
    """Holds text back until it is a whole claim with its trailing markers."""

    def __init__(self, known_keys: Iterable[str], language: str) -> None:
        """`language` is the answer's (ISO 639-1); it decides where sentences end."""
        self._known = frozenset(known_keys)
        self._language = language

    def feed(self, text: str) -> list[Claim]:
        """Take the next piece of any length; returns the claims that it completes."""
        raise NotImplementedError

    def finish(self) -> list[Claim]:
        """The model has ended: returns what was held back."""
        raise NotImplementedError

"""Whether the passages that a claim cites support it, and with which of their words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.answer.claims import Claim
from rag.search.embed import Embedder
from rag.search.lexical import LexicalIndex

if TYPE_CHECKING:
    from rag.answer.pack import Passage


@dataclass(frozen=True, slots=True)
class Support:
    """What one cited passage does for a claim. Offsets are the document's."""

    supported: bool
    score: float  # in [0, 1], comparable between claims
    passage: "Passage | None"  # None where the key names none
    char_start: int  # of the best-matching span
    char_end: int
    reason: str  # why it is not supported, "" where it is


class SupportChecker:
    """Checks the claims of one answer; what it has embedded it keeps for the next claim."""

    def __init__(
        self, embedder: Embedder, lexical: LexicalIndex, cross_encoder_dir: Path | None = None
    ) -> None:
        """With `cross_encoder_dir`, a local NLI model judges the meaning.

        Raises:
            ModelError: the directory holds no cross-encoder with an entailment label.
        """
        self._embedder = embedder
        self._lexical = lexical
        self._cross_encoder_dir = cross_encoder_dir

    def check(self, claim: Claim, passages: Mapping[str, "Passage"]) -> list[Support]:
        """One for each key of the claim, best first; empty where it cites nothing."""
        raise NotImplementedError

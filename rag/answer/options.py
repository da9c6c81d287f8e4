"""How one question is to be answered, where its caller says so; the settings decide the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.answer.conversation import Turn
from rag.answer.events import Depth


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose for a question."""

    depth: Depth | None = None  # how much the engine reads
    history: Sequence[Turn] = ()  # of the conversation, oldest first
    rewrite: bool | None = None  # a follow-up, so that it stands alone
    research: bool = False  # let the engine search by itself first

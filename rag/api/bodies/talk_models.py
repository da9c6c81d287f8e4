"""Conversations and feedback as the API documents them: requests, responses, an example of each."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rag.api.bodies import examples, models, requests
from rag.store.conversations import MAX_TITLE_CHARS

MAX_COMMENT_CHARS = 2000
Rating = Literal["up", "down"]

_TIME = "2026-03-02T09:14:31Z"
CONVERSATION: examples.Example = {
    "id": 12,
    "title": "How many days of annual leave do employees get?",
    "created_at": _TIME,
    "updated_at": _TIME,
    "n_turns": 1,
}
TURN: examples.Example = {
    "id": 41,
    "request_id": examples.ANSWER["request_id"],
    "created_at": _TIME,
    "question": examples.ANSWER["question"],
    "answer": {
        name: value
        for name, value in examples.ANSWER.items()
        if name not in ("timings_ms", "usage", "conversation_id", "turn_id")
    }
    | {"searched": {"query": examples.ANSWER["question"], "collections": ["hr"]}},
    "withheld": False,
    "reason": "",
    "rating": "up",
}
READ: examples.Example = CONVERSATION | {
    "owner": "ann",
    "yours": True,
    "turns": [TURN],
    "next_cursor": None,
}
CONVERSATIONS: examples.Example = {"conversations": [CONVERSATION], "next_cursor": None}
FEEDBACK: examples.Example = {
    "request_id": examples.ANSWER["request_id"],
    "rating": "down",
    "comment": "The policy of 2025 is meant.",
}
GIVEN: examples.Example = FEEDBACK | {"id": 3, "user": "ann", "created_at": _TIME, "yours": True}
FEEDBACKS: examples.Example = {"feedback": [GIVEN], "next_cursor": None}


def _line(text: str) -> str:
    return " ".join(text.split())


Title = Annotated[requests.Plain, Field(max_length=MAX_TITLE_CHARS), AfterValidator(_line)]
Comment = Annotated[str, Field(max_length=MAX_COMMENT_CHARS), AfterValidator(requests.plain)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConversationRequest(_Request):
    """A conversation to begin; without a title its first question names it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Leave"}]})
    title: Title = ""


class RenameRequest(_Request):
    """A conversation's new title."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Leave in 2026"}]})
    title: Annotated[Title, Field(min_length=1)]


class FeedbackRequest(_Request):
    """What you say of an answer in one of your conversations."""

    model_config = ConfigDict(json_schema_extra={"examples": [FEEDBACK]})
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{8,64}$")]
    rating: Rating
    comment: Comment = ""


class Conversation(_Response):
    """A conversation without its turns."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONVERSATION]})
    id: int
    title: str
    created_at: datetime
    updated_at: datetime
    n_turns: int


class ConversationList(_Response):
    """Conversations, the one last changed first."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONVERSATIONS]})
    conversations: list[Conversation]
    next_cursor: str | None = Field(description="Pass it on for the rest; null at the end.")


class KeptSearched(_Response):
    """What was searched. How much there was then is not kept."""

    query: str
    collections: list[str] = Field(description="Those of them that you may read now.")


class KeptAnswer(_Response):
    """An answer as it was given, as far as you may read now what it quotes."""

    status: Literal["answered", "no_evidence", "blocked", "no_verdict"]
    question: str
    answer: str
    citations: list[models.Citation]
    related: list[models.Hit]
    searched: KeptSearched
    evidence: float | None = Field(description="Null where something is withheld, as `support`.")
    engine: str
    prompt_version: str
    support: models.Support | None
    unsupported: list[models.Unsupported]
    notices: list[models.Notice]
    categories: list[models.Category]
    depth: requests.Depth | None
    steps: list[models.Step] = Field(description="Of a research, without what they were about.")
    request_id: str


class Turn(_Response):
    """A question and its answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [TURN]})
    id: int
    request_id: str
    created_at: datetime
    question: str
    answer: KeptAnswer
    withheld: bool = Field(description="Whether something of the answer may not be shown to you.")
    reason: str = Field(description="Why, in plain words.")
    rating: Rating | None = Field(description="What its owner said of it.")


class ConversationRead(Conversation):
    """A conversation with its turns, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [READ]})
    owner: str = Field(description="The user whose it is.")
    yours: bool = Field(description="False where you read another's, as an admin; then read only.")
    turns: list[Turn]
    next_cursor: str | None = Field(description="Pass it on for later turns; null at the end.")


class Feedback(_Response):
    """What somebody said of an answer, without question and answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [GIVEN]})
    id: int
    user: str
    request_id: str
    rating: Rating
    comment: str
    created_at: datetime
    yours: bool


class FeedbackList(_Response):
    """Feedback, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [FEEDBACKS]})
    feedback: list[Feedback]
    next_cursor: str | None = Field(description="Pass it on for the rest; null at the end.")

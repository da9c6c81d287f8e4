"""Requests as the API documents and validates them, each with an example."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from rag.api.bodies import examples

MAX_QUESTION_CHARS = 4000
MAX_ANSWER_CHARS = 20_000  # of one earlier answer
MAX_TURNS = 50
MAX_ID = 2**63 - 1
MAX_PATH_BYTES = 2000
MAX_OFFSET = 2**31 - 1


def asked(text: str) -> str:
    """A question without the blanks around it; not empty, not too long."""
    text = text.strip()
    if not text:
        raise ValueError("must not be empty")
    if len(text) > MAX_QUESTION_CHARS:
        raise ValueError(
            f"must have at most {MAX_QUESTION_CHARS:,} characters; this has {len(text):,}"
        )
    return text


def plain(text: str) -> str:
    """Text that every database and tokenizer takes: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def _short(path: str) -> str:
    """A path or URI that an index of every database takes."""
    if len(path.encode()) > MAX_PATH_BYTES:
        raise ValueError(f"must have at most {MAX_PATH_BYTES:,} bytes")
    return path


def _utc(time: datetime) -> datetime:
    """A time in UTC, as times are stored."""
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time of these centuries") from error


def _listed(value: Any) -> Any:
    """One name is a list of one."""
    return [value] if isinstance(value, str) else value


Asked = Annotated[str, AfterValidator(plain), AfterValidator(asked)]
Said = Annotated[str, Field(max_length=MAX_ANSWER_CHARS), AfterValidator(plain)]
Depth = Literal["quick", "standard", "exhaustive"]
Plain = Annotated[str, Field(max_length=500), AfterValidator(plain)]
Path = Annotated[str, AfterValidator(plain), AfterValidator(_short)]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]
_Several = Annotated[list[Plain], Field(min_length=1, max_length=100)]
Collections = Annotated[_Several, BeforeValidator(_listed, json_schema_input_type=Plain | _Several)]
Secret = Annotated[str, Field(max_length=4000), AfterValidator(plain)]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
NARROW = "One collection or several; narrows what is searched and can never widen it."


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SearchRequest(_Request):
    """What to search for."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SEARCH]})
    query: Asked = Field(description=f"1 to {MAX_QUESTION_CHARS} characters.")
    k: int = Field(10, ge=1, le=100, description="Most hits.")
    collection: Collections | None = Field(None, description=NARROW)


class Exchange(_Request):
    """A question of a conversation and what was answered."""

    question: Asked
    answer: Said = Field(description=f"At most {MAX_ANSWER_CHARS:,} characters.")


class QueryRequest(_Request):
    """What to answer, and how; what is left out is as the server's settings say."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.QUERY]})
    question: Asked = Field(description=f"1 to {MAX_QUESTION_CHARS} characters.")
    collection: Collections | None = Field(None, description=NARROW)
    stream: bool = Field(False, description="Answer with server-sent events.")
    depth: Depth | None = Field(
        None, description="How much the engine reads: 8k, 32k tokens, or its whole window."
    )
    history: list[Exchange] = Field(
        [], max_length=MAX_TURNS, description="The conversation so far, oldest first."
    )
    conversation_id: int | None = Field(
        None,
        ge=1,
        le=MAX_ID,
        description="A conversation of yours that this continues and is kept in; then the server"
        " knows the history.",
    )
    rewrite: bool | None = Field(
        None, description="Search for a follow-up as it stands alone, by the conversation."
    )
    research: bool = Field(
        False, description="Let the engine search by itself first; several times slower."
    )


class LoginLinkRequest(BaseModel):
    """Whom a login link is for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user": "ann"}]})
    user: Plain | None = Field(None, max_length=100, description="A user; you, where unset.")

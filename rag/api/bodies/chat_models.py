"""Chat completions as OpenAI's clients send and read them, as far as they make sense here.

What only steers how a model writes (temperature, max_tokens, stop, …) is taken and has no effect:
answers are made of what the documents say. What would change what is answered, and cannot be done,
is refused.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from rag.answer.conversation import Turn
from rag.answer.options import Options
from rag.api.bodies import examples, requests
from rag.api.bodies.models import Answer
from rag.api.bodies.requests import MAX_ANSWER_CHARS, MAX_QUESTION_CHARS, MAX_TURNS
from rag.api.bodies.shown import unmarked

MODEL = "citadel"
DEPTHS: dict[str, requests.Depth | None] = {
    MODEL: None,
    "citadel-quick": "quick",
    "citadel-standard": "standard",
    "citadel-exhaustive": "exhaustive",
}
MAX_MESSAGES = 1000


def _text_of(content: Any) -> Any:
    """The text of a message: a string, or parts of type `text`."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return content
    parts = [part if isinstance(part, dict) else {} for part in content]
    for part in parts:
        if part.get("type") not in ("text", "refusal"):
            raise ValueError(
                f"only parts of type 'text' are understood, not {str(part.get('type'))[:40]!r}"
            )
    texts = [part.get("text", "") for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("the text of a part must be a string")
    return "\n".join(texts)


Content = Annotated[
    str,
    BeforeValidator(_text_of),
    AfterValidator(requests.plain),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                        "required": ["type", "text"],
                    },
                },
            ]
        }
    ),
]


class ChatMessage(BaseModel):
    """A message. Those of system and developer have no effect: this server has its own."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content = ""


class StreamOptions(BaseModel):
    """What a stream has besides the answer."""

    include_usage: bool | None = Field(None, description="A last chunk with the tokens.")


class ChatOptions(BaseModel):
    """What `POST /v1/query` takes and OpenAI's clients have no name for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    collection: requests.Collections | None = Field(None, description=requests.NARROW)
    depth: requests.Depth | None = Field(
        None, description="Goes before what the model's name says."
    )
    rewrite: bool | None = None
    research: bool = False
    markers: bool = Field(
        True,
        description="Follow sentences with `[1]` and the answer with its sources, as Markdown; "
        "otherwise the content is the answer, character for character.",
    )


class ChatRequest(BaseModel):
    """A conversation; its last message is the question. Other parameters have no effect."""

    model_config = ConfigDict(
        hide_input_in_errors=True, json_schema_extra={"examples": [examples.CHAT]}
    )
    model: requests.Plain = Field(description="`GET /v1/models` lists them.")
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, description="1: there is one answer.")
    tools: list[dict[str, Any]] | None = Field(
        None, description="None: there are no tools to offer."
    )
    functions: list[dict[str, Any]] | None = Field(None, description="As `tools`.")
    response_format: dict[str, Any] | None = Field(None, description="Of type `text`.")
    modalities: list[str] | None = Field(None, description="`text`.")
    logprobs: bool | None = Field(None, description="False.")
    citadel: ChatOptions | None = Field(
        None, description="With the official client: `extra_body={'citadel': {…}}`."
    )

    @field_validator("n")
    @classmethod
    def _one(cls, n: int | None) -> int | None:
        if n not in (None, 1):
            raise ValueError("there is one answer to a question: leave this out")
        return n

    @field_validator("tools", "functions")
    @classmethod
    def _none(cls, offered: list[Any] | None) -> list[Any] | None:
        if offered:
            raise ValueError("tools are not called here; Citadel's own are at /mcp")
        return offered

    @field_validator("response_format")
    @classmethod
    def _text(cls, wanted: dict[str, Any] | None) -> dict[str, Any] | None:
        if wanted is not None and wanted.get("type") != "text":
            raise ValueError("answers are text; their parts are in the field `citadel`")
        return wanted

    @field_validator("modalities")
    @classmethod
    def _only_text(cls, wanted: list[str] | None) -> list[str] | None:
        if wanted is not None and wanted != ["text"]:
            raise ValueError("answers are text")
        return wanted

    @field_validator("logprobs")
    @classmethod
    def _unknown(cls, wanted: bool | None) -> bool | None:
        if wanted:
            raise ValueError("probabilities of tokens are not known here")
        return wanted

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> Self:
        said = self._said()
        if not said or said[-1].role != "user":
            raise ValueError("the last message must be the user's: it is the question")
        try:
            requests.asked(said[-1].content)
        except ValueError as error:
            raise ValueError(f"the last message {error}") from None
        return self

    @property
    def question(self) -> str:
        """What is asked."""
        return self._said()[-1].content.strip()

    @property
    def chosen(self) -> ChatOptions:
        """The options, where none are given their defaults."""
        return self.citadel or ChatOptions.model_validate({})

    def options(self) -> Options:
        """How the question is to be answered."""
        chosen = self.chosen
        return Options(
            depth=chosen.depth or DEPTHS.get(self.model),
            history=_turns(self._said()[:-1])[-MAX_TURNS:],
            rewrite=chosen.rewrite,
            research=chosen.research,
        )

    def _said(self) -> list[ChatMessage]:
        return [m for m in self.messages if m.role in ("user", "assistant")]


def _turns(said: Iterable[ChatMessage]) -> list[Turn]:
    """Questions with what was answered; a greeting before the first one is none."""
    turns: list[Turn] = []
    for message in said:
        text = message.content.strip()
        if message.role == "user" and text:
            turns.append(Turn(text[:MAX_QUESTION_CHARS], ""))
        elif message.role == "assistant" and turns:
            answer = "\n\n".join(filter(None, (turns[-1].answer, unmarked(text))))
            turns[-1] = Turn(turns[-1].question, answer[:MAX_ANSWER_CHARS])
    return turns


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UrlCitation(_Reply):
    """A passage, and the half-open span of the content, in characters, that rests on it."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(_Reply):
    """A citation, of the one kind that OpenAI's clients know."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class ChatReply(_Reply):
    """The answer as a message."""

    role: Literal["assistant"]
    content: str
    refusal: None
    annotations: list[Annotation]


class Choice(_Reply):
    """The one answer. `content_filter`: the guard has blocked it, or has given no verdict."""

    index: int
    message: ChatReply
    finish_reason: Literal["stop", "content_filter"]
    logprobs: None


class ChatUsage(_Reply):
    """Tokens of the engine; all 0 where no engine has written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(_Reply):
    """The answer as a chat completion; `citadel` is what `POST /v1/query` answers, all of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CHAT_COMPLETION]})
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    citadel: Answer


class Model(_Reply):
    """A name to ask by."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MODEL]})
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(_Reply):
    """The names to ask by: the appliance, and with an engine how much it reads."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MODELS]})
    object: Literal["list"]
    data: list[Model]

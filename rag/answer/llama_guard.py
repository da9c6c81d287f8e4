"""Llama Guard 3: a question or an answer in, a verdict out.

It is in a module of its own because the client takes half a second to import.

It is a model of its own behind a second OpenAI-compatible server, whose chat template makes the
whole task of the messages: the question alone is judged as the user's, question and answer as the
assistant's. What is no clear verdict blocks; nothing here raises because the guard fails.
"""

import asyncio
import hashlib
import logging
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.chat.chat_completion import Choice
from pydantic import ValidationError

from rag.answer.endpoint import FAILURES, Endpoint
from rag.answer.guard import CATEGORIES, Action, Verdict
from rag.answer.untrusted import neutralise
from rag.errors import ConfigError
from rag.settings import Settings

logger = logging.getLogger(__name__)

MAX_TOKENS = 50
TOP_LOGPROBS = 5
# No token is shorter than a byte: question, answer and the guard's own task (some 1,000 tokens)
# fit a window of 16,384 tokens in any script.
PIECE_BYTES = 7_000
OVERLAP_CHARS = 500  # so that nothing is judged only in halves
_LABEL = re.compile(r"\s*(?:(safe)|(unsafe)[ \t]*\n[ \t]*(S\d{1,2}(?:[ \t]*,[ \t]*S\d{1,2})*))\s*")
_TASK_MARK = re.compile(r"<(?=\s*/?(?:BEGIN|END)\b)", re.IGNORECASE)  # as its template has them
_SEVERITY = {"pass": 0, "warn": 1, "block": 2}


class LlamaGuard:
    """Llama Guard 3 behind `settings.guard_url`."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked of the server yet.

        Raises:
            ConfigError: there is no usable address, or an action for a category that is none.
        """
        if settings.guard_url is None:
            raise ConfigError("there is no guard", hint="Set CITADEL_GUARD_URL.")
        if unknown := sorted(settings.guard_actions.keys() - CATEGORIES.keys()):
            raise ConfigError(
                f"CITADEL_GUARD_ACTIONS names {', '.join(unknown)}",
                hint="Llama Guard 3 has the categories S1 to S14.",
            )
        timeout_s = settings.guard_timeout_s
        self._endpoint = Endpoint(settings.guard_url, settings.guard_api_key, timeout_s, "guard")
        self._settings = settings
        self._model = settings.guard_model

    async def judge(self, question: str, answer: str | None = None) -> Verdict:
        """Judge all of a long text piece by piece; the worst verdict is the verdict."""
        began = time.perf_counter()
        asked = list(_pieces(_harmless(question)))
        said = [None] if answer is None else list(_pieces(_harmless(answer)))
        # What was asked matters to an answer only as its occasion: its beginning will do.
        pairs = (
            [(asked[0], piece) for piece in said]
            if answer is not None
            else [(piece, None) for piece in asked]
        )
        verdicts = await asyncio.gather(*(self._judge_piece(*pair) for pair in pairs))
        worst = max(verdicts, key=lambda v: (_SEVERITY[v.action], v.label == "unsafe"))
        verdict = replace(worst, ms=round((time.perf_counter() - began) * 1000, 2))
        _log(verdict, question if answer is None else answer)
        return verdict

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._endpoint.aclose()

    async def _judge_piece(self, question: str, answer: str | None) -> Verdict:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        try:
            async with asyncio.timeout(self._settings.guard_timeout_s):
                choice = await self._ask(messages)
            if choice.finish_reason != "stop":
                return _none("malformed")
            return self._verdict(choice.message.content or "", choice)
        except TimeoutError:
            return _none("slow")
        except FAILURES as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  whatever a server sends: no verdict, so a block
            logger.warning("the guard's answer is no verdict (%s)", type(error).__name__)
            return _none("malformed")

    def _failed(self, error: Exception) -> Verdict:
        """No verdict, for one of `FAILURES`; the log says why."""
        self._model = self._settings.guard_model  # another one may be served from now on
        status = getattr(error, "status_code", None)
        if isinstance(error, openai.APIStatusError | openai.APIConnectionError):
            failure = self._endpoint.failure(error, started=False)
            # What a server says of a request that it can't take may quote it.
            said = "it refused the request" if status in (400, 413, 422) else failure.message
            logger.warning("no verdict of %s: %s", self._endpoint.name, said)
        refused = isinstance(status, int) and 400 <= status < 500
        return _none("refused" if refused else "down")

    async def _ask(self, messages: Sequence[ChatCompletionMessageParam]) -> Choice:
        client = self._endpoint.openai()
        if self._model is None:
            served = [model.id async for model in client.models.list()]
            if len(served) != 1:
                raise BadReply(f"{len(served)} models, and CITADEL_GUARD_MODEL names none")
            self._model = served[0]
        completion = await client.chat.completions.create(
            model=self._model,
            messages=list(messages),
            temperature=0,
            max_tokens=MAX_TOKENS,
            logprobs=True,
            top_logprobs=TOP_LOGPROBS,
        )
        return _only_choice(completion)

    def _verdict(self, said: str, choice: Choice) -> Verdict:
        found = _LABEL.fullmatch(said)
        if found is None:
            return _none("malformed")
        probability = unsafe_probability(choice, found[1] or found[2])
        if probability is None:
            return _none("unscored")
        if found[1]:
            if probability >= self._settings.guard_threshold:
                return Verdict("block", "unsafe", (), probability, "contradiction")
            return Verdict("pass", "safe", (), probability)
        categories = tuple(dict.fromkeys(re.split(r"[ \t]*,[ \t]*", found[3])))
        if not set(categories) <= CATEGORIES.keys():
            return replace(_none("malformed"), probability=probability)
        return Verdict(self._action(categories), "unsafe", categories, probability)

    def _action(self, categories: Sequence[str]) -> Action:
        """The worst of what the categories do."""
        set_actions = self._settings.guard_actions
        actions = {set_actions.get(category, "block") for category in categories}
        if "block" in actions:
            return "block"
        return "warn" if "warn" in actions else "pass"


class BadReply(Exception):  # noqa: N818  never leaves this module
    """What came is no chat completion."""


def _only_choice(completion: ChatCompletion) -> Choice:
    """The choice of a completion; the library checks nothing of what a server sends."""
    try:
        return ChatCompletion.model_validate(completion.model_dump(warnings=False)).choices[0]
    except (AttributeError, IndexError, ValidationError) as error:
        raise BadReply from error


def unsafe_probability(choice: Choice, label: str) -> float | None:
    """Probability of `unsafe` where `label` begins, None where no usable logprobs say it.

    The label need not be the first token, and `unsafe` may begin with a token such as `un`.
    """
    tokens = (choice.logprobs and choice.logprobs.content) or ()
    first = next((token for token in tokens if token.token.strip()), None)
    if first is None or not _begins(first.token, label):
        return None
    candidates = {first.token: first.logprob} | {t.token: t.logprob for t in first.top_logprobs}
    if not all(p <= 0 for p in candidates.values()):  # NaN as well
        return None
    return min(1.0, sum(math.exp(p) for text, p in candidates.items() if _begins(text, "unsafe")))


def _begins(token: str, label: str) -> bool:
    word = token.strip()
    return bool(word) and (label.startswith(word) or word.startswith(label))


def _none(reason: str) -> Verdict:
    return Verdict("block", "none", reason=reason)


def _harmless(text: str) -> str:
    """What can neither end its message nor the guard's task; as long as `text`."""
    sendable = text.encode(errors="replace").decode()  # half a surrogate pair can't be sent
    return _TASK_MARK.sub("‹", neutralise(sendable))


def _pieces(text: str) -> Iterator[str]:
    """Overlapping pieces of at most `PIECE_BYTES`; at least one."""
    start = 0
    while True:
        piece = text[start : start + PIECE_BYTES]
        piece = piece.encode()[:PIECE_BYTES].decode(errors="ignore")
        yield piece
        if start + len(piece) >= len(text):
            return
        start += len(piece) - OVERLAP_CHARS


def _log(verdict: Verdict, text: str) -> None:
    """Every verdict, with the text's hash and never the text."""
    logger.info(
        "guard: %s %s %s %s p=%s %.0f ms text=%s",
        verdict.action,
        verdict.label,
        ",".join(verdict.categories) or "-",
        verdict.reason or "-",
        "-" if verdict.probability is None else f"{verdict.probability:.3f}",
        verdict.ms,
        hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16],
    )

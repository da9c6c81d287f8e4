"""Tokens of a text, as the engine's own tokenizer counts them where that is to be had.

Three ways, best first: the tokenizer in the engine's model directory; the server's `/tokenize`; and
an upper bound that needs neither.
"""

import hashlib
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx2
from tokenizers import Tokenizer

from rag.answer.engine import Engine
from rag.errors import ConfigError, EngineError
from rag.settings import Settings

logger = logging.getLogger(__name__)

CACHED = 20_000  # counts that are kept
REQUEST_TIMEOUT_S = 10.0
BYTES_NOTICE = (
    "tokens are counted as bytes, some four times too many, so answers are written from less than"
    " fits; set CITADEL_ENGINE_MODEL_DIR to the engine's model directory"
)


class TokenCounter(Protocol):
    """Counts the tokens of a text. Synchronous and thread-safe; the same text is counted once."""

    @property
    def exact(self) -> bool:
        """Whether the counts are the engine's own; otherwise they are never too low."""
        ...

    def __call__(self, text: str) -> int:
        """Tokens of `text` by itself, without those that begin a prompt. Never raises."""
        ...


async def token_counter(settings: Settings, engine: Engine) -> TokenCounter:
    """The best way to count that there is.

    Raises:
        ConfigError: the tokenizer in `engine_model_dir` cannot be read.
    """
    folder = settings.engine_model_dir
    if folder is not None and (folder / "tokenizer.json").is_file():
        return ExactCounter(folder / "tokenizer.json")
    try:
        served = await engine.count_tokens("How many tokens is this?")
        model = (await engine.info()).model if served is not None else ""
    except EngineError as error:
        logger.warning("the engine cannot be asked to count tokens: %s", error.message)
        served = None
    if served is not None:
        return ServerCounter(settings, model)
    logger.warning(BYTES_NOTICE)
    return byte_bound


class _Bound:
    exact = False

    def __call__(self, text: str) -> int:
        return len(text.encode(errors="replace"))


byte_bound = _Bound()
"""An upper bound in every script: a token of a byte-level BPE, as Llama 3's, is a byte or more.

Nothing tighter holds for all texts. English has some four bytes to a token, but names, codes and
scripts that the vocabulary hardly knows come down to one.
"""


class _Cached:
    """Counts by hash of the text, the latest used ones."""

    def __init__(self) -> None:
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, measure: Callable[[str], int | None]) -> int | None:
        name = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
        with self._lock:
            if name in self._counts:
                self._counts.move_to_end(name)
                return self._counts[name]
        n_tokens = measure(text)
        if n_tokens is not None:
            with self._lock:
                self._counts[name] = n_tokens
                if len(self._counts) > CACHED:
                    self._counts.popitem(last=False)
        return n_tokens


class ExactCounter:
    """The tokenizer of a model directory. Names of special tokens count as the text they are."""

    exact = True

    def __init__(self, path: Path) -> None:
        """Read a `tokenizer.json`.

        Raises:
            ConfigError: it is no tokenizer.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise ConfigError(
                f"cannot read the tokenizer {path}: {error}",
                hint="Set CITADEL_ENGINE_MODEL_DIR to the directory that the engine serves.",
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._cached = _Cached()

    def __call__(self, text: str) -> int:
        """See `TokenCounter`."""
        return self._cached.get(text, self._measure) or 0

    def _measure(self, text: str) -> int:
        text = text.encode(errors="replace").decode()
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class ServerCounter:
    """The engine's `/tokenize`, asked once for each text; the bound where it doesn't answer."""

    exact = True

    def __init__(self, settings: Settings, model: str) -> None:
        assert settings.engine_url is not None, "there is an engine"
        key = settings.engine_api_key
        self._url = f"{settings.engine_url.rstrip('/').removesuffix('/v1')}/tokenize"
        self._model = model
        self._cached = _Cached()
        self._client = httpx2.Client(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(REQUEST_TIMEOUT_S, connect=settings.engine_connect_timeout_s),
            headers={"authorization": f"Bearer {key.get_secret_value()}"} if key else None,
        )
        self.close = weakref.finalize(self, self._client.close)

    def __call__(self, text: str) -> int:
        """See `TokenCounter`."""
        n_tokens = self._cached.get(text, self._measure)
        return byte_bound(text) if n_tokens is None else n_tokens

    def _measure(self, text: str) -> int | None:
        asked = {
            "model": self._model,
            "prompt": text.encode(errors="replace").decode(),
            "add_special_tokens": False,
        }
        try:
            response = self._client.post(self._url, json=asked)
            response.raise_for_status()
            n_tokens = response.json()["count"]
        except (httpx2.HTTPError, OSError, ValueError, LookupError, TypeError) as error:
            logger.warning("the engine's /tokenize failed: %s", type(error).__name__)
            return None
        return n_tokens if isinstance(n_tokens, int) and n_tokens >= 0 else None

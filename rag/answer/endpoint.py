"""One OpenAI-compatible server: the way to it, and its failures as ours.

Nothing but what the settings say decides where a request goes and what it carries: no proxy, key,
header or address from the environment, no redirect followed, no retry and no telemetry header of
the library's. A connection lives as long as its request, so nothing is bound to an event loop when
none is running, and no request meets a connection that went stale.
"""

import asyncio
import re
import ssl
from functools import cache
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import anyio
import httpx2
import openai
from pydantic import SecretStr

from rag.errors import (
    ConfigError,
    ContextOverflow,
    EngineError,
    EngineInterrupted,
    EngineOverloaded,
    EngineTimeout,
    EngineUnavailable,
)

SENT_HEADERS = {"host", "accept", "accept-encoding", "content-type", "content-length", "connection"}
MESSAGE_CHARS = 300  # of what a server says, in our message
RETRY_AFTER_MAX_S = 2.0  # longer than this nobody waits before a first token
BACKOFF_S = 0.1
SLOW = "Look at its load (its /metrics) and its log, or allow it more time in the settings."
TOO_LONG = re.compile(
    r"maximum context length|context (length|window|size)|prompt is too long"
    r"|greater than max_model_len|too many tokens",
    re.IGNORECASE,
)
TOO_LONG_PARAMS = {"input_tokens", "input_text", "max_tokens", "max_completion_tokens"}
BUSY = re.compile(r"busy|backlog|overloaded|too many|capacity|queue", re.IGNORECASE)

# What reading from a server may raise; odd JSON shows itself as ValueError.
# The last two get past the library where TLS breaks.
FAILURES = (openai.OpenAIError, httpx2.HTTPError, ValueError, OSError, anyio.EndOfStream)
BROKEN = (openai.APIStatusError, openai.APIConnectionError, httpx2.HTTPError, OSError)


class Endpoint:
    """Address, key and connections of a server. Usable from any event loop."""

    def __init__(
        self, url: str, api_key: SecretStr | None, connect_timeout_s: float, name: str = "engine"
    ) -> None:
        """`name` is the prefix of its settings: engine or guard.

        Raises:
            ConfigError: `url` is no address of a server.
        """
        self._setting = f"CITADEL_{name.upper()}"
        self.url = url.rstrip("/")
        parts = _checked(self.url, self._setting)
        self.name = f"the {name} at {parts}"
        self.connect_timeout_s = connect_timeout_s
        self._api_key = api_key
        self._https = self.url.startswith("https:")
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = (
            WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def root(self) -> str:
        """What lies beside the API: `/tokenize` and `/metrics` are not below `/v1`."""
        return self.url.removesuffix("/v1")

    def openai(self) -> openai.AsyncOpenAI:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = openai.AsyncOpenAI(
                base_url=self.url,
                api_key="unused",  # the hook below sets the real one
                max_retries=0,
                timeout=self._timeout,
                http_client=self._http_client(),
            )
        return client

    async def ask(self, method: str, url: str, json: object = None) -> httpx2.Response:
        """One small request; its time is the caller's to limit.

        Raises:
            httpx2.HTTPError: it failed, or its status is no success.
        """
        async with self._http_client() as client:
            response = await client.request(method, url, json=json)
            response.raise_for_status()
            return response

    async def aclose(self) -> None:
        """Close the client of the running event loop; the next request makes a new one."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    @property
    def _timeout(self) -> httpx2.Timeout:
        """Only the connecting: a stream has limits of its own, which keep-alives don't reset."""
        return httpx2.Timeout(None, connect=self.connect_timeout_s)

    def _http_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=_system_certificates() if self._https else False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            timeout=self._timeout,
            event_hooks={"request": [self._keep_to_our_headers]},
        )

    async def _keep_to_our_headers(self, request: httpx2.Request) -> None:
        for header in set(request.headers) - SENT_HEADERS:
            del request.headers[header]
        request.headers["user-agent"] = "citadel"
        if self._api_key is not None:
            request.headers["authorization"] = f"Bearer {self._api_key.get_secret_value()}"

    # Failures

    def failure(self, error: Exception, *, started: bool) -> EngineError:
        """Our error for one of `FAILURES`; `started` says whether a token had come."""
        status = _status(error)
        if status is not None and not started:
            return self._refusal(status, error)
        if isinstance(error, TimeoutError):
            return EngineTimeout(f"{self.name} took too long", hint=SLOW)
        if isinstance(error, (*BROKEN, anyio.EndOfStream)):
            return self._broken(error, started=started)
        said = f": {self._said(error)}" if isinstance(error, openai.APIError) else ""
        return EngineInterrupted(
            f"{self.name} broke off or sent what is no answer{said}",
            hint=f"Check that {self._setting}_URL is an OpenAI-compatible server; read its log.",
        )

    def retry_after_s(self, error: Exception) -> float | None:
        """How long to wait before the one retry; None where it would be no use."""
        status = _status(error)
        if status is None:
            broken = isinstance(error, openai.APIConnectionError | httpx2.TransportError)
            return BACKOFF_S if broken and not _is_timeout(error) else None
        header = _headers(error).get("retry-after")
        if status < 500 and (status != 429 or header is None):
            return None
        if header is None:
            return BACKOFF_S
        wait_s = float(header) if re.fullmatch(r"\d{1,3}(\.\d+)?", header.strip()) else 60.0
        return wait_s if wait_s <= RETRY_AFTER_MAX_S else None

    def _broken(self, error: Exception, *, started: bool) -> EngineError:
        if _is_timeout(error):
            return EngineUnavailable(
                f"{self.name} could not be reached in {self.connect_timeout_s:g} s",
                hint=f"Check {self._setting}_URL, the network between, and that it runs.",
            )
        if started:
            return EngineInterrupted(
                f"{self.name} closed the connection in the middle of an answer",
                hint="Read its log; it may have been stopped.",
            )
        return EngineUnavailable(
            f"{self.name} cannot be reached",
            hint=f"Check that it runs and that {self._setting}_URL is right.",
        )

    def _refusal(self, status: int, error: Exception) -> EngineError:
        said = self._said(error)
        if status in (400, 413) and _is_overflow(error, said):
            return ContextOverflow(
                f"{self.name} says that the prompt is too long: {said}",
                hint=f"Set {self._setting}_CONTEXT_TOKENS to its window, or lower the depth.",
            )
        if status == 429 or (status == 503 and BUSY.search(said)):
            return EngineOverloaded(
                f"{self.name} turns requests away: {said}", hint="Try again in a moment."
            )
        if status >= 500:
            return EngineUnavailable(
                f"{self.name} failed with HTTP {status}: {said}", hint="Read its log."
            )
        return EngineError(
            f"{self.name} refused the request with HTTP {status}: {said}", hint=self._advice(status)
        )

    def _advice(self, status: int) -> str:
        if status in (401, 403):
            return f"Set {self._setting}_API_KEY to the key that it was started with."
        if status == 404 or status < 400:
            return (
                f"Check {self._setting}_MODEL and {self._setting}_URL;"
                " with vLLM the address ends in /v1 and is not redirected."
            )
        return "Read its log; its version may not know what was asked."

    def _said(self, error: Exception) -> str:
        """The server's own words, in one short line and without our key."""
        said = _body(error).get("message")
        text = said if isinstance(said, str) else ""
        if self._api_key is not None and (key := self._api_key.get_secret_value()):
            text = text.replace(key, "***")
        return " ".join(text.split())[:MESSAGE_CHARS] or "it gave no reason"


@cache
def _system_certificates() -> ssl.SSLContext:
    """The machine's own certificate authorities, a company's among them; slow to load."""
    return ssl.create_default_context()


def _checked(url: str, setting: str) -> str:
    """Scheme, host and port, for people to read."""
    hint = f"{setting}_URL is an address such as http://10.0.0.5:8001/v1."
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        raise ConfigError(f"{setting}_URL is no address", hint=hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{setting}_URL is no http or https address", hint=hint)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"{setting}_URL holds more than an address", hint=f"A key belongs in {setting}_API_KEY."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def _status(error: Exception) -> int | None:
    """The HTTP status, or the one that an error event in a stream names."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    if isinstance(error, httpx2.HTTPStatusError):
        return error.response.status_code
    code = str(_body(error).get("code"))
    return int(code) if re.fullmatch(r"[45]\d\d", code) else None


def _headers(error: Exception) -> httpx2.Headers:
    if isinstance(error, openai.APIStatusError | httpx2.HTTPStatusError):
        return error.response.headers
    return httpx2.Headers()


def _body(error: Exception) -> dict[str, object]:
    """The error object that a server sent, empty where it sent none."""
    body: object = None
    if isinstance(error, openai.APIError):
        body = error.body
    elif isinstance(error, httpx2.HTTPStatusError):
        try:
            body = error.response.json()
        except ValueError:
            body = None
    if isinstance(body, dict) and "error" in body:
        inner = body["error"]
        body = inner
    if isinstance(body, str) and not body.lstrip().startswith("<"):
        return {"message": body}
    return body if isinstance(body, dict) else {}


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, openai.APITimeoutError | httpx2.TimeoutException)


def _is_overflow(error: Exception, said: str) -> bool:
    body = _body(error)
    named = body.get("param") in TOO_LONG_PARAMS or body.get("code") == "context_length_exceeded"
    return bool(named or TOO_LONG.search(said))

"""Everything that can fail, as one tree.

    CitadelError
    ├── ConfigError          a setting is wrong or missing
    ├── BadRequest           the caller asked for something that makes no sense
    ├── Unauthorized         no valid token
    ├── Forbidden            a valid token, but not for this
    ├── NotFound             no such thing, or none that this caller may see
    ├── Conflict             it is being done already, or contradicts what is there
    ├── PreconditionFailed   it has been changed since the caller has read it
    ├── KeyReused            an idempotency key stands for another request already
    ├── NotReady             the server is still loading
    ├── RenderError          a page cannot be drawn
    ├── DirectoryError       the company's directory cannot be asked
    ├── StoreError           the database cannot be used
    ├── AuditError           audit records cannot be sent on
    ├── SearchIndexError     an index cannot be built or searched
    ├── ModelError           the embedding model cannot be loaded
    ├── EngineError          the engine that writes answers has failed
    │   ├── EngineUnavailable    it cannot be reached
    │   ├── EngineTimeout        it takes too long
    │   ├── EngineOverloaded     it turns requests away
    │   ├── EngineInterrupted    it broke off, or said what nobody can read
    │   └── ContextOverflow      the prompt is longer than its window
    ├── TooManyRequests      the caller asks for more than its share
    │   └── EngineBusy           more questions wait for the engine than there are places
    ├── Forgotten            a content that was to be forgotten would come in again
    └── IngestError
        └── ParseError       one file could not be read; recorded with the file, never stops a run

"Not in the documents" and "blocked by the guard" are results, not errors. A `CitadelError` is shown
in three ways: as an RFC 9457 problem by the API, as one line on stderr with an exit code by the
command, and as an `error` event in a stream. Errors of other libraries are translated once, in the
module that owns the library.
"""

from typing import ClassVar


class CitadelError(Exception):
    """A failure that a person can act on: what failed, on what, and what to do next."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(CitadelError):
    """A setting is wrong or missing."""


class BadRequest(CitadelError):  # noqa: N818  the HTTP term
    """The caller asked for something that makes no sense."""

    status = 400


class Unauthorized(CitadelError):  # noqa: N818  the HTTP term
    """No valid token came with the request."""

    status = 401


class Forbidden(CitadelError):  # noqa: N818  the HTTP term
    """The caller is known, and may not do this."""

    status = 403


class NotFound(CitadelError):  # noqa: N818  the HTTP term
    """There is no such thing, or none that this caller may see: the two look the same."""

    status = 404


class Conflict(CitadelError):  # noqa: N818  the HTTP term
    """The same is being done at this moment, or it contradicts what is there now."""

    status = 409


class PreconditionFailed(CitadelError):  # noqa: N818  the HTTP term
    """What is to be changed has been changed since the caller has read it."""

    status = 412


class KeyReused(CitadelError):  # noqa: N818  as its siblings
    """An idempotency key came with another request than the one it stands for."""

    status = 422


class NotReady(CitadelError):  # noqa: N818  as in /readyz
    """The server is still loading store, indexes and model."""

    status = 503
    retryable = True


class RenderError(CitadelError):
    """A page cannot be drawn: the file is damaged, or too much for the time or memory allowed."""


class DirectoryError(CitadelError):
    """The company's directory cannot be reached, or says what nobody can make use of."""

    status = 503
    retryable = True


class StoreError(CitadelError):
    """The database cannot be reached, opened or brought to the current schema."""

    status = 503
    retryable = True


class AuditError(CitadelError):
    """Audit records cannot be sent to where they are to go."""

    retryable = True


class SearchIndexError(CitadelError):
    """An index cannot be built, loaded or searched."""

    status = 503
    retryable = True


class ModelError(CitadelError):
    """The embedding model cannot be loaded."""

    status = 503


class EngineError(CitadelError):
    """The engine that writes answers has failed; quotes can be given instead."""

    status = 503
    retryable = True


class EngineUnavailable(EngineError):  # noqa: N818  the HTTP term
    """The engine cannot be reached, is failing, or has just failed repeatedly."""


class EngineTimeout(EngineError):  # noqa: N818  the field's term
    """The engine took too long to its first token, or from one token to the next."""

    status = 504


class EngineOverloaded(EngineError):  # noqa: N818  the field's term
    """The engine itself turns requests away."""


class EngineInterrupted(EngineError):  # noqa: N818  as its siblings
    """The engine broke off in the middle of an answer, or sent what is no answer."""

    status = 502


class ContextOverflow(EngineError):  # noqa: N818  the field's term
    """The prompt and the answer's reserve do not fit the engine's window."""

    status = 500
    retryable = False


class TooManyRequests(CitadelError):  # noqa: N818  the HTTP term
    """The caller has to wait before this is tried again."""

    status = 429
    retryable = True

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class EngineBusy(TooManyRequests):
    """More questions wait for the engine than there are places."""


class Forgotten(CitadelError):  # noqa: N818  a state, as its siblings
    """A content that was to be forgotten would come in again."""

    status = 409


class IngestError(CitadelError):
    """An ingest run could not start or go on."""


class ParseError(IngestError):
    """One file could not be read. `code` is a stable short name for the reason.

    `retryable` says whether the next run should try the unchanged file again: yes where the
    machine was the reason (a program missing, no time, no memory), no where the file was.
    """

    def __init__(self, code: str, message: str, *, hint: str, retry: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retry = retry

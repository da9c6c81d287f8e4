"""The body of a request as a file on disk: the file itself, or a form with the file in it."""

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from rag.errors import BadRequest
from rag.store import Arriving

FORM_BYTES = 64 * 1024  # what a form may have besides the file
HINT = (
    "Send the file as the body, or a form (multipart/form-data) whose one file is it: "
    "curl -F file=@handbook.pdf '…/v1/documents?collection=hr'"
)


async def receive(request: Request, arriving: Arriving, max_bytes: int) -> str:
    """Write the file that a request brings to disk, block by block.

    Returns the name that a form gives it, "" where none does.

    Raises:
        BadRequest: it is empty, or the form cannot be read or has no file.
        HTTPException: it is larger than `max_bytes`.
        ClientDisconnect: the caller has left before its end.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    form = _Form(options.get(b"boundary", b"")) if kind == b"multipart/form-data" else None
    async for block in request.stream():
        content = block if form is None else form.feed(block)
        if arriving.size_bytes + len(content) > max_bytes:
            raise HTTPException(413, f"the file is larger than {max_bytes:,} bytes")
        if content:
            await to_thread.run_sync(arriving.write, content)
    name = "" if form is None else form.close()
    if not arriving.size_bytes:
        raise BadRequest("the file is empty (0 bytes)", hint=HINT)
    return name


class _Form:
    """A form as it arrives; keeps nothing but the name of its first file."""

    def __init__(self, boundary: bytes) -> None:
        self._field, self._value = b"", b""
        self._content: list[bytes] = []
        self._in_file = False
        self._name: str | None = None
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                },
            )
        except FormParserError as error:
            raise _unreadable(error) from error

    def feed(self, block: bytes) -> bytes:
        """Go on with a block of the form; returns what of the file was in it."""
        self._content.clear()
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise _unreadable(error) from error
        return b"".join(self._content)

    def close(self) -> str:
        """The form has ended; returns the file's name."""
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise _unreadable(error) from error
        if self._name is None:
            raise BadRequest("the form has no file", hint=HINT)
        return self._name

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        field, value = self._field.lower(), self._value
        self._field = self._value = b""
        if field != b"content-disposition":
            return
        _, options = parse_options_header(value)
        if b"filename" not in options:
            return
        if self._name is not None:
            raise BadRequest("the form has more than one file", hint="Send them one by one.")
        self._in_file = True
        self._name = options[b"filename"].decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._content.append(data[start:end])

    def _on_part_end(self) -> None:
        self._in_file = False


def _unreadable(error: Exception) -> BadRequest:
    return BadRequest(f"the form cannot be read: {error}", hint=HINT)

"""Mails in EML and MHTML form, by the standard library's parser in its forgiving mode.

The header block opens the text, so that "who wrote to whom, when, about what" can be found. The
HTML body is taken where it says as much as the plain one (it has lists and tables), quoted mails
are kept, and files inside become attachments, to be read as documents of their own.
"""

import email
import email.header
import email.utils
import mimetypes
import re
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ingest.parse import clean
from ingest.parse.decode import decode
from ingest.parse.model import Attachment, Element, Parsed
from ingest.parse.text import text_elements
from rag.errors import ParseError

MAX_ATTACHMENTS_BYTES = 64 * 1024**2  # together; more would not fit into a worker's answer
_MAX_ATTACHMENTS = 200
_MAX_PARTS = 1000
_MAX_NAME_CHARS = 150
_DECORATION_BYTES = 32 * 1024
_BODY_TYPES = frozenset({"text/plain", "text/html"})
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_QUOTE = re.compile(r"^(?:>\s?)+")
_ENCRYPTED_TYPES = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
_SECURE_MIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})


class Letter(NamedTuple):
    """A mail in whatever format it came, before it becomes elements."""

    headers: dict[str, str]  # by the names in _HEADERS, decoded
    plain: str
    html: str
    attachments: list[Attachment]
    warnings: list[str]


def parse_eml(path: Path) -> Parsed:
    """A mail as MIME.

    Raises:
        ParseError: `encrypted`.
    """
    data = path.read_bytes()
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in data[:200]:
        data = decode(data).encode("utf-8", "replace")
    message = email.message_from_bytes(data)
    if not message.keys() and not message.is_multipart():
        return Parsed("message/rfc822", list(text_elements(decode(data))))
    headers = {name: header_text(message, name) for name in _HEADERS}
    content = _Content()
    content.take(message)
    plain, html = "\n\n".join(content.plain), "\n".join(content.html)
    return letter_parsed(Letter(headers, plain, html, content.attachments, content.warnings))


def letter_parsed(letter: Letter, *, media_type: str = "message/rfc822") -> Parsed:
    """A mail's header block and body as elements, its subject as title."""
    subject = letter.headers.get("Subject", "")
    rows = [f"{name}: {letter.headers[name]}" for name in _HEADERS if letter.headers.get(name)]
    if letter.attachments:
        rows.append(f"Attachments: {', '.join(a.name for a in letter.attachments)}")
    elements = [Element("title", subject)] if subject else []
    elements += [Element("paragraph", "\n".join(rows))] if rows else []
    body, warnings = _body(letter)
    metadata = {name.lower(): value for name, value in letter.headers.items() if value}
    if "date" in metadata:
        metadata["date"] = iso_date(metadata["date"])
    return Parsed(
        media_type,
        [*elements, *body],
        title=subject,
        metadata=metadata,
        warnings=[*letter.warnings, *warnings],
        attachments=letter.attachments,
    )


def encrypted_mail() -> ParseError:
    """The error for a mail that only its recipient can read."""
    return ParseError(
        "encrypted",
        "the mail is encrypted (S/MIME or PGP)",
        hint="Decrypt it in the mail program and save it again.",
    )


def header_text(message: Message, name: str) -> str:
    """A header's values, decoded and on one line; whatever is wrong with it stays as it is."""
    values = (value for key, value in message.raw_items() if key.lower() == name.lower())
    return clean.one_line(", ".join(map(_decoded, values)))


def iso_date(value: str) -> str:
    """A mail's date as ISO 8601, or as it stands where it is none."""
    try:
        return email.utils.parsedate_to_datetime(value).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return value


def file_name(name: str, number: int, content_type: str) -> str:
    """A safe name for an attachment: no folders, no control characters, never empty."""
    base = PurePosixPath(clean.one_line(name).replace("\\", "/")).name.lstrip(".")
    if base:
        return base[-_MAX_NAME_CHARS:]
    return f"attachment-{number}{mimetypes.guess_extension(content_type) or ''}"


def _body(letter: Letter) -> tuple[list[Element], list[str]]:
    plain = list(text_elements(_unquoted(letter.plain), headings=False))
    if not letter.html.strip():
        return plain, []
    from ingest.parse.markup import parse_html_text

    try:
        page = parse_html_text(letter.html)
    except ParseError as error:
        if not plain:
            raise
        return plain, [f"the HTML body was left out: {error.message}"]
    n_plain, n_html = (sum(len(e.text) for e in part) for part in (plain, page.elements))
    return (page.elements, page.warnings) if 2 * n_html >= n_plain else (plain, [])


def _unquoted(text: str) -> str:
    """Quoted paragraphs with one mark at their beginning instead of one at each line."""
    rows: list[str] = []
    in_quote = False
    for row in text.replace("\r\n", "\n").split("\n"):
        inner = _QUOTE.sub("", row)
        quoted = inner != row
        if quoted != in_quote and rows and rows[-1].strip():
            rows.append("")
        begins = quoted and inner.strip() and not (rows and rows[-1].strip())
        rows.append(f"> {inner}" if begins else inner)
        in_quote = quoted
    return "\n".join(rows)


def _decoded(value: object) -> str:
    text = str(value)
    try:
        parts = email.header.decode_header(text)
    except (email.errors.HeaderParseError, ValueError):
        return text
    return "".join(_decoded_part(part, charset) for part, charset in parts)


def _decoded_part(part: str | bytes, charset: str | None) -> str:
    if isinstance(part, str):
        return _repaired(part)
    try:
        return part.decode(charset or "ascii")
    except (LookupError, UnicodeDecodeError):
        return decode(part)


def _repaired(text: str) -> str:
    """Raw 8-bit bytes in a header, which the parser carries as surrogates, as text."""
    if text.isascii():
        return text
    return decode(text.encode("utf-8", "surrogateescape"))


class _Content:
    """Bodies and files of a mail, collected part by part."""

    def __init__(self) -> None:
        self.plain: list[str] = []
        self.html: list[str] = []
        self.attachments: list[Attachment] = []
        self.warnings: list[str] = []
        self._bytes_left = MAX_ATTACHMENTS_BYTES
        self._parts_left = _MAX_PARTS

    def take(self, part: Message) -> None:
        """Collect a part and those in it."""
        self._parts_left -= 1
        if self._parts_left < 0:
            self._warn(f"only the first {_MAX_PARTS:,} parts were read")
            return
        kind = part.get_content_type()
        if kind in _ENCRYPTED_TYPES or (kind in _SECURE_MIME and not _is_signed_only(part)):
            raise encrypted_mail()
        if kind == "message/rfc822":
            self._mail(part)
        elif part.is_multipart():
            for child in part.get_payload():
                if isinstance(child, Message):
                    self.take(child)
        else:
            self._leaf(part, kind)

    def _leaf(self, part: Message, kind: str) -> None:
        name = _name_of(part)
        is_attached = part.get_content_disposition() == "attachment"
        if not is_attached and self._is_body(name, kind):
            (self.html if kind == "text/html" else self.plain).append(_text_of(part))
        elif name or is_attached:
            data = _bytes_of(part)
            if is_attached or not _is_decoration(part, kind, data):
                self._attach(name, data, kind)

    def _is_body(self, name: str, kind: str) -> bool:
        """Whether text is the mail's own: unnamed, or named by an odd program but the first."""
        if not name:
            return kind.startswith("text/")
        return kind in _BODY_TYPES and not (self.plain or self.html)

    def _mail(self, part: Message) -> None:
        inner = [child for child in part.get_payload() if isinstance(child, Message)]
        for message in inner:
            name = _name_of(part) or f"{header_text(message, 'Subject')[:80] or 'mail'}.eml"
            name = name if name.lower().endswith(".eml") else f"{name}.eml"
            self._attach(name.replace("/", "-"), bytes(message), "message/rfc822")

    def _attach(self, name: str, data: bytes, kind: str) -> None:
        shown = file_name(name, len(self.attachments) + 1, kind)
        if not data:
            self._warn(f"attachment {shown!r} is empty and was left out")
        elif len(data) > self._bytes_left or len(self.attachments) >= _MAX_ATTACHMENTS:
            self._warn(f"attachment {shown!r} was left out: the mail carries too much; save it")
        else:
            self._bytes_left -= len(data)
            self.attachments.append(Attachment(shown, data))

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)


def _is_decoration(part: Message, kind: str, data: bytes) -> bool:
    """Whether this is a small picture that the body shows, such as the logo in a signature."""
    is_shown = part.get("Content-ID") is not None
    return kind.startswith("image/") and is_shown and len(data) < _DECORATION_BYTES


def _is_signed_only(part: Message) -> bool:
    return part.get_param("smime-type") == "signed-data"


def _name_of(part: Message) -> str:
    try:
        return clean.one_line(_decoded(part.get_filename() or ""))
    except (ValueError, LookupError, TypeError):  # a broken RFC 2231 name
        return ""


def _bytes_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_of(part: Message) -> str:
    data = _bytes_of(part)
    charset = part.get_content_charset()
    try:
        return data.decode(charset) if charset else decode(data)
    except (LookupError, UnicodeDecodeError):
        return decode(data)

"""Mails as Outlook saves them (MSG), through python-oxmsg."""

from pathlib import Path
from typing import Any

from oxmsg import Message

from ingest.parse import clean
from ingest.parse.mail import (
    MAX_ATTACHMENTS_BYTES,
    Letter,
    encrypted_mail,
    file_name,
    letter_parsed,
)
from ingest.parse.model import Attachment, Parsed

_MEDIA_TYPE = "application/vnd.ms-outlook"


def parse_msg(path: Path) -> Parsed:
    """An Outlook message.

    Raises:
        ParseError: `encrypted`.
    """
    message = Message.load(str(path))
    attached = list(message.attachments)
    if any(map(_is_ciphertext, attached)):
        raise encrypted_mail()
    attachments, warnings = _attachments(attached)
    letter = Letter(_headers(message), message.body or "", _html(message), attachments, warnings)
    return letter_parsed(letter, media_type=_MEDIA_TYPE)


def _is_ciphertext(attached: Any) -> bool:
    name, kind = (attached.file_name or "").lower(), attached.mime_type or ""
    return name == "smime.p7m" or kind in {"application/pgp-encrypted", "multipart/encrypted"}


def _headers(message: Any) -> dict[str, str]:
    """From the transport headers where the mail was sent, else from its properties."""
    sent = {key.lower(): value for key, value in message.message_headers.items()}
    recipients = ", ".join(f"{one.name} <{one.email_address}>" for one in message.recipients)
    date = message.sent_date
    headers = {
        "From": message.sender or "",
        "To": sent.get("to") or recipients,
        "Cc": sent.get("cc") or "",
        "Date": sent.get("date") or (date.isoformat() if date else ""),
        "Subject": message.subject,
    }
    return {name: clean.one_line(value) for name, value in headers.items()}


def _html(message: Any) -> str:
    try:
        return message.html_body or ""
    except (LookupError, UnicodeDecodeError):  # a code page that Python does not have
        return ""


def _attachments(attached: list[Any]) -> tuple[list[Attachment], list[str]]:
    kept: list[Attachment] = []
    warnings: list[str] = []
    bytes_left = MAX_ATTACHMENTS_BYTES
    for number, one in enumerate(attached, start=1):
        name = file_name(one.file_name or "", number, one.mime_type or "")
        data = one.file_bytes or b""
        if not one.file_name and (one.mime_type or "").startswith("image/"):
            continue
        if not data or len(data) > bytes_left:
            why = "the mail carries too much" if data else "it is empty or a mail itself"
            warnings.append(f"attachment {name!r} was left out: {why}; save it to have it read")
            continue
        bytes_left -= len(data)
        kept.append(Attachment(name, data))
    return kept, warnings

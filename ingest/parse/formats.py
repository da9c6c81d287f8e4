"""What a file is, decided by its content; its suffix only settles what content cannot.

Magic bytes first, then the members of a ZIP or the streams of an OLE file, then a look at the text.
So a PDF named .txt is read as a PDF, HTML named .doc as HTML, and junk named .txt is refused.
"""

import json
import re
import zipfile
from enum import StrEnum
from pathlib import Path, PurePath

from ingest.parse.archives import damaged
from ingest.parse.decode import decode_sample
from rag.errors import ParseError

PARSER_VERSION = "4"  # part of every fingerprint: raise it, and all files are read anew

_SAMPLE_BYTES = 64 * 1024
_JSON_SNIFF_BYTES = 8 * 1024**2


class Format(StrEnum):
    """What can be read."""

    PDF = "PDF"
    DOCX = "DOCX"
    DOC = "DOC"
    PPTX = "PPTX"
    PPT = "PPT"
    XLSX = "XLSX"
    XLS = "XLS"
    CSV = "CSV"
    TSV = "TSV"
    HTML = "HTML"
    MD = "Markdown"
    RST = "reStructuredText"
    TXT = "plain text"
    RTF = "RTF"
    ODT = "ODT"
    EPUB = "EPUB"
    EML = "EML"
    MSG = "MSG"
    XML = "XML"
    JSON = "JSON"
    IMAGE = "image"


_SUFFIXES: dict[Format, tuple[str, ...]] = {
    Format.PDF: (".pdf",),
    Format.DOCX: (".docx", ".docm", ".dotx", ".dotm"),
    Format.DOC: (".doc", ".dot"),
    Format.PPTX: (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
    Format.PPT: (".ppt", ".pps", ".pot"),
    Format.XLSX: (".xlsx", ".xlsm", ".xltx", ".xltm"),
    Format.XLS: (".xls", ".xlt"),
    Format.CSV: (".csv",),
    Format.TSV: (".tsv", ".tab"),
    Format.HTML: (".html", ".htm", ".xhtml"),
    Format.MD: (".md", ".markdown"),
    Format.RST: (".rst",),
    Format.TXT: (".txt", ".text", ".log"),
    Format.RTF: (".rtf",),
    Format.ODT: (".odt", ".ott"),
    Format.EPUB: (".epub",),
    Format.EML: (".eml", ".mht", ".mhtml"),
    Format.MSG: (".msg",),
    Format.XML: (".xml",),
    Format.JSON: (".json", ".ndjson", ".jsonl"),
    Format.IMAGE: (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"),
}
_BY_SUFFIX = {suffix: found for found, suffixes in _SUFFIXES.items() for suffix in suffixes}

MEDIA_TYPES: dict[Format, str] = {
    Format.PDF: "application/pdf",
    Format.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Format.DOC: "application/msword",
    Format.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    Format.PPT: "application/vnd.ms-powerpoint",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.XLS: "application/vnd.ms-excel",
    Format.CSV: "text/csv",
    Format.TSV: "text/tab-separated-values",
    Format.HTML: "text/html",
    Format.MD: "text/markdown",
    Format.RST: "text/x-rst",
    Format.TXT: "text/plain",
    Format.RTF: "application/rtf",
    Format.ODT: "application/vnd.oasis.opendocument.text",
    Format.EPUB: "application/epub+zip",
    Format.EML: "message/rfc822",
    Format.MSG: "application/vnd.ms-outlook",
    Format.XML: "application/xml",
    Format.JSON: "application/json",
    Format.IMAGE: "image/*",
}

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"ID3", "a sound file"),
    (b"\xff\xfb", "a sound file"),
    (b"OggS", "a sound or video file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%!PS", "a PostScript file"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif")
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_MAIL_HEADER = re.compile(r"(?mi)^([a-z][a-z0-9-]*):")
_TRANSPORT_HEADERS = frozenset({"message-id", "mime-version", "received", "return-path"})
_MAIL_HEADERS = _TRANSPORT_HEADERS | {"from", "to", "cc", "date", "subject", "content-type"}
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


def detect(path: Path, name: str) -> Format:
    """What the file at `path`, known to people as `name`, is.

    Raises:
        ParseError: `unsupported`, `encrypted`, or `damaged` where a container cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
    suffix = PurePath(name).suffix.lower()
    return _by_magic(head) or _by_container(path, head) or _by_text(path, head, suffix)


def mismatch(found: Format, name: str) -> str:
    """A warning where a file's suffix says something else than its content; else empty."""
    suffix = PurePath(name).suffix.lower()
    expected = _BY_SUFFIX.get(suffix, found)
    if expected is found:
        return ""
    return f"the file is named {suffix} but its content is {found}; it was read as {found}"


def unsupported(what: str, *, hint: str = "") -> ParseError:
    """The error for content that no parser takes."""
    supported = ", ".join(Format)
    return ParseError(
        "unsupported", f"it is {what}, which cannot be read", hint=f"{hint}Supported: {supported}."
    )


def _by_magic(head: bytes) -> Format | None:
    if b"%PDF-" in head[:1024]:
        return Format.PDF
    if head.startswith(b"{\\rtf"):
        return Format.RTF
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return Format.IMAGE
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and len(head) > 26:
        return Format.IMAGE
    if head[4:8] == b"ftyp":
        if head[8:12] in _HEIF_BRANDS:
            raise unsupported("a HEIC picture", hint="Convert it to JPEG or PNG. ")
        raise unsupported("a video or sound file")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            hint = "Unpack it and ingest the folder. " if "archive" in what else ""
            raise unsupported(what, hint=hint)
    return None


def _by_container(path: Path, head: bytes) -> Format | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _in_zip(path)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _in_ole(path)
    return None


def _in_zip(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.replace("\\", "/").lower() for name in archive.namelist()}
            kind = _declared_type(archive) if "mimetype" in names else ""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise damaged() from error
    for member, found in _OFFICE_MEMBERS:
        if member in names:
            return found
    if "xl/workbook.bin" in names:
        raise unsupported("a binary Excel workbook (XLSB)", hint="Save it as XLSX. ")
    if kind == "application/epub+zip" or "meta-inf/container.xml" in names:
        return Format.EPUB
    if kind.startswith(_OPEN_DOCUMENT + "text"):
        return Format.ODT
    if kind.startswith(_OPEN_DOCUMENT):
        what = kind.removeprefix(_OPEN_DOCUMENT)
        raise unsupported(f"an OpenDocument {what}", hint="Save it as XLSX, PPTX or PDF. ")
    raise unsupported("a ZIP archive", hint="Unpack it and ingest the folder. ")


def _declared_type(archive: zipfile.ZipFile) -> str:
    """What the first member of an EPUB or OpenDocument file says that it is."""
    try:
        with archive.open("mimetype") as member:
            return member.read(100).decode("ascii", "replace").strip()
    except KeyError:  # in capitals, and so not the one that these formats ask for
        return ""


def _in_ole(path: Path) -> Format:
    import olefile

    try:
        with olefile.OleFileIO(path) as ole:
            names = {entry[0].lower() for entry in ole.listdir()}
            word = ole.openstream("WordDocument").read(12) if "worddocument" in names else b""
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise damaged() from error
    is_locked_word = len(word) == 12 and bool(word[11] & _FIB_ENCRYPTED)
    if is_locked_word or names & {"encryptedpackage", "encryptedsummary"}:
        raise encrypted()
    for stream, found in _OLE_STREAMS:
        if stream in names:
            return found
    raise unsupported("an OLE file of another application")


_FIB_ENCRYPTED = 0x01  # in byte 11 of a Word file, MS-DOC 2.5.2
_OFFICE_MEMBERS = (
    ("word/document.xml", Format.DOCX),
    ("word/document2.xml", Format.DOCX),  # as some web applications name it
    ("ppt/presentation.xml", Format.PPTX),
    ("xl/workbook.xml", Format.XLSX),
)
_OLE_STREAMS = (
    ("worddocument", Format.DOC),
    ("powerpoint document", Format.PPT),
    ("workbook", Format.XLS),
    ("book", Format.XLS),
    ("__properties_version1.0", Format.MSG),
)


def encrypted() -> ParseError:
    """The error for a file that asks for a password."""
    return ParseError(
        "encrypted",
        "the file is protected by a password",
        hint="Remove the password in its application and save it anew.",
    )


def _by_text(path: Path, head: bytes, suffix: str) -> Format:
    text = decode_sample(head)
    if text is None:
        raise unsupported(
            f"binary data{f' named {suffix}' if suffix else ''} of no known format",
            hint="Check where the file comes from. ",
        )
    by_suffix = _BY_SUFFIX.get(suffix)
    if by_suffix is Format.EML or (by_suffix is not Format.MD and _looks_like_mail(text)):
        return Format.EML
    if by_suffix is Format.MD:
        return Format.MD
    if by_suffix is Format.HTML or _HTML.match(text):
        return Format.HTML
    if by_suffix is Format.XML or text.lstrip().startswith("<?xml"):
        return Format.XML
    if by_suffix in {Format.CSV, Format.TSV, Format.RST}:
        return by_suffix
    if by_suffix is Format.JSON or _is_json(path, text):
        return Format.JSON
    return Format.TXT


def _looks_like_mail(text: str) -> bool:
    """Whether it begins with a mail's headers, with one among them that only transport writes."""
    block = re.split(r"\r?\n\r?\n", text.lstrip(), maxsplit=1)[0]
    first = block.split(":", 1)[0]
    if not first or " " in first.strip():
        return False
    names = {name.lower() for name in _MAIL_HEADER.findall(block)}
    return len(names & _MAIL_HEADERS) >= 3 and bool(names & _TRANSPORT_HEADERS)


def _is_json(path: Path, text: str) -> bool:
    """Whether a file that isn't named so holds one JSON object or array."""
    if text.lstrip()[:1] not in {"{", "["} or path.stat().st_size > _JSON_SNIFF_BYTES:
        return False
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return True

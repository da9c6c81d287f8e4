"""One file in, `Parsed` out, inside a worker: what it is, the parser for that, and what all share.

Parsers are imported when a file needs them: a worker that sees only text stays at 25 MiB.
"""

import os
import stat
from pathlib import Path

import msgspec

from ingest.hidden import counting
from ingest.parse.formats import MEDIA_TYPES, Format, detect, mismatch
from ingest.parse.model import Job, Parsed
from rag.errors import ParseError

# What may show its words in pictures. PDFs and pictures themselves are read in their own way.
_WITH_PICTURES = {
    *(Format.DOCX, Format.DOC, Format.PPTX, Format.PPT, Format.XLSX, Format.XLS),
    *(Format.RTF, Format.ODT, Format.EPUB, Format.HTML),
}
_PICTURES = "If it consists of pictures, export it as PDF: there, text in pictures is read."
_BLANK = "Nothing can be found in it: leave it out (.citadelignore), or write something into it."


def read_document(job: Job) -> Parsed:
    """Parse a file as what its content says it is.

    Raises:
        ParseError: it is empty, unreadable, unsupported, encrypted, damaged or a bomb.
    """
    path = Path(job.path)
    check_readable(path)
    found = detect(path, job.name)
    try:
        with counting() as tally:
            parsed = _parse(found, path, job)
    except RecursionError:
        raise ParseError(
            "too_deep",
            "its contents are nested too deeply to be read",
            hint="Open it in its application and save it anew, or export it as PDF.",
        ) from None
    if not parsed.elements and not parsed.attachments:
        raise ParseError(
            "empty",
            "there is no text in it",
            hint=_PICTURES if found in _WITH_PICTURES else _BLANK,
        )
    warning = mismatch(found, job.name)
    warnings = [*([warning] if warning else []), *parsed.warnings, *tally.warnings()]
    media_type = parsed.media_type or MEDIA_TYPES[found]
    return msgspec.structs.replace(parsed, media_type=media_type, warnings=warnings)


def check_readable(path: Path) -> None:
    """Raise a `ParseError` unless this is a regular file that can be opened and is not empty."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
            raise ParseError(
                "unreadable", f"it is {kind}, not a file", hint="Name files or let ingest walk."
            )
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise ParseError(
            "unreadable",
            f"the file cannot be read: {error.strerror}",
            hint="Check that the file exists and that this user may read it (chmod, chown).",
            retry=True,
        ) from error
    if status.st_size == 0:
        raise ParseError("empty", "the file is empty (0 bytes)", hint="Remove or replace it.")


def _parse(found: Format, path: Path, job: Job) -> Parsed:
    match found:
        case Format.PDF:
            from ingest.parse.pdf import parse_pdf

            return parse_pdf(path, ocr_languages=job.ocr_languages)
        case Format.IMAGE:
            from ingest.parse.pdf import parse_image

            return parse_image(path, ocr_languages=job.ocr_languages)
        case Format.CSV | Format.TSV:
            from ingest.parse.sheets import parse_csv

            return parse_csv(path, tabs=found is Format.TSV)
        case Format.XLSX:
            from ingest.parse.sheets import parse_xlsx

            return parse_xlsx(path)
        case Format.XLS:
            from ingest.parse.sheets import parse_xls

            return parse_xls(path)
        case Format.JSON:
            from ingest.parse.text import parse_json

            return parse_json(path)
        case Format.XML:
            from ingest.parse.xml import parse_xml

            return parse_xml(path)
        case Format.HTML:
            from ingest.parse.markup import parse_html

            return parse_html(path)
        case Format.MD:
            from ingest.parse.markdown import parse_markdown

            return parse_markdown(path)
        case Format.RST | Format.RTF | Format.ODT | Format.EPUB:
            from ingest.parse.convert import parse_by_pandoc

            return parse_by_pandoc(path, found)
        case Format.DOCX:
            from ingest.parse.word import parse_docx

            return parse_docx(path)
        case Format.PPTX:
            from ingest.parse.slides import parse_pptx

            return parse_pptx(path)
        case Format.DOC | Format.PPT:
            from ingest.parse.convert import parse_by_soffice

            return parse_by_soffice(path, found)
        case Format.EML:
            from ingest.parse.mail import parse_eml

            return parse_eml(path)
        case Format.MSG:
            from ingest.parse.outlook import parse_msg

            return parse_msg(path)
        case Format.TXT:
            from ingest.parse.text import parse_text

            return parse_text(path)

"""A document's own title, author and dates, cleaned; what an application filled in is no title."""

import datetime
import re
from collections.abc import Mapping
from typing import Any

from ingest.parse import clean
from ingest.parse.model import Element, Parsed

_NO_TITLE = re.compile(
    r"(?:untitled.*|(?:power\s?point|microsoft)[\s-].*|(?:pr[eä]sentation|presentation|document|"
    r"dokument|documento|workbook|book|mappe|slide|folie|diapositiva|sheet|title|titel|template)"
    r"\s*\d*|no slide title|.*\.(?:docx?|dotx?|pptx?|xlsx?|html?|odt|rtf|indd)|[\W\d_]*)",
    re.IGNORECASE,
)
_MAX_TITLE_CHARS = 300


def sensible_title(title: str | None) -> str:
    """The title if a person seems to have written it, else empty."""
    text = clean.one_line(title or "")
    return "" if len(text) > _MAX_TITLE_CHARS or _NO_TITLE.fullmatch(text) else text


def first_title(elements: list[Element]) -> str:
    """The text of the first title or first-level heading near the beginning, else empty."""
    for element in elements[:50]:
        if element.kind == "title" or (element.kind == "heading" and element.level == 1):
            return sensible_title(element.text.replace("\n", " "))
    return ""


def finished(parsed: Parsed, *, title: str | None, metadata: Mapping[str, object]) -> Parsed:
    """`parsed` with its metadata as text and its title.

    The title is the given one if it is sensible, else the parser's, else the first heading.
    """
    return Parsed(
        parsed.media_type,
        parsed.elements,
        title=sensible_title(title) or parsed.title or first_title(parsed.elements),
        language=parsed.language,
        pages=parsed.pages,
        metadata=texts(metadata),
        warnings=parsed.warnings,
        attachments=parsed.attachments,
    )


def texts(metadata: Mapping[str, object]) -> dict[str, str]:
    """Metadata as text, times in ISO 8601, without what is empty."""
    pairs = ((key, _text(value)) for key, value in metadata.items())
    return {key: value for key, value in pairs if value}


def with_core_properties(parsed: Parsed, document: Any) -> Parsed:
    """`parsed` with title and metadata of an OOXML document as python-docx or -pptx opens it.

    Where the file has none, these libraries make some up, dated now; they are not asked then.
    """
    relations = document.part.package.iter_rels()
    if not any(relation.reltype.endswith("/core-properties") for relation in relations):
        return finished(parsed, title=None, metadata={})
    properties = document.core_properties
    return finished(
        parsed,
        title=properties.title,
        metadata={
            "author": properties.author,
            "created": properties.created,
            "modified": properties.modified,
            "subject": properties.subject,
        },
    )


def _text(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="seconds")
    return clean.one_line(str(value)) if value else ""

"""What a line of questions says of its answer: documents, pages, spans and texts.

Sets name the same things in many ways. Read are, in the line or in its `metadata`:

    citations, cited, documents, doc …   "a.pdf", "a.pdf#page=3", ["a.pdf", 3], {"file", "page"}
    page, pages                          3, [3, 4]: of the one document that is named
    spans                                [start, end], ["a.md", start, end], {"start", "end"}
    references                           texts that stand in the document, or spans with texts
    answer, answers                      a text, or several that are each right
    answerable                           false where the documents don't say; so does answer: null
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

CITING = (
    "citations",
    "cited",
    "documents",
    "docs",
    "files",
    "document",
    "doc",
    "file",
    "expected_documents",
    "expected",
    "corpus_id",
)
NAMES = ("file", "doc", "document", "source", "uri", "name", "corpus_id")
STARTS = ("start", "char_start", "start_index")
ENDS = ("end", "char_end", "end_index")
TEXTS = ("content", "text", "reference")
_PAGE = re.compile(r"#page=(\d+)$")
_MARK = re.compile(r"\[[^\[\]]*#page=\d+\]")  # a citation inside a gold answer

Json = dict[str, Any]
Wrong = Callable[[str], Exception]


class Place(NamedTuple):
    """A document, and a page of it where one is named."""

    file: str
    page: int | None = None


class Span(NamedTuple):
    """Characters of a document: by offsets, by their text, or by both."""

    file: str
    start: int | None
    end: int | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Gold:
    """What a question's answer is known to be."""

    places: tuple[Place, ...] = ()
    spans: tuple[Span, ...] = ()
    answers: tuple[str, ...] = ()
    answerable: bool | None = None  # None where it isn't said


def read_gold(row: Json, wrong: Wrong) -> Gold:
    """What a line says; `wrong` makes the error for what cannot be understood."""
    inner = row.get("metadata")
    if inner is not None and not isinstance(inner, dict):
        raise wrong("'metadata' is not an object")
    fields = {**row, **(inner or {})}
    answerable = fields.get("answerable")
    if answerable is not None and not isinstance(answerable, bool):
        raise wrong("'answerable' is neither true nor false")
    if "answer" in fields and fields["answer"] is None and answerable is None:
        answerable = False
    places = list(dict.fromkeys(_places(fields, wrong)))
    spans = list(_spans(fields, places, wrong))
    places += [Place(span.file) for span in spans]
    return Gold(
        places=tuple(dict.fromkeys(places)),
        spans=tuple(dict.fromkeys(spans)),
        answers=tuple(_answers(fields)),
        answerable=answerable,
    )


def _places(fields: Json, wrong: Wrong) -> Iterator[Place]:
    named = [place for name in CITING for place in _cited(fields.get(name), name, wrong)]
    pages = list(_pages(fields.get("pages", fields.get("page")), wrong))
    files = {place.file for place in named}
    if pages and len(files) != 1:
        raise wrong("pages are named, but not the one document that they are of")
    yield from (place for place in named if place.page is not None or not pages)
    for page in pages:
        yield Place(named[0].file, page)


def _cited(value: Any, name: str, wrong: Wrong) -> Iterator[Place]:
    """The places of one field, however it is written."""
    match value:
        case None | "" | []:
            return
        case str():
            named = _PAGE.search(value)
            pages = list(_pages(int(named[1]) if named else None, wrong))
            yield Place(_PAGE.sub("", value), *pages)
        case [str() as file, int() as page]:
            yield from [Place(file, each) for each in _pages(page, wrong)]
        case [str() as file, None]:
            yield Place(file)
        case list():
            for each in value:
                yield from _cited(each, name, wrong)
        case dict():
            file = next((value[key] for key in NAMES if isinstance(value.get(key), str)), "")
            if not file:
                raise wrong(f"{name!r} names no document")
            pages = list(_pages(value.get("pages", value.get("page")), wrong))
            yield from [Place(file, page) for page in pages] or [Place(file)]
        case _:
            raise wrong(f"{name!r} is not a document, nor documents with their pages")


def _pages(value: Any, wrong: Wrong) -> Iterator[int]:
    for each in value if isinstance(value, list) else [] if value is None else [value]:
        if isinstance(each, bool) or not isinstance(each, int) or each < 1:
            raise wrong(f"the page {each!r} is not a number from 1 on")
        yield each


def _spans(fields: Json, places: list[Place], wrong: Wrong) -> Iterator[Span]:
    files = {place.file for place in places}
    one = next(iter(files)) if len(files) == 1 else ""
    spans, texts = fields.get("spans") or [], fields.get("references") or []
    if not isinstance(spans, list) or not isinstance(texts, list):
        raise wrong("'spans' or 'references' is not a list")
    if spans and len(texts) == len(spans) and all(isinstance(text, str) for text in texts):
        found = [_span(span, one, wrong) for span in spans]
        yield from (span._replace(text=text) for span, text in zip(found, texts, strict=True))
        return
    for each in spans or texts:
        yield _span(each, one, wrong)


def _span(value: Any, file: str, wrong: Wrong) -> Span:
    match value:
        case [int() as start, int() as end]:
            span = Span(file, start, end)
        case [str() as named, int() as start, int() as end]:
            span = Span(named, start, end)
        case str() if value.strip():
            span = Span(file, None, None, value)
        case dict():
            text = next((str(value[key]) for key in TEXTS if key in value), "")
            named = next((value[key] for key in NAMES if isinstance(value.get(key), str)), file)
            span = Span(named, _number(value, STARTS), _number(value, ENDS), text)
        case _:
            raise wrong(f"a span is not [start, end] or [document, start, end]: {value!r}")
    if not span.file:
        raise wrong("a span names no document, and neither does its question")
    by_offsets = span.start is not None and span.end is not None
    if not (by_offsets and 0 <= (span.start or 0) < (span.end or 0)) and not span.text:
        raise wrong(f"a span does not begin before it ends: {value!r}")
    return span


def _number(fields: Json, names: Sequence[str]) -> int | None:
    return next((fields[name] for name in names if isinstance(fields.get(name), int)), None)


def _answers(fields: Json) -> Iterator[str]:
    """The answers that are text or numbers; sets keep other things under these names too."""
    for name in ("answers", "answer"):
        value = fields.get(name)
        for each in value if isinstance(value, list) else [value]:
            is_text = isinstance(each, str | int | float) and not isinstance(each, bool)
            if is_text and (text := " ".join(_MARK.sub("", str(each)).split())):
                yield text

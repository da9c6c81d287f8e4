"""Plain text and JSON.

A text's paragraphs are what blank lines divide. A line counts as a heading only where its author
marked it as one (underlined, numbered or in capitals, alone between blank lines): a wrong heading
cuts a passage in two, a missed one costs little.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.parse import clean
from ingest.parse.decode import read_text
from ingest.parse.model import Element, Parsed
from rag.errors import ParseError

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_BULLET = re.compile(r"\s*(?:[-*•‣◦▪–]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+\S")
_UNDERLINE = re.compile(r"(=|-|~|\*|\^)\1{2,}\s*$")
_NUMBERED = re.compile(r"(?:§+\s*)?(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+[^\W\d_].*[^.,;:!?]$")
_NAMED = re.compile(
    r"(?:chapter|part|section|article|annex|appendix|kapitel|teil|abschnitt|artikel|anhang|"
    r"capítulo|sección|artículo|anexo|chapitre|partie|annexe)\s+[\dIVXLC]+\b.{0,70}$",
    re.IGNORECASE,
)
_MAX_HEADING_CHARS = 90
_WRAP_COLUMNS = (50, 130)  # width at which editors and mail programs break lines
_WRAP_SHARE = 0.6
_MAX_JSON_DEPTH = 200
_GROUP_LINES = 200


def parse_text(path: Path) -> Parsed:
    """A plain text file."""
    return Parsed("text/plain", list(text_elements(read_text(path))))


def text_elements(text: str, *, headings: bool = True) -> Iterator[Element]:
    """Paragraphs, list items and, unless told not to, marked headings of a plain text."""
    blocks = [b for b in _BLANK_LINES.split(clean.visible(text).strip("\n")) if b.strip()]
    numbered = [bool(_NUMBERED.match(block.strip())) for block in blocks]
    for index, block in enumerate(blocks):
        rows = block.split("\n")
        in_list = any(numbered[max(index - 1, 0) : index] + numbered[index + 1 : index + 2])
        level = _heading_level(rows, in_list=in_list) if headings else 0
        if level:
            yield Element("heading", clean.one_line(rows[0]), level=level)
            continue
        if headings and len(rows) > 2 and _is_underlined(rows):
            yield Element("heading", clean.one_line(rows[0]), level=_level_of(rows[1]))
            rows = rows[2:]
        yield from _body(rows)


def _heading_level(rows: list[str], *, in_list: bool) -> int:
    """The level of a block that is a heading, else 0. `in_list`: its neighbours look like it."""
    line = rows[0].strip()
    if len(rows) == 2 and _is_underlined(rows):
        return _level_of(rows[1])
    if len(rows) > 1 or len(line) > _MAX_HEADING_CHARS:
        return 0
    if (numbered := _NUMBERED.match(line)) and not in_list:
        return min(numbered[1].count(".") + 1, 6)
    if _NAMED.match(line) and line[-1] not in ".,;:":
        return 1
    letters = [char for char in line if char.isalpha()]
    shouting = len(letters) >= 4 and all(char.isupper() for char in letters)
    return 2 if shouting and line[-1] not in ".,;:!?" else 0


def _is_underlined(rows: list[str]) -> bool:
    line, rule = rows[0].strip(), rows[1].strip()
    return bool(
        _UNDERLINE.match(rule)
        and 0 < len(line) <= _MAX_HEADING_CHARS
        and abs(len(rule) - len(line)) <= max(3, len(line) // 2)
        and any(char.isalpha() for char in line)
    )


def _level_of(rule: str) -> int:
    return 1 if rule.strip()[0] in "=*" else 2


def _body(rows: list[str]) -> Iterator[Element]:
    if not _BULLET.match(rows[0]) or sum(map(bool, map(_BULLET.match, rows))) < len(rows) / 3:
        for paragraph in unwrapped(rows):
            if text := clean.lines(paragraph):
                yield Element("paragraph", text)
        return
    item: list[str] = []
    for row in [*rows, "- end"]:
        if _BULLET.match(row) and item:
            yield Element("list_item", clean.one_line(" ".join(item)))
            item = []
        item.append(row)


def unwrapped(rows: list[str]) -> list[str]:
    """The paragraphs of a block that has no blank lines.

    Lines that an editor broke at its margin are joined, long lines are paragraphs of their own,
    and short ones (addresses, verse, columns) stay together as they are.
    """
    widths = [len(row.rstrip()) for row in rows]
    low, high = _WRAP_COLUMNS
    if max(widths) > high and sum(widths) / len(widths) > low:
        return rows
    full = len(rows) > 1 and low <= max(widths) <= high
    if full and all(width >= _WRAP_SHARE * max(widths) for width in widths[:-1]):
        return [" ".join(row.strip() for row in rows)]
    return ["\n".join(rows)]


def parse_json(path: Path) -> Parsed:
    """JSON as lines of `path: value`, an element for each member of the outermost level.

    A file of one JSON value a line (NDJSON) gives an element for each.
    """
    text = read_text(path)
    try:
        records = _records(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ParseError(
            "damaged",
            f"it is not valid JSON: {error}",
            hint="Correct it at that place, or name it .txt to have it read as plain text.",
        ) from error
    elements: list[Element] = []
    for name, value in records:
        rows = [clean.one_line(row) for row in _flattened(value, name, 0)]
        groups = (rows[i : i + _GROUP_LINES] for i in range(0, len(rows), _GROUP_LINES))
        elements.extend(Element("paragraph", "\n".join(group)) for group in groups)
    return Parsed("application/json", elements)


def _records(text: str) -> list[tuple[str, Any]]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        rows = [row for row in text.splitlines() if row.strip()]
        if len(rows) < 2 or error.msg != "Extra data":
            raise
        return [("", json.loads(row)) for row in rows]
    if isinstance(value, dict):
        scalars = {k: v for k, v in value.items() if not isinstance(v, dict | list)}
        nested = [(k, v) for k, v in value.items() if isinstance(v, dict | list)]
        return [*([("", scalars)] if scalars else []), *_unrolled(nested)]
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return [("", member) for member in value]
    return [("", value)]


def _unrolled(members: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Lists of objects give a record for each object, so that one record stays one passage."""
    for name, value in members:
        if isinstance(value, list) and any(isinstance(v, dict) for v in value):
            yield from ((f"{name}[{index}]", member) for index, member in enumerate(value))
        else:
            yield name, value


def _flattened(value: Any, name: str, depth: int) -> Iterator[str]:
    if depth > _MAX_JSON_DEPTH:
        raise _too_deep()
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _flattened(member, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        for index, member in enumerate(value):
            yield from _flattened(member, f"{name}[{index}]", depth + 1)
    elif value not in (None, "", [], {}):
        text = ", ".join(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
        yield f"{name}: {text}" if name else text


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _too_deep() -> ParseError:
    return ParseError(
        "too_deep",
        f"its contents are nested more than {_MAX_JSON_DEPTH} levels deep",
        hint="Flatten the file, or leave it out with .citadelignore.",
    )

"""The files of a set as records. What is wrong with one is told with its file and line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import BadRequest
from rag.text import valid_unicode

LAYOUTS = "docs/evaluation.md describes the layouts."
COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh")  # gzip, zip, zstd, bzip2
MAX_GRADE = 1000  # far above any in use; trec_eval's gains overflow silently
_HEADER = re.compile(r"[^\W\d].*")  # of the column of grades
Row = tuple[str, str, int]  # question, document, grade


def wrong(file: Path, number: int, what: str) -> BadRequest:
    """The error for a line that cannot be used."""
    return BadRequest(f"{file}, line {number}: {what}", hint=LAYOUTS)


def json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one a line, with the numbers of their lines.

    Raises:
        BadRequest: it cannot be read, or a line is not a JSON object.
    """
    for number, line in _lines(file):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise wrong(file, number, f"this is not JSON ({error})") from error
        if not isinstance(value, dict):
            raise wrong(file, number, "this is not a JSON object")
        yield number, value


def judgements(file: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a table of judgements: question, document and grade, or TREC's four columns.

    A header is passed over. Columns are divided by tabs, or by spaces where there is no tab.

    Raises:
        BadRequest: it cannot be read, or a row has other columns.
    """
    for place, (number, line) in enumerate(_lines(file)):
        cells = line.split("\t") if "\t" in line else line.split()
        cells = [cell.strip() for cell in cells]
        if place == 0 and _HEADER.fullmatch(cells[-1]):
            continue
        if len(cells) == 4:
            del cells[1]
        if len(cells) != 3:
            raise wrong(file, number, f"{len(cells)} columns; wanted are question, document, grade")
        if not _is_number(cells[2]):
            raise wrong(file, number, f"the grade {cells[2]!r} is not a whole number")
        if abs(float(cells[2])) > MAX_GRADE:
            why = f"the grade {cells[2]} is beyond {MAX_GRADE:,}; are the columns in another order?"
            raise wrong(file, number, why)
        yield number, (cells[0], cells[1], int(float(cells[2])))


def text_of(file: Path, number: int, row: dict[str, Any], *names: str) -> str:
    """The first of these fields that is there, as text; "" where none is.

    Raises:
        BadRequest: it is neither text nor a number.
    """
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return valid_unicode(str(value))
        if value is not None:
            raise wrong(file, number, f"{name!r} is not text")
    return ""


def _is_number(cell: str) -> bool:
    try:
        return float(cell).is_integer()
    except ValueError:
        return False


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if number == 1 and line.startswith(COMPRESSED):
                    raise BadRequest(f"{file} is compressed", hint="Unpack it first.")
                if (text := _decoded(file, number, line)).strip():
                    yield number, text.rstrip("\r\n")
    except OSError as error:
        raise BadRequest(f"cannot read {file}: {error.strerror}", hint=LAYOUTS) from error


def _decoded(file: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise wrong(file, number, f"this is not UTF-8 text ({error.reason})") from error

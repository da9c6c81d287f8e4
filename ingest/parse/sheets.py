"""Tables that are files: CSV, TSV, XLSX and XLS. One table element a sheet, its name as heading.

Rows are read one by one and the cells counted, so that a sheet without end becomes a warning and
not an exhausted machine. Formulas give the values that their application last saved, dates
ISO 8601. Hidden sheets are left out with a warning: who sends a workbook does not see them.
"""

import csv
import datetime
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from ingest.hidden import hidden_words
from ingest.parse import archives, clean, tables
from ingest.parse.decode import encoding_of
from ingest.parse.formats import encrypted
from ingest.parse.model import Element, Parsed
from ingest.parse.properties import sensible_title, texts
from rag.errors import ParseError

MAX_CELLS = 500_000  # some 5 MB of text, a thousand passages and more
_MAX_LINE_CHARS = 4 * 1024**2
_MAX_FIELD_CHARS = 1024**2
_SNIFF_ROWS = 50
_DELIMITERS = ",;\t|"
_REMARK_CHARS = 60
_HEADER_SEARCH_ROWS = 15  # titles and notes that stand above a sheet's header


class _Budget:
    """Counts cells over all sheets of a file."""

    def __init__(self) -> None:
        self.left = MAX_CELLS

    def take(self, rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
        for row in rows:
            self.left -= len(row)
            if self.left < 0:
                return
            yield row

    def warnings(self) -> list[str]:
        if self.left >= 0:
            return []
        return [f"only the first {MAX_CELLS:,} cells were read; split the file to have all of it"]


def parse_csv(path: Path, *, tabs: bool) -> Parsed:
    """A CSV or TSV file of any delimiter and encoding.

    Raises:
        ParseError: `too_large` for a line or field beyond any table's.
    """
    with path.open("rb") as file:
        encoding = encoding_of(file.read(64 * 1024))
    csv.field_size_limit(_MAX_FIELD_CHARS)
    budget = _Budget()
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        rows = _csv_rows(stream, tabs=tabs)
        try:
            elements = list(_table(budget.take(rows)))
        except csv.Error as error:
            raise _not_a_table(str(error)) from error
    kind = "text/tab-separated-values" if tabs else "text/csv"
    return Parsed(kind, elements, warnings=budget.warnings())


def _csv_rows(stream: io.TextIOBase, *, tabs: bool) -> Iterator[list[str]]:
    lines = _lines(stream)
    sample = list(islice(lines, _SNIFF_ROWS))
    delimiter = _delimiter(sample, "\t" if tabs else ",")
    yield from csv.reader(chain(sample, lines), delimiter=delimiter)


def _lines(stream: io.TextIOBase) -> Iterator[str]:
    while line := stream.readline(_MAX_LINE_CHARS):
        if len(line) == _MAX_LINE_CHARS and not line.endswith("\n"):
            raise _not_a_table(f"a line has more than {_MAX_LINE_CHARS:,} characters")
        yield line.replace("\0", "")


def _not_a_table(detail: str) -> ParseError:
    return ParseError(
        "too_large",
        f"it is not a readable table: {detail}",
        hint="Check the line ends and quotes of the file, or name it .txt to read it as text.",
    )


def _delimiter(sample: list[str], default: str) -> str:
    """The character that cuts the sample's lines into the same number of cells most often."""
    best, best_score = default, 0.0
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            continue
        usual = max(set(widths), key=widths.count, default=1)
        share = widths.count(usual) / max(len(widths), 1)
        score = share * usual if usual > 1 else 0.0
        if score > best_score or (score == best_score and delimiter == default):
            best, best_score = delimiter, score
    return best


def _table(rows: Iterable[Sequence[str]]) -> Iterator[Element]:
    """Notes above the header as paragraphs, then the table."""
    iterator = iter(rows)
    head = list(islice(iterator, _HEADER_SEARCH_ROWS))
    start = _header_index(head)
    for row in head[:start]:
        if text := clean.one_line(" ".join(cell for cell in row if cell)):
            yield Element("paragraph", text)
    body = head[start:]
    if len(body) < _HEADER_SEARCH_ROWS and _is_prose(body):
        yield from (Element("paragraph", text) for row in body if (text := tables.row_text(row)))
        return
    table = tables.table_element(chain(body, iterator), header_rows=tables.header_row_count(body))
    if table:
        yield table


def _is_prose(rows: list[Sequence[str]]) -> bool:
    """Whether rows of one cell are remarks and no list: one alone, or one that is long."""
    texts = [[cell for cell in row if cell.strip()] for row in rows]
    if any(len(row) > 1 for row in texts):
        return False
    filled = [row[0] for row in texts if row]
    return len(filled) == 1 or any(len(text) > _REMARK_CHARS for text in filled)


def _header_index(head: list[Sequence[str]]) -> int:
    """Where the table begins: after leading rows with a single cell above wider ones."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in head]
    widest = max(filled, default=0)
    if widest < 3:
        return 0
    return next((i for i, n in enumerate(filled) if n > 1), 0)


def cell_text(value: Any) -> str:
    """A cell's value as text: dates in ISO 8601, whole numbers without a fraction."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    if isinstance(value, datetime.datetime):
        is_day = value.time() == datetime.time()
        return value.date().isoformat() if is_day else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def parse_xlsx(path: Path) -> Parsed:
    """An Excel workbook.

    Raises:
        ParseError: `bomb`, `encrypted` or `damaged`.
    """
    import openpyxl

    archives.check(path)
    with zipfile.ZipFile(path) as archive:  # openpyxl makes properties up, dated now
        has_properties = "docProps/core.xml" in archive.namelist()
    with path.open("rb") as file:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        shown = [s for s in workbook.worksheets if s.sheet_state == "visible"]
        hidden = [s.title for s in workbook.worksheets if s.sheet_state != "visible"]
        budget = _Budget()
        elements: list[Element] = []
        sight = _Sight()
        for number, sheet in enumerate(shown, start=1):
            sheet.reset_dimensions()  # what a file says of its extent is often wrong
            rows = ([sight.text(cell) for cell in row] for row in sheet.rows)
            elements.extend(_sheet(sheet.title, number, budget.take(rows)))
        properties = workbook.properties
        workbook.close()
    comments = ["comments were left out"] if archives.has_comments(path) else []
    warnings = [*_left_out(hidden), *sight.warnings(), *comments, *budget.warnings()]
    parsed = Parsed("", elements, warnings=warnings)
    return _with_properties(parsed, properties if has_properties else None)


class _Sight:
    """Reads the cells that can be seen: not what is written in white on white."""

    def __init__(self) -> None:
        self._white: dict[int, bool] = {}  # by style; there are few
        self._n_words = 0

    def text(self, cell: Any) -> str:
        """A cell's text, empty where nobody sees it."""
        text = _xlsx_text(cell)
        if not text or not getattr(cell, "has_style", False) or not self._is_white(cell):
            return text
        self._n_words += len(text.split())
        return ""

    def warnings(self) -> list[str]:
        """That something was left out, and how much."""
        return [hidden_words(self._n_words)] if self._n_words else []

    def _is_white(self, cell: Any) -> bool:
        style: int = cell._style_id
        if style not in self._white:
            colour = cell.font.color
            white = colour is not None and colour.type == "rgb" and colour.rgb == "FFFFFFFF"
            self._white[style] = white and cell.fill.patternType is None
        return self._white[style]


def parse_xls(path: Path) -> Parsed:
    """A workbook of Excel 97-2003.

    Raises:
        ParseError: `encrypted`.
    """
    import xlrd

    try:
        book = xlrd.open_workbook(path, on_demand=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise encrypted() from error
        raise
    budget = _Budget()
    elements: list[Element] = []
    hidden: list[str] = []
    for number, name in enumerate(book.sheet_names(), start=1):
        sheet = book.sheet_by_name(name)
        if sheet.visibility:
            hidden.append(name)
        else:
            rows = ([_xls_text(c, book.datemode) for c in row] for row in sheet.get_rows())
            elements.extend(_sheet(name, number, budget.take(rows)))
        book.unload_sheet(name)
    book.release_resources()
    parsed = Parsed("", elements, warnings=[*_left_out(hidden), *budget.warnings()])
    return msgspec.structs.replace(parsed, metadata=texts({"author": book.user_name}))


def _with_properties(parsed: Parsed, properties: Any | None) -> Parsed:
    """The workbook's own title and metadata; the name of a sheet is no title of a workbook."""
    if properties is None:
        return parsed
    return msgspec.structs.replace(
        parsed,
        title=sensible_title(properties.title),
        metadata=texts(
            {
                "author": properties.creator,
                "created": properties.created,
                "modified": properties.modified,
                "subject": properties.subject,
            }
        ),
    )


def _sheet(name: str, number: int, rows: Iterable[Sequence[str]]) -> Iterator[Element]:
    """A sheet's name and its tables, which empty rows divide where a new header follows."""
    blocks = list(_blocks(rows))
    if not blocks:
        return
    yield Element("heading", clean.one_line(name) or f"{number}", level=1, page=number)
    for block in blocks:
        for element in _table(tables.without_empty_columns(block)):
            yield msgspec.structs.replace(element, page=number)


def _blocks(rows: Iterable[Sequence[str]]) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    after_gap = False
    for row in rows:
        if not any(cell.strip() for cell in row):
            after_gap = True
            continue
        if after_gap and block and _begins_table(row):
            yield block
            block = []
        block.append(list(row))
        after_gap = False
    if block:
        yield block


def _begins_table(row: Sequence[str]) -> bool:
    return not any(tables.is_value(cell.strip()) for cell in row)


def _left_out(hidden: list[str]) -> list[str]:
    return [f"hidden sheets were left out: {', '.join(hidden)}"] if hidden else []


def _xlsx_text(cell: Any) -> str:
    value = cell.value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and "%" in (cell.number_format or ""):
        return f"{value * 100:.10g}%"
    return cell_text(value)


def _xls_text(cell: Any, datemode: int) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return cell_text(xlrd.xldate_as_datetime(cell.value, datemode))
        except (xlrd.xldate.XLDateError, OverflowError, ValueError):
            return cell_text(cell.value)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return cell_text(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, ""))
    return cell_text(cell.value)

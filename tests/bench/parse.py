"""Parsing: pages a second against bare pypdfium2 text, and files and bytes a second by format.

PDFs are parsed in this process, without the sandbox, next to pypdfium2's plain text of the same
files, which leaves out scanned pages. The format packs go through one sandboxed worker as in an
ingest; beside the formats that have one, the plainest way of getting at a file's text with a
library, in this process.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import docx
import lxml.html
import openpyxl
import pptx
import pypdfium2
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from ingest.parse.model import Job
from ingest.parse.pool import ParserPool
from ingest.parse.read import read_document
from rag.errors import ParseError
from rag.settings import load_settings
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress

NEEDS = ("contoso", "kgrag_sec10q", "files_unstructured", "files_pypdf", "files_eml")
PACKS = ("files_unstructured", "files_pypdf", "files_eml", "docling_gt")
TEXT_PAGE_CHARS = 100  # below which a page with a picture is taken for a scan
MAX_SECONDS = 60  # of one file
MB = 1e6


@dataclass(slots=True)
class Sum:
    """What was read of one format."""

    files: int = 0
    failed: int = 0
    size_bytes: int = 0
    n_chars: int = 0
    seconds: float = 0.0
    plain_s: float = 0.0  # the same files by the plainest way, where there is one
    plain_of_s: float = 0.0  # what the product took for just those


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Parsing", " ".join(__doc__.split("\n\n")[1].split()), quick=run.quick)
    _print_pdfs(run)
    _print_formats(run)


def _print_pdfs(run: Run) -> None:
    rows: list[list[Cell]] = []
    for name in ("contoso", "kgrag_sec10q"):
        files = sorted((run.eval_dir / name / "docs").glob("*.pdf"))
        files = run.some(files, len(files), 4)
        scanned = [file for file in files if _has_scans(file)]
        texts = [file for file in files if file not in scanned]
        for kind, some in (("text only", texts), ("with scanned pages", scanned)):
            if some:
                progress(f"{name}, {kind}: {len(some)} PDFs")
                rows += _compare(f"{name}, {kind}", some)
    print_table(("PDFs", "files", "pages", "s", "pages/s", "time × bare"), rows)


def _compare(name: str, files: list[Path]) -> list[list[Cell]]:
    n_pages = sum(map(_n_pages, files))
    bare, ours = _timed(_bare_text, files), _timed(_parse_here, files)
    return [
        [f"{name}: bare pypdfium2", len(files), n_pages, bare, n_pages / bare, 1.0],
        [f"{name}: our parser", len(files), n_pages, ours, n_pages / ours, ours / bare],
    ]


def _timed(read: Callable[[Path], object], files: Sequence[Path]) -> float:
    read(files[0])  # imports, and the file's pages into the cache
    began = time.perf_counter()
    for file in files:
        read(file)
    return time.perf_counter() - began


def _parse_here(file: Path) -> object:
    return read_document(Job(str(file), file.name))


def _bare_text(file: Path) -> str:
    with pypdfium2.PdfDocument(file) as pdf:
        return "\n".join(page.get_textpage().get_text_range() for page in pdf)


def _n_pages(file: Path) -> int:
    with pypdfium2.PdfDocument(file) as pdf:
        return len(pdf)


def _has_scans(file: Path) -> bool:
    """Whether a page has a picture and next to no text: our parser reads that by OCR."""
    with pypdfium2.PdfDocument(file) as pdf:
        return any(
            len(page.get_textpage().get_text_range()) < TEXT_PAGE_CHARS
            and any(page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]))
            for page in pdf
        )


# By format


def _print_formats(run: Run) -> None:
    sums: dict[str, Sum] = defaultdict(Sum)
    settings = load_settings()
    with ParserPool(1, timeout_s=MAX_SECONDS, memory_bytes=settings.parse_memory_bytes) as pool:
        for file in _files(run):
            _read(file, pool, sums[file.suffix.lower() or "none"])
    header = (
        "format, by suffix",
        "files",
        "not read",
        "MB",
        "s",
        "files/s",
        "MB/s",
    )
    rows = [_row(suffix, one) for suffix, one in sorted(sums.items())]
    print_table((*header, "MB of text/s", "time × plain library"), rows)
    print_line(
        "Plain library: pypdfium2 text, python-docx paragraphs, python-pptx frames, openpyxl "
        "values, lxml text content; over the files that both can read. Scans and pictures are read "
        "by OCR, which the plain way leaves out; the first file pays for the worker's start."
    )


def _files(run: Run) -> list[Path]:
    found: dict[str, list[Path]] = defaultdict(list)
    for pack in PACKS:
        for file in sorted((run.eval_dir / pack).rglob("*")):
            if file.is_file() and not file.name.endswith(".gt.md"):
                found[file.suffix.lower()].append(file)
    return [file for files in found.values() for file in run.some(files, len(files), 1)]


def _read(file: Path, pool: ParserPool, total: Sum) -> None:
    progress(file.name)
    total.files += 1
    size_bytes = file.stat().st_size
    began = time.perf_counter()
    try:
        parsed = pool.submit(Job(str(file), file.name)).result()
    except ParseError:
        total.failed += 1
        return
    seconds = time.perf_counter() - began
    total.seconds += seconds
    total.size_bytes += size_bytes
    total.n_chars += sum(len(element.text) for element in parsed.elements)
    for plain_s in _plainly(file):
        total.plain_s += plain_s
        total.plain_of_s += seconds


def _plainly(file: Path) -> Iterator[float]:
    """Seconds of the plainest way; nothing where there is none, or where it fails."""
    read = PLAIN.get(file.suffix.lower())
    if read is None:
        return
    began = time.perf_counter()
    try:
        read(file)
    except Exception:  # noqa: BLE001  any library, any odd file: it is only left out
        return
    yield time.perf_counter() - began


def _row(suffix: str, one: Sum) -> list[Cell]:
    seconds = max(one.seconds, 1e-9)
    n_read = one.files - one.failed
    rates = (n_read / seconds, one.size_bytes / MB / seconds, one.n_chars / MB / seconds)
    ratio = one.plain_of_s / one.plain_s if one.plain_s else None
    figures = [f"{one.size_bytes / MB:.2f}", one.seconds, *rates] if n_read else [None] * 5
    return [suffix, one.files, one.failed, *figures, ratio]


def _plain_docx(file: Path) -> str:
    return "\n".join(paragraph.text for paragraph in docx.Document(str(file)).paragraphs)


def _plain_pptx(file: Path) -> str:
    slides = pptx.Presentation(str(file)).slides
    return "\n".join(
        shape.text_frame.text for slide in slides for shape in slide.shapes if shape.has_text_frame
    )


def _plain_xlsx(file: Path) -> str:
    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    rows = (row for sheet in book for row in sheet.iter_rows(values_only=True))
    return "\n".join(str(value) for row in rows for value in row if value is not None)


def _plain_html(file: Path) -> str:
    return str(lxml.html.parse(str(file)).getroot().text_content())


PLAIN: dict[str, Callable[[Path], str]] = {
    ".pdf": _bare_text,
    ".docx": _plain_docx,
    ".pptx": _plain_pptx,
    ".xlsx": _plain_xlsx,
    ".html": _plain_html,
}

"""The sample documents are what their generator writes, and the gold answers stand in them."""

import email
import json
import subprocess
import sys
from collections.abc import Callable
from email import policy
from pathlib import Path
from typing import Any

import openpyxl
import pypandoc
import pypdfium2
import pytest
from docx import Document
from pptx import Presentation

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENTS = EXAMPLES / "documents"
SCAN = "quality/accreditation-surveillance-letter-scan.pdf"
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
]


def _pdf(source: Path | bytes, page: int | None = None) -> str:
    with pypdfium2.PdfDocument(source) as pdf:
        pages = range(len(pdf)) if page is None else [page - 1]
        return "\n".join(pdf[number].get_textpage().get_text_range() for number in pages)


def _docx(path: Path) -> str:
    document = Document(str(path))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([paragraph.text for paragraph in document.paragraphs] + cells)


def _pptx(path: Path) -> str:
    shapes = [shape for slide in Presentation(str(path)).slides for shape in slide.shapes]
    return "\n".join(shape.text_frame.text for shape in shapes if shape.has_text_frame)


def _xlsx(path: Path) -> str:
    book = openpyxl.load_workbook(path)
    return "\n".join(str(v) for sheet in book for row in sheet.values for v in row if v is not None)


def _mail(path: Path) -> str:
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    attached = [part.get_payload(decode=True) for part in message.iter_attachments()]
    return "\n".join([body.get_content(), *map(_pdf, attached)])


def _pandoc(path: Path) -> str:
    return pypandoc.convert_file(str(path), "plain", extra_args=["--wrap=none"])


READERS: dict[str, Callable[[Path], str]] = {
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".eml": _mail,
    ".odt": _pandoc,
    ".rtf": _pandoc,
    ".html": _pandoc,
}


def _text(question: dict[str, Any]) -> str:
    path = DOCUMENTS / question["file"]
    if path.suffix == ".pdf":
        return _pdf(path, question["page"])
    return READERS.get(path.suffix, lambda p: p.read_text("utf-8"))(path)


@pytest.mark.parametrize(
    "question",
    [q for q in QUESTIONS if q["file"] and q["file"] != SCAN],
    ids=lambda q: q["id"],
)
def test_a_gold_answer_stands_in_its_document(question: dict[str, Any]) -> None:
    assert question["answer"] in " ".join(_text(question).split())


def test_the_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, EXAMPLES / "generate.py", tmp_path], check=True, timeout=100)
    assert _tree(tmp_path) == _tree(DOCUMENTS)


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_sample_has_a_scan_without_text_and_a_file_that_no_reader_can_open() -> None:
    assert _pdf(DOCUMENTS / SCAN).strip() == ""
    with pytest.raises(pypdfium2.PdfiumError):
        _pdf(DOCUMENTS / "demonstration/broken-on-purpose.pdf")


def test_questions_without_an_answer_name_no_file() -> None:
    unanswerable = [q for q in QUESTIONS if q["file"] is None]
    assert len(unanswerable) >= 10
    assert all(q["answer"] is None and q["page"] is None for q in unanswerable)

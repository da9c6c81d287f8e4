"""What holds for every PDF, tried on real ones where such are at hand beside the repository."""

from pathlib import Path

import pytest
from pdf_pages import faults

from ingest.parse.pdf import parse_pdf
from rag.errors import ParseError

EVAL = Path(__file__).parents[3] / "shared" / "eval"
FOLDERS = ("contoso/docs", "kgrag_sec10q/docs", "files_pypdf", "docling_gt/pdf")
REASONS = {"encrypted", "damaged", "no_text", "needs_program"}
SAMPLE_BYTES = 400_000  # of a file in the sample; what is larger has scans or hundreds of pages


def pdfs() -> list[Path]:
    found = (path for name in FOLDERS for path in sorted((EVAL / name).glob("*")))
    return [path for path in found if path.suffix.lower() == ".pdf"]


def check(path: Path) -> list[str]:
    try:
        parsed = parse_pdf(path)
    except ParseError as error:
        known = error.code in REASONS and bool(error.hint)
        return [] if known else [f"{path.name}: {error.code} {error.message}"]
    return [f"{path.name}: {fault}" for fault in faults(parsed)]


@pytest.mark.skipif(not pdfs(), reason="no real PDFs beside the repository")
def test_a_sample_of_real_pdfs_keeps_what_the_model_promises():
    small = [path for path in pdfs() if path.stat().st_size < SAMPLE_BYTES]
    assert [fault for path in small[::8] for fault in check(path)] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not pdfs(), reason="no real PDFs beside the repository")
def test_all_real_pdfs_keep_what_the_model_promises():
    assert [fault for path in pdfs() for fault in check(path)] == []

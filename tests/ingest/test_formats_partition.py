"""RTF and reStructuredText, read by pandoc and `unstructured` without network and torch."""

import subprocess
import sys
from pathlib import Path

import pypandoc

from ingest.parse.model import Job
from ingest.parse.read import read_document

RST = """Travel policy
=============

Trains are booked second class.

Limits
------

- London, 185 pounds
- Kassel, 140 euros

====== =====
City   Limit
====== =====
London 185
Kassel 140
====== =====
"""


def test_restructured_text_keeps_headings_lists_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "policy.rst"
    file.write_text(RST)
    parsed = read_document(Job(str(file), file.name))
    assert [(e.kind, e.text) for e in parsed.elements] == [
        ("title", "Travel policy"),
        ("paragraph", "Trains are booked second class."),
        ("heading", "Limits"),
        ("list_item", "London, 185 pounds"),
        ("list_item", "Kassel, 140 euros"),
        ("table", "City | Limit\nLondon | 185\nKassel | 140"),
    ]
    assert parsed.elements[-1].header_rows == 1


def test_rtf_keeps_paragraphs_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "policy.rtf"
    pypandoc.convert_text(
        RST, "rtf", format="rst", outputfile=str(file), extra_args=["--standalone"]
    )
    parsed = read_document(Job(str(file), file.name))
    texts = [element.text for element in parsed.elements]
    assert "Trains are booked second class." in texts
    assert any(e.kind == "table" and "Kassel | 140" in e.text for e in parsed.elements)


def test_reading_them_calls_no_host_and_loads_no_torch(tmp_path: Path) -> None:
    file = tmp_path / "policy.rst"
    file.write_text(RST)
    script = f"""
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"network: {{event}} {{arguments}}")
sys.addaudithook(hook)
from ingest.parse.model import Job
from ingest.parse.read import read_document
assert read_document(Job({str(file)!r}, "policy.rst")).elements
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr

"""What a file is, is decided by its content; and what nobody can see is not its text."""

from pathlib import Path

import docx
import pytest
from compound import compound_file
from pdf_pages import write_lines, write_pdf

from ingest.parse.clean import lines, one_line, visible
from ingest.parse.formats import _BY_SUFFIX, Format, detect
from ingest.parse.model import Job, Parsed
from ingest.parse.read import read_document


def read(path: Path) -> Parsed:
    return read_document(Job(str(path), path.name))


def a_pdf(path: Path) -> None:
    write_pdf(path, lambda canvas: write_lines(canvas, "The limit is 185 pounds."))


def a_docx(path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("The limit is 185 pounds.")
    document.save(path)


def some_html(path: Path) -> None:
    path.write_text("<html><body><p>The limit is 185 pounds.</p></body></html>")


def a_mail(path: Path) -> None:
    path.write_text(
        "Message-ID: <1@example.org>\nFrom: a@example.org\nTo: b@example.org\nSubject: Limit\n\n"
        "The limit is 185 pounds.\n"
    )


@pytest.mark.parametrize(
    ("write", "name", "found"),
    [
        (a_pdf, "a.txt", Format.PDF),
        (a_pdf, "a", Format.PDF),
        (a_docx, "a.pdf", Format.DOCX),
        (a_docx, "a.xlsx", Format.DOCX),
        (some_html, "a.doc", Format.HTML),
        (some_html, "a.xls", Format.HTML),
        (a_mail, "a.txt", Format.EML),
    ],
)
def test_wrong_suffix_is_read_as_what_it_is_and_says_so(tmp_path, write, name, found):
    path = tmp_path / name
    write(path)
    parsed = read(path)
    assert "The limit is 185 pounds." in parsed.elements[-1].text
    named = f"the file is named {path.suffix} but its content is {found}; it was read as {found}"
    assert parsed.warnings == ([named] if path.suffix else [])


def test_formats_of_ole_files_are_told_apart_by_their_streams(tmp_path):
    for stream, found in (
        ("WordDocument", Format.DOC),
        ("PowerPoint Document", Format.PPT),
        ("Workbook", Format.XLS),
        ("__properties_version1.0", Format.MSG),
    ):
        path = tmp_path / "a.bin"
        path.write_bytes(compound_file({stream: b"\0" * 64}))
        assert detect(path, path.name) is found


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.doc", r"{\rtf1\ansi plain words\par}", Format.RTF),
        ("a.md", "plain words", Format.MD),
        ("notes", "plain words", Format.TXT),
        ("a.rst", "plain words", Format.RST),
        ("a.csv", "a,b\n1,2\n", Format.CSV),
        ("a.log", '{"a": [1, 2]}', Format.JSON),
        ("a.txt", "<?xml version='1.0'?><a/>", Format.XML),
        ("a.txt", "From the beginning: a story.\n\nIt was dark.", Format.TXT),
    ],
)
def test_suffix_settles_what_content_cannot(tmp_path, name, content, found):
    path = tmp_path / name
    path.write_text(content)
    assert detect(path, name) is found


def test_every_format_has_a_suffix():
    assert {".pdf", ".docx", ".doc", ".pptx", ".ppt", ".xlsx", ".xls", ".csv", ".tsv", ".html"} | {
        *(".md", ".rst", ".txt", ".rtf", ".odt", ".epub", ".eml", ".msg", ".xml", ".json", ".png")
    } <= _BY_SUFFIX.keys()


HIDDEN = (
    "\u200b",  # zero width space
    "\u00ad",  # soft hyphen
    "\u202e",  # right-to-left override
    "\u2066",  # isolate
    "\ufeff",  # byte order mark
    "\ufe0f",  # variation selector
    "\U000e0041",  # tag letter
    "\x00",
)


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda c: f"U+{ord(c):04X}")
def test_invisible_characters_are_stripped(hidden):
    assert one_line(f"obey{hidden} me") == "obey me"


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv", "a.json"])
def test_no_format_lets_invisible_characters_through(tmp_path, name):
    tags = "".join(chr(0xE0000 + ord(c)) for c in "obey")
    text = f"The limit\u200b{tags} is\u202e 185 pounds and no more than that."
    content = {
        "a.html": f"<p>{text}</p>",
        "a.csv": f"rule,from\n{text},May\n",
        "a.json": f'{{"rule": "{text}"}}',
    }
    (tmp_path / name).write_text(content.get(name, text), encoding="utf-8")
    joined = " ".join(e.text for e in read(tmp_path / name).elements)
    assert "The limit is 185 pounds and no more than that." in joined


def test_joiners_stay_where_a_script_needs_them():
    persian, devanagari = "می\u200cخواهم", "क्\u200dष"
    assert one_line(persian) == persian
    assert one_line(devanagari) == devanagari
    assert one_line("a\u200db") == "ab"


def test_line_ends_and_composed_letters_have_one_form():
    assert visible("a\r\nb\rc\u2028d") == "a\nb\nc\nd"
    assert visible("Ko\u0308ln") == "Köln"
    assert lines("  a   b \n\n\t\n c ") == "a b\nc"

"""Files that are broken, hostile or not for us: each gives a reason and what to do, and no harm."""

import os
import stat
import zipfile
from pathlib import Path

import docx
import pytest
from compound import compound_file

from ingest.parse import archives
from ingest.parse.model import Job
from ingest.parse.read import read_document
from rag.errors import ParseError


def failure(path: Path) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read_document(Job(str(path), path.name))
    assert caught.value.hint
    return caught.value


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def zipped(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("a.docx", "word/document.xml"),
        ("a.xlsx", "xl/workbook.xml"),
        ("a.pptx", "ppt/presentation.xml"),
        ("a.epub", "META-INF/container.xml"),
    ],
)
def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, name, member):
    bomb = zipped(tmp_path, name, {member: b"<x/>", "big.bin": b"0" * 40_000_000})
    error = failure(bomb)
    assert error.code == "bomb"
    assert "times its size" in error.message


def test_zip_that_unpacks_to_more_than_a_gigabyte_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 10_000)
    error = failure(zipped(tmp_path, "a.docx", {"word/document.xml": os.urandom(20_000)}))
    assert error.code == "bomb"


@pytest.mark.parametrize("member", ["../../etc/passwd", "/etc/passwd", "..\\x", "C:\\x"])
def test_zip_whose_members_lead_outside_is_refused(tmp_path, member):
    error = failure(zipped(tmp_path, "a.docx", {"word/document.xml": b"<x/>", member: b"x"}))
    assert (error.code, "outside" in error.message) == ("bomb", True)


def test_zip_that_holds_a_link_is_refused(tmp_path):
    path = zipped(tmp_path, "a.docx", {"word/document.xml": b"<x/>"})
    link = zipfile.ZipInfo("word/media/image1.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    error = failure(path)
    assert (error.code, "link" in error.message) == ("bomb", True)


def test_zip_with_a_crowd_of_members_is_refused(tmp_path):
    members = {f"m{i}": b"" for i in range(archives.MAX_MEMBERS)}
    error = failure(zipped(tmp_path, "a.docx", {"word/document.xml": b"<x/>"} | members))
    assert error.code == "bomb"


def test_encrypted_zip_members_are_named_as_such(tmp_path):
    path = zipped(tmp_path, "a.docx", {"word/document.xml": b"<x/>"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    error = failure(written(tmp_path, "b.docx", bytes(data)))
    assert error.code == "encrypted"


def test_office_file_that_declares_entities_is_refused(tmp_path):
    content = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    error = failure(zipped(tmp_path, "a.docx", {"word/document.xml": content}))
    assert (error.code, "entities" in error.message) == ("bomb", True)


def test_xml_entities_are_neither_expanded_nor_fetched(tmp_path):
    secret = written(tmp_path, "secret.txt", b"the secret")
    content = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}"><!ENTITY y "why">]>' + (
        "<a><t>hello &x; and &y;</t></a>"
    )
    path = written(tmp_path, "a.xml", content.encode())
    parsed = read_document(Job(str(path), path.name))
    assert "secret" not in parsed.elements[0].text
    assert "why" not in parsed.elements[0].text
    assert "not expanded" in parsed.warnings[0]


def test_billion_laughs_are_refused(tmp_path):
    laughs = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    content = f'<!DOCTYPE l [<!ENTITY a0 "lol">{laughs}]><l><t>&a9;</t></l>'
    error = failure(written(tmp_path, "a.xml", content.encode()))
    assert error.code == "bomb"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b"<div>" * 100_000 + b"x"),
        ("a.json", b"[" * 100_000),
        ("b.json", b"[" * 500 + b"1" + b"]" * 500),
        ("a.xml", b"<a>" * 50_000 + b"x" + b"</a>" * 50_000),
    ],
)
def test_contents_nested_without_end_are_refused(tmp_path, name, content):
    assert failure(written(tmp_path, name, content)).code == "too_deep"


@pytest.mark.parametrize("content", [b"x" * 9_000_000, b'a,b\n"' + b"x\n" * 900_000])
def test_table_of_one_enormous_line_or_field_is_refused(tmp_path, content):
    error = failure(written(tmp_path, "a.csv", content))
    assert error.code == "too_large"


def test_cells_that_span_a_hundred_thousand_columns_do_not_explode(tmp_path):
    content = b"<table>" + b"<tr><td colspan=100000 rowspan=100000>a<td>b" * 200
    path = written(tmp_path, "a.html", content)
    parsed = read_document(Job(str(path), path.name))
    assert sum(len(element.text) for element in parsed.elements) < 1_000_000


def test_empty_file_is_named_as_empty(tmp_path):
    assert failure(written(tmp_path, "a.pdf", b"")).code == "empty"


def test_file_of_white_space_is_named_as_empty(tmp_path):
    blank = failure(written(tmp_path, "a.txt", b" \n\n \t"))
    assert blank.code == "empty" and "PDF" not in blank.hint


def test_folder_given_as_a_file_is_refused(tmp_path):
    error = failure(tmp_path)
    assert (error.code, "folder" in error.message) == ("unreadable", True)


def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert failure(tmp_path / "a.txt").code == "unreadable"


def test_missing_file_can_be_tried_again(tmp_path):
    error = failure(tmp_path / "gone.txt")
    assert (error.code, error.retry) == ("unreadable", True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_named_so(tmp_path):
    path = written(tmp_path, "a.txt", b"secret")
    path.chmod(0)
    assert failure(path).code == "unreadable"


def test_truncated_office_file_is_damaged(tmp_path):
    document = docx.Document()
    document.add_paragraph("Some text")
    document.save(str(tmp_path / "whole.docx"))
    whole = (tmp_path / "whole.docx").read_bytes()
    error = failure(written(tmp_path, "cut.docx", whole[: len(whole) // 2]))
    assert (error.code, error.retry) == ("damaged", False)


def test_truncated_ole_file_is_damaged(tmp_path):
    whole = compound_file({"WordDocument": b"\0" * 9000})
    assert failure(written(tmp_path, "cut.doc", whole[:700])).code == "damaged"


def test_password_protected_office_files_are_named_as_such(tmp_path):
    new = compound_file({"EncryptedPackage": b"x" * 100, "EncryptionInfo": b"y" * 100})
    assert failure(written(tmp_path, "a.xlsx", new)).code == "encrypted"
    old = compound_file({"WordDocument": b"\xec\xa5" + b"\0" * 9 + b"\x01" + b"\0" * 100})
    assert failure(written(tmp_path, "a.doc", old)).code == "encrypted"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.txt", bytes(range(256)) * 40, "binary data"),
        ("a.docx", bytes(range(256)) * 40, "binary data"),
        ("a.txt", b"\x7fELF" + b"\0" * 100, "a Linux program"),
        ("a.heic", b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, "archive"),
        ("a.mp3", b"ID3\x04" + b"\0" * 40, "sound"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_can(tmp_path, name, content, what):
    error = failure(written(tmp_path, name, content))
    assert error.code == "unsupported"
    assert what in error.message
    assert "Supported: PDF, DOCX" in error.hint


def test_zip_archive_is_to_be_unpacked(tmp_path):
    error = failure(zipped(tmp_path, "a.zip", {"a.txt": b"x"}))
    assert (error.code, "Unpack" in error.hint) == ("unsupported", True)

"""Mails: header blocks, bodies, attachments, and all that can be wrong with them."""

import struct
from email.message import EmailMessage
from pathlib import Path

import pytest
from compound import compound_file

from ingest.parse.model import Job, Parsed
from ingest.parse.read import read_document
from rag.errors import ParseError


def read_mail(folder: Path, content: bytes, name: str = "mail.eml") -> Parsed:
    path = folder / name
    path.write_bytes(content)
    return read_document(Job(str(path), name))


def a_mail(**headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Anna Example <anna@example.org>"
    mail["To"] = "Bert <bert@example.org>"
    mail["Subject"] = "Budget für Mai"
    mail["Date"] = "Tue, 04 Mar 2025 09:30:00 +0100"
    for name, value in headers.items():
        mail[name] = value
    return mail


def texts(parsed: Parsed) -> list[str]:
    return [element.text for element in parsed.elements]


def test_header_block_opens_the_text_and_is_metadata(tmp_path):
    mail = a_mail(Cc="Carla <carla@example.org>")
    mail.set_content("The budget is 4,000 euros.\n\nRegards\nAnna\n")
    parsed = read_mail(tmp_path, mail.as_bytes())
    assert parsed.title == "Budget für Mai"
    assert parsed.elements[0].kind == "title"
    assert texts(parsed)[1].split("\n") == [
        "From: Anna Example <anna@example.org>",
        "To: Bert <bert@example.org>",
        "Cc: Carla <carla@example.org>",
        "Date: Tue, 04 Mar 2025 09:30:00 +0100",
        "Subject: Budget für Mai",
    ]
    assert texts(parsed)[2:] == ["The budget is 4,000 euros.", "Regards\nAnna"]
    assert parsed.metadata["date"] == "2025-03-04T09:30:00+01:00"
    assert parsed.metadata["from"] == "Anna Example <anna@example.org>"


def test_html_body_gives_structure_where_it_says_as_much(tmp_path):
    mail = a_mail()
    mail.set_content("See the table.")
    mail.add_alternative(
        "<p>See the table.</p><table><tr><th>Item</th><th>EUR</th></tr>"
        "<tr><td>Desk</td><td>300</td></tr></table>",
        subtype="html",
    )
    parsed = read_mail(tmp_path, mail.as_bytes())
    table = parsed.elements[-1]
    assert (table.kind, table.text, table.header_rows) == ("table", "Item | EUR\nDesk | 300", 1)


def test_plain_body_is_taken_where_the_html_one_is_a_stub(tmp_path):
    mail = a_mail()
    mail.set_content("All the details of the agreement are in this plain text part.")
    mail.add_alternative("<p>See plain part</p>", subtype="html")
    parsed = read_mail(tmp_path, mail.as_bytes())
    assert "All the details" in texts(parsed)[-1]


def test_attachments_are_returned_named_and_listed(tmp_path):
    mail = a_mail()
    mail.set_content("Please find attached.")
    mail.add_attachment(b"a;b\n1;2\n", maintype="text", subtype="csv", filename="Zahlen März.csv")
    mail.add_attachment(b"%PDF-x", maintype="application", subtype="pdf", filename="../../x.pdf")
    inner = a_mail()
    inner.set_content("inner text")
    mail.add_attachment(inner)
    parsed = read_mail(tmp_path, mail.as_bytes())
    assert [a.name for a in parsed.attachments] == [
        "Zahlen März.csv",
        "x.pdf",
        "Budget für Mai.eml",
    ]
    assert parsed.attachments[0].data == b"a;b\n1;2\n"
    assert "Attachments: Zahlen März.csv, x.pdf, Budget für Mai.eml" in texts(parsed)[1]
    again = read_mail(tmp_path, parsed.attachments[2].data, "inner.eml")
    assert "inner text" in texts(again)


def test_pictures_of_a_signature_are_no_attachments(tmp_path):
    mail = a_mail()
    mail.set_content("<p>Hello</p><img src='cid:logo'>", subtype="html")
    logo = {"cid": "<logo>", "filename": "logo.png", "disposition": "inline"}
    mail.add_related(b"\x89PNG" + b"0" * 999, "image", "png", **logo)
    assert read_mail(tmp_path, mail.as_bytes()).attachments == []


def test_quoted_text_is_kept_and_marked_once_a_paragraph(tmp_path):
    mail = a_mail()
    first = "The delivery that you asked about on Monday will leave our warehouse"
    mail.set_content(
        f"Agreed.\n\n> {first}\n> on Friday morning at the latest, weather permitting.\n"
    )
    parsed = read_mail(tmp_path, mail.as_bytes())
    quoted = f"> {first} on Friday morning at the latest, weather permitting."
    assert texts(parsed)[-2:] == ["Agreed.", quoted]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Subject: odd\nDate: tomorrow\n\nbody", "body"),
        (b"From: a@b\nContent-Type: text/plain; charset=klingon\n\nGr\xc3\xbc\xc3\x9fe", "Grüße"),
        (
            b"From: a@b\nContent-Type: text/plain; charset=utf-8\n\nGr\xfc\xdfe aus Wien",
            "Grüße aus Wien",
        ),
        (b"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\nno parts at all", "From: a@b"),
        (b"From: a@b\nContent-Transfer-Encoding: base64\n\n!!not base64!!\n", "From: a@b"),
        (b"no headers here, only a line\n\nand another", "and another"),
        (b"Subject: =?klingon?Q?abc?=\nFrom: a@b\n\nbody", "body"),
        (b"From: a@b\nSubject: caf\xe9\n\nbody", "Subject: café"),
        (b"\n\nonly a body", "only a body"),
    ],
)
def test_odd_mails_are_read_all_the_same(tmp_path, content, expected):
    parsed = read_mail(tmp_path, content)
    assert expected in "\n".join(texts(parsed))


def test_bad_date_stays_as_it_stands(tmp_path):
    parsed = read_mail(tmp_path, b"From: a@b\nDate: Pn, 29 paX 2007\n\nhello")
    assert parsed.metadata["date"] == "Pn, 29 paX 2007"


def test_encrypted_mail_is_refused_with_its_reason(tmp_path):
    content = b"From: a@b\nContent-Type: multipart/encrypted; boundary=x\n\n--x\n\nabc\n--x--\n"
    with pytest.raises(ParseError, match="encrypted") as caught:
        read_mail(tmp_path, content)
    assert caught.value.code == "encrypted"
    assert "Decrypt" in caught.value.hint


def test_too_many_attachments_are_left_out_with_a_warning(tmp_path):
    part = "--x\nContent-Disposition: attachment; filename=a.txt\n\nhello\n"
    content = f"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n{part * 300}--x--\n"
    parsed = read_mail(tmp_path, content.encode())
    assert len(parsed.attachments) == 200
    assert "was left out" in parsed.warnings[0]


def an_outlook_message(**extra: bytes | dict) -> bytes:
    """A minimal MSG: string properties are streams, the table of fixed ones lists them."""
    strings = {
        "0037001F": "Quarterly numbers",
        "1000001F": "The numbers are attached.\r\n\r\nAnna",
        "0C1A001F": "Anna Example",
        "0C1F001F": "anna@example.org",
        "001A001F": "IPM.Note",
    }
    tree: dict = {f"__substg1.0_{k}": v.encode("utf-16-le") for k, v in strings.items()}
    rows = [struct.pack("<II8x", int(k, 16), 6) for k in strings]
    tree["__properties_version1.0"] = struct.pack("<8x4I8x", 0, 1, 0, 1) + b"".join(rows)
    data = b"a,b\n1,2\n"
    tree["__attach_version1.0_#00000000"] = {
        "__substg1.0_3707001F": "numbers.csv".encode("utf-16-le"),
        "__substg1.0_37010102": data,
        "__properties_version1.0": struct.pack("<8xIIII", 0x37050003, 6, 1, 0)
        + struct.pack("<IIII", 0x3707001F, 6, 24, 0)
        + struct.pack("<IIII", 0x37010102, 6, len(data), 0),
    }
    return compound_file(tree | extra)


def test_outlook_message_is_read_like_a_mail(tmp_path):
    parsed = read_mail(tmp_path, an_outlook_message(), "saved.msg")
    assert parsed.title == "Quarterly numbers"
    assert parsed.media_type == "application/vnd.ms-outlook"
    assert 'From: "Anna Example" <anna@example.org>' in texts(parsed)[1]
    assert texts(parsed)[2:] == ["The numbers are attached.", "Anna"]
    assert [(a.name, a.data) for a in parsed.attachments] == [("numbers.csv", b"a,b\n1,2\n")]

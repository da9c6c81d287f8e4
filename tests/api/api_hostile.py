"""A folder that somebody has filled in order to do harm, and a port that notices who calls."""

import io
import pickle
import socket
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docx
import numpy as np
import openpyxl
from docx.opc.constants import RELATIONSHIP_TYPE
from pptx import Presentation
from pptx.oxml import parse_xml
from reportlab.pdfgen.canvas import Canvas

FOUND = "gooseberry crumble"  # what a question about these files is about
SAYS = f"On Thursdays the canteen of the northern building serves {FOUND} with custard."
SECRET = "the-canary-of-another-folder"
NAMES = "http://schemas.openxmlformats.org"
PICTURE = f"""<p:pic xmlns:p="{NAMES}/presentationml/2006/main"
 xmlns:a="{NAMES}/drawingml/2006/main" xmlns:r="{NAMES}/officeDocument/2006/relationships">
<p:nvPicPr><p:cNvPr id="9" name="p"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr>
<p:blipFill><a:blip r:link="{{}}"/></p:blipFill><p:spPr/></p:pic>"""


class Listener:
    """A port of this machine that counts who calls it."""

    def __init__(self, server: socket.socket) -> None:
        self.port: int = server.getsockname()[1]
        self.calls: list[bytes] = []
        self._server = server

    def serve(self) -> None:
        """Until the port is closed."""
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                self.calls.append(connection.recv(1000))


@contextmanager
def listening() -> Iterator[Listener]:
    """A port that nobody should ever call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server)
        thread = threading.Thread(target=listener.serve, daemon=True)
        thread.start()
        yield listener
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def fill(folder: Path, port: int) -> None:
    """Files of every kind that name an address in every way that their format has."""
    url = f"http://127.0.0.1:{port}"
    secret = folder.parent / "secret.txt"
    secret.write_text(SECRET)
    texts = {
        "pictures.md": f"# [Menu](javascript:alert(1)) ![m]({url}/title.png)\n\n{SAYS} ![pic]({url}"
        f"/md.png) ![ref][1] <img src='{url}/tag.png'> [menu](javascript:alert(2)).\n\n"
        f"[1]: {url}/reference.png\n",
        '<img src=x onerror="alert(3)">.md': f"# Canteen\n\n{SAYS} <{url}/auto> www.evil.example\n",
        "page.html": f"<html><head><title>&lt;script&gt;alert(4)&lt;/script&gt;</title><base "
        f"href='{url}/'><link rel=stylesheet href='{url}/a.css'><script src='{url}/a.js'></script>"
        f"<meta http-equiv=refresh content='0;url={url}/go'></head><body><p>{SAYS}</p><img src='"
        f"{url}/page.png' srcset='{url}/2.png 2x'><iframe src='{url}/frame'></iframe><object data="
        f"'{url}/object'></object><a href='javascript:alert(5)'>{FOUND}</a><svg><image href='{url}"
        f"/svg.png'/><script>alert(6)</script></svg><p>&lt;img src={url}/entity.png&gt; {SAYS}</p>",
        "drawing.svg": f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{url}/drawing.png'/>"
        f"<text>{SAYS}</text><script>alert(7)</script></svg>",
        "feed.xml": f"<!DOCTYPE a SYSTEM '{url}/feed.dtd' [<!ENTITY x SYSTEM '{secret.as_uri()}'>"
        f"<!ENTITY % y SYSTEM '{url}/y.dtd'> %y;]><a><t>{SAYS} &x;</t></a>",
        "notes.rst": f"Canteen\n=======\n\n{SAYS}\n\n.. image:: {url}/rst.png\n\n.. raw:: html\n"
        f"   :url: {url}/raw\n\nEnd.\n",
        "include.rst": f"Canteen\n=======\n\n{SAYS}\n\n.. include:: {secret}\n",
        "table.rst": f"Canteen\n=======\n\n{SAYS}\n\n.. csv-table::\n   :file: {secret}\n",
        "letter.rtf": "{\\rtf1 "
        + SAYS
        + '{\\field{\\*\\fldinst INCLUDEPICTURE "'
        + url
        + '/rtf"}}}',
        "mail.eml": f"From: a@b.example\nTo: c@d.example\nSubject: <script>alert(8)</script> menu\n"
        f"MIME-Version: 1.0\nContent-Type: text/html\n\n<p>{SAYS}</p><img src='{url}/mail.png'>"
        f"<link rel=stylesheet href='{url}/mail.css'>\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    _word(folder / "letter.docx", url)
    _slides(folder / "slides.pptx", url)
    _sheet(folder / "sheet.xlsx", url)
    _book(folder / "book.epub", url)
    _pdf(folder / "plan.pdf", url)


def _word(path: Path, url: str) -> None:
    document = docx.Document()
    document.add_paragraph(SAYS)
    for kind in (RELATIONSHIP_TYPE.IMAGE, RELATIONSHIP_TYPE.OLE_OBJECT):
        document.part.relate_to(f"{url}/word", kind, is_external=True)
    document.save(str(path))


def _slides(path: Path, url: str) -> None:
    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text = SAYS
    link = slide.part.relate_to(f"{url}/slide.png", RELATIONSHIP_TYPE.IMAGE, is_external=True)
    slide.shapes._spTree.append(parse_xml(PICTURE.format(link)))
    slides.save(str(path))


def _sheet(path: Path, url: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(["day", "dish"])
    book.active.append(["Thursday", FOUND])
    book.active.append(["Friday", f'=WEBSERVICE("{url}/sheet")'])
    book.active["B2"].hyperlink = f"{url}/cell"
    book.save(path)


def _book(path: Path, url: str) -> None:
    page = f"<html xmlns='http://www.w3.org/1999/xhtml'><body><p>{SAYS}</p><img src='{url}/epub'/>"
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": "<container version='1.0' xmlns='urn:oasis:names:tc:opendocument:"
        "xmlns:container'><rootfiles><rootfile full-path='b.opf' media-type='application/oebps-"
        "package+xml'/></rootfiles></container>",
        "b.opf": "<package xmlns='http://www.idpf.org/2007/opf' version='2.0'><metadata xmlns:dc="
        "'http://purl.org/dc/elements/1.1/'><dc:title>Menu</dc:title></metadata><manifest><item "
        "id='p' href='p.xhtml' media-type='application/xhtml+xml'/></manifest><spine><itemref "
        "idref='p'/></spine></package>",
        "p.xhtml": f"{page}</body></html>",
    }
    path.write_bytes(zipped(members))


def _pdf(path: Path, url: str) -> None:
    canvas = Canvas(str(path))
    canvas.drawString(50, 700, SAYS)
    canvas.linkURL(f"{url}/pdf", (50, 690, 500, 720))
    canvas.save()


class Trap:
    """What makes a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._file,)


def pickled(file: Path) -> dict[str, bytes]:
    """Files that make another one where somebody unpickles them, by name."""
    array = io.BytesIO()
    np.save(array, np.array([Trap(file)], object), allow_pickle=True)
    plain = {f"trap.{suffix}": pickle.dumps(Trap(file)) for suffix in ("pkl", "pt", "bin", "model")}
    return plain | {"trap.txt": pickle.dumps(Trap(file), protocol=0), "trap.npy": array.getvalue()}


# Archives that lead outside, never end, or are locked


def zipped(members: dict[str, str], *, compressed: bool = False) -> bytes:
    """A ZIP of these members."""
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def archives(secret: Path) -> dict[str, bytes]:
    """Office files and books that are traps, by name."""
    word, sheet = {"word/document.xml": "<x/>"}, {"xl/workbook.xml": "<x/>"}
    book = {"META-INF/container.xml": "<x/>"}
    locked = bytearray(zipped(word))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    return {
        "up.docx": zipped(word | {"../../../slipped": "slipped"}),
        "absolute.xlsx": zipped(sheet | {str(secret.with_name("slipped")): "slipped"}),
        "windows.docx": zipped(word | {"..\\..\\slipped": "slipped"}),
        "drive.epub": zipped(book | {"C:\\slipped": "slipped"}),
        "link.docx": _with_link(word, secret),
        "link.epub": _with_link(book, secret),
        "locked.docx": bytes(locked),
        "bomb.docx": zipped(word | {"word/big.bin": "0" * 40_000_000}, compressed=True),
        "crowd.docx": zipped(word | {f"m{n}": "" for n in range(20_001)}),
        "laughs.docx": zipped({"word/document.xml": '<!DOCTYPE a [<!ENTITY x "ha">]><a>&x;</a>'}),
    }


def _with_link(members: dict[str, str], target: Path) -> bytes:
    file = io.BytesIO(zipped(members))
    with zipfile.ZipFile(file, "a") as archive:
        link = zipfile.ZipInfo("word/media.xml")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(target))
    return file.getvalue()


def nested_mail(depth: int) -> str:
    """A mail in a mail in a mail…"""
    inner = "Subject: in\n\nEnd.\n"
    for n in range(depth):
        head = f"Subject: {n}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b{n}\n\n"
        part = f"--b{n}\nContent-Type: message/rfc822\nContent-Disposition: attachment; filename="
        inner = f"{head}{part}{n}.eml\n\n{inner}\n--b{n}--\n"
    return inner

"""A small company's documents, made by hand: PDF, scan, mail, hostile HTML, damaged file."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from rag.api.bodies import examples
from rag.search.embed import Embedder
from rag.store import Store
from rag.types import Chunk, NewDocument, Page, SourceFile

WIDTH, HEIGHT, FONT, SIZE = 400.0, 300.0, "Helvetica", 10.0
PDF_PAGES = (
    ("Annual leave", "Every employee receives 28 days of paid annual leave per calendar year."),
    ("Parental leave", "Parents may take up to 36 months of parental leave for each child."),
)
LEAVE = PDF_PAGES[0][1]
NOTES = (
    "Office rules\n\nThe office in Lisbon opens at eight in the morning.\n\n"
    "Visitors must wear a badge at all times."
)
HOSTILE = "<script>document.title = 'taken over'</script><p>Invoices are paid within 30 days.</p>"
FAILED = "/srv/documents/locked.pdf"


def fill(store: Store, embedder: Embedder) -> dict[str, int]:
    """Commit all documents; returns their ids by short name."""
    pdf, text, pages = leave_pdf()
    ids = {}
    ids["pdf"] = _commit(store, embedder, "hr", "handbook.pdf", "application/pdf", pdf, text, pages)
    ids["text"] = _commit(store, embedder, "hr", "notes.md", "text/markdown", NOTES.encode(), NOTES)
    png, text, pages = scan()
    ids["scan"] = _commit(store, embedder, "hr", "scan.png", "image/png", png, text, pages)
    page = [Page(1, WIDTH, HEIGHT, 0, 20)]
    damaged = b"%PDF-1.7 damaged"
    ids["damaged"] = _commit(
        store,
        embedder,
        "hr",
        "damaged.pdf",
        "application/pdf",
        damaged,
        "A damaged document.",
        page,
    )
    html = "Invoices are paid within 30 days."
    name = 'pay "now"\r\n\u202eX.html'
    ids["html"] = _commit(store, embedder, "finance", name, "text/html", HOSTILE.encode(), html)
    ids["mail"], ids["attached"] = _commit_mail(store, embedder)
    failed = SourceFile(
        FAILED, 10, 1, "", "f", "failed", "the PDF is encrypted", "Save it without a password."
    )
    store.record_failure("hr", failed)
    return ids


def kept_answer(pdf: int, request_id: str) -> dict[str, Any]:
    """What the handbook answers, as `rag.wire` writes it."""
    citation = examples.CITATION | {
        "document_id": pdf,
        "cited_text": LEAVE,
        "answer_end": len(LEAVE),
    }
    changes = {"answer": LEAVE, "citations": [citation], "request_id": request_id}
    return examples.ANSWER | changes


def leave_pdf() -> tuple[bytes, str, list[Page]]:
    """A PDF of two pages, its text, and the place of every word."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(WIDTH, HEIGHT))
    text, pages = "", []
    for number, lines in enumerate(PDF_PAGES, 1):
        start, words = len(text), []
        canvas.setFont(FONT, SIZE)
        for row, line in enumerate(lines):
            top = 40.0 + 30.0 * row
            canvas.drawString(20, HEIGHT - top - SIZE, line)
            words += _words(line, len(text), top)
            text += line + "\n\n"
        canvas.showPage()
        packed = np.array(words, dtype="<f4").tobytes()
        pages.append(Page(number, WIDTH, HEIGHT, start, len(text), packed))
    canvas.save()
    return file.getvalue(), text, pages


def scan() -> tuple[bytes, str, list[Page]]:
    """A picture of 800 x 600 pixels that stands for a page of 400 x 300 points."""
    text = "Received 2 March"
    image = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(image).text((40, 80), text, fill="black")
    file = io.BytesIO()
    image.save(file, "PNG")
    words = np.array(_words(text, 0, 40.0), dtype="<f4").tobytes()
    return file.getvalue(), text, [Page(1, WIDTH, HEIGHT, 0, len(text), words)]


def _words(line: str, offset: int, top: float) -> list[tuple[float, ...]]:
    words, at = [], 0
    for word in line.split(" "):
        x = 20 + stringWidth(line[:at], FONT, SIZE)
        end = x + stringWidth(word, FONT, SIZE)
        words.append((offset + at, offset + at + len(word), x, top, end, top + SIZE))
        at += len(word) + 1
    return words


def _commit(
    store: Store,
    embedder: Embedder,
    collection: str,
    name: str,
    media_type: str,
    content: bytes,
    text: str,
    pages: list[Page] | tuple[()] = (),
) -> int:
    document = _document(store, embedder, name, media_type, content, text, pages)
    source = SourceFile(document.source_uri, len(content), 1, document.content_sha256, "f")
    return store.commit_source(collection, source, [document], model_id=embedder.model_id)[0]


def _commit_mail(store: Store, embedder: Embedder) -> list[int]:
    body, attached = "Please find the price list attached.", "Bolts cost 3 euros each."
    mail = _document(store, embedder, "mail.eml", "message/rfc822", body.encode(), body)
    child = _document(
        store, embedder, "mail.eml!/prices.csv", "text/csv", attached.encode(), attached,
        parent_uri=mail.source_uri,
    )  # fmt: skip
    source = SourceFile(mail.source_uri, len(body), 1, mail.content_sha256, "f")
    return store.commit_source("finance", source, [mail, child], model_id=embedder.model_id)


def _document(
    store: Store,
    embedder: Embedder,
    name: str,
    media_type: str,
    content: bytes,
    text: str,
    pages: list[Page] | tuple[()] = (),
    parent_uri: str | None = None,
) -> NewDocument:
    numbers = {"page_start": 1, "page_end": len(pages)} if pages else {}
    chunk = Chunk(0, 0, len(text), text, n_tokens=10, **numbers)
    return NewDocument(
        source_uri=f"/srv/documents/{name}",
        title=Path(name).stem.title(),
        media_type=media_type,
        language="en",
        text=text,
        chunks=[chunk],
        vectors=embedder.encode([text]),
        pages=pages,
        metadata={"author": "People Team"},
        content_sha256=store.originals.put(content),
        size_bytes=len(content),
        parent_uri=parent_uri,
    )

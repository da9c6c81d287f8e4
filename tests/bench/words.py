"""Texts for made-up files: sentences of real documents, drawn at random, never the same twice."""

import random
from collections.abc import Sequence
from pathlib import Path

import pypdfium2
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.utils import simpleSplit  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from rag.text import sentence_spans

MARGIN, LEADING = 56, 13
FONT, FONT_SIZE = "Helvetica", 10


def real_sentences(folder: Path, most: int = 4000) -> list[str]:
    """Sentences of the PDFs in a folder, in Latin-1, which the standard fonts have."""
    sentences: dict[str, None] = {}
    for file in sorted(folder.glob("*.pdf")):
        with pypdfium2.PdfDocument(file) as pdf:
            for page in pdf:
                text = " ".join(page.get_textpage().get_text_range().split())
                text = text.encode("latin-1", "ignore").decode("latin-1")
                pieces = (text[start:end] for start, end in sentence_spans(text))
                sentences.update(dict.fromkeys(p for p in pieces if 30 < len(p) < 300))
        if len(sentences) > most:
            break
    return list(sentences)[:most]


def paragraphs(sentences: Sequence[str], chance: random.Random, n: int) -> list[str]:
    """`n` paragraphs of five sentences each, with a number of their own."""
    return [
        " ".join([f"Item {chance.randrange(10**6)}.", *chance.sample(sentences, 5)])
        for _ in range(n)
    ]


def write_pdf(file: Path, texts: Sequence[str]) -> None:
    """Paragraphs on as many pages as they need."""
    width, height = A4
    canvas = Canvas(str(file), pagesize=A4)
    canvas.setFont(FONT, FONT_SIZE)
    y = height - MARGIN
    for text in texts:
        for line in [*simpleSplit(text, FONT, FONT_SIZE, width - 2 * MARGIN), ""]:
            if y < MARGIN:
                canvas.showPage()
                canvas.setFont(FONT, FONT_SIZE)
                y = height - MARGIN
            canvas.drawString(MARGIN, y, line)
            y -= LEADING
    canvas.save()

"""The documents of an invented company, and how to ask about them."""

import asyncio
from pathlib import Path

import numpy as np
from library import put

from ingest.parse.model import Element, PageSize
from rag.answer.events import Event, Final
from rag.appliance import Appliance
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.store import Store
from rag.types import Access

DOCS = Access(frozenset({"docs"}))
ALL = Access(frozenset({"docs", "board"}))
WIDTH, HEIGHT = 595, 842

HANDBOOK = [
    Element("title", "Employee handbook", level=1),
    Element("heading", "Leave", level=2),
    Element(
        "paragraph",
        "Every employee has thirty days of paid annual leave. Leave that is not taken by the end"
        " of March of the following year is lost.",
    ),
    Element("heading", "Notice periods", level=2),
    Element(
        "paragraph",
        "After probation the notice period is three months to the end of a month. During"
        " probation it is two weeks.",
    ),
    Element("heading", "Laptops", level=2),
    Element(
        "paragraph", "A lost or stolen laptop must be reported to the help desk within four hours."
    ),
]
FEES = [
    Element("title", "Fee schedule 2026", level=1),
    Element("heading", "Laboratory fees", level=2),
    Element(
        "table",
        "Analysis | Price in euro | Turnaround\n"
        "Mercury in water | 184.50 | 5 days\n"
        "Nitrate in soil | 62.00 | 3 days\n"
        "Legionella in water | 241.75 | 12 days\n"
        "Asbestos in dust | 310.00 | 8 days",
        header_rows=1,
    ),
]
GERMAN = [
    Element("title", "Urlaubsrichtlinie", level=1),
    Element("heading", "Sonderurlaub", level=2),
    Element(
        "paragraph",
        "Bei einem Umzug gewährt die Firma zwei Tage Sonderurlaub. Der Antrag auf Sonderurlaub ist"
        " spätestens zwei Wochen vorher bei der Personalabteilung einzureichen.",
    ),
]
SPANISH = [
    Element("title", "Política de teletrabajo", level=1),
    Element("heading", "Días de teletrabajo", level=2),
    Element(
        "paragraph",
        "Las personas empleadas pueden teletrabajar hasta tres días por semana. La empresa abona"
        " cuarenta euros al mes por los gastos de conexión a internet.",
    ),
]
REPEATING = "Visitors must wear a red badge at all times inside the building."
SECRET = "The board's bonus for the year 2026 amounts to ninety thousand euro."


def settings_in(folder: Path, model_home: Path) -> Settings:
    """Settings for a data directory that has the converted model."""
    folder.mkdir()
    (folder / "models").symlink_to(model_home / "models")
    return Settings(data_dir=folder, embed_backend="openvino")


def fill(store: Store, embedder: Embedder) -> None:
    """Put all documents in."""
    put(store, embedder, "/hr/handbook.md", HANDBOOK)
    put(store, embedder, "/fees.xlsx", FEES)
    put(store, embedder, "/de/urlaub.docx", GERMAN)
    put(store, embedder, "/es/teletrabajo.docx", SPANISH)
    put(store, embedder, "/visitors.txt", f"{REPEATING}\n\nA host meets every visitor at the gate.")
    put(store, embedder, "/visitors-copy.txt", f"Reception rules.\n\n{REPEATING}")
    put(store, embedder, "/minutes.txt", SECRET, "board")
    pages = [PageSize(1, WIDTH, HEIGHT), PageSize(2, WIDTH, HEIGHT)]
    put(store, embedder, "/parking.pdf", _parking(), pages=pages)


def _parking() -> list[Element]:
    """A sentence that runs from the foot of one page to the head of the next."""
    before = "The car park behind the laboratory opens at six in the morning and"
    after = "charging an electric car there costs thirty cents per kilowatt hour."
    return [
        Element("paragraph", before, page=1, words=_words(before, 780)),
        Element("paragraph", after, page=2, words=_words(after, 60)),
    ]


def _words(text: str, y: float) -> bytes:
    """Boxes of words on lines of eight words."""
    boxes, at = [], 0
    for n, word in enumerate(text.split(" ")):
        x, top = 60 + 55 * (n % 8), y + 14 * (n // 8)
        boxes.append((at, at + len(word), x, top, x + 50, top + 12))
        at += len(word) + 1
    return np.array(boxes, "<f4").tobytes()


def events_of(appliance: Appliance, question: str, access: Access = DOCS) -> list[Event]:
    """All events of an answer."""

    async def listen() -> list[Event]:
        return [event async for event in appliance.answer(question, access, request_id="r1")]

    return asyncio.run(listen())


def ask(appliance: Appliance, question: str, access: Access = DOCS) -> Final:
    """The whole answer."""
    final = events_of(appliance, question, access)[-1]
    assert isinstance(final, Final)
    return final

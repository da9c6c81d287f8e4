"""Small sets written by hand, in both layouts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

ENTRIES = (
    {"_id": "hotel", "title": "Travel policy", "text": "A hotel in London costs up to 180 pounds."},
    {"_id": "train", "title": "Travel policy", "text": "Second class is booked under four hours."},
    {"_id": "canteen", "text": "The canteen opens at half past eleven."},
    {"_id": "leave", "title": "Parental leave of twenty weeks", "text": ""},
)
ASKED = (
    {"_id": "q1", "text": "What may a hotel in London cost?"},
    {"_id": "q2", "text": "When does the canteen open?"},
    {"_id": "q3", "text": "How long is parental leave?"},
    {"_id": "q4", "text": "Who judged this one?"},
)
JUDGED = "query-id\tcorpus-id\tscore\nq1\thotel\t2\nq1\ttrain\t1\nq2\tcanteen\t1\nq3\tleave\t1\n"

HANDBOOK = (
    "Dogs are welcome in the office on Fridays. They stay on a lead.",
    "Overtime is paid out in March, at the rate of the month before.",
    "The archive keeps invoices for ten years and offers for two.",
)
NOTES = (
    "# Canteen\n\nThe canteen opens at **half past eleven**. It closes at [two](opening.html).\n\n"
    "# Parking\n\nVisitors park behind the house. The barrier opens with the code of the day.\n"
)


def write_lines(file: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def write_beir(folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_lines(folder / "corpus.jsonl", ENTRIES)
    write_lines(folder / "queries.jsonl", ASKED)
    (folder / "qrels.tsv").write_text(JUDGED, encoding="utf-8")
    return folder


def write_files(folder: Path) -> Path:
    """A PDF with three pages and a Markdown file, with gold pages, spans and documents."""
    docs = folder / "docs"
    docs.mkdir(parents=True)
    canvas = Canvas(str(docs / "handbook.pdf"))
    for text in HANDBOOK:
        canvas.drawString(72, 700, text)
        canvas.showPage()
    canvas.save()
    (docs / "notes.md").write_text(NOTES, encoding="utf-8")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\nthis is not a document")
    at = NOTES.index("Visitors")
    asked = (
        {
            "_id": "p1",
            "text": "When is overtime paid out?",
            "metadata": {"citations": [["handbook.pdf", 2]], "answer": "In March."},
        },
        {
            "_id": "p2",
            "text": "How long are invoices kept in the archive?",
            "metadata": {"citations": ["handbook.pdf#page=9"], "answerable": True},
        },
        {
            "_id": "s1",
            "text": "Where do visitors park?",
            "metadata": {"doc": "notes.md", "spans": [[at, at + 31]]},
        },
        {"_id": "d1", "text": "Are dogs welcome?", "metadata": {"cited": ["Handbook.PDF"]}},
        {"_id": "n1", "text": "Who feeds the fish?", "metadata": {"answerable": False}},
    )
    write_lines(folder / "queries.jsonl", asked)
    return folder

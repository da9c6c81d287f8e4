"""A folder of small files of many kinds that keeps changing, and what must have become of it.

Every document bears its file's number and version at its beginning and at its end, so that it can
be told from its text alone what it was made from, and whether all of it is there.
"""

import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

from reportlab.pdfgen.canvas import Canvas

COLOURS = ("Amber", "Black", "Copper", "Grey", "Ivory", "Olive", "Purple", "Silver", "White")
ANIMALS = ("Badger", "Falcon", "Heron", "Lynx", "Marten", "Otter", "Raven", "Stork", "Weasel")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PEOPLE = ("Keller", "Novak", "Ibarra", "Sund", "Moreau", "Haas", "Okafor")
ATTACHED = 1000  # added to a mail's number, this is its attachment's
MARKS = re.compile(r"\b(begin|end)-(\d+)-(\d+)\b")


class Mark(NamedTuple):
    """Which file a document was made from."""

    number: int
    version: int


def name_of(number: int) -> str:
    """What a file is about; no two share it."""
    return f"{COLOURS[number % 9]} {ANIMALS[number // 9 % 9]} {LETTERS[number // 81]}"


def sentences(mark: Mark) -> list[str]:
    number, version = mark
    person = PEOPLE[(number + version) % len(PEOPLE)]
    return [
        f"Record begin-{number}-{version} of the valve {name_of(number)}.",
        f"The valve {name_of(number)} closes at {20 + number + version} bar.",
        f"It was last inspected by {person} in week {1 + (7 * number + version) % 52}.",
        f"This is the end of the record, end-{number}-{version}.",
    ]


def text(mark: Mark) -> bytes:
    return "\n\n".join(sentences(mark)).encode()


def markdown(mark: Mark) -> bytes:
    first, *rest = sentences(mark)
    return "\n\n".join([f"# {name_of(mark.number)}", first, "## Findings", *rest]).encode()


def html(mark: Mark) -> bytes:
    body = "".join(f"<p>{sentence}</p>" for sentence in sentences(mark))
    return f"<html><body><h1>{name_of(mark.number)}</h1>{body}</body></html>".encode()


def csv(mark: Mark) -> bytes:
    rows = [f'{n},"{sentence}"' for n, sentence in enumerate(sentences(mark))]
    return "\n".join(["line,remark", *rows]).encode()


def mail(mark: Mark) -> bytes:
    message = EmailMessage()
    message["Subject"] = f"Inspection of the {name_of(mark.number)}"
    message["From"], message["To"] = "ada@example.com", "ben@example.com"
    message["Date"] = "Mon, 05 Feb 2024 10:00:00 +0000"
    message.set_content("\n\n".join(sentences(mark)))
    attached = text(Mark(mark.number + ATTACHED, mark.version))
    message.add_attachment(attached, maintype="text", subtype="plain", filename="record.txt")
    return message.as_bytes()


def pdf(mark: Mark) -> bytes:
    written = io.BytesIO()
    canvas = Canvas(written, invariant=1)
    for line, sentence in enumerate(sentences(mark)):
        canvas.drawString(60, 780 - 30 * line, sentence)
    canvas.save()
    return written.getvalue()


KINDS: tuple[tuple[str, Callable[[Mark], bytes]], ...] = (
    ("txt", text),
    ("md", markdown),
    ("html", html),
    ("csv", csv),
    ("eml", mail),
    ("pdf", pdf),
)


@dataclass(slots=True)
class Archive:
    """The folder. `files` says where each file is and which version it has reached."""

    folder: Path
    chance: random.Random
    files: dict[int, tuple[Path, int]] = field(default_factory=dict)
    n_made: int = 0

    def fill(self, n_files: int) -> None:
        """Write this many files and one that cannot be read."""
        for _ in range(n_files):
            self.add()
        (self.folder / "broken.pdf").write_bytes(b"%PDF-1.7\nthis is not a document")

    def disturb(self, n_times: int) -> None:
        """Change, move, add and remove files as they come."""
        for _ in range(n_times):
            act = self.chance.choice([self.change, self.change, self.change, self.move, self.swap])
            act()

    def add(self) -> None:
        number = self.n_made
        self.n_made += 1
        path = self.folder / f"part{number % 5}" / f"{number}.{KINDS[number % len(KINDS)][0]}"
        self._write(number, path, 1)

    def change(self) -> None:
        number = self._any()
        path, version = self.files[number]
        self._write(number, path, version + 1)

    def move(self) -> None:
        number = self._any()
        path, version = self.files[number]
        to = self.folder / f"moved{self.chance.randrange(10_000)}" / path.name
        to.parent.mkdir(exist_ok=True)
        path.rename(to)
        self.files[number] = to, version

    def swap(self) -> None:
        """One goes, another comes."""
        path, _ = self.files.pop(self._any())
        path.unlink()
        self.add()

    def at(self) -> dict[str, Mark]:
        """What lies where."""
        return {str(path): Mark(n, version) for n, (path, version) in self.files.items()}

    def _any(self) -> int:
        return self.chance.choice(sorted(self.files))

    def _write(self, number: int, path: Path, version: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(KINDS[number % len(KINDS)][1](Mark(number, version)))
        self.files[number] = path, version


def read_mark(stored: str) -> Mark:
    """The mark of a document, which must be all there."""
    begins = [Mark(int(n), int(v)) for kind, n, v in MARKS.findall(stored) if kind == "begin"]
    ends = [Mark(int(n), int(v)) for kind, n, v in MARKS.findall(stored) if kind == "end"]
    assert len(begins) == 1 and begins == ends, f"half a document: {stored!r}"
    return begins[0]

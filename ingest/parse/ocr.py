"""A picture of a page in, its words in paragraphs out, read by the `tesseract` program.

Runs the program once a picture, over pipes, on one thread: the pool already uses the cores. Knows
nothing of PDF.
"""

import csv
import functools
import io
import os
import shutil
import subprocess
from typing import NamedTuple

from PIL import Image

from rag.errors import ParseError

# Each language makes a page slower by about the time of the first, and with many of them similar
# letters get confused; a company with others names them in CITADEL_OCR_LANGUAGES.
AUTO_LANGUAGES = ("eng", "deu", "spa", "fra", "ita", "por", "hin", "tha")
MAX_AUTO_LANGUAGES = 3
INSTALL_HINT = "Install it with `apt-get install tesseract-ocr` and run the ingest again."

_PAGE_TIMEOUT_S = 60.0
_MIN_CONFIDENCE = 30.0  # per cent; below it tesseract's words are mostly specks and rules
_WORD_LEVEL = "5"


class OcrWord(NamedTuple):
    """A word with its box in pixels from the picture's top left."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


OcrLine = list[OcrWord]
OcrParagraph = list[OcrLine]


@functools.cache
def installed_languages() -> tuple[str, ...]:
    """Languages that tesseract has data for; empty where the program is missing."""
    program = shutil.which("tesseract")
    if program is None:
        return ()
    listed = subprocess.run(
        [program, "--list-langs"], capture_output=True, text=True, timeout=30, check=False
    )
    return tuple(line.strip() for line in listed.stdout.splitlines()[1:] if line.strip())


def choose_languages(wanted: str, installed: tuple[str, ...]) -> str:
    """The `-l` argument: the wanted languages that are there, or a few common ones for "auto".

    Raises:
        ParseError: tesseract or the data of every wanted language is missing.
    """
    if not installed:
        raise missing_program()
    asked = AUTO_LANGUAGES if wanted == "auto" else tuple(wanted.split("+"))
    found = [language for language in asked if language in installed]
    if wanted == "auto":
        found = found[:MAX_AUTO_LANGUAGES] or [name for name in installed if name != "osd"][:1]
    if not found:
        packages = " ".join(f"tesseract-ocr-{name}" for name in asked)
        raise ParseError(
            "needs_program",
            f"tesseract has no data for {wanted}",
            hint=f"Install it with `apt-get install {packages}` or change CITADEL_OCR_LANGUAGES.",
            retry=True,
        )
    return "+".join(found)


def missing_program() -> ParseError:
    """The error for a file that only OCR can read, on a machine without it."""
    return ParseError(
        "needs_program",
        "it is a scan, and the program that reads scans (tesseract) is not installed",
        hint=INSTALL_HINT,
        retry=True,
    )


def read_image(
    image: Image.Image, languages: str, *, dpi: int, timeout_s: float = _PAGE_TIMEOUT_S
) -> list[OcrParagraph]:
    """The paragraphs on a picture, in tesseract's reading order.

    `languages` is a `-l` argument. A picture that tesseract cannot read in `timeout_s` has none.

    Raises:
        ParseError: tesseract failed or took too long.
    """
    pixels = io.BytesIO()
    image.convert("L").save(pixels, "PPM")
    command = ["tesseract", "stdin", "stdout", "-l", languages, "--dpi", str(dpi), "tsv"]
    try:
        done = subprocess.run(
            command,
            input=pixels.getbuffer(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except FileNotFoundError as error:
        raise missing_program() from error
    except subprocess.TimeoutExpired as error:
        raise _failed(f"took more than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise _failed(done.stderr.decode(errors="replace").strip()[-200:])
    return parse_tsv(done.stdout.decode("utf-8", errors="replace"))


def _failed(reason: str) -> ParseError:
    return ParseError(
        "ocr_failed",
        f"tesseract could not read the page: {reason}",
        hint="Try `tesseract FILE -` by hand; scan the page anew if that fails too.",
        retry=True,
    )


def parse_tsv(tsv: str) -> list[OcrParagraph]:
    """Tesseract's table of words as paragraphs of lines; words of low confidence are left out."""
    paragraphs: dict[tuple[str, str], dict[str, OcrLine]] = {}
    for row in csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = (row["text"] or "").strip()
        if row["level"] != _WORD_LEVEL or not text or float(row["conf"]) < _MIN_CONFIDENCE:
            continue
        left, top = float(row["left"]), float(row["top"])
        word = OcrWord(text, left, top, left + float(row["width"]), top + float(row["height"]))
        lines = paragraphs.setdefault((row["block_num"], row["par_num"]), {})
        lines.setdefault(row["line_num"], []).append(word)
    return [list(lines.values()) for lines in paragraphs.values()]

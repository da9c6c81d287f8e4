"""Text as it goes into the store: no invisible characters, no blank lines, plain white space.

Invisible characters are removed because they hide instructions from the person who reads a document
but not from a model: zero-width and bidi controls, tag characters, variation selectors, soft
hyphens. Joiners stay where a script needs them (Arabic, Indic) and between emoji.
"""

import re
import unicodedata

from ingest.hidden import note_stripped

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SCRIPTS = "\u0600-\u08ff\u0900-\u0dff\u2600-\u27bf\U0001f000-\U0001faff"  # and emoji
_JOINERS = re.compile(f"(?<![{_SCRIPTS}])[\u200c\u200d]|[\u200c\u200d](?![{_SCRIPTS}])")
_NEWLINES = re.compile("\r\n?|[\x85\u2028\u2029\x0b\x0c]")
_SPACES = re.compile(r"[^\S\n]+")
_ALL_SPACES = re.compile(r"\s+")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    """The text in NFC without invisible characters, its line ends as newlines."""
    if text.isascii() and text.isprintable():
        return text
    raw = text = _NEWLINES.sub("\n", text)
    text = _JOINERS.sub("", _INVISIBLE.sub("", text))
    if len(text) != len(raw):
        note_stripped(raw, text)
    return unicodedata.normalize("NFC", _LONE_SURROGATES.sub("\ufffd", text))


def one_line(text: str) -> str:
    """The visible text with every run of white space as one space."""
    return _ALL_SPACES.sub(" ", visible(text)).strip()


def lines(text: str) -> str:
    """The visible text line by line, white space normalised, blank lines dropped."""
    rows = (row.strip() for row in _SPACES.sub(" ", visible(text)).split("\n"))
    return "\n".join(row for row in rows if row)


def code_lines(text: str) -> str:
    """The visible text with its indentation, blank lines dropped."""
    rows = (row.rstrip() for row in visible(text).expandtabs(4).split("\n"))
    return "\n".join(row for row in rows if row)

"""The shape of what an engine writes: paragraphs, list items, headings and rows, as plain text.

Markdown is read as far as it says what a line is; nothing in it can become a link, an image or
markup. Knows text only; HTML is written in `render`.
"""

import re
from typing import Literal

from ui.records import Sentence

_ITEM = re.compile(r"[ \t]*(?:[-*+•–]|(\d{1,3}[.)]))[ \t]+")
_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]+")
_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,}).*$", re.MULTILINE)
_RULE = re.compile(r"[ \t]*\|?[ \t:|-]*-[ \t:|-]*")

Kind = Literal["written", "item", "heading"]


def begins_block(sentence: Sentence) -> bool:
    """Whether a sentence begins a paragraph, an item or a row of its own."""
    return "\n" in sentence.glue or sentence.kind == "lead"


def block_kind(sentence: Sentence) -> Kind:
    """What a block that begins with this sentence is."""
    if _HEADING.match(sentence.text):
        return "heading"
    return "item" if _ITEM.match(sentence.text) else "written"


def plain(text: str) -> str:
    """A sentence without the signs that say what its line is; a number of an item stays."""
    if heading := _HEADING.match(text):
        return text[heading.end() :]
    text = _FENCE.sub("", text).strip("\n")
    item = _ITEM.match(text)
    if item is None:
        return text
    number = f"{item[1]} " if item[1] else "• "
    return number + text[item.end() :]


def cells(text: str) -> list[str]:
    """The cells of a table's row, empty where it is none."""
    lines = [line for line in text.splitlines() if line.strip() and not _RULE.fullmatch(line)]
    if len(lines) != 1 or not lines[0].lstrip().startswith("|"):
        return []
    return [cell.strip() for cell in lines[0].strip().strip("|").split("|")]

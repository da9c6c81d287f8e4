"""The title of a PDF, from its metadata where a person wrote it, else from its first page."""

import re
from collections.abc import Sequence

from ingest.parse.layout import Block
from ingest.parse.pdf_structure import PageBlocks, body_size, is_numbered, plain

_PLACEHOLDER = re.compile(
    r"untitled|unspecified|anonymous|unbenannt|sin título|document\d*|dokument\d*|presentation\d*|"
    r"slide \d+|title|microsoft (word|powerpoint|excel)|https?:\S*|file:\S*|about:blank|scan\w*|"
    r"[\W\d_]*|.*\bprint\b.*\bview\b.*|powerpoint.*|pii:.*",
    re.IGNORECASE,
)
_APPLICATION = re.compile(r"microsoft (?:word|powerpoint|excel) - ", re.IGNORECASE)
_SUFFIX = re.compile(r"\.(?:docx?|pdf|pptx?|xlsx?|rtf|tex|indd|dvi|odt|qxd|html?)$", re.IGNORECASE)
_MAX_CHARS = 200
_SHORT_CHARS = 30  # a title this short may be but a company's name
_SUBJECT_TITLE_CHARS = 40


def find_title(named: str, subject: str, pages: Sequence[PageBlocks]) -> str:
    """The document's title, empty where neither metadata nor the first page names one.

    A name that an application took from a file ("Master_Agreement_V1") gives way to the largest
    text of the first page. A short title ("Acme Inc.") takes the metadata's subject on ("Form 10-Q
    for the period …").
    """
    written = _SUFFIX.sub("", _APPLICATION.sub("", named)).replace("_", " ").strip()
    written = written if _is_telling(written) else ""
    explained = 10 <= len(subject) <= 150 and _is_telling(subject) and not _is_file_name(subject)
    if written and not _is_file_name(named):
        title = written
    else:
        title = _largest_text(pages, subject if explained else "") or written
    if title and explained and len(title) < _SUBJECT_TITLE_CHARS:
        return subject if plain(title) in plain(subject) else f"{title}: {subject}"
    return title


def _is_file_name(title: str) -> bool:
    """Whether it reads as the name of a file: with a suffix, underscores, or in one piece."""
    return bool(_APPLICATION.match(title) or _SUFFIX.search(title)) or (
        "_" in title or (" " not in title and any(map(str.isdigit, title)))
    )


def _is_telling(title: str) -> bool:
    return 4 <= len(title) <= 300 and not _PLACEHOLDER.fullmatch(title)


def _largest_text(pages: Sequence[PageBlocks], subject: str) -> str:
    """The largest text of the first page, if it stands out, with what goes on or explains it.

    What a `subject` explains needs no more, and what it says itself ("Form 10-Q") is passed over
    for what it leaves open: whose.
    """
    body = body_size(pages)
    first = [b for b in pages[0].blocks if b.kind != "table"] if pages else []
    large = [b for b in first if _could_be_title(b, body) and plain(b.text) not in plain(subject)]
    if not large:
        return ""
    start = large.index(max(large, key=lambda b: b.size))
    lines = _going_on(first, large[start])
    title = " ".join(b.text for b in lines)
    if subject or len(title) >= _SHORT_CHARS:
        return title
    # On a cover the company's name is often larger than what the document is.
    after = large[start + len(lines) : start + len(lines) + 1]
    before = large[start - 1 : start]
    if after and plain(after[0].text) != plain(title):
        return f"{title}: {after[0].text}"
    return f"{before[0].text}: {title}" if before else title


def _going_on(blocks: list[Block], line: Block) -> list[Block]:
    """The line and those that go on with it below: of its size, and in all not too long."""
    lines, n_chars = [line], len(line.text)
    for block in blocks[blocks.index(line) + 1 :]:
        n_chars += len(block.text)
        if block.size < 0.95 * line.size or n_chars > _MAX_CHARS or is_numbered(block.text):
            break
        lines.append(block)
    return lines


def _could_be_title(block: Block, body: float) -> bool:
    """Large enough, mostly letters, and no section's heading."""
    text = block.text
    return (
        block.size > 1.2 * body
        and 4 <= len(text) <= _MAX_CHARS
        and sum(map(str.isalpha, text)) > 0.5 * len(text)
        and not is_numbered(text)
        and (block.kind != "list_item" or block.size > 1.5 * body)
    )

"""Passages as the engine reads them: spans of stored text, each with the key that cites it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document: `text` is the stored text at `char_start:char_end`.

    `key` is four characters that mean nothing outside of this installation and this request.
    """

    key: str
    document_id: int
    title: str
    source_uri: str
    heading_path: tuple[str, ...]
    page_start: int | None
    page_end: int | None
    date: str  # of the document, ISO 8601, "" where it has none
    char_start: int
    char_end: int
    text: str
    chunk_ids: tuple[int, ...]
    language: str
    score: float  # of the best hit in it, 0 where it only surrounds one
    n_tokens: int  # as rendered, with its heading line; at most that many
    header: str = ""  # of the table that it begins in the middle of; shown above its rows


@dataclass(frozen=True, slots=True)
class Context:
    """The packed passages in the order shown, and the text that the engine reads."""

    passages: tuple[Passage, ...]
    text: str
    n_tokens: int  # of the text
    n_left_out: int  # hits that there was no room for
    mark: str = ""  # begins each passage's heading line; nobody who writes documents knows it

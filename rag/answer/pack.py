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
    score: float
    n_tokens: int  # as rendered, with its heading line

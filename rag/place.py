"""Where a passage stands, in words."""

from pathlib import PurePath

_WORDS = dict.fromkeys((".pptx", ".ppt"), "slide") | dict.fromkeys((".xlsx", ".xls"), "sheet")


def place(title: str, uri: str, first: int | None, last: int | None) -> str:
    """The document's title and the pages, as far as it has any."""
    if first is None:
        return title
    word = _WORDS.get(PurePath(uri).suffix.lower(), "page")
    pages = f"{word} {first}" if last in (None, first) else f"{word}s {first}-{last}"
    return f"{title}, {pages}"

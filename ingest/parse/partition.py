"""HTML to elements by `unstructured`, kept from the network and from torch.

At its first use the library would fetch a spaCy model, report its use and print an advertisement.
It gets a blank English pipeline with a sentencizer instead, and opts out before it is imported.
spaCy would load torch if it could: 180 MiB in every worker, and nothing here needs it.
"""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ingest.parse import clean
from ingest.parse.model import Element, ElementKind
from ingest.parse.tables import header_row_count, table_element

_OPT_OUT = {
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}
_KINDS: dict[str, ElementKind] = {"ListItem": "list_item", "CodeSnippet": "code"}


def html_elements(html: str) -> list[Element]:
    """The blocks of an HTML text in order, with the depth of headings and the rows of tables."""
    found = (_element(item) for item in _partitioner()(text=html))
    return [element for element in found if element is not None]


@functools.cache
def _partitioner() -> Callable[..., Iterable[Any]]:
    os.environ.update(_OPT_OUT)
    with _without_torch():
        import spacy
        import unstructured.nlp.tokenize as tokenize
        from unstructured.partition.html import partition_html

    def blank() -> Any:
        pipeline = spacy.blank("en")
        pipeline.add_pipe("sentencizer")
        return pipeline

    tokenize._load_spacy_model = blank
    partition: Callable[..., Iterable[Any]] = partition_html
    return partition


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
    """Let `import torch` fail while spaCy looks which frameworks there are."""
    blocked = "torch" not in sys.modules
    if blocked:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if blocked:
            del sys.modules["torch"]


def _element(item: Any) -> Element | None:
    kind = type(item).__name__
    if kind == "Table" and item.metadata.text_as_html:
        rows = _rows(item.metadata.text_as_html)
        return table_element(rows, header_rows=header_row_count(rows))
    text = clean.lines(item.text)
    depth = item.metadata.category_depth
    if not text:
        return None
    # Only real headings have a depth; other titles are the library's guess from short lines.
    if kind == "Title" and depth is not None:
        return Element("heading", clean.one_line(text), level=min(6, depth + 1))
    return Element(_KINDS.get(kind, "paragraph"), text)


def _rows(table: str) -> list[list[str]]:
    from lxml import html

    rows = html.fragment_fromstring(table).iter("tr")
    return [[cell.text_content() for cell in row if cell.tag in ("td", "th")] for row in rows]

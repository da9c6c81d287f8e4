"""Markdown by way of HTML: CommonMark with tables, so that raw HTML in it is read too."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

from ingest.parse import clean
from ingest.parse.decode import read_text
from ingest.parse.markup import parse_html_text
from ingest.parse.model import Parsed
from ingest.parse.properties import finished

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def parse_markdown(path: Path) -> Parsed:
    """CommonMark with tables; `title`, `author` and `date` of YAML front matter are metadata."""
    text = clean.visible(read_text(path))
    front = _FRONT_MATTER.match(text)
    fields = _front_fields(front[1]) if front else {}
    rendered = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(text[front.end() :] if front else text)
    )
    parsed = parse_html_text(rendered)
    title = fields.pop("title", None)
    return finished(
        Parsed("text/markdown", parsed.elements, warnings=parsed.warnings),
        title=title,
        metadata={**fields},
    )


def _front_fields(front: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in front.split("\n") if not line.startswith((" ", "#")))
    fields = {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}
    names = {"title": "title", "author": "author", "date": "created", "subject": "subject"}
    return {names[key]: value for key, value in fields.items() if key in names and value}

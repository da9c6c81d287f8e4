"""A conversation as a file: JSON as the API shows it, or Markdown to read and to pass on.

Whatever in the Markdown was asked, answered or quoted is text and nothing else: it is escaped so
that no renderer makes a link, an image or any other markup of it.
"""

import json
import re
import unicodedata
from typing import Any, Literal

from starlette.responses import Response

Format = Literal["json", "markdown"]
Json = dict[str, Any]

SANDBOX = "sandbox; default-src 'none'"
MEDIA_TYPES = {"json": "application/json", "markdown": "text/markdown; charset=utf-8"}
SUFFIXES = {"json": "json", "markdown": "md"}
NO_ANSWER = {
    "no_evidence": "The documents do not say.",
    "blocked": "The guard blocked the answer.",
    "no_verdict": "The guard gave no verdict, so there is no answer.",
}
JOINERS = "\u200c\u200d"  # shape the letters of Hindi

# All punctuation that begins markup somewhere, and what an address is made of: renderers also link
# what merely looks like one. A full stop at the end of a word stays, for whoever reads the file.
_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+\-!|~&:/@=^$\"']|\.(?=\S)|(?<=\d)\.")


def export_response(conversation: Json, format: Format) -> Response:
    """A conversation, as the route shows it, as a file that no browser opens by itself."""
    text = markdown(conversation) if format == "markdown" else _indented(conversation)
    name = f"conversation-{conversation['id']}.{SUFFIXES[format]}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": SANDBOX,
    }
    return Response(text, media_type=MEDIA_TYPES[format], headers=headers)


def markdown(conversation: Json) -> str:
    """A conversation as Markdown, each answer with its sources."""
    head = [f"# {one_line(conversation['title']) or 'Conversation'}"]
    if not conversation["yours"]:
        head.append(f"A conversation of {one_line(conversation['owner'])}.")
    turns = [block for turn in conversation["turns"] for block in _turn_blocks(turn)]
    return "\n\n".join([*head, *turns]) + "\n"


def escaped(text: str) -> str:
    """Text of several lines as Markdown that shows it and has no markup."""
    visible = "".join(c for c in text if c in "\n" + JOINERS or _is_visible(c))
    lines = (_MARKUP.sub(_backslashed, " ".join(line.split())) for line in visible.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def one_line(text: str) -> str:
    """The same, on one line."""
    return escaped(" ".join(text.split()))


def _is_visible(char: str) -> bool:
    return char == "\t" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp")


def _backslashed(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def _indented(conversation: Json) -> str:
    return json.dumps(conversation, ensure_ascii=False, indent=2) + "\n"


def _turn_blocks(turn: Json) -> list[str]:
    """Heading, answer and sources of a turn."""
    answer, blocks = turn["answer"], [f"## {one_line(turn['question'])}"]
    if answer["answer"]:
        blocks.append(escaped(_numbered(answer)))
    elif answer["status"] != "answered":
        blocks.append(NO_ANSWER[answer["status"]])
    if turn["withheld"]:
        blocks.append(f"*{turn['reason']}*")
    blocks += [f"*{one_line(notice['text'])}*" for notice in answer["notices"]]
    if sources := _sources(answer):
        blocks += ["Sources", "\n".join(sources)]
    return blocks


def _numbered(answer: Json) -> str:
    """The answer with the numbers of its sources behind its sentences."""
    text: str = answer["answer"]
    ends: dict[int, dict[int, str]] = {}
    for citation in answer["citations"]:
        ends.setdefault(citation["answer_end"], {})[citation["id"]] = f"[{citation['id']}]"
    for end in sorted(ends, reverse=True):
        text = f"{text[:end]} {''.join(ends[end].values())}{text[end:]}"
    return text


def _sources(answer: Json) -> list[str]:
    """The cited places as a numbered list, each once."""
    cited = {citation["id"]: citation for citation in answer["citations"]}
    return [f"{number}. {_source(cited[number])}" for number in sorted(cited)]


def _source(citation: Json) -> str:
    page = "" if citation["page_start"] is None else f", page {citation['page_start']}"
    place = f"{one_line(citation['title'])}{page}, {one_line(citation['source_uri'])}"
    return f"{place}: “{one_line(citation['cited_text'])}”"

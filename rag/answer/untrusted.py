"""Text that nobody vouches for: made harmless on its way into a prompt and out of an answer.

Documents and questions are data. In a prompt they must not be able to form one of the control
tokens that a chat template is made of; in an answer nothing of them may become a link, an image or
markup in whatever shows it.
"""

import re
from html import unescape

BAR = "¦"  # stands for the bar of a broken token; as long as what it replaces, so offsets stay

_TOKEN_EDGE = re.compile(r"(?<=<)\||\|(?=>)")
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")
_LINK = re.compile(r"\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])")
_DEFINITION = re.compile(r"(?m)^ {0,3}\[[^\]\n]+\]:[ \t]*\S.*$\n?")
_AUTOLINK = re.compile(r"<((?:[a-zA-Z][a-zA-Z0-9+.-]{1,31}:|[^\s<>@]+@)[^\s<>]*)>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^>]*(?:>|\Z)", re.DOTALL)
_TAG = re.compile(r"<[a-zA-Z][^<>]*(?:>|\Z)|</[^<>]*(?:>|\Z)")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});?")
_ADDRESS = re.compile(r"(?i):(?=//)|(?:(?:javascript|vbscript):|data:(?=\w+/))(?!\u2060)")
_WWW = re.compile(r"(?i)\bwww\.(?=\w)")
_JOINER = "\u2060"  # word joiner: no renderer takes what holds it for an address
_ROUNDS = 20  # each takes one layer of nesting off


def neutralise(text: str) -> str:
    """The same text, of the same length, in which no control token of Llama 3 can be formed.

    All of them begin with `<|` and end with `|>`; either bar becomes a broken one. A tokenizer
    compares bytes, so what has other characters in between was harmless from the start.
    """
    return _TOKEN_EDGE.sub(BAR, text)


def safe_answer(text: str) -> str:
    """The same words without images, links and markup. Doing it again changes nothing.

    An image leaves its description, a link its text; an address stays readable and is broken by an
    invisible character, so that no renderer makes a link of it.
    """
    for _ in range(_ROUNDS):
        before = text
        text = _without_markup(text)
        if text == before:
            break
    else:  # nested on purpose: nothing of its markup is worth keeping
        text = re.sub(r"[<>\[\]!]", " ", text)
    text = _ADDRESS.sub(lambda found: found[0] + _JOINER, text)
    return _WWW.sub(lambda found: f"{found[0][:3]}{_JOINER}.", text)


def _without_markup(text: str) -> str:
    text = _ENTITY.sub(lambda found: unescape(found[0]), text)
    text = _DEFINITION.sub("", text)
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(r"\1", text)
    text = _AUTOLINK.sub(r"\1", text)
    return _TAG.sub("", _COMMENT.sub("", text))

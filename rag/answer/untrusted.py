"""Text that nobody vouches for: made harmless on its way into a prompt and out of an answer.

Documents and questions are data. In a prompt they must not be able to form one of the control
tokens that a chat template is made of; in an answer nothing of them may become a link, an image or
markup in whatever shows it, be it a Markdown renderer or a browser.
"""

import re
from html import unescape

BAR = "¦"  # stands for the bar of a broken token; as long as what it replaces, so offsets stay

_TOKEN_EDGE = re.compile(r"(?<=<)\||\|(?=>)")
# What nobody sees. Joiners, soft hyphens and variation selectors shape the letters beside them.
_CONTROLS = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_UNSEEN = _CONTROLS + "\u00ad\u034f\u200c\u200d\ufe00-\ufe0f"
_SPLIT_TOKEN_EDGE = re.compile(rf"(<[{_UNSEEN}]+)\||\|(?=[{_UNSEEN}]+>)")

_INVISIBLE = re.compile(f"[{_CONTROLS}]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_AMPERSAND = re.compile(r"&(?:amp;)+")
_COMMENT = re.compile(r"<!--.*?-->|<!\[CDATA\[|<\?[^<>]*\?>|<![a-zA-Z][^<>]*>", re.DOTALL)
_AUTOLINK = re.compile(r"<(?:mailto:)?((?:[a-zA-Z][a-zA-Z0-9+.-]{1,31}:|[^\s<>@]+@)[^\s<>]*)>")
_HTML = (  # elements of HTML and SVG; anything else in pointed brackets is kept and broken
    "a abbr address animate area article aside audio b base bdi bdo big blockquote body br button "
    "canvas caption center circle cite code col colgroup data dd del details dfn dialog div dl dt "
    "em embed fieldset figcaption figure font footer foreignobject form frame frameset g h[1-6] "
    "head header hr html i iframe image img input ins kbd label legend li link main map mark "
    "marquee math menu meta meter nav noscript object ol optgroup option output p param path "
    "picture portal pre progress q rect ruby s samp script section select set small source span "
    "strike strong style sub summary sup svg table tbody td template text textarea tfoot th thead "
    "time title tr track tt u ul use var video wbr xml"
).replace(" ", "|")
_TAG = re.compile(
    rf"<(?:/(?:{_HTML})\b[^<>]*|(?:{_HTML})(?:[\s/]*|[\s/][^<>]*=[^<>]*))>", re.IGNORECASE
)
_TAG_START = re.compile(r"<(?=[a-zA-Z/!?])")
_DESTINATION = r"""\(\s*+(?:(?:<[^<>\n]*>|[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)
    (?:\s++(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*+)?\)"""
_IMAGE = re.compile(rf"!\[([^\[\]]*)\](?:{_DESTINATION}|\[[^\[\]]*\])", re.VERBOSE)
# `handlers[i](event)` is code: a destination has more to it than one word.
_LINK = re.compile(rf"\[([^\[\]]*)\](?=\(\s*\)|\([^()]*[:/.\#?<@\s%&]){_DESTINATION}", re.VERBOSE)
_LINK_REST = re.compile(r"\](?=\()")
_DEFINITION = re.compile(r"\](?=:)")
_SCRIPT = re.compile(r"(?i)(javascript|vbscript|\bdata(?=:(?:[a-z]+/|[;,]))):(?=\S)")
_ADDRESSES = (  # what renderers make links of by themselves, and what it becomes
    (re.compile(r"(?i)http(?=s?://)"), "hxxp"),
    (re.compile(r"(?i)ftp(?=://)"), "fxp"),
    (re.compile(r"(?i)(?<=\bwww)\.(?=\w)"), "[.]"),
    (re.compile(r"(?<![:/\w])//(?=[\w-]+\.\w)"), "/ /"),
    (re.compile(r"(?i)\bmailto:(?=\S)"), ""),
    (_SCRIPT, r"\1[:]"),
)
_MAX_DEPTH = 20


def neutralise(text: str) -> str:
    """The same text, of the same length, in which no control token of Llama 3 can be formed.

    All of them begin with `<|` and end with `|>`; both bars become broken ones, so that two texts
    side by side form none either. Invisible characters stay, and do not hide a token.
    """
    text = _SPLIT_TOKEN_EDGE.sub(lambda found: f"{found[1] or ''}{BAR}", text)
    return _TOKEN_EDGE.sub(BAR, text)


def safe_answer(text: str) -> str:
    """The same words without images, links and markup. Doing it again changes nothing.

    An image leaves its description, a link its text; a tag goes, and a `<` before anything else
    that could begin one gets a space after it. An address stays readable and is no longer one that
    a renderer links (`hxxps://…`, `www[.]…`). Markers such as `[1][2]` stay.
    """
    before = None
    while before != text:  # each round takes something away or breaks something for good
        before = text
        text = _INVISIBLE.sub("", text)
        text = _ENTITY.sub(lambda found: unescape(found[0]), _AMPERSAND.sub("&", text))
        text = _without_tags(_AUTOLINK.sub(r"\1", _COMMENT.sub("", text)))
        text = _without_links(text)
        for address, broken in _ADDRESSES:
            text = address.sub(broken, text)
    return text


def _without_tags(text: str) -> str:
    return _TAG_START.sub("< ", _until_stable(_TAG, "", text))


def _without_links(text: str) -> str:
    text = _until_stable(_LINK, r"\1", _until_stable(_IMAGE, r"\1", text))
    return _DEFINITION.sub("] ", _LINK_REST.sub("] ", text))


def _until_stable(pattern: re.Pattern[str], replacement: str, text: str) -> str:
    """Substitute from the inside out, as what is nested shows only once its inside is gone.

    What is nested deeper than anybody would by accident is left to be broken.
    """
    for _ in range(_MAX_DEPTH):
        text, n_found = pattern.subn(replacement, text)
        if not n_found:
            break
    return text

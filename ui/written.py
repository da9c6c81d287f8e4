"""What an engine writes, as HTML: paragraphs, lists, tables, headings and code, drawn plainly.

Markdown is read as far as it says what a line is. Every text is escaped, so nothing in it can
become a link, an image or markup.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Literal

from rag.client.records import Citation, Sentence

_ITEM = re.compile(r"(?:[-*+•‣◦–—]|(\(?(?:\d{1,3}|[a-z])[.)]))[ \t]+(?:\[[ xX]\][ \t]+)?")
_HEADING = re.compile(r"#{1,6}[ \t]+")
_ASIDE = re.compile(r"(?:>[ \t]*)+")
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[^\n]*")
_RULE = re.compile(r"[ \t]*\|?[ \t:|*_-]*[-*_][ \t:|*_-]*")
_CELL = re.compile(r"(?<!\\)\|")
_CODE = re.compile(r"(`+)(.+?)\1")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]*[^\s*])\*(?![\w*])")
_MAX_LEVEL = 3  # of lists in lists

Shape = Literal["paragraph", "list", "table", "heading", "code"]
Line = list[Sentence]  # of a paragraph, an item, a row


@dataclass(slots=True)
class Block:
    """What is drawn as one, of at least one line."""

    shape: Shape
    lines: list[Line]

    def take(self, sentence: Sentence) -> bool:
        """Append a sentence that goes on with this block; False where it begins another."""
        if "\n" not in sentence.glue:
            self.lines[-1].append(sentence)
            return True
        wraps = self.shape == "paragraph" and "\n\n" not in sentence.glue
        if shape(sentence) != self.shape or not (wraps or self.shape in ("list", "table")):
            return False
        self.lines.append([sentence])
        return True

    @property
    def citations(self) -> list[Citation]:
        """All that is cited, in order, each place once."""
        cited = (c for line in self.lines for sentence in line for c in sentence.citations)
        places: dict[int, Citation] = {}
        for citation in cited:
            places.setdefault(citation.id, citation)
        return list(places.values())


def begin(sentence: Sentence) -> Block:
    """The block that a sentence begins."""
    return Block(shape(sentence), [[sentence]])


def shape(sentence: Sentence) -> Shape:
    """What a line that begins with this sentence is."""
    if _HEADING.match(sentence.text):
        return "heading"
    if sentence.text.startswith("|"):
        return "table"
    if _FENCE.match(sentence.text):
        return "code"
    return "list" if _ITEM.match(_bare(sentence.text)) else "paragraph"


def drawn(block: Block) -> str:
    """A block as HTML, with the numbers of its citations behind each sentence."""
    if block.shape == "table":
        rows = "".join(map(_row, block.lines))
        return f'<div class="table-quote"><table><tbody>{rows}</tbody></table></div>'
    if block.shape == "list":
        return "".join(map(_item, block.lines))
    lines = "<br>".join(" ".join(map(_sentence, line)) for line in block.lines)
    if block.shape == "heading":
        return f'<h3 class="heading">{lines}</h3>'
    return f'<p class="{block.shape}">{lines}</p>'


def _item(line: Line) -> str:
    first = line[0]
    mark = _ITEM.match(_bare(first.text))
    sign = escape(mark[1]) if mark and mark[1] else "•"
    indent = len(first.glue.rpartition("\n")[2].expandtabs(4))
    level = min(indent // 2, _MAX_LEVEL)
    said = " ".join(map(_sentence, line))
    return f'<p class="item level-{level}"><span class="sign">{sign}</span><span>{said}</span></p>'


def _row(line: Line) -> str:
    first, *others = line
    tag = "th" if first.kind == "lead" else "td"
    rows = [text for text in first.text.splitlines() if not _RULE.fullmatch(text)]
    cells = [cell.strip() for text in rows for cell in _CELL.split(text.strip().strip("|"))]
    inner = "".join(f"<{tag}>{_emphasised(cell)}</{tag}>" for cell in cells)
    behind = " ".join([_behind(first), *map(_sentence, others)]).strip()
    return f'<tr>{inner}<td class="behind">{behind}</td></tr>' if inner else ""


def _sentence(sentence: Sentence) -> str:
    shown = _emphasised(plain(sentence.text))
    if not sentence.supported:
        shown = f'<span class="unsupported">{shown}</span>'
    return shown + _behind(sentence)


def _behind(sentence: Sentence) -> str:
    """Why a sentence is not supported, in words, and the numbers of what it cites."""
    why = f"not supported: {sentence.reason}" if sentence.reason else "not supported by its sources"
    flag = "" if sentence.supported else f' <span class="flag">{escape(why)}</span>'
    numbers = "".join(f'<sup class="cite">{citation.id}</sup>' for citation in sentence.citations)
    return flag + numbers


def plain(text: str) -> str:
    """A sentence without the signs that say what its line is."""
    if _RULE.fullmatch(text):
        return ""
    if _FENCE.match(text):
        return _FENCE.sub("", text).strip("\n")
    if heading := _HEADING.match(text):
        return text[heading.end() :].rstrip("# ")
    bare = _bare(text)
    item = _ITEM.match(bare)
    return bare[item.end() :] if item else bare


def _bare(text: str) -> str:
    """Without the signs of quoted text, which is drawn as any other."""
    aside = _ASIDE.match(text)
    return text[aside.end() :] if aside else text


def _emphasised(text: str) -> str:
    """Escaped text with bold, italics and code; nothing within code is either."""
    shown, end = "", 0
    for code in _CODE.finditer(text):
        shown += _stressed(text[end : code.start()]) + f"<code>{escape(code[2].strip())}</code>"
        end = code.end()
    return shown + _stressed(text[end:])


def _stressed(text: str) -> str:
    bold = _BOLD.sub(r"<strong>\1</strong>", escape(text.replace("\\|", "|")))
    return _ITALIC.sub(r"<em>\1</em>", bold)

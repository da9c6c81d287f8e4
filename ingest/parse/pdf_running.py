"""Running headers, footers and page numbers: what stands on page after page, out of the flow."""

import re
from collections import Counter
from collections.abc import Sequence

from ingest.parse.layout import Block
from ingest.parse.pdf_structure import PageBlocks

_MARGIN = 0.12  # share of the page's height where running headers and footers stand
_MAX_CHARS = 120  # of a running line that stands outside of the margin
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(
    r"\W*(?:(?:page|seite|página|pagina|p\.?)\s*)?(?:[A-Z]{1,2}-)?(?:\d{1,4}|[ivxlc]{1,6})"
    r"(?:\s*(?:of|/|von|de|sur|di|\|)\s*\d{1,4})?\W*",
    re.IGNORECASE,
)
_MAX_NUMBERS = 4  # in a line; any of them may be the page's
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def drop_running(pages: Sequence[PageBlocks]) -> list[PageBlocks]:
    """Pages without page numbers and without repeats of running headers and footers.

    The first of the repeats stays, for it may say what no other line says: whose report this is.
    A line repeats if it is the same, but for one number that counts the pages.
    """
    edges = [_edge_blocks(page) for page in pages]
    forms = [[_forms(b, p) for b in e] for p, e in zip(pages, edges, strict=True)]
    counts = Counter(form for page in forms for form in {f for block in page for f in block})
    masks = Counter(m for edge in edges for m in {_NUMBER.sub("#", b.text.lower()) for b in edge})
    needed = max(2, min(3, len(pages)))
    kept: set[str] = set()
    result = []
    for page, edge, edge_forms in zip(pages, edges, forms, strict=True):
        dropped = set()
        for block, mine in zip(edge, edge_forms, strict=True):
            repeated = {form for form in mine if counts[form] >= needed}
            if _PAGE_NUMBER.fullmatch(block.text):
                again = masks[_NUMBER.sub("#", block.text.lower())] > 1
                dropped |= {id(block)} if again or len(block.text) < 5 else set()
            elif repeated & kept:
                dropped.add(id(block))
            kept |= repeated
        result.append(page._replace(blocks=[b for b in page.blocks if id(b) not in dropped]))
    return result


def _edge_blocks(page: PageBlocks) -> list[Block]:
    """The short blocks in the page's margins, and its outermost two: a page may end early."""
    down = sorted(page.blocks, key=lambda b: b.y0)
    outer = {id(b) for b in (*down[:2], *down[-2:])}
    return [
        b
        for b in page.blocks
        if (b.kind != "table" and b.n_lines <= 3)
        and (_in_margin(b, page) or (id(b) in outer and len(b.text) < _MAX_CHARS))
    ]


def _forms(block: Block, page: PageBlocks) -> set[str]:
    """The line as it stands, and with each of its numbers counted from the page's.

    A line in the margin that begins or ends with the page's number is running whatever else it
    says, for that may be the section's name.
    """
    text = block.text.lower()
    found = {text}
    numbers = list(_NUMBER.finditer(text))
    for number in numbers if len(numbers) <= _MAX_NUMBERS else (*numbers[:2], *numbers[-2:]):
        offset = _value(number[0]) - page.number
        found.add(f"{text[: number.start()]}#{offset:+}{text[number.end() :]}")
        at_end = number.end() == len(text) or not number.start()
        if at_end and block.n_lines == 1 and _in_margin(block, page):
            found.add(f"#{offset:+} at {round(block.y0 / 4)}")
    return found


def _in_margin(block: Block, page: PageBlocks) -> bool:
    edge = _MARGIN * page.height
    return block.y1 <= edge or block.y0 >= page.height - edge


def _value(number: str) -> int:
    if number.isdecimal():
        return int(number)
    values = [_ROMAN[letter] for letter in number]
    following = [*values[1:], 0]
    return sum(-v if v < after else v for v, after in zip(values, following, strict=True))

"""What only the whole document shows: headings and their levels.

Works on the blocks of all pages; knows nothing of PDFium.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from ingest.parse.layout import Block

_SECTION_NUMBER = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)\.?\s+\S")
_NAMES = tuple(  # of headings, from the outermost in
    re.compile(rf"(?:{names})\b\.?\s*(?:\d+|[ivxlc]+|[a-z])\b", re.IGNORECASE)
    for names in (
        "part|teil|parte|partie|book|buch|libro|volume|band",
        "item|chapter|kapitel|capítulo|capitolo|chapitre|article|artikel|artículo|articolo|exhibit|"
        "annex|appendix|anhang|anlage|anexo|allegato|annexe|schedule",
        "note|section|abschnitt|sección|sezione|clause|§",
    )
)
_MAX_HEADING_CHARS = 200
_MAX_HEADING_LINES = 4
_MAX_LEVEL = 6
_MIN_PROSE = 0.2  # of the characters in tables
_COVER_LEVELS = 2
_CROWD = 4  # headings of one level without text between them

Style = tuple[float, bool]  # size and weight


class Outlined(NamedTuple):
    """An entry of the outline (bookmarks). Level 1 is the outermost."""

    title: str
    level: int


class PageBlocks(NamedTuple):
    """A page's blocks in reading order."""

    number: int
    width: float
    height: float
    blocks: list[Block]


class _Heading(NamedTuple):
    block: Block
    page: int
    depth: int  # 0: without name and number


def body_size(pages: Iterable[PageBlocks]) -> float:
    """Font size of most of the text, in points; of tables only where there is little else."""
    prose: Counter[float] = Counter()
    tables: Counter[float] = Counter()
    for page in pages:
        for block in page.blocks:
            (tables if block.kind == "table" else prose)[block.size] += len(block.text)
    sizes = prose if prose.total() > _MIN_PROSE * tables.total() else prose + tables
    return sizes.most_common(1)[0][0] if sizes else 0.0


def mark_headings(pages: Sequence[PageBlocks], outline: dict[int, list[Outlined]]) -> None:
    """Turn blocks that are headings into such, with their level.

    `outline` has the bookmarks by page number. Levels follow the rank of size and weight among
    the document's headings; names and numbers ("Part II", "Item 3", "2.1") refine it within one
    style.
    """
    body = body_size(pages)
    bold_share = _bold_share(pages)
    headings: list[_Heading] = []
    above: Counter[tuple[Style, Style]] = Counter()
    for page in pages:
        marked = {plain(o.title): o.level for o in outline.get(page.number, [])}
        before: Style | None = None
        for block in page.blocks:
            level = marked.get(plain(block.text), 0) if marked else 0
            style: Style | None = None
            if level and block.kind != "table" and block.n_lines <= _MAX_HEADING_LINES:
                block.kind, block.level = "heading", min(level, _MAX_LEVEL)
            elif _looks_like_heading(block, body, bold_share):
                style = block.size, block.bold
                headings.append(_Heading(block, page.number, _depth(block.text)))
                if before and page.number > 1:
                    above[before, style] += 1
            before = style
    _set_levels(headings, above, n_pages=len(pages))


def _bold_share(pages: Iterable[PageBlocks]) -> float:
    texts = [(b.bold, len(b.text)) for p in pages for b in p.blocks if b.kind != "table"]
    return sum(n for bold, n in texts if bold) / max(1, sum(n for _, n in texts))


def _looks_like_heading(block: Block, body: float, bold_share: float) -> bool:
    text = block.text
    if block.kind == "table" or not 3 <= len(text) <= _MAX_HEADING_CHARS:
        return False
    if block.n_lines > _MAX_HEADING_LINES or sum(map(str.isalpha, text)) < 0.5 * len(text) - 2:
        return False
    if text.startswith(("•", "(", "–", "*", "$", "€", "£")) or text.endswith((",", ";")):
        return False
    if block.size >= 1.15 * body:
        return block.bold or not text.endswith(".") or block.size >= 1.4 * body
    if block.n_lines == 1 and _is_named(text) and text.isupper() and block.size >= 0.9 * body:
        return not text.endswith(".")
    numbered = bool(_SECTION_NUMBER.match(text))
    if block.bold and bold_share < 0.4 and block.size >= 0.9 * body and block.n_lines <= 2:
        return not text.endswith((".", ":")) or numbered or (text.endswith(":") and len(text) < 80)
    return False


def _set_levels(
    headings: Sequence[_Heading], above: Counter[tuple[Style, Style]], *, n_pages: int
) -> None:
    """Styles by rank, and within a style by depth; then numbered without gaps.

    `above` counts how often a heading of one style directly follows one of another.
    """
    by_style: dict[Style, list[_Heading]] = {}
    for heading in headings:
        by_style.setdefault((heading.block.size, heading.block.bold), []).append(heading)
    base, below, size, n_cover = 1, 1, 0.0, 0
    for style in _ranked(by_style, above):
        members = by_style[style]
        # Sizes that a person cannot tell apart are one level. On a cover each line has a style of
        # its own: two of them may be the title of the whole, the others are not above what follows.
        n_cover += n_pages > 2 and all(h.page == 1 for h in members)
        minor = n_cover > _COVER_LEVELS and members[-1].page == 1
        if not size or not (minor or 0 < abs(size - style[0]) <= 0.4):
            base, size = below, style[0]
        below = max(below, base + _nested(members, base))
    used = sorted({h.block.level for h in headings})
    for heading in headings:
        heading.block.kind = "heading"
        heading.block.level = min(_MAX_LEVEL, used.index(heading.block.level) + 1)


def _ranked(styles: Iterable[Style], above: Counter[tuple[Style, Style]]) -> list[Style]:
    """Styles from the outermost in: by size and weight, unless the document shows otherwise."""
    ranked: list[Style] = []
    for style in sorted(styles, reverse=True):
        place = len(ranked)
        for index, larger in enumerate(ranked):
            if above[style, larger] >= 2 * max(1, above[larger, style]):
                place = index
                break
        ranked.insert(place, style)
    return ranked


def _nested(headings: Sequence[_Heading], base: int) -> int:
    """Set the levels of headings of one style, from `base` down; returns how many there are.

    Those without a name or number belong to the named ones ("Note 3") that they follow.
    """
    depths = sorted({h.depth for h in headings if h.depth})
    named = bool(depths) and depths[0] <= len(_NAMES)
    for block, _, depth in headings:
        offset = depths.index(depth) if depth else len(depths) * named
        block.level = base + offset
    return len(depths) + (named or not depths)


def _depth(text: str) -> int:
    """How deep a named or numbered heading is among others of its style, 0 for one without."""
    for depth, names in enumerate(_NAMES, 1):
        if names.match(text):
            return depth
    match = _SECTION_NUMBER.match(text)
    return len(_NAMES) + match[1].count(".") + 1 if match else 0


def _is_named(text: str) -> bool:
    return 0 < _depth(text) <= len(_NAMES)


def nest_headings(pages: Sequence[PageBlocks]) -> None:
    """Settle headings that follow each other with nothing between.

    The second belongs to the first; one whose name gives it a place ("Note 1") keeps that, and the
    first moves above it. On a cover the first is a line and no heading, as are those of a crowd.
    """
    for page in pages:
        for run in _runs(page.blocks):
            levels = [block.level for block in run]
            crowded = max(map(levels.count, levels)) >= _CROWD
            for block, following in pairwise(run):
                over = block.level > following.level
                named = _is_named(following.text)
                if crowded or (over and (page.number == 1 or (named and following.level == 1))):
                    block.kind, block.level = "paragraph", 0
                elif over and named:
                    block.level = following.level - 1
                elif over or block.level == following.level:
                    following.level = min(_MAX_LEVEL, block.level + 1)


def _runs(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Headings that follow each other."""
    for is_heading, run in groupby(blocks, key=lambda b: b.kind == "heading"):
        if is_heading:
            yield list(run)


def is_numbered(text: str) -> bool:
    """Whether it begins with the number of a section."""
    return bool(_SECTION_NUMBER.match(text))


def plain(text: str) -> str:
    """Letters and digits only, in small letters: what stays the same however it is set."""
    return re.sub(r"\W+", "", text).lower()

"""A parsed document to chunks and to the texts that are embedded for them.

A chunk is a contiguous span of the document's text, filled with whole units (sentences, list items,
table rows) up to a number of the embedding model's tokens. It never crosses a heading. What it
loses by being cut out — document, headings, table header — goes in front of its text where it is
embedded and into fields of their own where it is indexed.
"""

import functools
import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.assemble import Assembled, Block, assemble
from ingest.injection import suspicion
from ingest.parse.model import Parsed
from rag.layout import block_boxes
from rag.search.embed import Embedder
from rag.store import Suspicion
from rag.text import sentence_spans
from rag.types import Box, Chunk, Page

CHUNKER_VERSION = "4"
TARGET_TOKENS = 220  # of a chunk's own text; the model's window has 256 and the context needs some
CONTEXT_TOKENS = 60  # at most, for title, headings and table header
LEAST_CONTEXT = 30  # of them, however full the window is
SPECIAL_TOKENS = 2  # around each text
MIN_TOKENS = 8  # a shorter rest joins its neighbour
MIN_LINE = 16  # characters of a line of the context; below, it says nothing


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be embedded: `embed_texts[i]` is what stands for `chunks[i]`."""

    title: str
    language: str
    text: str
    pages: list[Page]
    chunks: list[Chunk]
    embed_texts: list[str]
    suspicions: tuple[Suspicion, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is never cut: a sentence, a list item, a table row, or a piece of an endless one.

    `block` begins the paragraph, list item or table that it is from.
    """

    start: int
    end: int
    n_tokens: int
    block: Block


def prepare(parsed: Parsed, *, name: str, embedder: Embedder) -> Prepared:
    """Assemble and chunk a parsed file called `name`."""
    document = assemble(parsed, name=name)
    chunks = list(_chunks(document, embedder))
    texts = embed_texts(document, chunks, name, embedder)
    return Prepared(
        title=document.title,
        language=document.language,
        text=document.text,
        pages=document.pages,
        chunks=chunks,
        embed_texts=texts,
        suspicions=tuple(_suspicions(document, chunks)),
    )


def _suspicions(document: Assembled, chunks: list[Chunk]) -> Iterator[Suspicion]:
    """The chunks that must not reach a model unseen, for what is in them or over them."""
    above = functools.cache(suspicion)  # titles, headings and table headers come again and again
    end = 0
    for chunk in chunks:
        names = [name for name in (document.title, *chunk.heading_path) if above(name)]
        header = document.text[chunk.header_start : chunk.header_end]
        found = [*map(above, names), above(header), suspicion(chunk.text)]
        if worst := max(filter(None, found), default=None):
            judged = "\0".join([*names, header, chunk.text])
            yield Suspicion(
                ordinal=chunk.ordinal,
                reason=worst.reason,
                score=worst.score,
                text_sha256=hashlib.sha256(judged.encode()).hexdigest(),
                char_start=min(end, chunk.char_start) if names else chunk.char_start,
                char_end=chunk.char_end,
            )
        end = chunk.char_end


def embed_texts(
    document: Assembled, chunks: list[Chunk], name: str, embedder: Embedder
) -> list[str]:
    """What is embedded for each chunk: its context, cut to what the window leaves, and its text."""
    stem = name.rsplit(".", 1)[0]
    title = (
        document.title
        if stem.casefold() in document.title.casefold()
        else (f"{document.title} ({stem})")
    )
    contexts = []
    for chunk in chunks:
        headings = " > ".join(h for h in chunk.heading_path if h != document.title)
        repeated = chunk.header_end <= chunk.char_start
        header = document.text[chunk.header_start : chunk.header_end] if repeated else ""
        contexts.append("\n".join(part for part in (title, headings, header) if part))
    room = embedder.max_tokens - SPECIAL_TOKENS
    limits = [max(LEAST_CONTEXT, min(CONTEXT_TOKENS, room - c.n_tokens)) for c in chunks]
    fitting = _fit(contexts, limits, embedder)
    return [f"{context}\n{chunk.text}" for context, chunk in zip(fitting, chunks, strict=True)]


def _fit(contexts: list[str], limits: list[int], embedder: Embedder) -> list[str]:
    """The contexts cut to so many tokens; in rounds, as characters don't say how many tokens go."""
    fitting = list(contexts)
    unknown = list(range(len(contexts)))
    while unknown:
        counts = embedder.count_tokens([fitting[i] for i in unknown])
        too_long = {i: n for i, n in zip(unknown, counts, strict=True) if n > limits[i]}
        for i, n_tokens in too_long.items():
            fitting[i] = _shorten(fitting[i], limits[i] / n_tokens)
        unknown = list(too_long)
    return fitting


def _shorten(context: str, share: float) -> str:
    """Cut each line to a share below 1; where all are short already, keep that share of them."""
    lines = context.split("\n")
    if all(len(line) <= MIN_LINE for line in lines):
        return "\n".join(lines[: int(len(lines) * share)])
    return "\n".join(line[: max(MIN_LINE, int(len(line) * share))] for line in lines)


def _chunks(document: Assembled, embedder: Embedder) -> Iterator[Chunk]:
    ordinal = 0
    for section in _sections(document.blocks):
        for units in _pack(_units(document.text, document.language, section, embedder)):
            yield _chunk(document, ordinal, units)
            ordinal += 1


def _sections(blocks: list[Block]) -> Iterator[list[Block]]:
    """Runs of blocks between headings; a table is a section of its own.

    A heading belongs to what follows it. One that nothing follows is a section by itself, so that
    its words are not lost.
    """
    section: list[Block] = []
    pending: list[Block] = []
    for block in blocks:
        if block.element.kind in ("heading", "title"):
            if section:
                yield section
                section = []
            if pending and len(pending[-1].heading_path) >= len(block.heading_path):
                yield pending
                pending = []
            pending.append(block)
        elif block.element.kind == "table":
            if section:
                yield section
                section = []
            pending = []
            yield [block]
        else:
            pending = []
            section.append(block)
    if section or pending:
        yield section or pending


def _units(text: str, language: str, section: list[Block], embedder: Embedder) -> Iterator[_Unit]:
    spans = [(*span, run[0]) for run in _runs(section) for span in _spans(text, language, run)]
    counts = embedder.count_tokens([text[start:end] for start, end, _ in spans])
    for (start, end, block), n_tokens in zip(spans, counts, strict=True):
        unit = _Unit(start, end, n_tokens, block)
        if n_tokens <= TARGET_TOKENS:
            yield unit
        else:
            yield from _pieces(text, unit, embedder)


def _runs(section: list[Block]) -> Iterator[list[Block]]:
    """Blocks joined by a space, not by a line break, are one paragraph over several pages."""
    run: list[Block] = []
    for block in section:
        if (run and block.start != run[-1].end + 1) or (run and block.element.kind != "paragraph"):
            yield run
            run = []
        run.append(block)
    if run:
        yield run


def _spans(text: str, language: str, run: list[Block]) -> Iterator[tuple[int, int]]:
    at, end = run[0].start, run[-1].end
    if run[0].element.kind in ("table", "code"):
        for line in text[at:end].split("\n"):
            if line.strip():
                yield at, at + len(line)
            at += len(line) + 1
        return
    for start, stop in sentence_spans(text[at:end], language):
        yield at + start, at + stop


def _pieces(text: str, unit: _Unit, embedder: Embedder) -> Iterator[_Unit]:
    """Halve an endless unit at white space until each piece fits."""
    if unit.n_tokens <= TARGET_TOKENS or unit.end - unit.start < 2:
        yield unit
        return
    cut = _cut(text, unit.start, unit.end)
    rest = cut + len(text[cut : unit.end]) - len(text[cut : unit.end].lstrip())
    for start, end in ((unit.start, cut), (rest, unit.end)):
        if start < end:
            (n_tokens,) = embedder.count_tokens([text[start:end]])
            yield from _pieces(text, _Unit(start, end, n_tokens, unit.block), embedder)


def _cut(text: str, start: int, end: int) -> int:
    """The white space nearest to the middle of a span; the middle itself where there is none."""
    half = (end - start) // 2
    gaps = (match.start() for match in re.finditer(r"\s+", text[start:end]))
    return start + min(gaps, key=lambda gap: abs(gap - half), default=half)


def _pack(units: Iterable[_Unit]) -> Iterator[list[_Unit]]:
    """Fill chunks of about the same size, so that no section ends in a crumb."""
    units = list(units)
    total = sum(unit.n_tokens for unit in units)
    n_chunks = max(1, -(-total // TARGET_TOKENS))
    goal = total / n_chunks
    packed: list[_Unit] = []
    size = 0
    for unit in units:
        full = size + unit.n_tokens > TARGET_TOKENS
        enough = size >= MIN_TOKENS and size + unit.n_tokens / 2 > goal
        if packed and (full or enough):
            yield packed
            packed, size = [], 0
        packed.append(unit)
        size += unit.n_tokens
    if packed:
        yield packed


def _chunk(document: Assembled, ordinal: int, units: list[_Unit]) -> Chunk:
    first = units[0]
    start, end = first.start, units[-1].end
    header_start, header_end = _header(first)
    return Chunk(
        ordinal=ordinal,
        char_start=start,
        char_end=end,
        text=document.text[start:end],
        heading_path=first.block.heading_path,
        header_start=header_start,
        header_end=header_end,
        page_start=_page(document.blocks, start),
        page_end=_page(document.blocks, end - 1),
        boxes=_boxes(document.pages, start, end),
        n_tokens=sum(unit.n_tokens for unit in units),
    )


def _page(blocks: list[Block], at: int) -> int | None:
    """The page of the character at an offset."""
    return blocks[bisect_right(blocks, at, key=lambda block: block.start) - 1].element.page


def _header(first: _Unit) -> tuple[int, int]:
    """Span of the table's header, empty where there is none. A first chunk begins with it."""
    block = first.block
    lines = block.element.text.split("\n")[: block.element.header_rows]
    if block.element.kind != "table" or not lines:
        return 0, 0
    return block.start, block.start + len("\n".join(lines))


def _boxes(pages: list[Page], start: int, end: int) -> tuple[Box, ...]:
    overlapping = [p for p in pages if p.char_start < end and p.char_end > start and p.words]
    return tuple(box for page in overlapping for box in block_boxes(page, start, end))

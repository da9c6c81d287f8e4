"""A page as an office scanner sees it: 300 dpi, a little crooked, a little grey."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import reportlab
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from typeset.markup import Block, Content, plain

SIZE = (2480, 3508)  # A4 at 300 dpi
LEFT, TOP, BOTTOM = 290, 300, 3250
FONTS = Path(reportlab.__file__).parent / "fonts"


def scanned_pages(content: Content) -> list[bytes]:
    """The pages as JPEG images in grey; `===` in the content starts a new page."""
    pages: list[list[Block]] = [[]]
    for block in content.blocks:
        if block.kind == "break":
            pages.append([])
        else:
            pages[-1].append(block)
    return [_scan(blocks, seed) for seed, blocks in enumerate(pages, 1)]


def _scan(blocks: list[Block], seed: int) -> bytes:
    page = Image.new("L", SIZE, 250)
    draw, y = ImageDraw.Draw(page), TOP
    for block in blocks:
        y = _draw(draw, block, y)
        assert y < BOTTOM, "a scanned page is too long: put === into its content"
    page = page.rotate(0.5 if seed % 2 else -0.4, Image.Resampling.BICUBIC, fillcolor=250)
    page = ImageChops.add(page.filter(ImageFilter.GaussianBlur(0.7)), _noise(seed), offset=-8)
    out = io.BytesIO()
    page.save(out, "JPEG", quality=38)
    return out.getvalue()


def _noise(seed: int) -> Image.Image:
    """Grey speckle between 0 and 15."""
    values = random.Random(seed).randbytes(SIZE[0] * SIZE[1] // 16)
    small = Image.frombytes("L", (SIZE[0] // 4, SIZE[1] // 4), values)
    return small.point([value // 16 for value in range(256)]).resize(SIZE)


def _font(block: Block) -> ImageFont.FreeTypeFont:
    if block.kind == "heading":
        return ImageFont.truetype(FONTS / "VeraBd.ttf", 62 if block.level == 1 else 50)
    return ImageFont.truetype(FONTS / "Vera.ttf", 42)


def _draw(draw: ImageDraw.ImageDraw, block: Block, y: int) -> int:
    """Draw a block and return where the next one starts."""
    font = _font(block)
    leading = int(font.size * 1.5)
    if block.kind == "table":
        return _draw_table(draw, block, y, font)
    marks = {"bullets": "-  ", "numbers": "{}.  "}.get(block.kind, "")
    lines = block.lines if block.kind in ("bullets", "numbers", "note") else (block.text,)
    for number, line in enumerate(lines, 1):
        for part in _wrapped(marks.format(number) + plain(line), font):
            draw.text((LEFT, y), part, font=font, fill=35)
            y += leading
    return y + leading // 2


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) > SIZE[0] - 2 * LEFT:
            yield line
            line = word
        else:
            line = longer
    yield line


def _draw_table(
    draw: ImageDraw.ImageDraw, block: Block, y: int, font: ImageFont.FreeTypeFont
) -> int:
    column = (SIZE[0] - 2 * LEFT) // len(block.rows[0])
    for row in block.rows:
        for number, cell in enumerate(row):
            draw.text((LEFT + 16 + number * column, y + 14), plain(cell), font=font, fill=35)
        draw.rectangle((LEFT, y, LEFT + column * len(row), y + 84), outline=90, width=3)
        y += 84
    return y + 50

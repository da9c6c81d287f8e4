"""From a span of text to rectangles on the page, by the boxes of its words."""

import numpy as np

from rag.types import Box, Page


def line_boxes(page: Page, start: int, end: int) -> list[Box]:
    """One box for each line of the words on `page` that overlap the span `start:end`.

    Words follow each other in reading order; a new line begins where the next word no longer
    overlaps the line vertically or does not lie to its right.
    """
    words = page.word_array()
    words = words[(words[:, 0] < end) & (words[:, 1] > start)]
    lines: list[list[float]] = []
    for _, _, x0, y0, x1, y1 in words.tolist():
        if lines and _continues(lines[-1], x0, y0, y1):
            line = lines[-1]
            line[1], line[2], line[3] = min(line[1], y0), max(line[2], x1), max(line[3], y1)
        else:
            lines.append([x0, y0, x1, y1])
    return [Box(page.number, *(round(v, 1) for v in line)) for line in lines]


def _continues(line: list[float], x0: float, y0: float, y1: float) -> bool:
    overlap = min(line[3], y1) - max(line[1], y0)
    return overlap > 0.5 * min(line[3] - line[1], y1 - y0) and x0 >= line[2] - 2


def block_boxes(page: Page, start: int, end: int) -> list[Box]:
    """The lines of `line_boxes` merged into blocks: one for each column the span runs through."""
    blocks: list[Box] = []
    for line in line_boxes(page, start, end):
        last = blocks[-1] if blocks else None
        if last and line.y0 >= last.y0 and line.x0 < last.x1 and line.x1 > last.x0:
            x0, y0 = min(last.x0, line.x0), min(last.y0, line.y0)
            blocks[-1] = Box(page.number, x0, y0, max(last.x1, line.x1), max(last.y1, line.y1))
        else:
            blocks.append(line)
    return blocks


def shift_words(words: bytes, offset: int) -> bytes:
    """The same words with `offset` added to their character offsets."""
    array = np.frombuffer(words, dtype="<f4").reshape(-1, 6).copy()
    array[:, :2] += offset
    return array.tobytes()

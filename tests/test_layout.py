"""From a span of text to rectangles on the page."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.layout import block_boxes, line_boxes, shift_words
from rag.types import Box, Page


def page(*words: tuple[float, ...], number: int = 1) -> Page:
    """A page of words (char_start, char_end, x0, y0, x1, y1)."""
    packed = np.array(words, "<f4").reshape(-1, 6).tobytes()
    end = max((int(word[1]) for word in words), default=0)
    return Page(number, 600.0, 800.0, 0, end, packed)


TWO_LINES = page(
    (0, 5, 50, 100, 90, 112),
    (6, 9, 95, 100, 120, 112),
    (10, 14, 50, 115, 80, 127),
    (15, 20, 85, 115, 130, 127),
)


def test_words_of_a_line_share_a_box_and_each_line_has_its_own() -> None:
    assert line_boxes(TWO_LINES, 0, 20) == [Box(1, 50, 100, 120, 112), Box(1, 50, 115, 130, 127)]


def test_only_words_that_overlap_the_span_count() -> None:
    assert line_boxes(TWO_LINES, 6, 14) == [Box(1, 95, 100, 120, 112), Box(1, 50, 115, 80, 127)]
    assert line_boxes(TWO_LINES, 5, 6) == [], "the space between two words"
    assert line_boxes(TWO_LINES, 7, 8) == [Box(1, 95, 100, 120, 112)], "a part shows the word"


def test_a_word_in_smaller_type_stays_on_its_line() -> None:
    line = page((0, 5, 50, 100, 90, 112), (5, 6, 90, 99, 94, 105), (7, 12, 98, 100, 140, 112))
    assert line_boxes(line, 0, 12) == [Box(1, 50, 99, 140, 112)]


def test_a_block_covers_its_lines_and_a_second_column_is_another_block() -> None:
    columns = page(
        (0, 5, 50, 700, 250, 712),
        (6, 10, 50, 715, 250, 727),
        (11, 15, 320, 100, 500, 112),
        (16, 20, 320, 115, 480, 127),
    )
    assert block_boxes(columns, 0, 20) == [Box(1, 50, 700, 250, 727), Box(1, 320, 100, 500, 127)]


def test_a_page_without_words_has_no_boxes() -> None:
    assert line_boxes(page(), 0, 100) == []
    assert block_boxes(page(), 0, 100) == []


def test_shifting_moves_offsets_and_no_box() -> None:
    shifted = Page(1, 600, 800, 0, 0, shift_words(TWO_LINES.words, 1000)).word_array()
    before = TWO_LINES.word_array()
    assert (shifted[:, :2] == before[:, :2] + 1000).all()
    assert (shifted[:, 2:] == before[:, 2:]).all()


coordinates = st.tuples(
    st.integers(0, 550), st.integers(0, 780), st.integers(1, 50), st.integers(1, 20)
)


@given(st.lists(coordinates, max_size=20), st.integers(0, 100), st.integers(0, 100))
def test_boxes_lie_on_the_page_and_cover_every_word(
    places: list[tuple[int, int, int, int]], start: int, length: int
) -> None:
    words = [
        (5.0 * i, 5.0 * i + 4, x, y, x + width, y + height)
        for i, (x, y, width, height) in enumerate(places)
    ]
    laid_out = page(*words)
    for boxes in (
        line_boxes(laid_out, start, start + length),
        block_boxes(laid_out, start, start + length),
    ):
        assert all(0 <= b.x0 < b.x1 <= 600 and 0 <= b.y0 < b.y1 <= 800 for b in boxes)
        for at, end, x0, y0, x1, y1 in words:
            if at < start + length and end > start:
                assert any(b.x0 <= x0 and b.y0 <= y0 and b.x1 >= x1 and b.y1 >= y1 for b in boxes)

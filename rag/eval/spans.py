"""Characters found against characters wanted, as the chunking_evaluation project counts them.

Gold spans count the characters of the file as it is; the product's text of it has lost markup and
white space. Both are laid side by side by their letters and digits, and what was found is counted
in the file's characters.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag.eval.gold import Span

ANCHOR = 24  # letters that must agree where the two texts meet again
REACH = 20_000  # letters looked ahead for that

Interval = tuple[int, int]  # half-open


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the letters of a document's stored text stand in its file. Both lists ascend."""

    ours: list[int]
    theirs: list[int]

    def in_file(self, start: int, end: int) -> Interval | None:
        """The span of the file that a span of our text comes from; None where none is known."""
        first, last = bisect_left(self.ours, start), bisect_left(self.ours, end)
        return (self.theirs[first], self.theirs[last - 1] + 1) if first < last else None


def align(ours: str, theirs: str) -> Alignment:
    """Lay a document's stored text beside its file's, in one pass over both."""
    a, at_a = _letters(ours)
    b, at_b = _letters(theirs)
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            pairs.append((at_a[i], at_b[j]))
            i, j = i + 1, j + 1
        else:
            i, j = _meet(a, b, i, j)
    return Alignment([ours for ours, _ in pairs], [theirs for _, theirs in pairs])


def _letters(text: str) -> tuple[str, list[int]]:
    """Letters and digits in lower case, one character for each, with their places."""
    places = [i for i, char in enumerate(text) if char.isalnum()]
    return "".join(text[i].lower()[0] for i in places), places


def _meet(a: str, b: str, i: int, j: int) -> tuple[int, int]:
    """Where the two go on together: with the least left out of either."""
    for skipped in range(REACH):
        if i + skipped + ANCHOR > len(a):
            break
        found = b.find(a[i + skipped : i + skipped + ANCHOR], j, j + REACH)
        if found >= 0:
            return i + skipped, found
    return len(a), len(b)


def find(text: str, wanted: str) -> Interval | None:
    """Where a text stands in another, whatever its white space, marks and capitals."""
    letters, places = _letters(text)
    sought, _ = _letters(wanted)
    at = letters.find(sought) if sought else -1
    return (places[at], places[at + len(sought) - 1] + 1) if at >= 0 else None


def gold_interval(span: Span, text: str) -> Interval | None:
    """The characters of a file that a gold span names; None where they are not there.

    Where the span says its text too and the offsets don't hold it, they count something else
    than characters, and the text is believed.
    """
    if span.start is None or span.end is None:
        return find(text, span.text)
    inside = text[span.start : span.end]
    if span.text and _letters(inside)[0] != _letters(span.text)[0]:
        return find(text, span.text)
    return (span.start, min(span.end, len(text))) if inside else None


def recall_precision(
    found: Sequence[tuple[str, Interval]], wanted: Sequence[tuple[str, Interval]]
) -> tuple[float, float]:
    """Shares of the wanted characters found, and of the found ones wanted; in several files.

    Each character counts once, however often it was found.
    """
    files = {file for file, _ in (*found, *wanted)}
    ours = {file: _union(span for name, span in found if name == file) for file in files}
    gold = {file: _union(span for name, span in wanted if name == file) for file in files}
    both = sum(_overlap(ours[file], gold[file]) for file in files)
    n_found, n_wanted = (sum(map(_size, spans.values())) for spans in (ours, gold))
    return both / n_wanted if n_wanted else 0.0, both / n_found if n_found else 0.0


def _union(spans: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _overlap(one: Sequence[Interval], other: Sequence[Interval]) -> int:
    return sum(max(0, min(b, d) - max(a, c)) for a, b in one for c, d in other)


def _size(spans: Iterable[Interval]) -> int:
    return sum(end - start for start, end in spans)

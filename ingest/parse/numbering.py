"""The numbers that Word shows before paragraphs but does not store: "4.2", "(a)", "Article III".

Clauses are referred to by them, so they have to be part of the text. Follows ECMA-376 part 1,
17.9: a paragraph names a list and a level; the list names an abstract one that has for each level
a number format and a pattern such as `%1.%2.`; paragraphs of all lists of one abstract list count
together, and a deeper level starts anew after a higher one.
"""

import re
from collections import defaultdict
from typing import Any, NamedTuple

from ingest.parse.markup import ordinal

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STYLES = {
    "lowerLetter": "a",
    "upperLetter": "A",
    "lowerRoman": "i",
    "upperRoman": "I",
}
_UNNUMBERED = frozenset({"bullet", "none"})


class _Level(NamedTuple):
    format: str
    pattern: str
    start: int


class Numbering:
    """Hands out the number of each paragraph in turn, in document order."""

    def __init__(self, part: Any | None) -> None:
        """`part` is the root of numbering.xml, None where the document has no lists."""
        self._levels: dict[str, dict[int, _Level]] = {}
        self._abstract: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        if part is not None:
            self._read(part)

    def label(self, num_id: str, level: int) -> str:
        """The number of the next paragraph of this list at this level; empty for a bullet."""
        abstract = self._abstract.get(num_id)
        levels = self._levels.get(abstract or "", {})
        if abstract is None or level not in levels:
            return ""
        counts = self._counts[abstract]
        counts[level] = counts.get(level, levels[level].start - 1) + 1
        for deeper in [n for n in counts if n > level]:
            del counts[deeper]
        if levels[level].format in _UNNUMBERED:
            return ""
        return re.sub(
            r"%(\d)", lambda m: _shown(levels, counts, int(m[1]) - 1), levels[level].pattern
        )

    def _read(self, part: Any) -> None:
        for abstract in part.iterchildren(f"{W}abstractNum"):
            self._levels[_attribute(abstract, "abstractNumId")] = {
                int(_attribute(level, "ilvl") or 0): _read_level(level)
                for level in abstract.iterchildren(f"{W}lvl")
            }
        for num in part.iterchildren(f"{W}num"):
            reference = num.find(f"{W}abstractNumId")
            if reference is not None:
                self._abstract[_attribute(num, "numId")] = _attribute(reference, "val")


def _read_level(level: Any) -> _Level:
    start = _child_value(level, "start")
    return _Level(
        _child_value(level, "numFmt") or "decimal",
        _child_value(level, "lvlText"),
        int(start) if start.isdecimal() else 1,
    )


def _shown(levels: dict[int, _Level], counts: dict[int, int], level: int) -> str:
    if level not in levels:
        return ""
    number = counts.get(level, levels[level].start)
    return ordinal(number, _STYLES.get(levels[level].format, "1"))


def _attribute(node: Any, name: str) -> str:
    return str(node.get(f"{W}{name}") or "")


def _child_value(node: Any, name: str) -> str:
    child = node.find(f"{W}{name}")
    return "" if child is None else _attribute(child, "val")

"""The model's text in pieces in, claims out: sentences with the keys of the passages they cite.

What comes out depends on the text alone and not on where it was cut into pieces: nothing is decided
before all that decides it is there, which is the marker after a sentence and the word after that.
Knows Markdown's lines (lists, tables, headings, code) and nothing of passages but their keys.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rag.answer.markers import LABELS, Marker, MarkerReader
from rag.text import sentence_spans

Kind = Literal["sentence", "lead"]

LOOKAHEAD_CHARS = 24  # of the next word, that decide whether a full stop ends a sentence
MAX_QUOTE_CHARS = 400  # a quotation mark that far back was no opening one
_FENCE = re.compile(r"(?:`{3,}|~{3,})")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t:|-]*-[ \t:|-]*")
_NO_DELIMITER = re.compile(r"[^\s:|-]")
_HEADING = re.compile(r"#{1,6}[ \t]")
_BOLD = re.compile(r"(\*\*|__)[^*_\n]*[^*_\n.!?]\1:?")
_PREFIX = re.compile(
    r"(?:>[ \t]*)*(?:(?:[-*+•‣◦–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]+)?(?:\[[ xX]\][ \t]+)?"
)
_LIST_MARK = re.compile(r"(?:\d{1,3}|[a-z])[.)]$")
_STOP = re.compile(r"[.!?…।॥。！？]+[\"'“”’»)\]*_]*")
_SURE_STOPS = frozenset("।॥。！？")
_ENDING = re.compile(r"[.!?…।॥。！？:;：][\"'“”’»)\]*_]*$")
_STRAIGHT = re.compile(r"(?<!\d)\"")  # after a digit it means inches
_NEXT_WORD = re.compile(r"\s+(\S+)")
_INITIAL = re.compile(r"(?:^|[\s(])[^\W\d_]\.$")
_WORD = re.compile(r"[^\W_]+")
_QUOTES = (("„", "“”"), ("“", "”"), ("«", "»"), ("(", ")"))  # opening, closing


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, list item, table row or block of code of an answer, without its markers.

    `glue + text` of all claims, one after the other, is the answer without markers and without
    white space at its end. A `lead` says nothing by itself (a heading, "The steps are:", a table's
    header, a rule): it need not be cited, and is to be shown only when something follows that is.
    """

    text: str
    keys: tuple[str, ...] = ()  # known ones, in order, none twice
    n_unknown: int = 0  # markers of keys that name no passage; removed
    glue: str = ""  # white space before it, as the model wrote it
    kind: Kind = "sentence"


@dataclass(frozen=True, slots=True)
class _Cut:
    end: int  # in the held text
    kind: Kind = "sentence"
    row: bool = False  # of a table


class ClaimSplitter:
    """Holds text back until it is a whole claim with its trailing markers."""

    def __init__(self, known_keys: Iterable[str], language: str) -> None:
        """`language` is the answer's (ISO 639-1); it decides where sentences end."""
        self._language = language
        self._reader = MarkerReader(known_keys)
        self._held = ""  # clean text from the end of the last claim on
        self._markers: list[Marker] = []  # those in it; offsets count from the answer's beginning
        self._n_out = 0  # characters of all claims so far
        self._in_table = False

    def feed(self, text: str) -> list[Claim]:
        """Take the next piece of any length; returns the claims that it completes."""
        self._take(*self._reader.feed(text))
        return list(self._claims(final=False))

    def finish(self) -> list[Claim]:
        """The model has ended: returns what was held back."""
        self._take(*self._reader.feed("", final=True))
        return list(self._claims(final=True))

    def _take(self, text: str, markers: list[Marker]) -> None:
        self._held += text
        self._markers += markers

    def _claims(self, *, final: bool) -> Iterator[Claim]:
        while True:
            start = len(self._held) - len(self._held.lstrip())
            if start == len(self._held):
                return
            cut = self._cut(start, final)
            if cut is None:
                return
            yield self._release(start, cut)

    def _release(self, start: int, cut: _Cut) -> Claim:
        end = self._n_out + cut.end
        mine = [marker for marker in self._markers if marker.at <= end]
        self._markers = self._markers[len(mine) :]
        text, keys = self._held[start : cut.end], dict.fromkeys(k for m in mine for k in m.keys)
        claim = Claim(
            text=text,
            keys=tuple(keys),
            n_unknown=sum(marker.n_unknown for marker in mine),
            glue=self._held[:start],
            kind=_kind(text, cut, cited=bool(keys)),
        )
        self._held = self._held[cut.end :]
        self._n_out = end
        self._in_table = cut.row
        return claim

    # Where the claim that begins at `start` ends. None: not to be seen yet.

    def _cut(self, start: int, final: bool) -> _Cut | None:
        if "\n" in self._held[:start] or self._n_out == 0:
            if fence := _FENCE.match(self._held, start):
                return self._code_cut(fence, final)
            if self._held[start] == "|":
                return self._row_cut(start, final)
            if _HEADING.match(self._held, start):
                return self._line_cut(start, final)
        return self._prose_cut(start, final)

    def _code_cut(self, fence: re.Match[str], final: bool) -> _Cut | None:
        closing = re.compile(rf"\n[ \t]*{re.escape(fence[0])}[ \t]*(?=\n|$)")
        found = closing.search(self._held, fence.end())
        if found and (found.end() < len(self._held) or final):
            return _Cut(found.end() - len(found[0]) + len(found[0].rstrip()))
        return _Cut(len(self._held.rstrip())) if final else None

    def _line_cut(self, start: int, final: bool) -> _Cut | None:
        end = self._line_end(start)
        if end == len(self._held) and not final:
            return None
        return _Cut(start + len(self._held[start:end].rstrip()), "lead")

    def _row_cut(self, start: int, final: bool) -> _Cut | None:
        end = self._line_end(start)
        if end == len(self._held) and not final:
            return None
        row = _Cut(start + len(self._held[start:end].rstrip()), row=True)
        if self._in_table:
            return row
        next_end = self._line_end(end + 1)
        following = self._held[end + 1 : next_end]
        if _NO_DELIMITER.search(following) or "\n\n" in self._held[end : end + 2]:
            return row
        if next_end == len(self._held) and not final:
            return None
        if not _DELIMITER.fullmatch(following):
            return row
        return _Cut(end + 1 + len(following.rstrip()), "lead", row=True)

    def _prose_cut(self, start: int, final: bool) -> _Cut | None:
        prefix = _PREFIX.match(self._held, start)
        body = prefix.end() if prefix else start
        at = body
        while True:
            end = self._line_end(at)
            for stop in self._stops(body, at, end):
                ends = self._ends_sentence(body, *stop, final)
                if ends is None:
                    return None
                if ends:
                    return _Cut(stop[1])
            if end == len(self._held):
                return _Cut(len(self._held.rstrip())) if final else None
            goes_on = self._goes_on(start, end, final)
            if goes_on is None:
                return None
            if not goes_on:
                return _Cut(start + len(self._held[start:end].rstrip()))
            at = end + 1

    def _stops(self, body: int, at: int, end: int) -> list[tuple[int, int]]:
        """Spans of what might end a sentence between `at` and `end`, closing quotes included."""
        marked = self._marked()
        stops = [(m, m) for m in marked if max(at, body + 1) <= m <= end and self._is_thai(m - 1)]
        for match in _STOP.finditer(self._held, at, end):
            after = self._held[match.end() : match.end() + 1]
            if not after or after.isspace() or match.end() in marked or match[0] in _SURE_STOPS:
                stops.append(match.span())
        return sorted(stops)

    def _ends_sentence(self, body: int, begin: int, stop: int, final: bool) -> bool | None:
        rest = self._held[stop:]
        if not rest.strip():
            return True if final else None
        if rest.lstrip(" \t").startswith("\n") or any(begin <= m <= stop for m in self._marked()):
            return True
        text = self._held[body:stop]
        if _is_open(text):
            return False
        if text[-1] in _SURE_STOPS:
            return True
        word = _NEXT_WORD.match(rest)
        assert word is not None, "white space follows a stop that has no marker"
        if word.end() == len(rest) and len(word[1]) < LOOKAHEAD_CHARS and not final:
            return None
        if _INITIAL.search(text):
            return False
        spans = sentence_spans(f"{text} {word[1][:LOOKAHEAD_CHARS]}", self._language)
        return any(span_end == len(text) for _, span_end in spans)

    def _marked(self) -> set[int]:
        return {marker.at - self._n_out for marker in self._markers}

    def _is_thai(self, at: int) -> bool:
        return "\u0e00" <= self._held[at] <= "\u0e7f"  # its sentences end without a sign

    def _goes_on(self, start: int, end: int, final: bool) -> bool | None:
        """Whether a sentence runs over the line break at `end`, as where the model wraps lines."""
        gap = re.compile(r"\s*").match(self._held, end)
        assert gap is not None, "nothing is a match too"
        if gap[0].count("\n") > 1 or gap.end() == len(self._held):
            return False
        if _ENDING.search(self._held[start:end].rstrip()):
            return False
        word = self._held[gap.end() : gap.end() + LOOKAHEAD_CHARS].split(maxsplit=1)[0]
        if gap.end() + len(word) == len(self._held) and len(word) < LOOKAHEAD_CHARS and not final:
            return None
        return word[0].islower() and not _LIST_MARK.match(word)

    def _line_end(self, at: int) -> int:
        end = self._held.find("\n", at)
        return len(self._held) if end < 0 else end


def _kind(text: str, cut: _Cut, *, cited: bool) -> Kind:
    if cut.kind == "lead" or _BOLD.fullmatch(text) or not any(map(str.isalnum, text)):
        return "lead"
    if cut.row or not text.rstrip("*_ ").endswith((":", "：")):
        return "sentence"
    says_nothing = {word.lower() for word in _WORD.findall(text)} <= LABELS  # "Sources:"
    return "sentence" if cited and not says_nothing else "lead"


def _is_open(text: str) -> bool:
    """Whether a quotation or a bracket that began not long ago goes on."""
    recent = text[-MAX_QUOTE_CHARS:]
    if len(_STRAIGHT.findall(recent)) % 2:
        return True
    german = "„" in recent  # which closes with what opens in English
    return any(
        recent.count(opening) > sum(map(recent.count, closing))
        for opening, closing in _QUOTES
        if not (german and opening == "“")
    )

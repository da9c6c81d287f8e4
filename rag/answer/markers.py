"""Citation markers in the model's text: found, read and taken out while the text arrives.

A marker is a bracket with the key of a passage in it: `[k3f9]`, `[k3f9, a2b1]`, `【k3f9】`, and
what models make of that: `([k3f9])`, `[Source: k3f9]`, `[^k3f9]`, `\\[k3f9\\]`. A bracket of no
known key is a marker if all in it have the form of a key, which is four characters of small letters
and digits, both kinds of them; so `[2024]`, `[sic]` and `[note]` stay text unless they are keys.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_CHARS = 80  # of a bracket; a longer one is text
OPENING, CLOSING = "[【［(", "]】］)"
LABELS = frozenset(  # what may stand beside a key in its bracket
    re.findall(
        r"\w+",
        "cite cited citation doc document key keys p page pages passage passages pp ref reference"
        " s see seite siehe source sources quelle quellen fuente fonte and und et y e",
    )
)
_TOKEN = re.compile(r"[^\W_]+")
_KEY_FORM = re.compile(r"(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{4}")
_ONLY_BRACKETS = re.compile(r"\(\s*(?:[\[【［][^()]*[\]】］][\s,;]*)+\)")
_BETWEEN = re.compile(r"[ \t]*(?:[,;][ \t]*)?")
_ATOM = re.compile(r"\s+|\\?[\[【［(]|[^\s\\\[【［(]+|\\")
_TIGHT = frozenset(".,;:!?)]}»”’…。！？।॥、，|\"'")  # no space stands before these


@dataclass(frozen=True, slots=True)
class Marker:
    """A run of markers that was taken out."""

    at: int  # offset in the clean text
    keys: tuple[str, ...]
    n_unknown: int


@dataclass(frozen=True, slots=True)
class _Run:
    end: int
    keys: tuple[str, ...]
    n_unknown: int


class MarkerReader:
    """Takes text in pieces and gives it back without markers, as far as that is certain."""

    def __init__(self, known_keys: Iterable[str]) -> None:
        self._known = {key.lower(): key for key in known_keys}
        self._raw = ""  # what may still be, or stand beside, a marker
        self._n_out = 0  # characters given back

    def feed(self, text: str, *, final: bool = False) -> tuple[str, list[Marker]]:
        """The next clean text and the markers in it; all that is left if `final`."""
        self._raw += text
        clean: list[str] = []
        markers: list[Marker] = []
        while self._raw and self._step(clean, markers, final):
            pass
        return "".join(clean), markers

    def _step(self, clean: list[str], markers: list[Marker], final: bool) -> bool:
        """Deal with white space and what stands after it; False where more text is needed."""
        n_space = len(self._raw) - len(self._raw.lstrip())
        if n_space == len(self._raw):
            if final:
                self._emit(n_space, clean)
            return final
        if self._raw[n_space] in OPENING + "\\":
            run = self._run(n_space, final)
            if run is None:
                return False
            if run.end > n_space:
                return self._take(n_space, run, clean, markers, final)
        atom = _ATOM.match(self._raw, n_space)
        assert atom is not None, "every character begins an atom"
        self._emit(atom.end(), clean)
        return True

    def _emit(self, n_chars: int, clean: list[str]) -> None:
        text, self._raw = self._raw[:n_chars], self._raw[n_chars:]
        if text:
            clean.append(text)
            self._n_out += len(text)

    def _take(
        self, n_space: int, run: _Run, clean: list[str], markers: list[Marker], final: bool
    ) -> bool:
        """Take a run of markers out, with the white space that was only there for them."""
        after = self._raw[run.end :]
        text_after = after.lstrip(" \t")
        if not text_after and not final:
            return False
        line_begins = "\n" in self._raw[:n_space] or self._n_out == 0
        line_ends = not text_after or text_after[0] in "\r\n"
        if line_begins and not line_ends:  # what is said after it is what it cites
            self._emit(n_space, clean)
            self._raw = text_after
        else:
            needed = after != "" and not after[0].isspace() and after[0] not in _TIGHT
            self._raw = (self._raw[:n_space] if needed else "") + after
        markers.append(Marker(self._n_out, run.keys, run.n_unknown))
        return True

    # Reading one run

    def _run(self, at: int, final: bool) -> _Run | None:
        """The markers from `at` on; ends at `at` if there are none; None if that is open yet."""
        keys: list[str] = []
        n_unknown = 0
        end = at
        while True:
            begin = end
            if end > at:
                gap = _BETWEEN.match(self._raw, end)
                begin = gap.end() if gap else end
                if begin == len(self._raw) and not final:
                    return None
            close = _close(self._raw, begin)
            if close is None:
                if not final:
                    return None
                break
            read = self._read(self._raw[begin:close]) if close > begin else None
            if read is None:
                break
            keys += read[0]
            n_unknown += read[1]
            end = close
        return _Run(end, tuple(dict.fromkeys(keys)), n_unknown)

    def _read(self, bracket: str) -> tuple[list[str], int] | None:
        """Known keys and the number of unknown ones; None if this is no marker."""
        tokens = _TOKEN.findall(bracket)
        known = [self._known[token.lower()] for token in tokens if token.lower() in self._known]
        others = [
            token.lower()
            for token in tokens
            if token.lower() not in self._known and not _KEY_FORM.fullmatch(token)
        ]
        n_unknown = len(tokens) - len(known) - len(others)
        if not known and not n_unknown:
            return None
        if bracket.lstrip("\\")[0] == "(" and not _ONLY_BRACKETS.fullmatch(bracket):
            return (known, 0) if len(known) == len(tokens) and _certain(known) else None
        if others and not (_certain(known) and all(_is_label(token) for token in others)):
            return None
        return known, n_unknown


def _certain(keys: list[str]) -> bool:
    """Whether one of them could not as well be a word or a number."""
    return any(_KEY_FORM.fullmatch(key.lower()) for key in keys)


def _is_label(token: str) -> bool:
    return token in LABELS or (token.isdigit() and len(token) <= 4)


def _close(text: str, at: int) -> int | None:
    """Where the bracket at `at` ends; `at` if none stands there; None if it is not closed yet."""
    start = at + 1 if text[at : at + 1] == "\\" else at
    if start == len(text):
        return None if start > at else at
    if text[start] not in OPENING:
        return at
    depth = 0
    for i in range(start, min(len(text), start + MAX_CHARS)):
        char = text[i]
        if char in OPENING:
            depth += 1
        elif char in CLOSING:
            depth -= 1
        if char == "\n" or depth > 2:
            return at
        if depth == 0:
            return i + 1
    return None if len(text) < start + MAX_CHARS else at

"""A set's questions against what the set was put into: gold by the names that searches return."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.eval.filling import Filled
from rag.eval.gold import Place
from rag.eval.sets import Question, Set
from rag.eval.spans import Interval, gold_interval

MAX_TEXT_BYTES = 64 * 1024**2  # of a file that spans count the characters of


@dataclass(frozen=True, slots=True)
class Case:
    """A question as it is judged. Documents are named as `Filled.keys` names them."""

    question: Question
    relevant: dict[str, int]  # document -> grade
    pages: tuple[Place, ...]  # each with its page
    spans: tuple[tuple[str, Interval], ...]  # in the characters of `Cases.texts`
    itself: str = ""  # the document that is the question, as in sets of duplicates


@dataclass(frozen=True, slots=True)
class Cases:
    """The questions that can be judged, the texts that spans count in, and what is amiss."""

    cases: list[Case]
    texts: dict[str, str]
    notes: list[str]


class Names:
    """The files of a folder by what a set may call them: path, name, or name without suffix."""

    def __init__(self, folder: Path) -> None:
        paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        self._paths = set(paths)
        self._by: dict[str, set[str]] = defaultdict(set)
        for path in paths:
            for name in {Path(path).name, Path(path).stem, path}:
                self._by[name.casefold()].add(path)

    def resolve(self, name: str) -> str | None:
        """The path of the one file that is meant; None where there is none, or several."""
        found = self.meant(name)
        return found[0] if len(found) == 1 else None

    def meant(self, name: str) -> list[str]:
        """The paths of all that may be meant."""
        plain = name.removeprefix("./").removeprefix("docs/")
        if plain in self._paths:
            return [plain]
        found = self._by.get(plain.casefold()) or self._by.get(Path(plain).name.casefold()) or set()
        return sorted(found)


def over_docs(found: Set, docs: Path, filled: Filled) -> Cases:
    """The questions with gold among the files of a folder."""
    names = Names(docs)
    texts, stored = _texts(docs, names, found.questions, filled)
    missing: Counter[str] = Counter()
    beyond: Counter[str] = Counter()
    numbers = filled.numbers
    cases: list[Case] = []
    n_left_out = n_spans_lost = 0
    for question in (q for q in found.questions if q.gold.places):
        places = [(names.resolve(place.file), place) for place in question.gold.places]
        missing.update(place.file for path, place in places if path is None)
        there = [Place(path, place.page) for path, place in places if path is not None]
        if not there:
            n_left_out += 1
            continue
        spans, n_lost = _spans(question, texts, names.resolve, stored)
        n_spans_lost += n_lost
        pages = tuple(place for place in there if place.page is not None)
        beyond.update(_not_there(there, numbers, filled))
        cases.append(Case(question, {place.file: 1 for place in there}, pages, spans))
    several = {name for name in missing if len(names.meant(name)) > 1}
    notes = _notes(missing.keys() - several, n_left_out, n_spans_lost)
    if several:
        files = ", ".join(names.meant(min(several))[:3])
        what = f"{min(several)} is each of {files}; name them by their paths"
        notes.append(f"{len(several):,} gold documents could be several files: {what}")
    if beyond:
        what = "gold places are in no document that was ingested, and count as not found"
        notes.append(f"{len(beyond):,} {what}: {_first(beyond)}")
    return Cases(cases, texts, notes)


def _not_there(
    places: Sequence[Place], numbers: Mapping[str, int], filled: Filled
) -> Iterator[str]:
    """Those that no passage can be of: of a file without a document, or of a page that it lacks."""
    for file, page in places:
        if file not in numbers:
            yield file
        elif page is not None:
            document = filled.store.document(filled.access, numbers[file])
            if page > document.n_pages:
                yield f"{file}, page {page}"


def over_corpus(found: Set, filled: Filled) -> Cases:
    """The questions with gold among the entries of a corpus."""
    held = set(filled.keys.values())
    cases: list[Case] = []
    missing: Counter[str] = Counter()
    n_lost = 0
    for question in found.questions:
        named = {place.file: 1 for place in question.gold.places if place.file in held}
        if relevant := question.relevant or named:
            spans, n = _spans(question, filled.texts, lambda name: name)
            n_lost += n if found.docs is None else 0
            missing.update(name for name in relevant if name not in held)
            cases.append(Case(question, relevant, (), spans, _itself(question, filled.texts)))
    return Cases(cases, filled.texts, _notes(missing, 0, n_lost))


def wanted_texts(found: Set) -> set[str]:
    """The corpus entries whose text is needed: those of spans, and questions' namesakes."""
    named = {span.file for question in found.questions for span in question.gold.spans}
    return named | {question.id for question in found.questions}


def _itself(question: Question, texts: Mapping[str, str]) -> str:
    """The entry that has the question's own name and words: finding it is no merit."""
    same = " ".join(texts.get(question.id, "").split()).casefold() == question.text.casefold()
    return question.id if same and question.id not in question.relevant else ""


def _spans(
    question: Question,
    texts: Mapping[str, str],
    resolve: Callable[[str], str | None],
    stored: Collection[str] = (),
) -> tuple[tuple[tuple[str, Interval], ...], int]:
    """The gold spans that can be placed, and how many could not be.

    In what is `stored` of a file that is no text itself, a span is known by its own text only.
    """
    placed = []
    for span in question.gold.spans:
        path = resolve(span.file)
        if path is None or path not in texts:
            continue
        if path in stored:
            if not span.text:
                continue
            span = span._replace(start=None, end=None)
        if (interval := gold_interval(span, texts[path])) is not None:
            placed.append((path, interval))
    return tuple(placed), len(question.gold.spans) - len(placed)


def _texts(
    docs: Path, names: Names, questions: Iterable[Question], filled: Filled
) -> tuple[dict[str, str], set[str]]:
    """The text of the files that gold spans are of, and for which of them it is the stored one.

    A PDF or a Word file has no characters that a set could count; what was read of it has.
    """
    wanted = {names.resolve(span.file) for question in questions for span in question.gold.spans}
    texts, stored = {}, set()
    for path in map(str, wanted - {None}):
        file = docs / path
        if not file.is_file() or file.stat().st_size > MAX_TEXT_BYTES:
            continue
        content = file.read_bytes()
        if b"\0" not in content and not content.startswith(b"%PDF-"):
            texts[path] = content.decode(errors="replace")
        elif path in filled.numbers:
            texts[path] = filled.store.text(filled.access, filled.numbers[path])
            stored.add(path)
    return texts, stored


def _first(names: Iterable[str]) -> str:
    some = sorted(names)
    return ", ".join(some[:3]) + (" …" if len(some) > 3 else "")


def _notes(missing: Collection[str], n_left_out: int, n_spans_lost: int) -> list[str]:
    notes = []
    if missing:
        notes.append(f"{len(missing):,} gold documents are not in the set: {_first(missing)}")
    if n_left_out:
        notes.append(f"{n_left_out:,} questions are left out: none of their gold is in the set")
    if n_spans_lost:
        notes.append(
            f"{n_spans_lost:,} gold spans do not count: their text is not in their documents, or"
            " they count the characters of a file that is no text"
        )
    return notes

"""A folder in, the questions of a set out, with what is known to be right."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rag.errors import BadRequest
from rag.eval.gold import Gold, Place, read_gold
from rag.eval.lines import LAYOUTS, json_lines, judgements, text_of, wrong

DOCS = ("docs", "documents", "files")
QUERIES = ("queries.jsonl", "questions.jsonl")
QRELS = ("qrels.tsv", "qrels/test.tsv", "test.tsv", "qrels/dev.tsv", "qrels.txt")
Grades = dict[str, dict[str, int]]  # question -> document -> grade
QRELS_DOCS = ("qrels_docs.tsv", "qrels_files.tsv")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is right for it."""

    id: str
    text: str
    gold: Gold = field(default_factory=Gold)
    relevant: dict[str, int] = field(default_factory=dict)  # corpus entry -> grade above 0

    @property
    def is_judged(self) -> bool:
        """Whether anything is known to be right for it."""
        return bool(self.relevant or self.gold.places)


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a corpus in the BEIR layout."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Set:
    """A set: questions over a corpus, over files, or over both."""

    name: str
    corpus: Path | None  # a file of JSON lines
    docs: Path | None  # a folder of files
    questions: list[Question]  # those with something right
    n_unjudged: int  # other questions of the file


def load_set(folder: Path, queries: Path | None = None, qrels: Path | None = None) -> Set:
    """Read a set; the files of questions and of judgements are found where none is named.

    Raises:
        BadRequest: there is no set, a file is malformed, or no question has anything right.
    """
    if not folder.is_dir():
        raise BadRequest(f"there is no folder {folder}", hint="Name the folder of a set.")
    corpus = _first(folder, ("corpus.jsonl",), Path.is_file)
    docs = _first(folder, DOCS, Path.is_dir)
    if corpus is None and docs is None:
        raise BadRequest(f"{folder} holds neither corpus.jsonl nor a folder docs", hint=LAYOUTS)
    file = queries or _first(folder, QUERIES, Path.is_file)
    if file is None:
        raise BadRequest(f"{folder} holds no queries.jsonl", hint=LAYOUTS)
    table = qrels or _first(folder, QRELS, Path.is_file)
    # Where a table says what is right, the lines may hold what they like under any name.
    questions = load_questions(file, lenient=table is not None and docs is None)
    grades = _grades(table) if table else {}
    questions = _judged(folder, questions, grades, by_corpus=corpus is not None)
    wanted = [q for q in questions if q.is_judged and q.gold.answerable is not False]
    if not wanted:
        why = _why_none(questions, table, grades)
        raise BadRequest(f"no question of {file} has anything that is right: {why}", hint=LAYOUTS)
    name = folder.resolve().name
    return Set(name, corpus, docs, wanted, len(questions) - len(wanted))


def load_questions(file: Path, *, lenient: bool = False) -> list[Question]:
    """The questions of a file of JSON lines, with what their lines say is right.

    What cannot be understood of that is passed over where this is `lenient`.

    Raises:
        BadRequest: a line has no question, a name comes twice, or there is none.
    """
    found: dict[str, Question] = {}
    for number, row in json_lines(file):
        name = text_of(file, number, row, "_id", "id", "query_id") or f"line {number}"
        text = " ".join(text_of(file, number, row, "text", "question", "query").split())
        if not text:
            raise wrong(file, number, "there is no question: no 'text' and no 'question'")
        if name in found:
            raise wrong(file, number, f"the question {name!r} came before")
        found[name] = Question(name, text, _gold(file, number, row, lenient=lenient))
    if not found:
        raise BadRequest(f"{file} holds no question", hint=LAYOUTS)
    return list(found.values())


def gold_digest(questions: Sequence[Question]) -> str:
    """A name for what is right for these questions, to see whether two runs were judged alike."""
    gold = [
        (q.id, sorted(q.relevant.items()), q.gold) for q in sorted(questions, key=lambda q: q.id)
    ]
    return hashlib.sha256(repr(gold).encode(errors="replace")).hexdigest()[:12]


def entries(corpus: Path) -> Iterator[Entry]:
    """The documents of a corpus, one after the other.

    Raises:
        BadRequest: a line has no identifier, or one that came before.
    """
    seen: set[str] = set()
    for number, row in json_lines(corpus):
        name = text_of(corpus, number, row, "_id", "id", "doc_id")
        if not name:
            raise wrong(corpus, number, "there is no '_id'")
        if name in seen:
            raise wrong(corpus, number, f"the document {name!r} came before")
        seen.add(name)
        title = text_of(corpus, number, row, "title")
        yield Entry(name, title, text_of(corpus, number, row, "text", "contents"))


def _gold(file: Path, number: int, row: dict[str, Any], *, lenient: bool) -> Gold:
    try:
        return read_gold(row, lambda what: wrong(file, number, what))
    except BadRequest:
        if lenient:
            return Gold()
        raise


def _first(folder: Path, names: Sequence[str], is_there: Callable[[Path], bool]) -> Path | None:
    return next((folder / name for name in names if is_there(folder / name)), None)


def _why_none(questions: list[Question], table: Path | None, grades: Grades) -> str:
    if any(question.is_judged for question in questions):
        return "those that are judged say 'answerable': false"
    if table is None:
        return "there is no qrels.tsv, and its lines name no documents"
    if not grades:
        return f"{table} has no row with a grade above 0"
    judged = next(iter(grades))
    known = {question.id for question in questions}
    if any(known & documents.keys() for documents in grades.values()):
        return f"{table} has its questions in the second column; wanted are question, document"
    return f"{table} judges others, such as {judged!r}"


def _judged(
    folder: Path, questions: list[Question], relevant: Grades, *, by_corpus: bool
) -> list[Question]:
    """The questions with what the tables of judgements add: corpus entries, or files."""
    of_files = _first(folder, QRELS_DOCS, Path.is_file)
    cited = _grades(of_files) if of_files else {}
    if not by_corpus:
        cited, relevant = {**relevant, **cited}, {}
    return [
        replace(
            question,
            relevant=relevant.get(question.id, {}),
            gold=_with_files(question.gold, cited.get(question.id, {})),
        )
        for question in questions
    ]


def _with_files(gold: Gold, files: dict[str, int]) -> Gold:
    places = dict.fromkeys([*gold.places, *(Place(file) for file in files)])
    return replace(gold, places=tuple(places))


def _grades(table: Path) -> Grades:
    grades: Grades = defaultdict(dict)
    for _, (question, document, grade) in judgements(table):
        if grade > 0:
            grades[question][document] = grade
    return grades

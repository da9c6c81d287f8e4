"""The eight languages: is a question's own known, and do its words find their passage?

Language of a question: whole, and cut after its first five and three words, for XQuAD and for
questions of ours (tests/bench/questions.py); a question that gets no language is not right.
Search: lexical branch alone, one chunk a document, each language's questions put to its own XQuAD
corpus and to all five corpora in one index, where the right passage is the one in the question's
language.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rag.search.lexical import LexicalIndex
from rag.search.words import prepared
from rag.text import detect_language, question_language
from rag.types import Access, IndexRow
from tests.bench import sets
from tests.bench.fusions import ndcg
from tests.bench.naive import PlainBm25
from tests.bench.questions import QUESTIONS
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, scratch

NEEDS = ("xquad",)
LANGUAGES = ("en", "de", "es", "hi", "th")  # of XQuAD; English first, the others against it
ACCESS = Access(frozenset({"docs"}))
BASELINE = "plain BM25 (Tantivy, English stemmer, all words)"
CUTS = (None, 5, 3)
K = 10

Sets = dict[str, sets.Ranked]
Texts = Sequence[tuple[str, str]]  # language and text
Search = Callable[[str], list[int]]  # a query to rows, best first
Build = Callable[[Path, Texts], Search]


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Languages", __doc__.split("\n\n", 1)[1].replace("\n", " "), quick=run.quick)
    data = {language: _load(run, language) for language in LANGUAGES}
    _print_detected(data)
    _print_search(data)


def _load(run: Run, language: str) -> sets.Ranked:
    data = sets.ranked(run.eval_dir, f"xquad/{language}")
    asked = run.some(list(data.queries), len(data.queries), 20)
    return replace(data, queries={key: data.queries[key] for key in asked})


def _print_detected(data: Sets) -> None:
    asked = {(f"xquad/{name}", name): list(one.queries.values()) for name, one in data.items()}
    asked |= {(f"ours/{name}", name): of.strip().split("\n") for name, of in QUESTIONS.items()}
    rows: list[list[Cell]] = []
    for (name, language), questions in asked.items():
        row: list[Cell] = [name, len(questions)]
        for detect in (detect_language, _asked_in):
            row += [_right(detect, questions, language, cut) for cut in CUTS]
        rows.append(row)
    cuts = ("whole", "5 words", "3 words")
    before = [f"documents' detector: {cut}" for cut in cuts]
    print_table(("language found", "n", *before, *cuts), rows)
    print_line("The documents' detector takes what it is not sure of for English.")


def _asked_in(question: str) -> str:
    return question_language(question, fallback="none")


def _right(
    detect: Callable[[str], str], questions: Sequence[str], language: str, cut: int | None
) -> float:
    found = [detect(_first_words(question, language, cut)) for question in questions]
    return found.count(language) / len(found)


def _first_words(question: str, language: str, n: int | None) -> str:
    if n is None:
        return question
    if language == "th":
        return "".join(prepared(question, language).split()[:n])
    return " ".join(question.split()[:n])


def _print_search(data: Sets) -> None:
    rows: list[list[Cell]] = []
    for way, build in ((BASELINE, _plain), ("**lexical branch**", _lexical)):
        own = [_measure(build, {name: one}, name) for name, one in data.items()]
        pooled = [_measure(build, data, name) for name in data]
        rows += _with_ratios(f"{way}, own corpus", own)
        rows += _with_ratios(f"{way}, all corpora", pooled)
    print_table(("nDCG@10", *(f"xquad/{name}" for name in data)), rows)
    english = data[LANGUAGES[0]]
    print_line(f"{len(english.ids)} passages, {len(english.queries)} questions in each language.")


def _measure(build: Build, corpora: Sets, asked: str) -> float:
    """Mean nDCG@10 of one language's questions; its own passages alone are right."""
    keys = [(language, key) for language, one in corpora.items() for key in one.ids]
    texts = [(language, text) for language, one in corpora.items() for text in one.texts]
    total = 0.0
    with scratch() as folder:
        search = build(folder, texts)
        for query, text in corpora[asked].queries.items():
            found = [keys[row] for row in search(text)]
            own = [key if language == asked else "" for language, key in found]
            total += ndcg(own, corpora[asked].relevant[query])
    return total / len(corpora[asked].queries)


def _plain(_: Path, texts: Texts) -> Search:
    plain = PlainBm25([text for _, text in texts])
    return lambda query: list(plain.search(query, K))


def _lexical(folder: Path, texts: Texts) -> Search:
    index = LexicalIndex(folder)
    index.append(_row(number, *text) for number, text in enumerate(texts))
    index.close()
    return lambda query: [number for number, _ in index.search(query, K, ACCESS)]


def _row(number: int, language: str, text: str) -> IndexRow:
    return IndexRow(
        chunk_id=number,
        document_id=number,
        collection="docs",
        list_id=0,
        language=language,
        title="",
        name="",
        heading="",
        text=text,
        model_id="",
        vector=np.zeros(1, np.float32),
    )


def _with_ratios(way: str, values: Sequence[float]) -> list[list[Cell]]:
    return [[way, *values], ["… × English", *(value / values[0] for value in values)]]

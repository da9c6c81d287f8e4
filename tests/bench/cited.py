"""The right cases of each set: gold answers with their page, questions with their answer."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from rag.answer.pack import Passage
from rag.search.lexical import LexicalIndex
from rag.types import Access, IndexRow, StoredChunk
from tests.bench import sets
from tests.bench.embedding import CachedEmbedder
from tests.bench.run import Run, progress, scratch
from tests.bench.spoiled import CORRECT, Case, copied, made_passage, sentences
from tests.bench.stores import ingested

PER_SET = 200
NEAREST = 20
LANGUAGES = ("en", "de", "es", "hi", "th")
TITLES = "en"  # XQuAD has titles in English only
_SOURCE = re.compile(r"\(?\*{0,2}SOURCES?(?:\(S\))?\b.*", re.IGNORECASE)
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
ACCESS = Access(frozenset({"docs"}))


class Collection:
    """Passages and a lexical index over them."""

    def __init__(self, passages: Sequence[Passage], lexical: LexicalIndex) -> None:
        self.passages = list(passages)
        self.lexical = lexical

    def nearest(self, text: str, k: int = NEAREST) -> list[Passage]:
        """By words."""
        found = self.lexical.search(text, k, ACCESS)
        return [self.passages[number - 1] for number, _ in found]


@contextmanager
def collection(passages: Sequence[Passage], folder: Path) -> Iterator[Collection]:
    """Index passages for `nearest` and for the rarity of words."""
    folder.mkdir(parents=True, exist_ok=True)
    lexical = LexicalIndex(folder)
    lexical.append(
        IndexRow(
            chunk_id=number,
            document_id=number,
            collection="docs",
            list_id=0,
            language=passage.language,
            title=passage.title,
            name="",
            heading="",
            text=passage.text,
            model_id="",
            vector=np.zeros(1, np.float32),
        )
        for number, passage in enumerate(passages, 1)
    )
    lexical.close()
    yield Collection(passages, lexical)


def paragraphs(run: Run, name: str, language: str) -> tuple[list[Passage], dict[str, int]]:
    """The passages of a set in the BEIR layout, and the number of each by its id."""
    data = sets.ranked(run.eval_dir, name)
    titles = data.titles
    if name.startswith("xquad/"):
        titles = sets.ranked(run.eval_dir, f"xquad/{TITLES}").titles
    made = [
        made_passage(i, title, text, language)
        for i, (title, text) in enumerate(zip(titles, data.texts, strict=True))
    ]
    return made, {key: i for i, key in enumerate(data.ids)}


def asked_cases(
    run: Run, name: str, language: str, passages: Sequence[Passage], place: dict[str, int]
) -> list[Case]:
    """Question and answer as one claim, against the passage that holds the answer."""
    data = sets.ranked(run.eval_dir, name)
    answers = {asked.text: asked.answers for asked in sets.spans(run.eval_dir, name)}
    cases = []
    for key, text in data.queries.items():
        answer = max(answers.get(text, ("",)), key=len)
        (where, *_) = data.relevant[key]
        question = text.split(": ", 1)[-1].rstrip("?？ ")
        if answer and len(answer) < 300:
            claim = f"{question}: {answer}"
            cases.append(Case(name, CORRECT, claim, language, passages[place[where]]))
    return run.some(cases, PER_SET, 20)


def copied_cases(run: Run, name: str, language: str, passages: Sequence[Passage]) -> list[Case]:
    """Sentences of the passages themselves: what a model that copies says."""
    cases = [
        Case(f"{name} copied", CORRECT, text, language, passage)
        for passage in passages
        for text in copied(passage, 3)
    ]
    return run.some(cases, PER_SET, 20)


def crossed_cases(run: Run, passages: dict[str, list[Passage]], said: str, read: str) -> list[Case]:
    """Sentences of a paragraph in one language against the same paragraph in another."""
    cases = [
        Case(f"xquad {said}→{read}", CORRECT, text, said, passages[read][i])
        for i, passage in enumerate(passages[said])
        for text in copied(passage, 3)
    ]
    return run.some(cases, PER_SET, 20)


@contextmanager
def paged(run: Run, name: str, embedder: CachedEmbedder) -> Iterator[tuple[Collection, list[Case]]]:
    """Contoso or the quarterly reports: pages as passages, sentences of gold answers as claims."""
    docs = run.eval_dir / name / "docs"
    if run.quick:
        docs = docs / "Northwind_Standard_Benefits_Details.pdf"
    with scratch() as folder:
        passages, places = _pages(folder / name, embedder, docs)
        with collection(passages, folder / "lexical") as found:
            progress(f"{name}: {len(passages)} pages")
            if name == "contoso":
                yield found, _contoso_cases(run, passages, places)
            else:
                yield found, _report_cases(run, found)


def _pages(
    data_dir: Path, embedder: CachedEmbedder, docs: Path
) -> tuple[list[Passage], dict[tuple[str, int], int]]:
    passages: list[Passage] = []
    places: dict[tuple[str, int], int] = {}
    with ingested(data_dir, embedder, docs) as parts:
        first: dict[tuple[int, int], StoredChunk] = {}
        for stored in parts.store.chunks(parts.access, parts.indexes.lexical.ids()).values():
            for page in range(stored.chunk.page_start or 1, (stored.chunk.page_end or 0) + 1):
                first.setdefault((stored.document_id, page), stored)
        pages = {
            (document, page.number): page
            for document in {document for document, _ in first}
            for page in parts.store.pages(parts.access, document)
        }
        for (document, number), stored in sorted(first.items()):
            if (page := pages.get((document, number))) is None:  # a slide, which has no layout
                continue
            text = parts.store.text(parts.access, document, page.char_start, page.char_end)
            places[Path(stored.source_uri).name, number] = len(passages)
            path = stored.chunk.heading_path
            made = made_passage(len(passages), stored.title, text, stored.language, path)
            passages.append(replace(made, source_uri=stored.source_uri))
    return passages, places


def _contoso_cases(
    run: Run, passages: Sequence[Passage], places: dict[tuple[str, int], int]
) -> list[Case]:
    cases = [
        Case("contoso", CORRECT, text, "en", passages[places[asked.cited[0]]])
        for asked in sets.contoso(run.eval_dir)
        if asked.answerable and len(asked.cited) == 1 and asked.cited[0] in places
        for text in sentences(asked.answers[0], "en")
    ]
    return run.some(cases, 2 * PER_SET, 20)


def _report_cases(run: Run, found: Collection) -> list[Case]:
    """The answers name no page: the nearest one, by words, that has the sentence's digits."""
    cases = []
    for asked in sets.kgrag(run.eval_dir):
        files = {file for file, _ in asked.cited}
        answer = _SOURCE.sub("", asked.answers[0])
        for text in sentences(answer, "en"):
            digits = set(_DIGITS.findall(text))
            near = [
                passage
                for passage in found.nearest(text)
                if Path(passage.source_uri).name in files
                and digits <= set(_DIGITS.findall(f"{passage.title} {passage.text}"))
            ]
            if near and len(digits) <= 6:
                cases.append(Case("kgrag", CORRECT, text, "en", near[0]))
    return run.some(cases, 2 * PER_SET, 20)

"""Questions put to collections with the answerer's own parts, and what became of each."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag.answer.cite import Quote, cite
from rag.answer.evidence import evidence, features
from rag.answer.extract import Candidate, Question, candidates, choose
from rag.answer.pipeline import RETRIEVED
from rag.types import Citation, Hit
from tests.bench import logistic, sets
from tests.bench.embedding import CachedEmbedder, cached_embedder
from tests.bench.renamed import notes, with_other_names
from tests.bench.run import REPOSITORY, Run, progress, scratch
from tests.bench.stores import Parts, filled, ingested

LANGUAGES = ("en", "de", "es")
EXAMPLES = REPOSITORY / "examples"


@dataclass(slots=True)
class Observed:
    """What became of one question."""

    asked: sets.Asked
    evidence: float
    nearness: float  # evidence, whatever the question names
    features: tuple[float, ...]  # empty where there was nothing to quote
    quotes: str = ""
    best_hit: str = ""
    citations: list[Citation] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """Questions of one set put to one collection."""

    name: str
    collection: str
    answerable: bool
    seen: list[Observed]

    @property
    def scores(self) -> logistic.Array:
        """The evidence of each question, (n,)."""
        return np.array([one.evidence for one in self.seen])

    @property
    def nearness(self) -> logistic.Array:
        """The same, whatever the questions name."""
        return np.array([one.nearness for one in self.seen])

    def right(self, threshold: float, scores: logistic.Array | None = None) -> float:
        """Share answered where there is an answer, share abstained where there is none."""
        above = (self.scores if scores is None else scores) >= threshold
        return float(above.mean() if self.answerable else 1 - above.mean())


def observe_all(run: Run) -> list[Group]:
    """Put every set to its collection, one collection at a time."""
    asked = _questions(run)
    groups: list[Group] = []
    with scratch() as folder, cached_embedder() as embedder:
        for collection in dict.fromkeys(collection for _, collection, _ in asked):
            with _opened(run, collection, folder, embedder) as parts:
                for (name, where, answerable), questions in asked.items():
                    if where == collection:
                        progress(f"{len(questions)} questions: {name} → {collection}")
                        seen = [_observe(parts, question) for question in questions]
                        groups.append(Group(name, collection, answerable, seen))
                        embedder.save()
    return groups


def _questions(run: Run) -> dict[tuple[str, str, bool], list[sets.Asked]]:
    """(set, collection, answerable) -> questions. Own set first, then foreign ones."""

    def few(questions: Sequence[sets.Asked], full: int = 200) -> list[sets.Asked]:
        return run.some(questions, full, 12)

    contoso = sets.contoso(run.eval_dir)
    answerable = few([one for one in contoso if one.answerable], 1000)
    marked = few([one for one in contoso if not one.answerable], 1000)
    xquad = {name: few(sets.spans(run.eval_dir, f"xquad/{name}"), 300) for name in LANGUAGES}
    policies = few(sets.spans(run.eval_dir, "policyqa_dev"), 300)
    about_no_site = [sets.Asked(one.text.split(": ", 1)[-1]) for one in policies]
    found = {
        ("xquad_en", "xquad_en", True): xquad["en"],
        ("contoso", "xquad_en", False): few(answerable),
        ("contoso marked", "xquad_en", False): marked,
        ("policyqa, no site", "xquad_en", False): few(about_no_site),
        ("xquad_de", "xquad_de", True): xquad["de"],
        ("contoso", "xquad_de", False): few(answerable, 100),
        ("xquad_es", "xquad_es", True): xquad["es"],
        ("contoso", "xquad_es", False): few(answerable, 100),
        ("policyqa", "policyqa", True): policies,
        ("contoso", "policyqa", False): few(answerable),
        ("contoso", "contoso", True): answerable,
        ("contoso marked", "contoso", False): marked,
        ("xquad_en", "contoso", False): few(xquad["en"]),
        ("kgrag_sec10q", "kgrag_sec10q", True): few(sets.kgrag(run.eval_dir)),
        ("xquad_en", "kgrag_sec10q", False): few(xquad["en"]),
        ("xquad_de", "kgrag_sec10q", False): few(xquad["de"], 100),
    }
    for name, collection, is_known in list(found):
        language = "de" if name == "xquad_de" else "en"  # of what its capitals show
        if is_known and (others := with_other_names(found[name, collection, True], language)):
            found[f"{name}, other names", collection, False] = few(others)
    _, found["notes", "notes", True], found["notes, other names", "notes", False] = notes()
    for known in (True, False):
        if examples := _example_questions(known=known):
            found["examples" if known else "examples marked", "examples", known] = examples
    if run.quick:
        found = {key: asked for key, asked in found.items() if "kgrag_sec10q" not in key[:2]}
    return found


def _example_questions(*, known: bool) -> list[sets.Asked]:
    file = EXAMPLES / "questions.jsonl"
    if not file.is_file():
        return []
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [sets.Asked(line["question"]) for line in lines if bool(line["answer"]) == known]


@contextmanager
def _opened(run: Run, collection: str, folder: Path, embedder: CachedEmbedder) -> Iterator[Parts]:
    """The documents of one set, in a store of their own."""
    data_dir = folder / collection
    if collection == "notes":
        texts = notes()[0]
        with filled(data_dir, embedder, [""] * len(texts), texts) as parts:
            yield parts
        return
    names = {"policyqa": "policyqa_dev", **{f"xquad_{name}": f"xquad/{name}" for name in LANGUAGES}}
    if collection in names:
        data = sets.ranked(run.eval_dir, names[collection])
        with filled(data_dir, embedder, data.titles, data.texts) as parts:
            yield parts
        return
    docs = EXAMPLES / "documents"
    if collection != "examples":
        docs = run.eval_dir / collection / "docs"
    if run.quick and collection == "contoso":
        docs = docs / "Northwind_Standard_Benefits_Details.pdf"
    with ingested(data_dir, embedder, docs) as parts:
        yield parts


def _observe(parts: Parts, asked: sets.Asked) -> Observed:
    """As `rag.answer.pipeline` does it, abstaining from nothing."""
    query = " ".join(asked.text.split())
    result = parts.retriever.retrieve(query, parts.access, RETRIEVED)
    lexical = parts.indexes.lexical
    question = Question.of(query, result.vector, result.hits, lexical, parts.access)
    scored = candidates(question, result.hits, parts.embedder, lexical)
    return _observed(parts, asked, result.hits, scored, question.naming.lacking)


def _observed(
    parts: Parts,
    asked: sets.Asked,
    hits: Sequence[Hit],
    scored: Sequence[Candidate],
    lacking: float,
) -> Observed:
    if not hits or not scored:
        return Observed(asked, 0.0, 0.0, ())
    quotes: list[Quote] = choose(scored, parts.settings.answer_max_quotes)
    made = [cite(quote, parts.store, parts.access) for quote in quotes]
    return Observed(
        asked,
        evidence(hits, scored, lacking),
        evidence(hits, scored),
        features(hits, scored, lacking),
        "\n".join(quote.shown for quote in quotes),
        hits[0].text,
        [citation for citation in made if citation is not None],
    )

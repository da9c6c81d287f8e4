"""A set in, a report on the search out: each branch, and the passages as a user gets them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.chunk import CHUNKER_VERSION
from ingest.progress import open_progress
from rag import __version__
from rag.errors import BadRequest
from rag.eval import cases, metrics, spans
from rag.eval.cases import Case, Cases
from rag.eval.filling import Filled, fill_corpus, fill_docs
from rag.eval.ranking import passages, rank
from rag.eval.report import HARDEST, SNIPPET, Found, Hard, Report, leading
from rag.eval.sets import Set, gold_digest, load_set
from rag.eval.spans import Alignment, Interval
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.types import Hit

SPAN_PASSAGES = 5  # as chunking_evaluation retrieves
SHOWN = 5  # passages of a hard question
UNJUDGED = "nothing is known to be right for them"

Values = dict[str, dict[str, float]]  # metric -> question -> value


@dataclass(slots=True)
class Outcome:
    """What the runs over a set's corpus and files have come to."""

    values: Values = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    hardest: list[Hard] = field(default_factory=list)
    about: dict[str, str | int | float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def evaluate(
    folder: Path,
    settings: Settings,
    embedder: Embedder,
    *,
    queries: Path | None = None,
    qrels: Path | None = None,
) -> Report:
    """Put a set through the product with these settings and this model, and judge what it finds.

    The set goes into a data directory of its own, which is gone afterwards. Progress is told on
    stderr. Where a set has both a corpus with judgements and files, the branches are judged over
    the corpus, and pages, documents and spans over the files.

    Raises:
        BadRequest: there is no set, it is malformed, or none of its gold is in it.
    """
    began = time.perf_counter()
    found = load_set(folder, queries, qrels)
    outcome = Outcome()
    outcome.about = {
        "version": __version__,
        "model": embedder.model_id,
        "chunker": CHUNKER_VERSION,
        "dense_weight": settings.dense_weight,
        "dense_index": settings.dense_index,
        "gold": gold_digest(found.questions),
    }
    if settings.rerank_model_dir is not None:
        outcome.about["reranker"] = settings.rerank_model_dir.name
    by_corpus = found.corpus is not None and any(q.relevant for q in found.questions)
    if found.corpus is not None and (by_corpus or found.docs is None):
        wanted = cases.wanted_texts(found)
        with fill_corpus(found.corpus, settings, embedder, wanted) as filled:
            _run(filled, cases.over_corpus(found, filled), outcome)
    if found.docs is not None and any(q.gold.places for q in found.questions):
        with fill_docs(found.docs, settings, embedder) as filled:
            _run(filled, cases.over_docs(found, found.docs, filled), outcome, ranked=not by_corpus)
    return _report(found, outcome, time.perf_counter() - began)


def _report(found: Set, outcome: Outcome, seconds: float) -> Report:
    if not outcome.values:
        raise BadRequest(f"nothing in {found.name} can be judged", hint="; ".join(outcome.notes))
    if found.n_unjudged:
        outcome.notes.append(f"{found.n_unjudged:,} questions are not asked: {UNJUDGED}")
    return Report(
        kind="retrieval",
        set=found.name,
        asked=outcome.asked,
        values=outcome.values,
        seconds=round(seconds, 3),
        about=outcome.about,
        hardest=outcome.hardest,
        notes=outcome.notes,
    )


def _run(filled: Filled, judged: Cases, outcome: Outcome, *, ranked: bool = True) -> None:
    """Ask all questions, and add what comes of it; `ranked` says whether branches are judged."""
    outcome.notes += [*filled.notes, *judged.notes]
    if not judged.cases:
        return
    aligned = _alignments(filled, judged)
    values: Values = {}
    rankings: dict[str, dict[str, list[str]]] = {}
    with open_progress(doing=("asking", "question")) as progress:
        progress.begin(len(judged.cases), len(judged.cases))
        for case in judged.cases:
            text = case.question.text
            if ranked:
                found = rank(filled, text, case.itself)
                hits = found.hits
                for branch, documents in found.documents.items():
                    rankings.setdefault(branch, {})[case.question.id] = documents
            else:
                hits = passages(filled, text, case.itself)
            for metric, value in _of_passages(filled, case, hits, aligned):
                values.setdefault(metric, {})[case.question.id] = value
            progress.committed(case.question.id, 1)
    if ranked:
        values = _of_branches(rankings, judged.cases) | values
    outcome.values |= values
    outcome.asked |= {case.question.id: case.question.text for case in judged.cases}
    for what, n in (("documents", len(filled.numbers)), ("chunks", filled.n_chunks)):
        outcome.about[what] = int(outcome.about.get(what, 0)) + n
    outcome.hardest += _hardest(filled, judged.cases, values)


def _of_branches(rankings: dict[str, dict[str, list[str]]], judged: Sequence[Case]) -> Values:
    relevant = {case.question.id: case.relevant for case in judged}
    return {
        f"{branch}/{metric}": values
        for branch, of_branch in rankings.items()
        for metric, values in metrics.of_rankings(of_branch, relevant).items()
    }


def _of_passages(
    filled: Filled, case: Case, hits: Sequence[Hit], aligned: dict[int, Alignment]
) -> Iterator[tuple[str, float]]:
    """The metrics of what a user gets, those that the question has gold for."""
    if case.pages:
        on_page = [_is_right(filled, case, hit) for hit in hits]
        yield from ((f"page_hit@{k}", value) for k, value in metrics.hits_at(on_page).items())
    of_document = [filled.name(hit) in case.relevant for hit in hits]
    yield from ((f"document_hit@{k}", value) for k, value in metrics.hits_at(of_document).items())
    if case.spans:
        retrieved = [_in_file(filled, hit, aligned) for hit in hits[:SPAN_PASSAGES]]
        recall, precision = spans.recall_precision(retrieved, case.spans)
        yield "span_recall", recall
        yield "span_precision", precision


def _is_right(filled: Filled, case: Case, hit: Hit) -> bool:
    """Whether a passage is of a gold page; of a gold document where no page is named."""
    name = filled.name(hit)
    return metrics.is_on_page(hit, name, case.pages) if case.pages else name in case.relevant


# Spans


def _alignments(filled: Filled, judged: Cases) -> dict[int, Alignment]:
    """The stored text of each document that has gold spans, by its number, beside the set's own."""
    wanted = {name for case in judged.cases for name, _ in case.spans}
    return {
        number: spans.align(filled.store.text(filled.access, number), judged.texts[name])
        for name, number in filled.numbers.items()
        if name in wanted
    }


def _in_file(filled: Filled, hit: Hit, aligned: dict[int, Alignment]) -> tuple[str, Interval]:
    """Where a passage stands: in its file, or in the stored text where no span is of that one."""
    number, here = hit.chunk.document_id, (hit.char_start, hit.char_end)
    if number not in aligned:
        return f"#{number}", here
    return filled.name(hit), aligned[number].in_file(*here) or (0, 0)


# The hardest


def _hardest(filled: Filled, judged: Sequence[Case], values: Values) -> Iterator[Hard]:
    """The questions that did worst, each by the first metric of it, with what is found for them."""
    of = {}
    for case in judged:
        mine = [metric for metric, of_metric in values.items() if case.question.id in of_metric]
        first = leading(mine) if mine else ""
        of[case.question.id] = (values[first][case.question.id] if mine else 1.0), first
    for case in sorted(judged, key=lambda case: of[case.question.id][0])[:HARDEST]:
        value, metric = of[case.question.id]
        if value < 1:
            hits = passages(filled, case.question.text, case.itself)[:SHOWN]
            yield Hard(
                question=case.question.id,
                text=case.question.text,
                value=round(value, 4),
                metric=metric,
                wanted=_wanted(filled, case),
                found=[_found(filled, case, hit) for hit in hits],
            )


def _wanted(filled: Filled, case: Case) -> list[str]:
    if case.pages:
        return [f"{place.file}, page {place.page}" for place in case.pages]
    titles = _titles(filled, case.relevant)
    return [f"{name}: {titles[name]}" if titles.get(name) else name for name in case.relevant]


def _titles(filled: Filled, names: dict[str, int]) -> dict[str, str]:
    """The titles of stored documents that aren't their names."""
    ids = {name: number for name, number in filled.numbers.items() if name in names}
    titles = {name: filled.store.document(filled.access, i).title for name, i in ids.items()}
    return {name: title for name, title in titles.items() if title not in (name, Path(name).stem)}


def _found(filled: Filled, case: Case, hit: Hit) -> Found:
    return Found(
        document=filled.name(hit),
        title=hit.chunk.title,
        page_start=hit.page_start,
        page_end=hit.page_end,
        text=" ".join(hit.text.split())[:SNIPPET],
        right=_is_right(filled, case, hit),
    )

"""A site's own questions in, a report on its answers out: its appliance answers each of them.

Every question is asked as a user asks it, one after the other, and is recorded as one.
"""

import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ingest.progress import open_progress
from rag import __version__
from rag.answer.events import Final
from rag.answer.options import Options
from rag.answer.pipeline import collect
from rag.appliance import Appliance
from rag.errors import BadRequest, CitadelError
from rag.eval.calibrate import Scored
from rag.eval.gold import Gold, Place
from rag.eval.report import HARDEST, LATENCY, SNIPPET, Found, Hard, Report
from rag.eval.sets import Question, gold_digest
from rag.store import Store
from rag.text import words
from rag.types import Access, Citation

ORDER = (
    "answered",
    "abstained_rightly",
    "abstained_wrongly",
    "blocked",
    "citation_precision",
    "citation_recall",
    "page_precision",
    "page_recall",
    "supported",
    "answer_found",
    "answer_words",
    LATENCY,
)
PAGE = 1000  # documents read at a time
NOWHERE = "nothing: the documents don't say"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Answers:
    """What came of the questions."""

    report: Report
    scored: list[Scored]


@dataclass(slots=True)
class _Sums:
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    scored: list[Scored] = field(default_factory=list)
    hard: list[Hard] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    asked: dict[str, str] = field(default_factory=dict)


async def evaluate_answers(
    name: str,
    questions: Sequence[Question],
    appliance: Appliance,
    access: Access,
    options: Options,
) -> Answers:
    """Put questions to an appliance, for one caller, and judge what it answers.

    A question that fails for a passing reason (the engine is full, say) is counted in the notes.

    Raises:
        BadRequest: the caller may read no document.
        CitadelError: every question failed.
    """
    began = time.perf_counter()
    if not appliance.store.count_documents(access):
        if appliance.store.stats().documents:
            raise BadRequest(
                "none of the documents may be read here",
                hint="Ask as another user, in another collection, or see docs/permissions.md.",
            )
        raise BadRequest("there is no document to answer from", hint="citadel ingest PATH")
    sums = _Sums()
    last: CitadelError | None = None
    with open_progress(doing=("asking", "question")) as progress:
        progress.begin(len(questions), len(questions))
        for question in questions:
            events = appliance.answer(
                question.text, access, request_id=uuid.uuid4().hex, options=options
            )
            try:
                _add(sums, question, await collect(events))
            except CitadelError as error:
                logger.debug("%s", error.message)
                last = error
                sums.failures[error.message] += 1
            progress.committed(question.id, 1)
    if not sums.asked:
        assert last is not None
        raise last
    return Answers(_report(name, questions, appliance, access, sums, began), sums.scored)


def _report(
    name: str,
    questions: Sequence[Question],
    appliance: Appliance,
    access: Access,
    sums: _Sums,
    began: float,
) -> Report:
    notes = [f"{n:,} questions failed: {why}" for why, n in sums.failures.items()]
    notes += _missing(questions, appliance.store, access)
    return Report(
        kind="answers",
        set=name,
        asked=sums.asked,
        values=_ordered(sums.values),
        seconds=round(time.perf_counter() - began, 3),
        about=_about(appliance, access) | {"gold": gold_digest(questions)},
        hardest=sorted(sums.hard, key=lambda hard: hard.value)[:HARDEST],
        notes=notes,
    )


def _ordered(values: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The metrics in the order of a report; the guard's is left out where it stopped nothing."""
    if not any(values["blocked"].values()):
        del values["blocked"]
    return {name: values[name] for name in ORDER if name in values}


def _about(appliance: Appliance, access: Access) -> dict[str, str | int | float]:
    settings = appliance.settings
    return {
        "version": __version__,
        "model": appliance.embedder.model_id,
        "answers": appliance.answers,
        "answer_threshold": settings.answer_threshold,
        "dense_weight": settings.dense_weight,
        "documents": appliance.store.count_documents(access),
    }


def _missing(questions: Sequence[Question], store: Store, access: Access) -> Iterator[str]:
    """What is expected to be cited, and not there: then a miss is the set's, not the answer's."""
    expected = {place.file for q in questions for place in q.gold.places}
    by_name: dict[str, set[str]] = defaultdict(set)
    for file in expected:
        by_name[_short(file)].add(file)
    after = 0
    while expected and (page := store.list_documents(access, after=after, limit=PAGE)):
        for document in page:
            name = _short(document.source_uri)
            alike = by_name.get(name, set()) | by_name.get(PurePosixPath(name).stem, set())
            expected -= {file for file in alike if is_of(document.source_uri, file)}
        after = page[-1].id
    if expected:
        first = ", ".join(sorted(expected)[:3]) + (" …" if len(expected) > 3 else "")
        yield f"{len(expected):,} expected documents are not there, or may not be read: {first}"


# One answer


def is_answerable(gold: Gold) -> bool | None:
    """Whether the documents answer a question, as its line says or lets one see."""
    if gold.answerable is not None:
        return gold.answerable
    return True if gold.places or gold.answers else None


def _add(sums: _Sums, question: Question, final: Final) -> None:
    sums.asked[question.id] = question.text
    for metric, value in _values(question.gold, final):
        sums.values.setdefault(metric, {})[question.id] = value
    sums.scored.append(Scored(final.evidence, is_answerable(question.gold)))
    metric, value = _merit(question.gold, final)
    if value < 1:
        sums.hard.append(_hard(question, final, metric, value))


def _values(gold: Gold, final: Final) -> Iterator[tuple[str, float]]:
    """Each metric that this answer can be judged by."""
    answered, abstained = final.status == "answered", final.status == "no_evidence"
    yield "answered", float(answered)
    if (answerable := is_answerable(gold)) is True:
        yield "abstained_wrongly", float(abstained)
    elif answerable is False:
        yield "abstained_rightly", float(abstained)
    yield "blocked", float(final.status in ("blocked", "no_verdict"))
    yield LATENCY, final.timings_ms["total"]
    if not answered:
        return
    if final.support.share is not None:
        yield "supported", final.support.share
    if gold.places and answerable:
        yield from _cited(gold.places, final.citations)
    if gold.answers:
        yield "answer_found", float(any(_flat(one) in _flat(final.answer) for one in gold.answers))
        yield "answer_words", max(_share_of_words(one, final.answer) for one in gold.answers)


def _cited(places: Sequence[Place], citations: Sequence[Citation]) -> Iterator[tuple[str, float]]:
    """Shares of the citations that are expected, and of what is expected that is cited."""
    files = {place.file for place in places}
    n_right = sum(any(is_of(one.source_uri, file) for file in files) for one in citations)
    n_cited = sum(any(is_of(one.source_uri, file) for one in citations) for file in files)
    yield "citation_precision", n_right / len(citations) if citations else 0.0
    yield "citation_recall", n_cited / len(files)
    if pages := [place for place in places if place.page is not None]:
        n_right = sum(any(_is_on(one, place) for place in pages) for one in citations)
        n_cited = sum(any(_is_on(one, place) for one in citations) for place in pages)
        yield "page_precision", n_right / len(citations) if citations else 0.0
        yield "page_recall", n_cited / len(pages)


def is_of(uri: str, file: str) -> bool:
    """Whether a document is of an expected file: by its URI, the end of its path, or its name."""
    mine, theirs = uri.casefold(), file.casefold()
    if mine == theirs or mine.split("#")[0].endswith("/" + theirs.lstrip("/")):
        return True
    return "/" not in theirs and theirs in (PurePosixPath(mine).name, PurePosixPath(mine).stem)


def _is_on(citation: Citation, place: Place) -> bool:
    first, last = citation.page_start, citation.page_end
    if place.page is None or first is None or last is None:
        return False
    return is_of(citation.source_uri, place.file) and first <= place.page <= last


def _short(file: str) -> str:
    return PurePosixPath(file.split("#")[0]).name.casefold()


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()


def _share_of_words(gold: str, answer: str) -> float:
    wanted = set(words(gold))
    return len(wanted & set(words(answer))) / len(wanted) if wanted else 0.0


# What went wrong


def _merit(gold: Gold, final: Final) -> tuple[str, float]:
    """How right an answer is, in [0, 1], and by what; to put the worst first. 1 if none knows."""
    answered = final.status == "answered"
    match is_answerable(gold):
        case False:
            return "abstained_rightly", float(not answered)
        case True if not answered:
            return "answered", 0.0
        case True if gold.places:
            cited = dict(_cited(gold.places, final.citations))
            metric = "page_recall" if "page_recall" in cited else "citation_recall"
            return metric, cited[metric]
    return "", 1.0


def _hard(question: Question, final: Final, metric: str, value: float) -> Hard:
    gold = question.gold
    wanted = [p.file if p.page is None else f"{p.file}, page {p.page}" for p in gold.places]
    if is_answerable(gold) is False:
        wanted = [NOWHERE]
    places = gold.places
    return Hard(
        question=question.id,
        text=question.text,
        value=round(value, 4),
        metric=metric,
        wanted=[*wanted, *gold.answers],
        found=[
            Found(
                document=Path(one.source_uri).name,
                title=one.title,
                page_start=one.page_start,
                page_end=one.page_end,
                text=" ".join(one.cited_text.split())[:SNIPPET],
                right=any(_is_on(one, p) or _is_of_whole(one, p) for p in places),
            )
            for one in final.citations
        ],
    )


def _is_of_whole(citation: Citation, place: Place) -> bool:
    return place.page is None and is_of(citation.source_uri, place.file)

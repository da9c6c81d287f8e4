"""`answer()`: the one implementation of a question's way to a cited answer.

    guard the question ∥ (retrieve → score the quotes) → abstain if nothing supports an answer
    → choose → cite and check → guard → release sentence by sentence → final event

The model's engine will take the place between abstaining and citing; what it writes is checked the
same way. A rewrite of follow-ups joins before.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from anyio import to_thread

from rag.answer.cite import cite
from rag.answer.draft import Draft
from rag.answer.events import Event, Final, Searched, Sentence
from rag.answer.evidence import evidence
from rag.answer.extract import Candidate, Question, candidates, choose
from rag.answer.guard import Guard, Verdict
from rag.answer.release import release
from rag.errors import BadRequest
from rag.search.embed import Embedder
from rag.search.indexes import Indexes
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import Store
from rag.text import valid_unicode
from rag.types import Access, Hit

RETRIEVED = 20
RELATED = 3
ENGINE = "extractive"
GLUE = "\n\n"  # between quotes of an answer


class Parts(Protocol):
    """What an answer is made with; `rag.appliance.Appliance` has it."""

    settings: Settings
    store: Store
    embedder: Embedder
    indexes: Indexes
    retriever: Retriever
    guard: Guard | None


@dataclass(frozen=True, slots=True)
class _Found:
    hits: Sequence[Hit]
    scored: Sequence[Candidate]
    evidence: float
    timings_ms: dict[str, float]


async def answer(
    question: str, access: Access, parts: Parts, *, request_id: str
) -> AsyncIterator[Event]:
    """Answer a question from what `access` allows.

    Raises:
        BadRequest: the question is empty.
    """
    began = time.perf_counter()
    question = valid_unicode(question)
    query = " ".join(question.split())
    if not query:
        raise BadRequest("the question is empty", hint="Ask something in words.")
    async with _judged(parts.guard, question) as judging:
        found = await to_thread.run_sync(_find, query, access, parts)
        searched = Searched(
            query=query,
            collections=tuple(sorted(access.collections)),
            n_documents=await to_thread.run_sync(parts.store.count_documents, access),
            n_hits=len(found.hits),
        )
        yield searched
        draft = Draft()
        async for event in _guarded(question, judging, found, draft, parts, access):
            yield event
    related: tuple[Hit, ...] = ()
    if draft.status == "no_evidence":
        related = await to_thread.run_sync(_related, found.hits, parts.store, access)
    total = round((time.perf_counter() - began) * 1000, 2)
    yield Final(
        status=draft.status,
        question=question,
        answer=draft.text,
        citations=draft.citations,
        related=related,
        searched=searched,
        evidence=round(found.evidence, 4),
        engine=ENGINE,
        timings_ms={**found.timings_ms, "total": total},
        request_id=request_id,
        sentences=tuple(draft.sentences),
        notices=tuple(draft.notices),
        categories=draft.categories,
        support=draft.support,
    )


async def _guarded(
    question: str,
    judging: "asyncio.Task[Verdict] | None",
    found: _Found,
    draft: Draft,
    parts: Parts,
    access: Access,
) -> AsyncIterator[Event]:
    """The notices and sentences that the guard lets pass; the draft has the same, and no more."""
    if judging is not None and (notice := draft.judged(await judging)):
        yield notice
    if draft.withheld or found.evidence < parts.settings.answer_threshold:
        return
    quotes = quote(found.scored, draft, parts, access)
    released = release(quotes, lambda sentence: sentence.text, parts.guard, question)
    async with aclosing(released) as stream:
        async for item in stream:
            if isinstance(item, Sentence):
                yield item
            elif notice := draft.judged(item):
                yield notice


@asynccontextmanager
async def _judged(
    guard: Guard | None, question: str
) -> AsyncIterator["asyncio.Task[Verdict] | None"]:
    """The verdict on the question, while other work goes on; cancelled where nobody waits."""
    judging = None if guard is None else asyncio.create_task(guard.judge(question))
    try:
        yield judging
    finally:
        if judging is not None:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)


async def collect(events: AsyncIterator[Event]) -> Final:
    """The final event of a stream, for callers who don't stream."""
    final = None
    async for event in events:
        if isinstance(event, Final):
            final = event
    assert final is not None, "answer() ends with Final or raises"
    return final


def _find(query: str, access: Access, parts: Parts) -> _Found:
    result = parts.retriever.retrieve(query, access, RETRIEVED)
    began = time.perf_counter()
    languages = {hit.chunk.language for hit in result.hits}
    lexical = parts.indexes.lexical
    prepared = Question.of(query, result.vector, languages, lexical)
    scored = candidates(prepared, result.hits, parts.embedder, lexical)
    timings = {**result.timings_ms, "quotes": round((time.perf_counter() - began) * 1000, 2)}
    return _Found(result.hits, scored, evidence(result.hits, scored), timings)


def _related(hits: Sequence[Hit], store: Store, access: Access) -> tuple[Hit, ...]:
    """The best hits that may still be read; between the search and now a reader may be slow."""
    readable = store.chunks(access, [member.id for hit in hits for member in hit.members])
    still = (hit for hit in hits if all(member.id in readable for member in hit.members))
    return tuple(islice(still, RELATED))


async def quote(
    scored: Sequence[Candidate], draft: Draft, parts: Parts, access: Access
) -> AsyncGenerator[Sentence, None]:
    """The best quotes as sentences of the draft, each once its citation has been checked."""
    for chosen in choose(scored, parts.settings.answer_max_quotes):
        citation = await to_thread.run_sync(cite, chosen, parts.store, access)
        if citation is not None:
            yield draft.add(chosen.shown, [citation], glue=GLUE)

"""`answer()`: the one implementation of a question's way to a cited answer.

    guard the question ∥ (make a follow-up stand alone → retrieve → score the quotes)
    → research, where asked for → abstain if nothing supports an answer
    → the engine writes and each sentence is checked, or quotes are chosen
    → guard → release sentence by sentence → final event

An engine that is down, slow or full costs the reader nothing but a notice: quotes are given then.
"""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import islice

from anyio import CancelScope, to_thread

from rag.answer import record
from rag.answer.asked import Asked, Found, Parts
from rag.answer.cite import cite
from rag.answer.conversation import standalone
from rag.answer.events import Event, Final, Notice, Searched, Sentence, Step
from rag.answer.evidence import evidence
from rag.answer.extract import Question, candidates, choose
from rag.answer.guard import Counted
from rag.answer.judging import Judging
from rag.answer.options import Options
from rag.answer.pack import RETRIEVED_FOR
from rag.answer.prompts import PROMPT_VERSION
from rag.answer.release import release
from rag.answer.research import Gathered, GuardSilent, research
from rag.answer.writer import Assignment, Writer
from rag.errors import (
    BadRequest,
    CitadelError,
    EngineBusy,
    EngineError,
    EngineOverloaded,
    EngineTimeout,
    EngineUnavailable,
)
from rag.store import Store
from rag.text import valid_unicode
from rag.types import Access, Hit

logger = logging.getLogger(__name__)

RETRIEVED = 20  # hits for quotes
RELATED = 3
QUOTES = "extractive"
GLUE = "\n\n"  # between quotes of an answer
# Below this the engine isn't asked. Far below the threshold of quotes: a model that reads sees an
# answer where words and vectors of a sentence don't, and says itself where there is none.
HOPELESS = 0.05
UNGUARDED = Notice("unguarded", "No guard reads this answer.")
FAILED = "does not work"
WHY = {  # the engine has not answered, for a reader
    EngineUnavailable: "cannot be reached",
    EngineTimeout: "takes too long",
    EngineOverloaded: "has too much to do",
    EngineBusy: "has too much to do",
}


async def answer(
    question: str,
    access: Access,
    parts: Parts,
    *,
    request_id: str,
    options: Options = Options(),
) -> AsyncGenerator[Event, None]:
    """Answer a question from what `access` allows.

    Nothing is yielded of it before the question is in the audit records, and what came of it is
    there before the final event.

    Raises:
        BadRequest: the question is empty.
        EngineBusy: more questions wait for the engine than there are places.
        StoreError: it cannot be recorded.
    """
    asked = Asked(valid_unicode(question), access, parts, options, request_id)
    try:
        async with aclosing(_answer(asked)) as events:
            async for event in events:
                yield event
    except BaseException as error:
        if isinstance(error, CitadelError):
            parts.metrics.failed(error)
        if not asked.is_recorded:
            with CancelScope(shield=True):  # also where the caller has left
                await to_thread.run_sync(record.broken_off, asked, error)
        raise


async def _answer(asked: Asked) -> AsyncGenerator[Event, None]:
    began, parts = time.perf_counter(), asked.parts
    if not asked.question.strip():
        raise BadRequest("the question is empty", hint="Ask something in words.")
    if parts.writer is not None:
        parts.writer.check_room()
    async with Judging(parts.guard) as judging:
        judging.start(asked.question)
        query = asked.query = await _query(asked)
        judging.start(query)
        found = await to_thread.run_sync(_find, query, asked)
        async with aclosing(_researched(asked, judging, found)) as steps:
            async for step in steps:
                yield step
        searched = await to_thread.run_sync(_searched, found, asked)
        if searched.query != _plain(asked.question) and await judging.blocks():
            # A model wrote the other one.
            searched = replace(searched, query=_plain(asked.question), unnamed=())
        yield searched
        async with aclosing(_guarded(asked, judging, found)) as events:
            async for event in events:
                yield event
    final = await to_thread.run_sync(_final, asked, found, searched, began)
    parts.metrics.answered(final)
    yield final


async def collect(events: AsyncIterator[Event]) -> Final:
    """The final event of a stream, for callers who don't stream."""
    final = None
    async for event in events:
        if isinstance(event, Final):
            final = event
    assert final is not None, "answer() ends with Final or raises"
    return final


# Searching


async def _query(asked: Asked) -> str:
    """What is searched: the question, made to stand alone where it leans on the conversation."""
    question = _plain(asked.question)
    if not asked.options.history or not asked.rewrites:
        return question
    writer = asked.parts.writer
    if writer is None:
        return await standalone(question, asked.options.history, None)
    salt = writer.cache_salt(asked.access)
    return await standalone(question, asked.options.history, writer, cache_salt=salt)


def _plain(question: str) -> str:
    return " ".join(question.split())


def _find(query: str, asked: Asked) -> Found:
    parts = asked.parts
    n_hits = RETRIEVED_FOR[asked.depth] if parts.writer else RETRIEVED
    result = parts.retriever.retrieve(query, asked.access, n_hits)
    began = time.perf_counter()
    lexical = parts.indexes.lexical
    prepared = Question.of(query, result.vector, result.hits, lexical, asked.access)
    scored = candidates(prepared, result.hits, parts.embedder, lexical)
    asked.draft.timings_ms |= result.timings_ms
    asked.draft.timings_ms["quotes"] = round((time.perf_counter() - began) * 1000, 2)
    found = Found(
        query,
        list(result.hits),
        scored,
        evidence=evidence(result.hits, scored, prepared.naming.lacking),
        nearness=evidence(result.hits, scored),
        unnamed=prepared.naming.unnamed,
    )
    record.question(asked, found)
    return found


def _searched(found: Found, asked: Asked) -> Searched:
    return Searched(
        query=found.query,
        collections=tuple(sorted(asked.access.collections)),
        n_documents=asked.parts.store.count_documents(asked.access),
        n_hits=len(found.hits),
        unnamed=() if found.researched else found.unnamed,  # a research has found more
    )


async def _researched(asked: Asked, judging: Judging, found: Found) -> AsyncGenerator[Step, None]:
    """The engine's own search, where it is asked for and the question may be answered.

    What it finds joins what was found. An engine that fails in it is not the end: it is asked for
    the answer all the same, and what comes of that is told then.
    """
    writer = asked.parts.writer
    if not asked.options.research or writer is None or await judging.blocks():
        return
    try:
        opened = await writer.opened()
        most_tokens = min(opened.window_tokens, asked.parts.settings.research_tokens)
        gathering = research(
            found.query,
            asked.parts,
            asked.access,
            count=opened.count,
            window_tokens=opened.window_tokens,
            cache_salt=writer.cache_salt(asked.access),
        )
        async with opened.admission.admit(most_tokens), aclosing(gathering) as items:
            async for item in items:
                if isinstance(item, Gathered):
                    asked.draft.used(item.usage)
                    for verdict, text in item.withheld:
                        asked.verdicts.append(("tool", verdict))
                        asked.keep(verdict, "tool", text, "blocked")
                    found.hits = _joined(item.hits, found.hits)
                    found.researched = True
                else:
                    asked.steps.append(item)
                    yield item
    except GuardSilent as silent:
        asked.verdicts.append(("tool", silent.verdict))
        asked.judged(silent.verdict, "tool", silent.text)
    except (EngineError, EngineBusy) as error:
        logger.warning("research ended early: %s", error.message)


def _joined(first: Sequence[Hit], others: Sequence[Hit]) -> list[Hit]:
    """All hits, none twice."""
    ids = {hit.chunk.id for hit in first}
    return [*first, *(hit for hit in others if hit.chunk.id not in ids)]


# Answering


async def _guarded(
    asked: Asked, judging: Judging, found: Found
) -> AsyncGenerator[Notice | Sentence, None]:
    """The notices and sentences that the guard lets pass; the draft has the same, and no more."""
    for verdict in await judging.verdicts():
        asked.verdicts.append(("question", verdict))
        if notice := asked.judged(verdict, "question", asked.query):
            yield notice
    if asked.draft.withheld:
        return
    noted = asked.parts.guard and Counted(
        asked.parts.guard, lambda verdict: asked.verdicts.append(("answer", verdict))
    )
    released = release(_sentences(asked, found), _text_of, noted, asked.question)
    async with aclosing(released) as stream:
        async for item in stream:
            if isinstance(item, Sentence | Notice):
                yield item
            elif notice := asked.judged(item, "answer"):
                yield notice


def _text_of(item: Sentence | Notice) -> str:
    return item.glue + item.text if isinstance(item, Sentence) else ""


async def _sentences(asked: Asked, found: Found) -> AsyncGenerator[Sentence | Notice, None]:
    """The answer as the engine writes it, or as quotes where it doesn't."""
    writer, draft = asked.parts.writer, asked.draft
    if writer is not None and _is_worth_reading(found, asked):
        try:
            async with aclosing(_written(asked, writer, found)) as items:
                async for item in items:
                    yield item
            return
        except (EngineError, EngineBusy) as error:
            logger.warning("quotes instead of an answer: %s", error.message)
            draft.written_by = ""
            yield draft.notify(_fallback(error))
    if found.evidence >= asked.parts.settings.answer_threshold:
        async with aclosing(_quotes(asked, found)) as quotes:
            async for quote in quotes:
                yield quote


async def _written(
    asked: Asked, writer: Writer, found: Found
) -> AsyncGenerator[Sentence | Notice, None]:
    draft = asked.draft
    task = Assignment(
        question=asked.question,
        language=asked.language(found.query),
        hits=found.hits,
        depth=asked.depth,
        history=asked.options.history,
        access=asked.access,
    )
    draft.written_by = (await writer.opened()).info.model
    if asked.parts.guard is None:
        yield draft.notify(UNGUARDED)
    async with aclosing(writer.write(task, draft, asked.parts)) as items:
        async for item in items:
            yield item


async def _quotes(asked: Asked, found: Found) -> AsyncGenerator[Sentence, None]:
    """The best quotes as sentences of the draft, each once its citation has been checked."""
    parts = asked.parts
    for chosen in choose(found.scored, parts.settings.answer_max_quotes):
        citation = await to_thread.run_sync(cite, chosen, parts.store, asked.access)
        if citation is not None:
            yield asked.draft.add(chosen.shown, [citation], glue=GLUE)


def _is_worth_reading(found: Found, asked: Asked) -> bool:
    """Whether the engine is asked. What is in another language than the question can't be told."""
    if not found.hits or found.researched or found.nearness >= HOPELESS:
        return bool(found.hits)
    language = asked.language(found.query)
    return any(hit.chunk.language != language for hit in found.hits[:RETRIEVED])


def _fallback(error: EngineError | EngineBusy) -> Notice:
    why = next((text for kind, text in WHY.items() if isinstance(error, kind)), FAILED)
    return Notice(
        "fallback", f"The engine that writes answers {why}: these are quotes from the documents."
    )


# Ending


def _final(asked: Asked, found: Found, searched: Searched, began: float) -> Final:
    draft, parts = asked.draft, asked.parts
    for stopped in asked.withheld:
        parts.store.withheld.keep(stopped)
    related: tuple[Hit, ...] = ()
    if draft.status == "no_evidence":
        related = _related(found.hits, parts.store, asked.access)
    final = Final(
        status=draft.status,
        question=asked.question,
        answer=draft.text,
        citations=draft.citations,
        related=related,
        searched=searched,
        evidence=round(found.evidence, 4),
        engine=draft.written_by or QUOTES,
        timings_ms={**draft.timings_ms, "total": round((time.perf_counter() - began) * 1000, 2)},
        request_id=asked.request_id,
        sentences=tuple(draft.sentences),
        notices=tuple(draft.notices),
        categories=draft.categories,
        support=draft.support,
        usage=draft.usage,
        prompt_version=PROMPT_VERSION if draft.written_by else "",
        steps=tuple(asked.steps),
        depth=asked.depth if draft.written_by else None,
        read=tuple(sorted({hit.chunk.document_id for hit in found.hits})),
    )
    record.answer(asked, found, final)
    return final


def _related(hits: Sequence[Hit], store: Store, access: Access) -> tuple[Hit, ...]:
    """The best hits that may still be read; between the search and now a reader may be slow."""
    readable = store.chunks(access, [member.id for hit in hits for member in hit.members])
    still = (hit for hit in hits if all(member.id in readable for member in hit.members))
    return tuple(islice(still, RELATED))

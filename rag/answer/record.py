"""What searches, questions and answers leave in the audit records.

Passages are named by number, with a keyed hash of their text: what was shown can be proved and not
read. What was asked is kept as the setting says.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from rag.answer.asked import Asked, Found, Parts
from rag.answer.events import Final
from rag.errors import CitadelError
from rag.search.retrieve import SearchResult
from rag.types import Access, Hit

logger = logging.getLogger(__name__)

Json = dict[str, Any]


def search(parts: Parts, access: Access, result: SearchResult) -> None:
    """Record a search and what it has found.

    Raises:
        StoreError: it cannot be stored.
    """
    detail = _asked_of(parts, access) | {
        "chunks": _chunks(parts, result.hits),
        "ms": result.timings_ms,
    }
    kept, aside = _kept(parts, result.query)
    parts.store.audit.record("search", kept | detail, private=aside)


def question(asked: Asked, found: Found) -> None:
    """Record a question and what was found for it, before anything of that is shown.

    Raises:
        StoreError: it cannot be stored.
    """
    detail = {**_asked_of(asked.parts, asked.access), "request": asked.request_id}
    detail["chunks"] = _chunks(asked.parts, found.hits)
    kept, aside = _kept(asked.parts, asked.question)
    asked.parts.store.audit.record("question", kept | detail, private=aside)


def answer(asked: Asked, found: Found, final: Final) -> None:
    """Record what came of a question: what it cites, what wrote it, what the guard said.

    Raises:
        StoreError: it cannot be stored.
    """
    keyed = asked.parts.store.audit.keyed
    detail: Json = {
        "request": asked.request_id,
        "status": final.status,
        "engine": final.engine,
        "prompt_version": final.prompt_version,
        "cited": [[c.document_id, c.chunk_id, keyed(c.cited_text)] for c in final.citations],
        "guard": "none" if asked.parts.guard is None else "on",
        "verdicts": _verdicts(asked),
        "categories": final.categories,
        "supported": [final.support.n_supported, final.support.n_sentences],
        "notices": [notice.kind for notice in final.notices],
        "ms": final.timings_ms["total"],
    }
    if found.researched:
        detail["chunks"] = _chunks(asked.parts, found.hits)
    asked.parts.store.audit.record("answer", detail)
    asked.is_recorded = True


def broken_off(asked: Asked, error: BaseException) -> None:
    """Record a question that failed or whose caller has left. Never raises: one failure is told."""
    left = not isinstance(error, Exception)
    detail = {
        "request": asked.request_id,
        "status": "left" if left else "failed",
        "error": type(error).__name__,
        "sentences": len(asked.draft.sentences),  # that may have been shown
        "verdicts": _verdicts(asked),
    }
    kept, aside = _kept(asked.parts, asked.question)
    try:
        asked.parts.store.audit.record("answer", kept | detail, outcome="failure", private=aside)
    except CitadelError as failure:
        logger.warning("request %s is not recorded: %s", asked.request_id, failure.message)
    asked.is_recorded = True


def _asked_of(parts: Parts, access: Access) -> Json:
    """For whom it was searched, and in what."""
    return {
        "collections": sorted(access.collections),
        "principals": sorted(access.principals),
        "index_seq": parts.indexes.seq,
        "model": parts.embedder.model_id,
    }


def _kept(parts: Parts, text: str) -> tuple[Json, Mapping[str, str]]:
    """What is kept of what was asked: in the record, and beside it."""
    mode = parts.settings.audit_questions
    if mode == "clear":
        return {}, {"question": text}
    return ({"question_hash": parts.store.audit.keyed(text)} if mode == "hashed" else {}), {}


def _chunks(parts: Parts, hits: Iterable[Hit]) -> list[list[Any]]:
    keyed = parts.store.audit.keyed
    return [[each.id, keyed(each.chunk.text)] for hit in hits for each in hit.members]


def _verdicts(asked: Asked) -> list[Json]:
    return [
        {
            "on": stage,
            "action": verdict.action,
            "label": verdict.label,
            "categories": verdict.categories,
            "reason": verdict.reason,
        }
        for stage, verdict in asked.verdicts
    ]

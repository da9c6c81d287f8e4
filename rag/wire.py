"""The shapes in which hits, citations and answers leave: the command's `--json` and the API's.

Written once, here, so that the two can never differ. Values are what JSON knows; what a reader of
the JSON may rely on is in the field names and their order.
"""

from typing import TYPE_CHECKING, Any

from rag.answer.engine import Usage
from rag.answer.events import Final, Notice, Searched, Sentence, Step, Support
from rag.answer.guard import CATEGORIES
from rag.types import Citation, Hit

if TYPE_CHECKING:
    from rag.search.retrieve import SearchResult

Json = dict[str, Any]


def hit_json(hit: Hit) -> Json:
    """A hit; `text` is the whole passage, `chunk_id` and `heading_path` its best chunk's."""
    stored = hit.chunk
    return {
        "rank": hit.rank,
        "score": round(float(hit.score), 6),
        "document_id": stored.document_id,
        "chunk_id": stored.id,
        "title": stored.title,
        "source_uri": stored.source_uri,
        "page_start": hit.page_start,
        "page_end": hit.page_end,
        "heading_path": list(stored.chunk.heading_path),
        "char_start": hit.char_start,
        "char_end": hit.char_end,
        "text": hit.text,
    }


def citation_json(citation: Citation) -> Json:
    """A citation; each of its boxes is an object with page and corners in points."""
    return {
        "id": citation.id,
        "document_id": citation.document_id,
        "chunk_id": citation.chunk_id,
        "title": citation.title,
        "source_uri": citation.source_uri,
        "page_start": citation.page_start,
        "page_end": citation.page_end,
        "heading_path": list(citation.heading_path),
        "char_start": citation.char_start,
        "char_end": citation.char_end,
        "cited_text": citation.cited_text,
        "header_start": citation.header_start,
        "header_end": citation.header_end,
        "header_text": citation.header_text,
        "boxes": [box._asdict() for box in citation.boxes],
        "answer_start": citation.answer_start,
        "answer_end": citation.answer_end,
        "score": round(float(citation.score), 6),
        "verified": citation.verified,
    }


def searched_json(searched: Searched) -> Json:
    """What was searched."""
    return {
        "query": searched.query,
        "collections": list(searched.collections),
        "n_documents": searched.n_documents,
        "n_hits": searched.n_hits,
        "unnamed": list(searched.unnamed),
    }


def sentence_json(sentence: Sentence) -> Json:
    """One released sentence of a streamed answer."""
    return {
        "text": sentence.text,
        "start": sentence.start,
        "end": sentence.end,
        "glue": sentence.glue,
        "kind": sentence.kind,
        "citations": [citation_json(citation) for citation in sentence.citations],
        "supported": sentence.supported,
        "reason": sentence.reason,
    }


def step_json(step: Step) -> Json:
    """One step of a research."""
    return {
        "number": step.number,
        "tool": step.tool,
        "detail": step.detail,
        "n_found": step.n_found,
        "outcome": step.outcome,
    }


def notice_json(notice: Notice) -> Json:
    """Something that the reader should know."""
    return {"kind": notice.kind, "text": notice.text}


def final_json(final: Final) -> Json:
    """The whole answer."""
    return {
        "status": final.status,
        "question": final.question,
        "answer": final.answer,
        "citations": [citation_json(citation) for citation in final.citations],
        "related": [hit_json(hit) for hit in final.related],
        "searched": searched_json(final.searched),
        "evidence": round(float(final.evidence), 6),
        "engine": final.engine,
        "prompt_version": final.prompt_version,
        "support": _support_json(final.support),
        "unsupported": [
            {"start": sentence.start, "end": sentence.end, "reason": sentence.reason}
            for sentence in final.sentences
            if not sentence.supported
        ],
        "notices": [notice_json(notice) for notice in final.notices],
        "categories": [{"code": code, "name": CATEGORIES[code]} for code in final.categories],
        "depth": final.depth,
        "steps": [step_json(step) for step in final.steps],
        "usage": _usage_json(final.usage),
        "timings_ms": timings_json(final.timings_ms),
        "request_id": final.request_id,
        "conversation_id": final.conversation_id,
        "turn_id": final.turn_id,
    }


def _support_json(support: Support) -> Json:
    return {
        "sentences": support.n_sentences,
        "supported": support.n_supported,
        "dropped": support.n_dropped,
        "unknown_keys": support.n_unknown_keys,
        "share": None if support.share is None else round(support.share, 4),
    }


def _usage_json(usage: Usage | None) -> Json | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "answer_tokens": usage.answer_tokens,
        "cached_tokens": usage.cached_tokens,
    }


def timings_json(timings_ms: dict[str, float]) -> dict[str, float]:
    """Milliseconds by stage, to the microsecond."""
    return {stage: round(float(ms), 3) for stage, ms in timings_ms.items()}


def search_json(result: "SearchResult") -> Json:
    """What a search found."""
    return {
        "query": result.query,
        "hits": [hit_json(hit) for hit in result.hits],
        "timings_ms": timings_json(result.timings_ms),
    }

"""The examples in the API's documentation. One invented company, one question, all the way."""

from typing import Any

Example = dict[str, Any]

_QUESTION = "How many days of annual leave do employees get?"
_SENTENCE = "Every employee receives 28 days of paid annual leave."
_TITLE = "Employee Handbook"
_URI = "/srv/documents/handbook.pdf"
_ADDRESS = "https://citadel.example/v1/documents/7/passage?start=18204&end=18257"
_ID = "5f1c7a90b2d34e6f8a1b2c3d"
_PLACE: Example = {
    "title": _TITLE,
    "source_uri": _URI,
    "page_start": 12,
    "page_end": 12,
    "heading_path": ["Working time", "Annual leave"],
}

SEARCH: Example = {"query": "annual leave", "k": 5, "collection": "hr"}
QUERY: Example = {"question": _QUESTION}
HIT: Example = {
    "rank": 1,
    "score": 0.91,
    "document_id": 7,
    "chunk_id": 214,
    **_PLACE,
    "char_start": 18204,
    "char_end": 18257,
    "text": _SENTENCE,
}
SEARCH_RESULT: Example = {
    "query": "annual leave",
    "hits": [HIT],
    "timings_ms": {"embed": 6.1, "dense": 0.8, "lexical": 1.2, "total": 9.4},
}
CITATION: Example = {
    "id": 1,
    "document_id": 7,
    "chunk_id": 214,
    **_PLACE,
    "char_start": 18204,
    "char_end": 18257,
    "cited_text": _SENTENCE,
    "header_start": 0,
    "header_end": 0,
    "header_text": "",
    "boxes": [{"page": 12, "x0": 72.0, "y0": 310.5, "x1": 418.2, "y1": 322.9}],
    "answer_start": 0,
    "answer_end": 53,
    "score": 0.91,
    "verified": True,
}
SEARCHED: Example = {
    "query": _QUESTION,
    "collections": ["hr"],
    "n_documents": 34,
    "n_hits": 40,
    "unnamed": [],
}
ANSWER: Example = {
    "status": "answered",
    "question": _QUESTION,
    "answer": _SENTENCE,
    "citations": [CITATION],
    "related": [],
    "searched": SEARCHED,
    "evidence": 0.94,
    "engine": "extractive",
    "prompt_version": "",
    "support": {"sentences": 1, "supported": 1, "dropped": 0, "unknown_keys": 0, "share": 1.0},
    "unsupported": [],
    "notices": [],
    "categories": [],
    "depth": None,
    "steps": [],
    "usage": None,
    "timings_ms": {"embed": 6.1, "search": 3.3, "total": 14.0},
    "request_id": _ID,
    "conversation_id": None,
    "turn_id": None,
}
CHAT: Example = {
    "model": "citadel",
    "messages": [{"role": "user", "content": _QUESTION}],
}
CHAT_COMPLETION: Example = {
    "id": f"chatcmpl-{_ID}",
    "object": "chat.completion",
    "created": 1772442871,
    "model": "citadel",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": f"{_SENTENCE} [1]\n\nSources:\n\n- [1] [{_TITLE}, page 12]({_ADDRESS})",
                "refusal": None,
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "start_index": 0,
                            "end_index": 53,
                            "title": f"{_TITLE}, page 12",
                            "url": _ADDRESS,
                        },
                    }
                ],
            },
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "citadel": ANSWER,
}
MODEL: Example = {"id": "citadel", "object": "model", "created": 0, "owned_by": "citadel"}
MODELS: Example = {"object": "list", "data": [MODEL]}
DOCUMENT: Example = {
    "id": 7,
    "collection": "hr",
    "title": _TITLE,
    "source_uri": _URI,
    "name": "handbook.pdf",
    "media_type": "application/pdf",
    "language": "en",
    "size_bytes": 482113,
    "n_chars": 91022,
    "n_chunks": 188,
    "n_pages": 46,
    "has_images": True,
    "metadata": {"author": "People Team"},
    "warnings": [],
    "parent_id": None,
    "ingested_at": "2026-03-02T09:14:31Z",
}
DOCUMENT_DETAIL: Example = DOCUMENT | {"attachments": [], "status": "ingested", "right": "read"}
DOCUMENT_LIST: Example = {"documents": [DOCUMENT], "next_cursor": "7", "total": 34}
TEXT: Example = {
    "document_id": 7,
    "start": 18204,
    "end": 18257,
    "n_chars": 91022,
    "text": _SENTENCE,
}
PASSAGE: Example = {
    "document_id": 7,
    "start": 18204,
    "end": 18257,
    "before_start": 18190,
    "after_end": 18299,
    "n_chars": 91022,
    "page": 12,
    "before": "Annual leave\n\n",
    "text": _SENTENCE,
    "after": " Part-time employees receive it pro rata.\n",
}
PAGES: Example = {
    "document_id": 7,
    "has_images": True,
    "pages": [
        {"number": 12, "width": 595.0, "height": 842.0, "char_start": 17020, "char_end": 19011}
    ],
}
COLLECTIONS: Example = {
    "collections": [{"name": "hr", "n_documents": 34, "n_chunks": 2711, "right": "read"}]
}
FAILURES: Example = {
    "failures": [
        {
            "collection": "hr",
            "path": "/srv/documents/old/contract.pdf",
            "error": "the PDF is encrypted",
            "hint": "Save a copy without a password and ingest that.",
            "size_bytes": 73311,
            "retry": False,
        }
    ]
}
STATUS: Example = {
    "version": "0.1.0",
    "model_id": "1f0e2d3c4b5a69788796a5b4c3d2e1f01f0e2d3c4b5a69788796a5b4c3d2e1f0",
    "n_collections": 1,
    "n_documents": 34,
    "n_chunks": 2711,
    "n_failures": 1,
    "head": 61,
    "indexed": 61,
    "answers": "engine",
    "guard": "on",
    "depth": "standard",
}
AUDIT: Example = {
    "records": [
        {
            "seq": 412,
            "at": "2026-03-02T09:20:11.402113Z",
            "kind": "opened",
            "outcome": "success",
            "actor": {"kind": "user", "number": 7, "how": "session", "request_id": _ID},
            "detail": {"document": 7, "what": "page", "number": 12},
            "private": {"address": "10.0.0.17"},
            "principals": {"7": "user:ann"},
            "sha256": "5d0c7c1a7be7d8e2f3a45b4f0d6fa7c1f9a0e3c8f5b2d4e6a7b8c9d0e1f2a3b4",
            "previous_sha256": "a4b3f2e1d0c9b8a7e6d4b2f5c8e3a0f9c1a76f0d4f5ba4f3e2d8e77b1a7c0c5d",
        }
    ],
    "next_cursor": "412",
}
LOGIN_LINK: Example = {
    "url": "http://127.0.0.1:8000/login?token=q1w2e3r4t5y6u7i8o9p0",
    "expires_in_s": 3600,
}
HEALTH: Example = {"status": "ok"}
READINESS: Example = {"status": "ready", "answers": "engine", "guard": "on"}
PROBLEM: Example = {
    "type": "urn:citadel:problem:not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "no document 7",
    "instance": "/v1/documents/7",
    "hint": "It may have been removed, or ingested again under a new id; list the documents.",
    "request_id": _ID,
}

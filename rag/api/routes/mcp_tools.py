"""The tools of the MCP server: search, fetch, ask.

`search` and `fetch` take and give what OpenAI's connectors expect of tools of these names, and more
beside it. An id is a document's number, or `document:start-end` for a span of its text.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field

from rag.answer.options import Options
from rag.answer.pipeline import collect
from rag.api.bodies import models, requests
from rag.api.bodies.requests import MAX_ID, MAX_OFFSET
from rag.api.bodies.shown import span_url, whole
from rag.api.border.auth import Caller, Right, access_of
from rag.api.border.quotas import Quotas
from rag.api.border.standing import Standing
from rag.api.routes.documents import document_json, opened
from rag.appliance import Appliance
from rag.errors import BadRequest, NotFound
from rag.place import place
from rag.store import Store
from rag.types import Access, Hit
from rag.wire import Json, final_json, hit_json

MAX_FETCHED_CHARS = 100_000
CONTEXT_CHARS = 600
_ID = re.compile(r"(?P<document>\d{1,19})(?::(?P<start>\d{1,10})-(?P<end>\d{1,10}))?")


class Asked(NamedTuple):
    """Who calls a tool, and of what."""

    appliance: Appliance
    caller: Caller
    base: str  # address of this server
    request_id: str
    quotas: Quotas
    standing: Standing

    def access(self, collections: Sequence[str] | None = None) -> Access:
        """What the caller may read."""
        return access_of(self.caller, self.appliance.store, collections)


class Told(NamedTuple):
    """What a tool gives back: for programs, and as text."""

    structured: Json
    text: str | None = None  # the same as JSON, where unset


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Search(_Arguments):
    """What to search for."""

    query: requests.Asked = Field(description="Words or a question.")
    collection: requests.Collections | None = Field(None, description=requests.NARROW)
    k: int = Field(10, ge=1, le=50, description="Most results.")


class Fetch(_Arguments):
    """What to read."""

    id: str = Field(max_length=60, description="From `search`; `7` or `7:1200-1500`.")


class Ask(_Arguments):
    """What to answer, and how."""

    question: requests.Asked = Field(description="A question that stands alone.")
    collection: requests.Collections | None = Field(None, description=requests.NARROW)
    depth: requests.Depth | None = Field(
        None, description="How much an engine reads: 8k, 32k tokens, or its whole window."
    )
    research: bool = Field(False, description="Let the engine search by itself first; slow.")


class Result(BaseModel):
    """A passage that was found."""

    id: str
    title: str
    url: str
    text: str
    score: float
    hit: models.Hit


class Results(BaseModel):
    """The passages that were found, best first."""

    results: list[Result]


class Fetched(BaseModel):
    """A document's text, or a span of it."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, Any]


async def search(arguments: Search, asked: Asked) -> Told:
    """Find passages in the company's documents, best first. `fetch` reads more by their ids."""
    access = await to_thread.run_sync(asked.access, arguments.collection)
    found = await to_thread.run_sync(asked.appliance.search, arguments.query, access, arguments.k)
    return Told({"results": [_result(hit, asked.base) for hit in found.hits]})


async def fetch(arguments: Fetch, asked: Asked) -> Told:
    """Read a document, or the passage of it, that `search` has found.

    Of a long document the first 100,000 characters; `metadata.next_id` reads on.
    """
    return await to_thread.run_sync(_fetched, arguments.id, asked)


async def ask(arguments: Ask, asked: Asked) -> Told:
    """Answer a question from the company's documents: every sentence cites what it rests on.

    Where the documents do not say, the answer is that they don't.
    """
    access = await to_thread.run_sync(asked.access, arguments.collection)
    answer = asked.appliance.answer(
        arguments.question,
        access,
        request_id=asked.request_id,
        options=Options(depth=arguments.depth, research=arguments.research),
    )
    with asked.quotas.answering(asked.caller):
        counted = asked.quotas.counted(asked.caller, answer)
        watched = asked.standing.watched(counted, asked.appliance.store, access)
        async with aclosing(watched) as events:
            final = await collect(events)
    return Told(final_json(final), whole(final, asked.base, markers=True).text)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with whom it is for and what goes in and comes out."""

    name: Literal["search", "fetch", "ask"]
    title: str
    rights: tuple[Right, ...]
    takes: type[BaseModel]
    gives: type[BaseModel]
    run: Callable[[Any, Asked], Awaitable[Told]]


TOOLS = (
    Tool("search", "Search documents", ("search",), Search, Results, search),
    Tool("fetch", "Read a document", ("search", "query"), Fetch, Fetched, fetch),
    Tool("ask", "Ask the documents", ("query",), Ask, models.Answer, ask),
)


def _result(hit: Hit, base: str) -> Json:
    stored = hit.chunk
    return {
        "id": f"{stored.document_id}:{hit.char_start}-{hit.char_end}",
        "title": place(stored.title, stored.source_uri, hit.page_start, hit.page_end),
        "url": span_url(base, stored.document_id, hit.char_start, hit.char_end),
        "text": hit.text,
        "score": round(float(hit.score), 6),
        "hit": hit_json(hit),
    }


def _fetched(name: str, asked: Asked) -> Told:
    store, access = asked.appliance.store, asked.access()
    document_id, wanted = _parsed(name)
    document = store.document(access, document_id)
    start, end = wanted or (0, document.n_chars)
    if not start <= end <= document.n_chars:
        raise BadRequest(
            f"there is no span {start}-{end} in a text of {document.n_chars} characters",
            hint="Take ids as `search` gives them.",
        )
    last = min(end, start + MAX_FETCHED_CHARS)
    metadata = document_json(document, store) | {"start": start, "end": last}
    if wanted:
        metadata |= _around(store, access, document_id, start, last)
    if last < end:
        metadata["next_id"] = f"{document_id}:{last}-{end}"
    opened(store, document_id, "text", span=[start, last])
    return Told(
        {
            "id": name,
            "title": document.title,
            "text": store.text(access, document_id, start, last),
            "url": span_url(asked.base, document_id, start, last),
            "metadata": metadata,
        }
    )


def _around(store: Store, access: Access, document_id: int, start: int, end: int) -> Json:
    first = max(0, start - CONTEXT_CHARS)
    return {
        "before": store.text(access, document_id, first, start),
        "after": store.text(access, document_id, end, end + CONTEXT_CHARS),
    }


def _parsed(name: str) -> tuple[int, tuple[int, int] | None]:
    """The document and the span that an id means.

    Raises:
        NotFound: it means nothing.
    """
    found = _ID.fullmatch(name)
    if found is None or int(found["document"]) > MAX_ID:
        raise NotFound(f"no document {name!r}", hint="Take ids as `search` gives them.")
    if found["start"] is None:
        return int(found["document"]), None
    return int(found["document"]), (
        min(int(found["start"]), MAX_OFFSET),
        min(int(found["end"]), MAX_OFFSET),
    )

"""The tools of a research: a call of the model's in, passages out, as text to read and as hits.

Documents are named by small numbers, valid in this research only, in the order in which they were
shown; a number that was not shown names nothing. What the model writes is not trusted: whatever is
wrong with a call is a `CallError` that says so.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, Protocol

import msgspec

from rag.answer.engine import Tool, ToolCall
from rag.answer.passages import Passage
from rag.answer.prompts import render_passage
from rag.answer.tokens import TokenCounter
from rag.answer.untrusted import safe_answer
from rag.errors import NotFound
from rag.search.passages import merge
from rag.search.retrieve import Retriever
from rag.store import Store
from rag.text import valid_unicode
from rag.types import Access, Hit, StoredChunk

SEARCHED = 6  # passages that a search gives
PASSAGE_CHARS = 1500  # that are shown of a passage that a search gives
PART_CHARS = 6000  # of a document's text that are read at once, some 1,500 tokens
OPENED = 0.9  # what was opened comes after what led to it: share of that score
MAX_QUERY_CHARS = 500
MAX_SHOWN_CHARS = 200
NOTHING = "Nothing was found."

Name = Literal["search", "open_document"]


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The arguments of `search`."""

    query: str


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The arguments of `open_document`: from a page on, a part, or the beginning."""

    document: int
    page: int | None = None
    part: int | None = None


Wanted = Search | Open


def _tool(name: Name, description: str, *required: str, **properties: tuple[str, str]) -> Tool:
    described = {key: {"type": kind, "description": of} for key, (kind, of) in properties.items()}
    schema = {"type": "object", "properties": described, "required": list(required)}
    return Tool(name, description, {**schema, "additionalProperties": False})


TOOLS = (
    _tool(
        "search",
        "Finds the passages of all documents that fit a query best, by words and by meaning.",
        "query",
        query=("string", "What to look for: a short question or a few words."),
    ),
    _tool(
        "open_document",
        "Reads in one document: from a page on, or one of its parts, or else its beginning.",
        "document",
        document=("integer", "The document's number, as the results show it."),
        page=("integer", "The page to begin at, where the document has pages."),
        part=("integer", "The part to read, counted from 1. Not together with page."),
    ),
)


class CallError(Exception):
    """A call that cannot be carried out: what the model is told, and what the reader is told."""

    def __init__(self, message: str, detail: str, tool: Name | Literal[""] = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.tool: Name | Literal[""] = tool  # "" where the call was not understood


@dataclass(frozen=True, slots=True)
class Found:
    """What a call gave. Nothing of it counts as shown before `Desk.show`."""

    tool: Name
    detail: str  # for the reader
    text: str  # for the model, harmless
    hits: tuple[Hit, ...]  # those that the text has
    documents: tuple[int, ...]  # ids by number - 1, those of this result included


def understood(call: ToolCall) -> Wanted:
    """The call as what it wants.

    Raises:
        CallError: there is no such tool, or it does not take these arguments.
    """
    kinds: dict[str, type[Search] | type[Open]] = {"search": Search, "open_document": Open}
    if call.name not in kinds:
        known = " and ".join(kinds)
        raise CallError(f"There is no such tool; there are {known}.", "an unknown tool was called")
    try:  # numbers may come as text: the model often writes them so
        wanted = msgspec.json.decode(call.arguments or "{}", type=kinds[call.name], strict=False)
    except msgspec.ValidationError as error:
        said = valid_unicode(str(error))
        raise CallError(f"Wrong arguments: {said}.", "the call had wrong arguments") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise CallError("The arguments are not JSON.", "the call could not be read") from error
    return _checked(wanted)


def _checked(wanted: Wanted) -> Wanted:
    if isinstance(wanted, Open):
        if wanted.page is not None and wanted.part is not None:
            raise CallError("Give page or part, not both.", "the call had wrong arguments")
        return wanted
    query = " ".join(wanted.query.split())
    if not query:
        raise CallError("The query is empty.", "the search was for nothing")
    if len(query) > MAX_QUERY_CHARS:
        raise CallError(
            f"The query is longer than {MAX_QUERY_CHARS} characters.", "the search was too long"
        )
    return Search(query)


def name_of(wanted: Wanted) -> Name:
    """The tool that gives it."""
    return "search" if isinstance(wanted, Search) else "open_document"


def result_text(text: str) -> str:
    """A tool's result as Llama's template writes it, for counting: as a string in JSON."""
    return json.dumps({"output": text}, ensure_ascii=False)


class Reading(Protocol):
    """What the tools read from."""

    @property
    def store(self) -> Store:
        """Documents."""
        ...

    @property
    def retriever(self) -> Retriever:
        """Search."""
        ...


class Desk:
    """Carries calls out, and knows which documents have been shown. Blocks; one call at a time."""

    def __init__(
        self, parts: Reading, access: Access, count: TokenCounter, *, mark: str, room_tokens: int
    ) -> None:
        """A result has at most `room_tokens`; `mark` begins each of its passages."""
        self._parts = parts
        self._access = access
        self._count = count
        self._mark = mark
        self._room_tokens = room_tokens
        self._documents: tuple[int, ...] = ()
        self.hits: list[Hit] = []  # of all results that were shown

    def find(self, wanted: Wanted) -> Found:
        """What a call gives.

        Raises:
            CallError: it names no document, page or part.
        """
        if isinstance(wanted, Search):
            found = self._parts.retriever.retrieve(wanted.query, self._access, SEARCHED)
            return self._found("search", wanted.query, found.hits)
        return self._opened(wanted)

    def show(self, found: Found) -> None:
        """The model is given it: its documents can be opened from now on."""
        self._documents = found.documents
        self.hits += found.hits

    # Opening

    def _opened(self, wanted: Open) -> Found:
        document_id = self._document_id(wanted)
        try:
            chunks = self._parts.store.document_chunks(self._access, document_id)
            stretch = _stretch(wanted, chunks)
            hits = self._read(document_id, stretch)
        except NotFound:  # removed since it was shown
            _no_document(wanted)
        title = chunks[0].title if chunks else "a document"
        found = self._found("open_document", _place(wanted, title), hits)
        n_parts = _part_of(chunks[-1]) if chunks else 0
        return replace(found, text=f"{found.text}\n\nThe document has parts 1 to {n_parts}.")

    def _document_id(self, wanted: Open) -> int:
        if not 1 <= wanted.document <= len(self._documents):
            _no_document(wanted)
        return self._documents[wanted.document - 1]

    def _read(self, document_id: int, stretch: Sequence[StoredChunk]) -> list[Hit]:
        """The chunks as hits, in reading order."""
        if not stretch:
            return []
        before = [h.score for h in self.hits if h.chunk.document_id == document_id]
        score = OPENED * max(before)
        start, end = stretch[0].chunk.char_start, stretch[-1].chunk.char_end
        text = self._parts.store.text(self._access, document_id, start, end)
        passages = [p.members for p in merge([(stored, score) for stored in stretch], len(stretch))]
        return [
            Hit(
                rank=rank,
                score=score,
                dense=0.0,
                chunk=members[0],
                members=tuple(members),
                text=text[members[0].chunk.char_start - start : members[-1].chunk.char_end - start],
            )
            for rank, members in enumerate(passages, 1)
        ]

    # Showing

    def _found(self, tool: Name, detail: str, hits: Sequence[Hit]) -> Found:
        """The hits as text, as many as there is room for."""
        documents, blocks, left = self._documents, [], self._room_tokens
        for hit in hits:
            seen = documents
            if hit.chunk.document_id not in seen:
                seen = (*documents, hit.chunk.document_id)
            limit = PASSAGE_CHARS if tool == "search" else PART_CHARS
            block = self._block(hit, seen.index(hit.chunk.document_id) + 1, limit)
            left -= self._count(result_text(block))
            if left < 0:
                break
            documents = seen
            blocks.append(block)
        text = "\n\n".join(blocks) or NOTHING
        return Found(tool, plain(detail), text, tuple(hits[: len(blocks)]), documents)

    def _block(self, hit: Hit, number: int, limit_chars: int) -> str:
        first = hit.members[0]
        # A table's first chunk has the header in its own text.
        header = first.header if first.chunk.char_start >= first.chunk.header_end else ""
        passage = Passage(
            key=f"document {number}, part {_part_of(first)}",
            document_id=first.document_id,
            title=first.title,
            source_uri=first.source_uri,
            heading_path=hit.chunk.chunk.heading_path,
            page_start=hit.page_start,
            page_end=hit.page_end,
            date="",
            char_start=hit.char_start,
            char_end=hit.char_end,
            text=_cut(hit.text, limit_chars),
            chunk_ids=tuple(member.id for member in hit.members),
            language=first.language,
            score=hit.score,
            n_tokens=0,
            header=header,
        )
        return render_passage(passage, self._mark)


def distinct(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The passages of several results, best first; a chunk that several have is in one of them."""
    taken: set[int] = set()
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: -hit.score):
        for members in _runs([member for member in hit.members if member.id not in taken]):
            taken.update(member.id for member in members)
            kept.append(_piece(hit, members))
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(kept, 1))


def _runs(members: Sequence[StoredChunk]) -> Iterator[list[StoredChunk]]:
    run: list[StoredChunk] = []
    for member in members:
        if run and member.chunk.ordinal != run[-1].chunk.ordinal + 1:
            yield run
            run = []
        run.append(member)
    if run:
        yield run


def _piece(hit: Hit, members: Sequence[StoredChunk]) -> Hit:
    """The hit with these of its members only."""
    start, end = members[0].chunk.char_start, members[-1].chunk.char_end
    text = hit.text[start - hit.char_start : end - hit.char_start]
    whole = replace(hit, members=tuple(members), text=text)
    if hit.chunk in members:
        return whole
    return replace(whole, chunk=members[0], dense=0.0)


def plain(text: str) -> str:
    """Text on one line that nothing can be hidden in or linked from, for a reader."""
    text = " ".join(safe_answer(" ".join(valid_unicode(text).split())).split())
    return _cut(text, MAX_SHOWN_CHARS)


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def _part_of(stored: StoredChunk) -> int:
    return stored.chunk.char_start // PART_CHARS + 1


def _stretch(wanted: Open, chunks: Sequence[StoredChunk]) -> list[StoredChunk]:
    """The chunks that begin in the part that is wanted, or on the page and soon after.

    Raises:
        CallError: there is no such page or part.
    """
    if wanted.page is None:
        part = 1 if wanted.part is None else wanted.part
        if chunks and not 1 <= part <= _part_of(chunks[-1]):
            _no_place(wanted, f"its parts are 1 to {_part_of(chunks[-1])}")
        return [stored for stored in chunks if _part_of(stored) == part]
    on_page = [c for c in chunks if _is_on(c, wanted.page)]
    if not on_page:
        pages = [c.chunk.page_end for c in chunks if c.chunk.page_end is not None]
        _no_place(wanted, f"its pages end at {max(pages)}" if pages else "it has parts only")
    start = on_page[0].chunk.char_start
    return [c for c in chunks if start <= c.chunk.char_start < start + PART_CHARS]


def _is_on(stored: StoredChunk, page: int) -> bool:
    first, last = stored.chunk.page_start, stored.chunk.page_end
    return first is not None and first <= page <= (last or first)


def _place(wanted: Open, title: str) -> str:
    if wanted.page is not None:
        return f"{title}, page {wanted.page}"
    return f"{title}, part {wanted.part}" if wanted.part is not None else title


def _no_document(wanted: Open) -> NoReturn:
    """The same words whether it never was, may not be read, or is gone."""
    message = f"There is no document {wanted.document} in the results."
    raise CallError(message, "no such document", "open_document")


def _no_place(wanted: Open, but: str) -> NoReturn:
    message = f"Document {wanted.document} has nothing there: {but}."
    raise CallError(message, "no such page or part", "open_document")

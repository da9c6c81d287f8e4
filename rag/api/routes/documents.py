"""Routes that read documents: the list, texts, pages, originals. All within the caller's access."""

import hashlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, JSONResponse, Response

from rag.api.backing import Loaded
from rag.api.bodies import models, requests
from rag.api.border.auth import access_of, number_of
from rag.api.border.callers import Reader
from rag.api.draw import Drawing
from rag.api.renderer import Renderer
from rag.api.routes.docs import BINARY, PNG, documented
from rag.errors import BadRequest, NotFound
from rag.layout import line_boxes
from rag.store import Narrowing, Store
from rag.times import time_json
from rag.types import Access, Document, Page

router = APIRouter(tags=["documents"])

MAX_TEXT_CHARS = 1_000_000  # in one response
MAX_CONTEXT_CHARS = 20_000
SANDBOX = "sandbox; default-src 'none'"
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")

Offset = Annotated[int, Query(ge=0, le=requests.MAX_OFFSET)]


def _narrowing(
    title: Annotated[requests.Plain, Query(description="Part of the title.")] = "",
    media_type: Annotated[requests.Plain, Query(description="As application/pdf.")] = "",
    language: Annotated[requests.Plain, Query(description="ISO 639-1.")] = "",
    ingested_after: Annotated[requests.Time | None, Query()] = None,
    ingested_before: Annotated[requests.Time | None, Query()] = None,
    source: Annotated[
        requests.Path, Query(description="A file, or a folder with all that is below it.")
    ] = "",
) -> Narrowing:
    return Narrowing(title.strip(), media_type, language, ingested_after, ingested_before, source)


@router.get("/v1/documents", response_model=models.DocumentList, responses=documented(404))
def list_documents(
    appliance: Loaded,
    caller: Reader,
    only: Annotated[Narrowing, Depends(_narrowing)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(pattern=r"^\d{1,18}$", description="`next_cursor`.")] = "0",
    collection: Annotated[list[requests.Plain] | None, Query(description=requests.NARROW)] = None,
) -> JSONResponse:
    """The documents that you may read, oldest first; each filter narrows the list."""
    store = appliance.store
    access = access_of(caller, store, collection)
    found = store.list_documents(access, after=int(cursor), limit=limit + 1, only=only)
    more = len(found) > limit
    listed = [document_json(document, store) for document in found[:limit]]
    return JSONResponse(
        {
            "documents": listed,
            "next_cursor": str(listed[-1]["id"]) if more else None,
            "total": store.count_documents(access),
        }
    )


@router.get(
    "/v1/documents/{document_id}",
    response_model=models.DocumentDetail,
    responses=documented(404) | {304: {"description": "Your copy is still right."}},
)
def get_document(
    request: Request, appliance: Loaded, caller: Reader, document_id: requests.Id
) -> Response:
    """One document without its text, what was attached to it, and what you may do with it."""
    store, access = appliance.store, access_of(caller, appliance.store, None)
    document = document_json(store.document(access, document_id), store)
    attached = store.children(access, document_id)
    managed = store.may_manage(number_of(caller, store), document["collection"])
    shown = document | {
        "attachments": [{"id": d.id, "title": d.title} for d in attached],
        "status": "ingested",
        "right": "manage" if managed else "read",
    }
    tag = f'"{hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return JSONResponse(shown, headers=headers)


@router.get(
    "/v1/documents/{document_id}/text", response_model=models.Text, responses=documented(400, 404)
)
def get_text(
    appliance: Loaded,
    caller: Reader,
    document_id: requests.Id,
    start: Offset = 0,
    end: Offset | None = None,
) -> JSONResponse:
    """A document's text, or the half-open span of it; at most a million characters at once."""
    store, access = appliance.store, access_of(caller, appliance.store, None)
    n_chars = store.document(access, document_id).n_chars
    start, end = _span(start, n_chars if end is None else end, n_chars)
    end = min(end, start + MAX_TEXT_CHARS)
    text = store.text(access, document_id, start, end)
    opened(store, document_id, "text", span=[start, end])
    return JSONResponse(
        {"document_id": document_id, "start": start, "end": end, "n_chars": n_chars, "text": text}
    )


@router.get(
    "/v1/documents/{document_id}/passage",
    response_model=models.Passage,
    responses=documented(400, 404),
)
def get_passage(
    appliance: Loaded,
    caller: Reader,
    document_id: requests.Id,
    start: Offset,
    end: Offset,
    context: Annotated[
        int, Query(ge=0, le=MAX_CONTEXT_CHARS, description="Characters on either side.")
    ] = 600,
) -> JSONResponse:
    """A span of a document's text with what stands around it."""
    store, access = appliance.store, access_of(caller, appliance.store, None)
    n_chars = store.document(access, document_id).n_chars
    start, end = _span(start, end, n_chars)
    end = min(end, start + MAX_TEXT_CHARS)
    first, last = max(0, start - context), min(n_chars, end + context)
    text = store.text(access, document_id, first, last)
    opened(store, document_id, "passage", span=[first, last])
    return JSONResponse(
        {
            "document_id": document_id,
            "start": start,
            "end": end,
            "before_start": first,
            "after_end": last,
            "n_chars": n_chars,
            "page": _page_number(store.pages(access, document_id), start),
            "before": text[: start - first],
            "text": text[start - first : end - first],
            "after": text[end - first :],
        }
    )


@router.get(
    "/v1/documents/{document_id}/pages", response_model=models.PageList, responses=documented(404)
)
def list_pages(appliance: Loaded, caller: Reader, document_id: requests.Id) -> JSONResponse:
    """The pages of a document with their sizes in points."""
    store, access = appliance.store, access_of(caller, appliance.store, None)
    document = store.document(access, document_id)
    pages = store.pages(access, document_id)
    fields = ("number", "width", "height", "char_start", "char_end")
    return JSONResponse(
        {
            "document_id": document_id,
            "has_images": has_images(document, store),
            "pages": [{name: getattr(page, name) for name in fields} for page in pages],
        }
    )


@router.get(
    "/v1/documents/{document_id}/pages/{number}.png",
    response_class=Response,
    responses=documented(400, 404) | PNG,
)
def get_page_image(
    request: Request,
    appliance: Loaded,
    caller: Reader,
    document_id: requests.Id,
    number: Annotated[int, InPath(ge=1, le=1_000_000)],
    start: Offset = 0,
    end: Offset = 0,
    width: Annotated[int, Query(ge=100, le=2000, description="Pixels.")] = 1000,
) -> Response:
    """A page as it looks, with the text at `start:end` highlighted."""
    access = access_of(caller, appliance.store, None)
    document = appliance.store.document(access, document_id)
    drawing = _drawing(appliance.store, access, document, number, (start, end), width)
    # The same content may be cited from several documents: the tag names what is drawn.
    tag = hashlib.sha256(repr((document.content_sha256, drawing)).encode()).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    opened(appliance.store, document_id, "page", number=number)
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    renderer: Renderer = request.app.state.renderer
    return Response(renderer.png(drawing), media_type="image/png", headers=headers)


@router.get(
    "/v1/documents/{document_id}/original",
    response_class=FileResponse,
    responses=documented(404) | {200: {"description": "The file.", "content": {"*/*": BINARY}}},
)
def get_original(appliance: Loaded, caller: Reader, document_id: requests.Id) -> FileResponse:
    """The file as it was when it was ingested, for saving: a browser will not show it."""
    access = access_of(caller, appliance.store, None)
    document = appliance.store.document(access, document_id)
    path = appliance.store.originals.path(document.content_sha256)
    opened(appliance.store, document_id, "original", sha256=document.content_sha256)
    known = _MEDIA_TYPE.fullmatch(document.media_type) is not None
    return FileResponse(
        path,
        media_type=document.media_type if known else "application/octet-stream",
        filename=file_name(document.source_uri),
        headers={"Content-Security-Policy": SANDBOX, "Cache-Control": "private, no-store"},
    )


def opened(store: Store, document_id: int, what: str, **where: object) -> None:
    """Record that something of a document is shown, before it is."""
    store.audit.record("opened", {"document": document_id, "what": what, **where})


def document_json(document: Document, store: Store) -> dict[str, Any]:
    """A document as it leaves the API."""
    fields = (
        "id",
        "collection",
        "title",
        "source_uri",
        "media_type",
        "language",
        "size_bytes",
        "n_chars",
        "n_chunks",
        "n_pages",
        "metadata",
        "parent_id",
    )
    return {name: getattr(document, name) for name in fields} | {
        "name": file_name(document.source_uri),
        "has_images": has_images(document, store),
        "warnings": list(document.warnings),
        "ingested_at": time_json(document.ingested_at),
    }


def has_images(document: Document, store: Store) -> bool:
    """Whether the document's pages can be drawn."""
    return _drawable(document) and _kept(document, store) is not None


def file_name(source_uri: str) -> str:
    """The last part of a URI as a name that is safe to save a file under."""
    last = PurePosixPath(source_uri.replace("\\", "/")).name
    printable = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in last)
    return printable.strip(" .")[:200] or "document"


def _drawable(document: Document) -> bool:
    pdf_or_image = document.media_type == "application/pdf" or _is_image(document)
    return pdf_or_image and document.n_pages > 0


def _is_image(document: Document) -> bool:
    return document.media_type.startswith("image/")


def _kept(document: Document, store: Store) -> Path | None:
    try:
        return store.originals.path(document.content_sha256)
    except NotFound:
        return None


def _drawing(
    store: Store,
    access: Access,
    document: Document,
    number: int,
    span: tuple[int, int],
    width: int,
) -> Drawing:
    if not _drawable(document):
        raise NotFound(
            f"document {document.id} has no pages to draw",
            hint=f"Its format has no fixed layout; see /v1/documents/{document.id}/passage.",
        )
    page = store.page(access, document.id, number)
    return Drawing(
        path=str(store.originals.path(document.content_sha256)),
        is_pdf=not _is_image(document),
        number=number,
        page_width=page.width,
        width=width,
        boxes=[box[1:] for box in line_boxes(page, *span)],
    )


def _span(start: int, end: int, n_chars: int) -> tuple[int, int]:
    """The span within the text.

    Raises:
        BadRequest: it lies outside the text or ends before it starts.
    """
    if start > end or start > n_chars:
        raise BadRequest(
            f"there is no span {start}:{end} in a text of {n_chars} characters",
            hint="Offsets count characters; 0 <= start <= end <= n_chars.",
        )
    return start, min(end, n_chars)


def _page_number(pages: list[Page], offset: int) -> int | None:
    return next((p.number for p in pages if p.char_start <= offset < p.char_end), None)

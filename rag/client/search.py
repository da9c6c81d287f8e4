"""Passages that are near to a query, without an answer."""

from msgspec import Struct

from rag.client.transport import Transport


class Found(Struct, frozen=True):
    """A passage that was found; `score` is in [0, 1] and falls with `rank`."""

    rank: int
    score: float
    document_id: int
    chunk_id: int
    title: str
    source_uri: str
    page_start: int | None
    page_end: int | None
    heading_path: tuple[str, ...]
    char_start: int
    char_end: int
    text: str


class SearchResult(Struct, frozen=True):
    """The hits, best first."""

    query: str
    hits: tuple[Found, ...]
    timings_ms: dict[str, float]


class Search:
    """Every method raises `Problem` where the API does not do what is asked."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def find(self, query: str, *, k: int = 10, collections: tuple[str, ...] = ()) -> SearchResult:
        """The `k` passages nearest to a query, of these collections or of all."""
        body = {"query": query, "k": k} | ({"collection": [*collections]} if collections else {})
        return self._api.send("POST", "/v1/search", SearchResult, body)

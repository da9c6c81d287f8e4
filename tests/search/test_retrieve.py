"""A query in, hits out: through the whole search, over real text and the real model."""

from collections.abc import Collection, Iterator

import pytest
from library import put

from ingest.parse.model import Element
from rag.appliance import Appliance
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import Place, Store
from rag.types import Access, Page, StoredChunk

HANDBOOK = [
    Element("heading", "Leave", level=1),
    Element("paragraph", "Employees have thirty days of paid vacation in a calendar year."),
    Element("heading", "Notice", level=1),
    Element("paragraph", "Either side may end the employment with three months' notice."),
]
DOCS = Access(frozenset({"docs"}))
BOARD = Access(frozenset({"board"}))


@pytest.fixture
def appliance(settings: Settings) -> Iterator[Appliance]:
    """An appliance over a handbook, a secret of the board and a long text."""
    with Appliance(settings) as opened:
        put(opened.store, opened.embedder, "/handbook.txt", HANDBOOK)
        secret = "The board's vacation is sixty days."
        put(opened.store, opened.embedder, "/salaries.txt", secret, "board")
        yield opened


def uris(appliance: Appliance, query: str, access: Access, k: int = 10) -> list[str]:
    return [hit.chunk.source_uri for hit in appliance.search(query, access, k).hits]


def test_the_passage_that_answers_is_first_although_no_word_is_shared(
    appliance: Appliance,
) -> None:
    hits = appliance.search("How much holiday do staff get?", DOCS).hits
    assert "thirty days" in hits[0].text
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 <= hit.score <= 1 and -1 <= hit.dense <= 1 for hit in hits)


def test_no_more_hits_than_asked_for_and_every_hit_is_text_of_its_document(
    appliance: Appliance,
) -> None:
    paragraphs = "\n\n".join(f"Rule {n}: the vacation of year {n} ends. " * 12 for n in range(3))
    put(appliance.store, appliance.embedder, "/rules.txt", paragraphs)
    for k in (1, 3, 50):
        hits = appliance.search("vacation rule", DOCS, k).hits
        assert 0 < len(hits) <= k
        for hit in hits:
            text = appliance.store.text(DOCS, hit.chunk.document_id, hit.char_start, hit.char_end)
            assert hit.text == text
            assert hit.chunk in hit.members


def test_access_decides_what_is_found(appliance: Appliance) -> None:
    assert uris(appliance, "vacation of the board", DOCS) == ["/handbook.txt"]
    assert uris(appliance, "vacation of the board", BOARD) == ["/salaries.txt"]
    both = Access(DOCS.collections | BOARD.collections)
    assert set(uris(appliance, "vacation", both)) == {"/handbook.txt", "/salaries.txt"}
    assert uris(appliance, "vacation", Access(frozenset())) == []
    assert uris(appliance, "vacation", Access(frozenset({"elsewhere"}))) == []


def test_what_is_removed_is_not_in_the_next_result(appliance: Appliance) -> None:
    assert "/handbook.txt" in uris(appliance, "vacation", DOCS)
    appliance.store.remove_sources("docs", ["/handbook.txt"])
    assert uris(appliance, "vacation", DOCS) == []


class Removing(Store):
    """A store from which a document vanishes once the indexes have been asked."""

    victim = ""
    calls = ("chunks",)

    def chunks(self, access: Access, ids: object) -> dict[int, StoredChunk]:
        if "chunks" in self.calls:
            self.remove_sources("docs", [self.victim])
        return super().chunks(access, ids)  # type: ignore[arg-type]

    def texts(self, access: Access, places: Collection[Place]) -> dict[Place, str]:
        if "texts" in self.calls:
            self.remove_sources("docs", [self.victim])
        return super().texts(access, places)

    def page(self, access: Access, document_id: int, number: int) -> Page:
        self.remove_sources("docs", [self.victim])
        return super().page(access, document_id, number)


@pytest.mark.parametrize("call", ["chunks", "texts"])
def test_a_hit_that_goes_away_while_it_is_searched_does_not_leave(
    call: str, appliance: Appliance
) -> None:
    """The indexes still have it; the store, asked last, doesn't."""
    paragraphs = "\n\n".join(f"Rule {n}: the vacation of year {n} ends. " * 12 for n in range(3))
    put(appliance.store, appliance.embedder, "/rules.txt", paragraphs)
    settings = appliance.settings
    with Removing.open(settings.url, data_dir=settings.data_dir) as store:
        store.victim, store.calls = "/rules.txt", (call,)
        retriever = Retriever(store, appliance.indexes, appliance.embedder, 0.5)
        hits = retriever.retrieve("vacation rule", DOCS, 10).hits
    assert [hit.chunk.source_uri for hit in hits] == ["/handbook.txt"]
    assert [hit.rank for hit in hits] == [1]


def test_the_branches_filter_what_the_store_would_let_through(appliance: Appliance) -> None:
    """So that a few readable documents among many are found at all."""
    appliance.indexes.catch_up()
    vector = appliance.embedder.encode(["vacation"])[0]
    for found in (
        appliance.indexes.dense.search(vector, 1, BOARD),
        appliance.indexes.lexical.search("vacation", 1, BOARD),
    ):
        (chunk,) = appliance.store.chunks(BOARD, [i for i, _ in found]).values()
        assert chunk.source_uri == "/salaries.txt"


@pytest.mark.parametrize("query", ["\ud800 vacation", "\x00vacation", "?" * 10_000, "v" * 100_000])
def test_no_query_is_too_odd_to_be_searched(query: str, appliance: Appliance) -> None:
    assert appliance.search(query, DOCS).hits


REPORT = "The gross margin was forty per cent. Sales in Europe rose."


def reports(appliance: Appliance, titles: dict[str, str]) -> None:
    """Reports that say the same, by name with the day of each."""
    for name, day in titles.items():
        body = [Element("paragraph", REPORT)]
        put(appliance.store, appliance.embedder, f"/{name}.pdf", body, metadata={"created": day})


def test_of_reports_that_say_the_same_the_latest_is_found_by_its_own_date(
    appliance: Appliance,
) -> None:
    days = {"spring": "2023-04-28", "autumn": "2023-10-27", "summer": "2023-07-28"}
    reports(appliance, days)
    found = uris(appliance, "What was the gross margin in the latest report?", DOCS)
    assert found[:3] == ["/autumn.pdf", "/summer.pdf", "/spring.pdf"]
    found = uris(appliance, "What was the gross margin in the report?", DOCS)
    assert found[0] == "/spring.pdf", "of equals the first, where no date is asked for"


def test_of_reports_that_say_the_same_the_quarter_that_is_named_is_found(
    appliance: Appliance,
) -> None:
    quarters = {f"{year} Q{n} report": "" for year in (2022, 2023) for n in (1, 2, 3)}
    reports(appliance, quarters)
    ordinals = {"Q1": "first", "Q2": "second", "Q3": "third"}
    for name in quarters:
        year, quarter, _ = name.split()
        spelt = f"the {ordinals[quarter]} quarter of {year}", f"{quarter[1]}Q{year[2:]}"
        for period in (f"{quarter} {year}", *spelt):
            found = uris(appliance, f"What was the gross margin in {period}?", DOCS)
            assert found[0] == f"/{name}.pdf"


def test_timings_name_the_stages(appliance: Appliance) -> None:
    timings = appliance.search("vacation", DOCS).timings_ms
    assert list(timings) == ["catch_up", "embed", "dense", "lexical", "fuse", "store"]


def test_an_empty_store_has_no_hits(settings: Settings) -> None:
    with Appliance(settings) as empty:
        assert empty.search("vacation", DOCS).hits == []

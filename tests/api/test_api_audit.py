"""What requests leave in the audit records, and who may read them."""

from collections.abc import Iterator

import httpx
import pytest
from api_live import TOKEN, Live

from rag.api.bodies import models
from rag.store import Record, Store, Wanted


@pytest.fixture
def store(live: Live) -> Store:
    store: Store = live.app.state.backing.appliance().store
    return store


@pytest.fixture
def browser(live: Live) -> Iterator[httpx.Client]:
    with live.client(headers={"Host": f"127.0.0.1:{live.port}"}) as client:
        yield client


def since(store: Store, seq: int) -> list[Record]:
    return store.audit.read(Wanted(after=seq))


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("text", "text"),
        ("passage?start=0&end=5", "passage"),
        ("pages/1.png?width=100", "page"),
        ("original", "original"),
    ],
)
def test_whatever_is_opened_of_a_document_is_recorded(
    client: httpx.Client, live: Live, store: Store, path: str, what: str
) -> None:
    before = store.audit.head().seq
    opened = client.get(
        f"/v1/documents/{live.ids['pdf']}/{path}", headers={"X-Request-Id": "an-id-of-mine"}
    )
    assert opened.status_code == 200
    [record] = since(store, before)
    assert (record.kind, record.detail["what"]) == ("opened", what)
    assert record.detail["document"] == live.ids["pdf"]
    assert record.actor == {"kind": "operator", "how": "bearer", "request_id": "an-id-of-mine"}
    assert record.private == {"address": "127.0.0.1"}


def test_what_is_not_found_is_not_opened(client: httpx.Client, store: Store) -> None:
    before = store.audit.head().seq
    assert client.get("/v1/documents/999999/text").status_code == 404
    assert since(store, before) == []


def test_a_search_and_a_streamed_answer_are_recorded_alike(
    client: httpx.Client, store: Store
) -> None:
    before = store.audit.head().seq
    question = {"question": "How many days of paid annual leave?"}
    assert client.post("/v1/search", json={"query": "leave"}).status_code == 200
    assert client.post("/v1/query", json=question | {"stream": True}).status_code == 200
    found = since(store, before)
    assert [record.kind for record in found] == ["search", "question", "answer"]
    assert {record.actor["how"] for record in found} == {"bearer"}


def test_a_sign_in_is_recorded_whether_it_succeeds_or_not(
    browser: httpx.Client, live: Live, store: Store
) -> None:
    before = store.audit.head().seq
    link = store.signing.link("operator")
    assert browser.get(f"/login?token={link}").status_code == 303
    browser.cookies.clear()
    assert browser.get(f"/login?token={link}").status_code == 401
    for _ in range(3):
        assert browser.get("/login?token=made-up.by-nobody").status_code == 401
    _, good, bad = since(store, before)  # the first is that the link was made
    assert (good.kind, good.outcome, good.detail["how"]) == ("sign_in", "success", "link")
    assert (bad.kind, bad.outcome, bad.actor["kind"]) == ("sign_in", "failure", "nobody")


def test_auditors_page_through_the_records_and_that_is_one_too(
    client: httpx.Client, store: Store
) -> None:
    for _ in range(3):
        store.audit.record("search", {"k": 1})
    page = client.get("/v1/audit", params={"limit": 2}).json()
    assert [record["seq"] for record in page["records"]] == [1, 2]
    models.AuditRecords.model_validate(page)
    seen, rest = 2, page
    while rest["next_cursor"] is not None:
        rest = client.get("/v1/audit", params={"cursor": rest["next_cursor"], "limit": 1000}).json()
        assert rest["records"][0]["seq"] == seen + 1
        seen = rest["records"][-1]["seq"]
    assert rest["records"][-1]["kind"] == "audit_read"
    newest = client.get("/v1/audit", params={"kind": "audit_read", "limit": 1000}).json()
    assert {record["kind"] for record in newest["records"]} == {"audit_read"}
    later = client.get("/v1/audit", params={"since": "2999-01-01T00:00:00"}).json()
    assert later == {"records": [], "next_cursor": None}


def test_a_user_without_the_role_reads_no_record(live: Live, store: Store) -> None:
    store.permissions.add_principal("user", "audited")
    cookie = f"citadel_session={live.session(store.user_number('audited'))}"
    with live.client(headers={"Cookie": cookie}) as client:
        assert client.get("/v1/audit").status_code == 403


def test_a_filter_that_makes_no_sense_is_refused(client: httpx.Client) -> None:
    assert client.get("/v1/audit", params={"cursor": "x"}).status_code == 422
    assert client.get("/v1/audit", params={"user": "nobody-of-that-name"}).status_code == 404
    assert TOKEN not in client.get("/v1/audit", params={"limit": 1000}).text

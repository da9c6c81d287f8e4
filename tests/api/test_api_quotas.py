"""What one caller may ask for, and what is said to who asks for more."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from api_live import PLENTY, TOKEN, Live, running, wait_for

from rag.api.border.auth import Caller
from rag.api.border.quotas import Quotas, Shares
from rag.appliance import Appliance
from rag.errors import TooManyRequests
from rag.settings import Settings

BEARER = {"Authorization": f"Bearer {TOKEN}"}
ANN, BOB = Caller("session", 2), Caller("session", 3)


def quotas() -> Quotas:
    return Quotas(Shares(requests_per_minute=3, tokens_per_hour=100, answers_at_once=1))


def test_a_request_too_many_is_refused_with_the_time_to_wait() -> None:
    counted = quotas()
    for _ in range(3):
        counted.admit(ANN)
    with pytest.raises(TooManyRequests) as refused:
        counted.admit(ANN)
    assert 1 <= refused.value.retry_after_s <= 120
    assert "CITADEL_CALLER_REQUESTS_PER_MINUTE" in refused.value.hint


def test_one_caller_takes_nothing_of_anothers_share() -> None:
    counted = quotas()
    for _ in range(3):
        counted.admit(ANN)
    counted.admit(BOB)


def test_another_key_of_the_same_person_has_no_share_of_its_own() -> None:
    counted = quotas()
    for _ in range(3):
        counted.admit(ANN)
    with pytest.raises(TooManyRequests):
        counted.admit(Caller("key", 2))


def test_a_place_is_free_again_when_the_answer_has_ended_however_it_ended() -> None:
    counted = quotas()
    with pytest.raises(ZeroDivisionError), counted.answering(ANN):
        with pytest.raises(TooManyRequests), counted.answering(ANN):
            pytest.fail("there is one place")
        with counted.answering(BOB):
            pass
        _ = 1 / 0
    with counted.answering(ANN):
        pass


def test_who_watches_a_run_has_a_place_for_it_whatever_is_spent() -> None:
    counted = quotas()
    counted.spend(ANN, 1_000)
    with counted.place(ANN), pytest.raises(TooManyRequests), counted.place(ANN):
        pytest.fail("there is one place")
    with counted.place(ANN):
        pass


def test_who_has_spent_the_hours_tokens_gets_no_more_answers() -> None:
    counted = quotas()
    with counted.answering(ANN):
        counted.spend(ANN, 1_000)
    with pytest.raises(TooManyRequests, match="tokens"), counted.answering(ANN):
        pytest.fail("the tokens are spent")
    with counted.answering(BOB):
        pass


@pytest.fixture(scope="module")
def narrow(settings: Settings, ids: dict[str, int]) -> Iterator[Live]:
    """A server that takes five requests a minute."""
    with running(lambda: Appliance(settings), ids, Shares(5, 10**6, 1)) as live:
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


def test_a_watched_run_holds_a_place(live: Live) -> None:
    counted, operator = live.app.state.quotas, Caller("bearer", "operator")
    with live.client(headers=BEARER) as client:
        with ExitStack() as held:
            for _ in range(PLENTY.answers_at_once):
                held.enter_context(counted.place(operator))
            said = client.get("/v1/ingest-runs/1/events")
        free = client.get("/v1/ingest-runs/1/events")
    assert (said.status_code, free.status_code) == (429, 404)
    assert "runs watched" in said.json()["detail"]


def test_the_api_says_429_with_retry_after_and_what_to_do(narrow: Live) -> None:
    with narrow.client(headers=BEARER) as client:
        said = [client.get("/v1/status") for _ in range(5)]
        for _ in range(5):  # where a minute ends among them, a part of what was before counts less
            said.append(client.get("/v1/status"))
            if said[-1].status_code == 429:
                break
    assert [response.status_code for response in said[:-1]] == [200] * (len(said) - 1)
    refused = said[-1]
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["type"] == "urn:citadel:problem:too-many-requests"
    assert "administrator" in refused.json()["hint"]
    with narrow.client() as client:
        assert client.get("/healthz").status_code == 200, "who supervises is never refused"

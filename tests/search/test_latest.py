"""Which questions ask for the latest of several documents, and what their dates do to a ranking."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.search.latest import NEWEST, asks_for_latest, by_date
from rag.types import Chunk, StoredChunk


@pytest.mark.parametrize(
    "query",
    [
        "What does the latest travel policy say about trains?",
        "What was the gross margin in the most recent 10-Q?",
        "Which risks does the last report name?",
        "Who signs by the current version of the handbook?",
        "Was sagt die neueste Reiserichtlinie?",
        "Wie hoch war der Umsatz im letzten Quartal?",
        "Que dit le dernier rapport ?",
        "Quelle est la directive la plus récente ?",
        "Cosa dice l'ultimo rapporto?",
        "O que diz o relatório mais recente?",
        "¿Qué dice el último informe?",
        "นโยบายล่าสุดว่าอย่างไร",
        "नवीनतम नीति क्या कहती है?",
    ],
)
def test_these_ask_for_the_latest(query: str) -> None:
    assert asks_for_latest(query)


@pytest.mark.parametrize(
    "query",
    [
        "When must I tell my manager at the latest?",
        "What are the current assets?",
        "How many days of leave did I have last year?",
        "How long does a meeting last?",
        "Wer ist der letzte Ansprechpartner?",
        "¿Cuál es el último día del mes?",
        "Is there anything about plates?",
    ],
)
def test_these_do_not(query: str) -> None:
    assert not asks_for_latest(query)


def chunk(document_id: int) -> StoredChunk:
    return StoredChunk(document_id, document_id, "docs", "T", "/a", "en", Chunk(0, 0, 1, "x"))


def order(found: list[tuple[int, float]], days: dict[int, str]) -> list[int]:
    ranked = by_date([(chunk(number), score) for number, score in found], days)
    return [stored.document_id for stored, _ in ranked]


def test_of_documents_that_fit_alike_the_newest_comes_first() -> None:
    days = {1: "2022-07-29", 2: "2023-10-27", 3: "2023-02-03"}
    assert order([(1, 0.91), (2, 0.9), (3, 0.89)], days) == [2, 3, 1]


def test_a_day_between_two_counts_as_much_as_ten_years() -> None:
    near = by_date([(chunk(1), 0.8), (chunk(2), 0.8)], {1: "2024-05-01", 2: "2024-05-02"})
    far = by_date([(chunk(1), 0.8), (chunk(2), 0.8)], {1: "2014-05-01", 2: "2024-05-02"})
    assert near == far


def test_what_fits_much_better_stays_above_what_is_newer() -> None:
    assert order([(1, 0.9), (2, 0.9 - NEWEST - 0.01)], {1: "2001-01-01", 2: "2024-01-01"}) == [1, 2]


def test_documents_of_one_day_keep_their_order() -> None:
    assert order([(2, 0.8), (1, 0.7)], {1: "2024-05-01", 2: "2024-05-01"}) == [2, 1]


def test_what_has_gone_meanwhile_counts_as_the_oldest() -> None:
    assert order([(1, 0.8), (2, 0.8)], {2: "2024-05-01"}) == [1, 2]
    assert order([(1, 0.8), (2, 0.8), (3, 0.8)], {2: "2024-05-01", 3: "2025-01-01"})[0] == 3


@given(st.lists(st.tuples(st.floats(0, 1), st.dates()), max_size=30))
def test_nothing_is_lost_and_scores_stay_between_0_and_1(found: list[tuple[float, object]]) -> None:
    ranked = [(replace(chunk(n), id=n), score) for n, (score, _) in enumerate(found)]
    after = by_date(ranked, {n: str(day) for n, (_, day) in enumerate(found)})
    assert sorted(stored.id for stored, _ in after) == [*range(len(found))]
    assert all(0 <= score <= 1 for _, score in after)
    assert after == sorted(after, key=lambda one: (-one[1], one[0].id))

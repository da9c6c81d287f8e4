"""Years and quarters, however they are spelt, become the words that a search looks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.search.periods import with_periods


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is the FY2018 capital expenditure of 3M?", {"2018"}),
        ("fy18 results", {"2018"}),
        ("FY'98", {"1998"}),
        ("AMCOR_2023Q2_10Q", {"q2", "2023"}),
        ("2Q23 sales", {"q2", "2023"}),
        ("1Q 2023", {"q1"}),
        ("Q2'23 outlook", {"2023"}),
        ("Q3FY24", {"q3", "2024"}),
        ("T1 2023", {"q1"}),
        ("the third quarter of 2023", {"q3"}),
        ("im vierten Quartal 2023", {"q4"}),
        ("el primer trimestre de 2023", {"q1"}),
        ("le deuxième trimestre", {"q2"}),
    ],
)
def test_a_period_gets_its_plain_words_and_keeps_its_own(text: str, words: set[str]) -> None:
    after = with_periods(text)
    assert set(after.split()) - set(text.split()) - set(text.replace("_", " _").split()) >= words
    assert set(after.replace("_", " ").split()) >= set(text.replace("_", " ").split())


@pytest.mark.parametrize(
    "text",
    ["Q2 2023", "2023-09-30", "3M_2018_10K", "Q10 and Q12", "IQ2 2003", "form 10-Q", "iPhone 4S"],
)
def test_what_is_plain_or_no_period_stays_as_it_is(text: str) -> None:
    assert with_periods(text) == text


@given(st.text(alphabet="FYQT1234 208'qfy-_xquarter"))
def test_nothing_is_taken_away(text: str) -> None:
    left = iter(with_periods(text))
    assert all(letter in left for letter in text)

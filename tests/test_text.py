"""Sentences, words and languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.text import detect_language, sentence_spans, words

LANGUAGES = ["en", "de", "es", "fr", "it", "pt", "hi", "th", "zh", "", "xx"]


def sentences(text: str, language: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, language)]


@given(
    st.text(alphabet=st.sampled_from("aÄé1 .!?\n,;:\"'()[]…。😀\u00a0\u0301")),
    st.sampled_from(LANGUAGES),
)
def test_sentences_are_in_order_apart_and_lose_no_word(text: str, language: str) -> None:
    spans = sentence_spans(text, language)
    end = 0
    for start, stop in spans:
        assert end <= start < stop <= len(text)
        assert not text[end:start].strip(), "what lies between sentences is white space"
        assert text[start:stop] == text[start:stop].strip()
        end = stop
    assert not text[end:].strip()


def test_offsets_count_characters_not_bytes() -> None:
    text = "Ärger über Öl. Größe 😀 zählt. Ende."
    assert sentences(text, "de") == ["Ärger über Öl.", "Größe 😀 zählt.", "Ende."]


def test_a_line_break_ends_no_sentence_and_a_blank_line_always_does() -> None:
    assert sentences("A line\nruns on. A title\n\nNext.", "en") == [
        "A line\nruns on.",
        "A title",
        "Next.",
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Dr. Smith paid $12,500.00 on 3 Jan. 2024 to Acme Inc. for it.", "en"),
        ("Gemäß Art. 5 Abs. 2 gilt z. B. der 3. Oktober 2024.", "de"),
        ("El Sr. García llegó a las 10.30 h.", "es"),
    ],
)
def test_abbreviations_dates_and_amounts_end_no_sentence(text: str, language: str) -> None:
    assert sentences(text, language) == [text]


def test_a_language_without_rules_still_gives_the_text() -> None:
    assert "".join(sentences("One. Two.", "tlh")).replace(" ", "") == "One.Two."


def test_words_keep_numbers_and_codes_whole() -> None:
    assert words("Pay 12,500.00 under ISO-27001, it's due.") == [
        "pay",
        "12,500.00",
        "under",
        "iso-27001",
        "it's",
        "due",
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The notice period is three months to the end of a calendar quarter.", "en"),
        ("Die Kündigungsfrist beträgt drei Monate zum Ende eines Quartals.", "de"),
        ("Las personas empleadas pueden teletrabajar hasta tres días por semana.", "es"),
        ("Le délai de préavis est de trois mois à la fin d'un trimestre civil.", "fr"),
    ],
)
def test_the_language_of_a_sentence_is_detected(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("text", ["", "Hola", "12 13 14", " \n "])
def test_a_very_short_text_counts_as_english(text: str) -> None:
    assert detect_language(text) == "en"

"""Sentences, words and languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.text import LANGUAGES as OF_THE_MODEL
from rag.text import detect_language, question_language, sentence_spans, words

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


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("How many days of leave do I get?", "en"),
        ("Who do I call?", "en"),
        ("Wie viele Urlaubstage habe ich?", "de"),
        ("Umsatz von Microsoft 2023?", "de"),
        ("Combien de jours de congé ai-je ?", "fr"),
        ("Chi approva le spese?", "it"),
        ("Onde está o kit?", "pt"),
        ("¿Qué cubre el seguro?", "es"),
        ("कितनी छुट्टियाँ मिलती हैं?", "hi"),
        ("CEO कौन है?", "hi"),
        ("ลาพักร้อนได้กี่วัน", "th"),
        ("รหัสผ่าน Microsoft Teams", "th"),
        ("Hoeveel vakantiedagen heb ik dit jaar?", "nl"),
        ("Сколько у меня дней отпуска?", "ru"),
    ],
)
def test_the_language_of_a_question_of_a_few_words_is_known(question: str, language: str) -> None:
    assert question_language(question) == language


def test_case_does_not_change_the_language_of_a_question() -> None:
    assert question_language("WIE LANG IST DIE KÜNDIGUNGSFRIST?") == "de"


@pytest.mark.parametrize(
    "question", ["", " \n", "INV-2024-0017", "12,500.00 EUR", "VPN", "?!", "😀"]
)
def test_a_question_without_a_language_gets_the_fallback(question: str) -> None:
    assert question_language(question, fallback="fr") == "fr"
    assert question_language(question) == "en"


def test_a_foreign_word_does_not_change_the_language_of_a_question() -> None:
    assert question_language("What does the word สวัสดี mean in English?") == "en"
    assert question_language("Was heißt „vacances payées“ in dem Vertrag?") == "de"


@given(st.text(max_size=60), st.sampled_from(OF_THE_MODEL))
def test_every_text_gets_a_language(text: str, fallback: str) -> None:
    assert question_language(text, fallback=fallback).isalpha()

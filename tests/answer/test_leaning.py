"""Follow-ups told from questions that stand alone, and what they are searched as, by the rule."""

import json
from pathlib import Path

import pytest

from rag.answer.leaning import alone, leans

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEED = "How fast may a forklift go in the hall?"

FOLLOW_UPS = {
    "en": (
        "And on the ramp?",
        "What about the yard?",
        "Who measures it?",
        "Is that also true outside?",
        "How much is the fine for this?",
        "From when?",
        "For visitors?",
        "Why?",
        "Do they need a licence?",
        "What is the maximum?",
        "Which one is newer?",
    ),
    "de": (
        "Und auf der Rampe?",
        "Was ist mit dem Hof?",
        "Wer misst das?",
        "Gilt das auch draußen?",
        "Brauchen sie einen Führerschein?",
        "Ab wann?",
        "Für Besucher?",
        "Wie hoch ist die Strafe dafür?",
    ),
    "fr": (
        "Et sur la rampe ?",
        "Qui la mesure ?",
        "Est-ce valable aussi dehors ?",
        "À partir de quand ?",
        "Pour les visiteurs ?",
        "Combien coûte cette amende ?",
    ),
    "it": ("E sulla rampa?", "Chi la misura?", "Da quando?", "Per i visitatori?", "Quanto costa?"),
    "pt": (
        "E na rampa?",
        "Quem a mede?",
        "Isso vale também lá fora?",
        "Desde quando?",
        "Para visitantes?",
    ),
    "es": (
        "¿Y en la rampa?",
        "¿Quién la mide?",
        "¿Eso vale también fuera?",
        "¿Desde cuándo?",
        "¿Para visitantes?",
    ),
    "hi": ("और रैंप पर?", "इसे कौन मापता है?", "क्यों?", "आगंतुकों के लिए?", "उसका जुर्माना कितना है?"),
    "th": ("แล้วบนทางลาดล่ะ", "ใครเป็นคนวัดมัน", "ทำไม", "สำหรับผู้มาเยือน", "ค่าปรับของเรื่องนี้เท่าไร"),
}
STANDING_ALONE = {
    "en": (
        SPEED,
        "What is balance billing and how does the plan protect members against it?",
        "Is it allowed to smoke in the yard?",
        "How long does it take to get a badge?",
        "Are there lockers for visitors?",
        "Which leave that is not taken is lost?",
        "How do teams book their rooms?",
        "How many holidays do we have this year?",
        "In what year was the plant opened?",
        "What does the IT department order?",
        "Lunch allowance abroad?",
        "And who is responsible for the sprinklers in the paint shop of the Leeds plant?",
        "NV-L-0437?",
    ),
    "de": (
        "Wie schnell darf ein Stapler fahren?",
        "Gibt es Schließfächer für Besucher?",
        "Ist es erlaubt, im Hof zu rauchen?",
        "Wie beantragen Beschäftigte ihren Urlaub?",
        "Bekommen Sie einen Ausweis?",
        "Was passiert mit dem Urlaub, wenn er nicht genommen wird?",
        "Verpflegungspauschale im Ausland?",
    ),
    "fr": (
        "À quelle vitesse un chariot peut-il rouler ?",
        "Le congé parental est-il payé ?",
        "Faut-il un permis ?",
        "Y a-t-il des casiers pour les visiteurs ?",
        "Puis-je fumer dans la cour ?",
        "Qu'est-ce qu'une franchise ?",
    ),
    "it": ("Quanto può andare veloce un muletto?", "Ci sono armadietti?", "Chi approva le ferie?"),
    "pt": ("A que velocidade anda uma empilhadora?", "Há cacifos?", "Quem aprova as férias?"),
    "es": (
        "¿A qué velocidad puede ir una carretilla?",
        "¿Hay taquillas?",
        "¿Quién aprueba las vacaciones?",
        "¿Cuántos festivos hay este año?",
    ),
    "hi": ("फोर्कलिफ्ट कितनी तेज़ चल सकती है?", "इस साल कितनी छुट्टियाँ हैं?", "वेतन कब मिलता है?"),
    "th": ("รถยกวิ่งได้เร็วแค่ไหน", "ปีนี้มีวันหยุดกี่วัน", "น้ำมันราคาเท่าไร"),
}


def _each(questions: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(language, question) for language, of in questions.items() for question in of]


@pytest.mark.parametrize(("language", "question"), _each(FOLLOW_UPS))
def test_a_follow_up_leans_on_what_was_said(language: str, question: str) -> None:
    assert leans(question, language)


@pytest.mark.parametrize(("language", "question"), _each(STANDING_ALONE))
def test_a_question_that_stands_alone_does_not_lean(language: str, question: str) -> None:
    assert not leans(question, language)


def test_no_question_of_the_samples_is_changed_by_the_one_before_it() -> None:
    lines = (EXAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    asked = [json.loads(line)["question"] for line in lines]
    assert [alone(asked[i], asked[:i]) for i in range(len(asked))] == asked


def test_in_a_language_that_the_rule_does_not_know_every_question_stands_alone() -> None:
    assert not leans("En hellingen?", "nl")


def test_a_long_question_stands_alone() -> None:
    assert not leans("And it? " * 100, "en")


def test_a_follow_up_is_told_with_the_question_that_it_leans_on() -> None:
    earlier = ["How many days of leave are there?", SPEED]
    assert alone("And on the ramp?", earlier) == f"And on the ramp? ({SPEED})"


def test_a_chain_of_follow_ups_leads_back_to_the_question_that_stood_alone() -> None:
    earlier = ["How many days of leave are there?", SPEED, "And on the ramp?"]
    assert alone("Who measures it?", earlier) == f"Who measures it? ({SPEED} And on the ramp?)"


def test_a_conversation_that_never_stood_alone_is_told_no_further_back_than_three_questions() -> (
    None
):
    earlier = [f"And why {n}?" for n in range(9)]
    assert alone("And it?", earlier) == "And it? (And why 6? And why 7? And why 8?)"


def test_a_question_asked_again_is_told_once() -> None:
    assert alone("Why?", [SPEED, "Why?", "Why?"]) == f"Why? ({SPEED} Why?)"


def test_a_short_follow_up_is_read_in_the_language_of_the_conversation() -> None:
    earlier = ["Quanto può andare veloce un muletto nel capannone?"]
    assert alone("E a Leeds?", earlier) == f"E a Leeds? ({earlier[0]})"


def test_what_a_question_leans_on_is_told_on_one_line_and_not_at_any_length() -> None:
    told = alone("Why?", ["How fast\nmay a forklift go? " + "x" * 5000])
    assert "\n" not in told
    assert len(told) < 400


@pytest.mark.parametrize("question", ["", "?", "   ", "\u0e31", "((((", "\ud800 and it", "🙂"])
def test_the_rule_takes_any_text(question: str) -> None:
    assert question in alone(question, [question, SPEED, question])

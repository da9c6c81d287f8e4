"""A claim against what it cites: facts, denials, meaning, and the span that bears it out."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_models import made_cross_encoder

from rag.answer.claims import Claim
from rag.answer.facts import Fact, Known, facts, missing, names
from rag.answer.pack import Passage
from rag.answer.polarity import contradicts
from rag.answer.quantities import readings
from rag.answer.support import Support, SupportChecker
from rag.answer.windows import units
from rag.errors import ModelError
from rag.search.embed import Embedder
from rag.search.lexical import LexicalIndex
from rag.types import Access

HANDBOOK = (
    "Every employee has thirty days of paid annual leave. Leave that is not taken by the end of"
    " March of the following year is lost.\n\nA lost or stolen laptop must be reported to the help"
    " desk within four hours. Travel in first class is not reimbursed.\n\n"
    "Analysis | Price in euro | Turnaround\nMercury in water | 184.50 | 5 days\n"
    "Nitrate in soil | 62.00 | 3 days\nLegionella in water | 241.75 | 12 days"
)
POLICY = (
    "Bei einem Umzug gewährt die Firma zwei Tage Sonderurlaub. Fahrten in der ersten Klasse werden"
    " nicht erstattet. Der Zuschuss beträgt 1.234,56 EUR ab dem 1. März 2024."
)
START = 500  # of every passage in its document


def passage(key: str, text: str, language: str = "en", title: str = "Handbook") -> Passage:
    return Passage(
        key=key,
        document_id=7,
        title=title,
        source_uri=f"/{key}",
        heading_path=("Rules",),
        page_start=1,
        page_end=1,
        date="",
        char_start=START,
        char_end=START + len(text),
        text=text,
        chunk_ids=(1,),
        language=language,
        score=1.0,
        n_tokens=0,
    )


PASSAGES = {
    "k3f9": passage("k3f9", HANDBOOK),
    "d3e4": passage("d3e4", POLICY, "de", "Richtlinie"),
    "w5w5": passage("w5w5", "The canteen serves lunch from noon. Its coffee is free."),
    "e0e0": passage("e0e0", ""),
}

HELD = Access(frozenset({"docs"}))


@pytest.fixture(scope="module")
def lexical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LexicalIndex]:
    index = LexicalIndex(tmp_path_factory.mktemp("lexical"))
    yield index
    index.close()


@pytest.fixture
def checker(embedder: Embedder, lexical: LexicalIndex) -> SupportChecker:
    return SupportChecker(embedder, lexical, HELD)


def check(checker: SupportChecker, text: str, *keys: str) -> Support:
    """The best support."""
    return checker.check(Claim(text, keys or ("k3f9",)), PASSAGES)[0]


def span(support: Support) -> str:
    assert support.passage is not None
    text = support.passage.text
    return text[support.char_start - START : support.char_end - START]


SUPPORTED = {
    "Employees have 30 days of paid annual leave.": "thirty days",
    "Leave not taken by the end of March of the following year is lost.": "end of March",
    "A stolen laptop must be reported to the help desk within 4 hours.": "four hours",
    "First class travel is not reimbursed.": "not reimbursed",
    "- **Mercury in water** is analysed for 184,50 €.": "184.50",
    "| Legionella in water | 241.75 | 12 days |": "241.75",
}
WRONG = {
    "Employees have 31 days of paid annual leave.": "31 days",
    "Employees have 30 months of paid annual leave.": "30 months",
    "Employees have 30 days of paid annual leave under ISO-27001.": "ISO-27001",
    "A stolen laptop must be reported to desk@example.org.": "desk@example.org",
    "Leave not taken by 31 March is lost.": "31 March",
    "Employees have no paid annual leave.": "denies",
    "A stolen laptop must not be reported to the help desk.": "denies",
    "Travel in first class is reimbursed.": "denies",
    "The moon is made of green cheese.": "something else",
    "The board appoints the auditors.": "something else",
}


@pytest.mark.parametrize(("claim", "words"), SUPPORTED.items())
def test_what_the_passage_says_is_supported_by_the_words_that_say_it(
    claim: str, words: str, checker: SupportChecker
) -> None:
    support = check(checker, claim)
    assert (support.supported, support.reason) == (True, "")
    assert words in span(support)
    assert 0.5 <= support.score <= 1


@pytest.mark.parametrize(("claim", "reason"), WRONG.items())
def test_what_the_passage_does_not_say_is_not_supported_and_the_reason_says_why(
    claim: str, reason: str, checker: SupportChecker
) -> None:
    support = check(checker, claim)
    assert not support.supported
    assert reason in support.reason


@pytest.mark.parametrize(
    ("claim", "supported"),
    [
        ("Bei einem Umzug gibt es 2 Tage Sonderurlaub.", True),
        ("Bei einem Umzug gibt es 3 Tage Sonderurlaub.", False),
        ("Fahrten in der ersten Klasse werden erstattet.", False),
        ("Ab 01.03.2024 beträgt der Zuschuss 1,234.56 €.", True),
        ("Ab 01.04.2024 beträgt der Zuschuss 1,234.56 €.", False),
    ],
)
def test_german_claims_are_checked_in_german(
    claim: str, supported: bool, checker: SupportChecker
) -> None:
    assert check(checker, claim, "d3e4").supported is supported


def test_facts_are_checked_between_two_languages_too(checker: SupportChecker) -> None:
    wrong = check(checker, "Die Analyse von Quecksilber in Wasser kostet 185,50 Euro.")
    assert not wrong.supported
    assert "185,50" in wrong.reason
    right = check(checker, "Die Analyse von Quecksilber in Wasser kostet 184,50 Euro.")
    assert "does not say" not in right.reason


def test_the_span_is_the_rows_own_and_not_its_neighbours(checker: SupportChecker) -> None:
    support = check(checker, "The analysis of nitrate in soil takes 3 days.")
    assert span(support) == "Nitrate in soil | 62.00 | 3 days"


def test_one_support_for_each_key_the_best_first(checker: SupportChecker) -> None:
    claim = Claim("Employees have 30 days of paid annual leave.", ("w5w5", "gone", "e0e0", "k3f9"))
    found = checker.check(claim, PASSAGES)
    keys = [one.passage.key if one.passage else "" for one in found]
    assert (keys[0], sorted(keys)) == ("k3f9", ["", "e0e0", "k3f9", "w5w5"])
    assert [one.supported for one in found] == [True, False, False, False]


def test_what_one_cited_passage_lacks_another_may_have(checker: SupportChecker) -> None:
    text = "Leave is thirty days a year and the canteen serves lunch from noon for 30 days."
    both = checker.check(Claim(text, ("k3f9", "w5w5")), PASSAGES)
    assert not any("does not say" in one.reason for one in both)


def test_a_claim_without_keys_has_no_support(checker: SupportChecker) -> None:
    assert checker.check(Claim("Employees have 30 days."), PASSAGES) == []


def test_a_leads_facts_are_checked_and_not_its_meaning(checker: SupportChecker) -> None:
    right = Claim("In short, there are 30 days:", ("k3f9",), kind="lead")
    wrong = Claim("All 45 of them:", ("k3f9",), kind="lead")
    assert [checker.check(one, PASSAGES)[0].supported for one in (right, wrong)] == [True, False]


@pytest.mark.parametrize("text", ["...", "30", "|", "```\nx = 1\n```", "한국어", "🙂", "\u0000"])
def test_nothing_is_too_odd_to_be_checked(text: str, checker: SupportChecker) -> None:
    assert len(checker.check(Claim(text, ("k3f9", "e0e0")), PASSAGES)) == 2


# Facts

SAID = (
    "Effective March 1st, 2024 the fee is 1.234,56 EUR (code AB 1234). In 2023 net sales were"
    " 82,959 and staff at Contoso's plants got thirty days and 12 % more; see www.example.org/faq."
)
SAME = [
    *("on 01.03.2024", "on 2024-03-01", "in March 2024", "on 1 March", "since 2024"),
    *("1,234.56 €", "EUR 1234.56", "1 234,56 euros", "30 days", "30 Tage", "12 percent", "12%"),
    *("code AB-1234", "code ab1234", "$82.96 billion", "82,959", "https://example.org/faq"),
]
OTHER = [
    *("on 02.03.2024", "on 2024-04-01", "in March 2023", "on 3 March", "since 2025"),
    *("1,234.57 €", "$1,234.56", "30 months", "12 days", "13 percent", "code AB-123"),
    *("code AB-12345", "$82.97 billion", "82,958", "https://example.org/other", "info@contoso.com"),
]


def lacking(claim: str, said: str = SAID, language: str = "en") -> list[Fact]:
    """The hard facts that are missing."""
    found = missing(facts(claim, language), [Known.of(said, language)])
    return [fact for fact in found if fact.kind != "name"]


@pytest.mark.parametrize("claim", SAME)
def test_a_fact_is_known_in_another_spelling(claim: str) -> None:
    assert lacking(claim) == []


@pytest.mark.parametrize("claim", OTHER)
def test_another_fact_is_missing(claim: str) -> None:
    assert lacking(claim)


@pytest.mark.parametrize(
    ("language", "words", "digits"),
    [
        ("de", "fünfundzwanzig Arbeitstage", "25 Tage"),
        ("fr", "trente jours", "30 jours"),
        ("it", "ventuno giorni", "21 giorni"),
        ("es", "quince días", "15 días"),
        ("pt", "doze meses", "12 meses"),
        ("en", "twenty-five working days", "25 days"),
        ("hi", "३० दिन", "30 दिनों"),
        ("th", "๓๐ วัน", "30 วันต่อปี"),
    ],
)
def test_numbers_in_words_and_other_digits_are_numbers(
    language: str, words: str, digits: str
) -> None:
    assert lacking(digits, words, language) == []
    assert lacking(words, digits, language) == []
    assert lacking(digits.replace("5", "6").replace("0", "1").replace("2", "7"), words, language)


def test_a_range_gives_both_its_numbers_the_unit() -> None:
    assert lacking("10 percent", "It is 10 to 15 percent.") == []
    assert lacking("10 days", "It is 10 to 15 percent.")


def test_small_numbers_in_words_without_a_unit_are_no_facts() -> None:
    assert facts("one of the two plans", "en") == []
    assert [fact.text for fact in facts("within two days", "en")] == ["two days"]


def test_what_is_computed_is_missing() -> None:
    assert lacking("In total 300 euro", "The first costs 100 euro, the second 200 euro.")


def test_names_are_told_by_their_capitals() -> None:
    assert names("The plan of Northwind Health covers PerksPlus and NASA.", "en") == [
        *("Northwind", "Health", "PerksPlus", "NASA")
    ]
    assert names("Der Urlaub bei SAP regelt die Abteilung.", "de") == ["SAP"]


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_a_number_is_read_however_its_digits_are_grouped(whole: int, cents: int) -> None:
    english = f"{whole:,}.{cents:02}"
    german = english.translate(str.maketrans(",.", ".,"))
    expected = Decimal(f"{whole}.{cents:02}")
    for spelled in (english, german, f"{whole}.{cents:02}", f"{whole:,}".replace(",", "’")):
        assert expected in readings(spelled) or Decimal(whole) in readings(spelled)


# Denials


@pytest.mark.parametrize(
    ("language", "plain", "denied"),
    [
        ("en", "Dental care is covered.", "Dental care is not covered."),
        ("en", "Employees can carry over leave.", "Employees cannot carry over leave."),
        ("de", "Der Umzug wird erstattet.", "Der Umzug wird nicht erstattet."),
        ("fr", "Les frais sont remboursés.", "Les frais ne sont pas remboursés."),
        ("es", "Los gastos se pagan.", "Los gastos no se pagan."),
        ("it", "Le spese sono coperte.", "Le spese non sono coperte."),
        ("pt", "As despesas são cobertas.", "As despesas não são cobertas."),
    ],
)
def test_a_sentence_and_its_denial_contradict_each_other(
    language: str, plain: str, denied: str, lexical: LexicalIndex
) -> None:
    def against(one: str, other: str) -> bool:
        return contradicts(one, other, language, lambda t: lexical.content_terms(t, language))

    assert against(plain, denied)
    assert against(denied, plain)
    assert not against(plain, plain)
    assert not against(denied, denied)


def test_a_denial_of_something_else_contradicts_nothing(lexical: LexicalIndex) -> None:
    said = "Hearing aids are not covered, but dental care is covered no later than May."
    assert not contradicts(
        "Dental care is covered.", said, "en", lambda t: lexical.content_terms(t, "en")
    )


# Windows


def test_units_are_sentences_items_and_rows_below_their_header() -> None:
    text = "One thing. Two things.\n\n- First item\n- Second item. More\n\nA | B\nx | 1\ny | 2"
    assert [(text[unit.start : unit.end], unit.header) for unit in units(text, "en")] == [
        ("One thing.", ""),
        ("Two things.", ""),
        ("- First item", ""),
        ("- Second item.", ""),
        ("More", ""),
        ("A | B", ""),
        ("x | 1", "A | B"),
        ("y | 2", "A | B"),
    ]


# Entailment


@pytest.fixture(scope="module")
def nli_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder with random weights."""
    return made_cross_encoder(
        tmp_path_factory.mktemp("nli"), ["contradiction", "entailment", "neutral"]
    )


def test_a_local_model_judges_the_meaning_and_facts_stay_hard(
    embedder: Embedder, lexical: LexicalIndex, nli_dir: Path
) -> None:
    checker = SupportChecker(embedder, lexical, HELD, nli_dir)
    plain = SupportChecker(embedder, lexical, HELD)
    right, wrong = next(iter(SUPPORTED)), next(iter(WRONG))
    assert 0 < check(checker, right).score < 1
    assert check(checker, right).score != check(plain, right).score
    assert check(checker, right).supported is (check(checker, right).score >= 0.5)
    assert "31 days" in check(checker, wrong).reason


def test_a_directory_without_an_entailment_model_is_an_error(
    embedder: Embedder, lexical: LexicalIndex, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no cross-encoder"):
        SupportChecker(embedder, lexical, HELD, tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="cannot load"):
        SupportChecker(embedder, lexical, HELD, tmp_path / "broken")
    (tmp_path / "other").mkdir()
    with pytest.raises(ModelError, match="no label for entailment"):
        SupportChecker(
            embedder, lexical, HELD, made_cross_encoder(tmp_path / "other", ["yes", "no"])
        )

"""The lexical index: words, stems, languages, and queries as people and machines type them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rag.errors import SearchIndexError
from rag.search.lexical import LexicalIndex
from rag.search.words import STOP_WORDS, prepared
from rag.types import Access, IndexRow

DOCS = Access(frozenset({"docs"}))
EVERYTHING = Access(frozenset({"docs", "board"}))
TEXTS = {
    1: ("en", "Either party may terminate this agreement by giving notices in writing."),
    2: ("de", "Die Kündigungsfristen für Verträge betragen drei Monate."),
    3: ("es", "Los empleados tienen derecho a vacaciones anuales según el convenio."),
    4: ("en", "Invoice INV-2024-0017 over 12,500.00 euro is due on 2024-03-31."),
    5: ("en", "Invoice INV-2024-0018 over 9,750.00 euro is due on 2024-04-30."),
    6: ("nl", "De opzegtermijn bedraagt drie maanden."),
    7: ("ja", "退職の通知は三か月前に行う。"),
    10: ("hi", "हर कर्मचारी को साल में बीस सवेतन छुट्टियाँ मिलती हैं। लड़कों के लिए VPN।"),
    11: ("hi", "यात्राओं के खर्च की मंज़ूरी कंपनियाँ देती हैं, वर्ष २०२४ से।"),
    12: ("th", "พนักงานมีสิทธิลาพักร้อนได้ปีละสิบวันโดยต้องแจ้งล่วงหน้า"),
    13: ("th", "ค่าเดินทางเบิกผ่านระบบ SAP ภายในปี ๒๕๖๗ และดื่มน้ำได้ฟรี"),
    14: ("fr", "Les salariés bénéficient de congés payés supplémentaires."),
    15: ("it", "I dipendenti hanno diritto a permessi retribuiti per le visite mediche."),
    16: ("pt", "As férias dos trabalhadores são remuneradas e as reuniões são opcionais."),
    17: ("ta", "ஊழியர்களுக்கு விடுமுறை உண்டு"),
    18: ("en", "The Thai policy says ห้ามใช้โทรศัพท์มือถือ about phones."),
}


def row(
    i: int,
    language: str,
    text: str,
    *,
    document: int | None = None,
    list_id: int = 0,
    **fields: str,
) -> IndexRow:
    given = {"collection": "docs", "title": "", "name": "", "heading": ""} | fields
    vector = np.zeros(1, np.float32)
    document = document or i
    given |= {"language": language, "text": text, "model_id": "m"}
    return IndexRow(i, document, list_id=list_id, vector=vector, **given)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    filled = LexicalIndex(tmp_path_factory.mktemp("lexical"))
    filled.append(row(i, language, text) for i, (language, text) in TEXTS.items())
    filled.append([row(8, "en", "A secret of the board about vacations.", collection="board")])
    filled.commit()
    return filled


def best(index: LexicalIndex, query: str) -> list[int]:
    return [i for i, _ in index.search(query, 10, DOCS)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("terminating agreements", 1),
        ("notice", 1),
        ("Kündigungsfrist eines Vertrags", 2),
        ("KÜNDIGUNGSFRIST", 2),
        ("vacación anual", 3),
        ("¿Qué derechos tiene el empleado?", 3),
        ("segun convenio", 3),
        ("INV-2024-0017", 4),
        ("inv 2024 0018", 5),
        ("12,500.00", 4),
        ("due 2024-04-30", 5),
        ("opzegtermijn", 6),
        ("congé supplémentaire", 14),
        ("conges payes", 14),
        ("permesso retribuito", 15),
        ("reunião remunerada", 16),
        ("ferias", 16),
    ],
)
def test_inflections_accents_codes_and_numbers_are_found(
    query: str, expected: int, index: LexicalIndex
) -> None:
    assert best(index, query)[0] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("छुट्टी कितनी मिलती है?", 10),
        ("छुट्टियां", 10),
        ("कर्मचारियों", 10),
        ("लडका", 10),
        ("यात्रा का खर्च", 11),
        ("मंजूरी", 11),
        ("ลาพักร้อนได้กี่วัน", 12),
        ("พักร้อน", 12),
        ("แจ้งล่วงหน้า", 12),
        ("ค่าเดินทาง", 13),
        ("2567", 13),
        ("๒๕๖๗", 13),
        ("ด\u0e37\u0e48มน\u0e49\u0e4d\u0e32", 13),
        ("sap", 13),
        ("通知", 7),
        ("விடுமுறை", 17),
    ],
)
def test_words_are_found_in_writing_without_spaces_and_with_vowel_signs(
    query: str, expected: int, index: LexicalIndex
) -> None:
    assert best(index, query)[0] == expected


def test_a_word_is_not_worth_more_for_being_foreign_where_it_stands(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, "en", "The Aldermoor bonus of branch 7")])
    index.append([row(2, "en", "The Aldermoor bonus is paid in March, with the salary.")])
    index.append([row(3, "de", "Der Aldermoor Bonus wird im März gezahlt.")])
    index.append(row(10 + n, "en", f"The menu of day {n}.") for n in range(5))
    index.append(row(20 + n, "de", f"Die Kantine am {n}. Mai") for n in range(9))
    index.commit()
    assert best(index, "When does the Aldermoor bonus come?") == [1, 3, 2]
    assert best(index, "Wann kommt der Aldermoor Bonus?")[0] == 3


def test_a_year_or_a_code_in_a_title_tells_like_documents_apart(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    text = "The travel rules of 2023, 2024 and 2025 differ in the hotel limit."
    index.append(row(n, "en", text, title=f"Travel rules {2020 + n}") for n in (3, 4, 5))
    index.append(row(n, "en", f"Other matters of day {n}.") for n in range(10, 20))
    index.commit()
    ranked = index.search("What was the hotel limit in 2024?", 10, DOCS)
    assert next(i for i, _ in ranked) == 4
    assert ranked[0][1] > 1.2 * ranked[1][1]


def test_the_number_of_a_section_is_no_code(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, "en", "The plant is shut.", heading="30 Closing")])
    index.append([row(2, "en", "The deposit is paid back within 30 days.", heading="7 Deposit")])
    index.append(row(n, "en", f"Other matters of day {n}.") for n in range(40, 50))
    index.commit()
    assert best(index, "Is the deposit paid back within 30 days?")[0] == 2


def test_digits_of_any_script_are_the_same_number(index: LexicalIndex) -> None:
    assert set(best(index, "2024")) == set(best(index, "२०२४")) == {4, 5, 11}


def test_a_passage_in_another_language_than_its_document_is_found(index: LexicalIndex) -> None:
    assert best(index, "มือถือ")[0] == 18


def test_part_of_a_word_is_not_the_word(index: LexicalIndex) -> None:
    assert best(index, "ท") == [], "a letter of many Thai words"
    assert best(index, "छ") == [], "a letter of many Hindi words"


def test_an_accent_in_a_character_of_its_own_is_the_same_word(index: LexicalIndex) -> None:
    assert best(index, "Ku\u0308ndigungsfristen")[0] == 2
    assert best(index, "salarie\u0301s")[0] == 14


def test_an_umlaut_left_out_still_finds(index: LexicalIndex) -> None:
    assert best(index, "kundigungsfristen")[:1] == [2]


def test_scores_fall_and_are_positive(index: LexicalIndex) -> None:
    scores = [score for _, score in index.search("invoice due euro notice", 10, DOCS)]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


def test_only_readable_collections_are_searched(index: LexicalIndex) -> None:
    assert 8 not in best(index, "secret board vacations")
    assert index.search("secret", 10, Access(frozenset())) == []
    assert index.search("secret", 10, Access(frozenset({"other", "board"})))[0][0] == 8


def test_what_a_long_question_comes_back_to_counts_more(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, "en", "Pension rules."), row(2, "en", "Parking rules.")])
    index.commit()
    question = "Who pays for parking and pension, and is the pension paid out abroad?"
    assert [i for i, _ in index.search(question, 2, DOCS)] == [1, 2]


@pytest.mark.parametrize("query", ["", "   ", "?!", "¿", "\"'()[]{}", "\x00", "\U0001f600"])
def test_a_query_without_words_finds_nothing(query: str, index: LexicalIndex) -> None:
    assert best(index, query) == []


@pytest.mark.parametrize(
    "query",
    [
        'notice AND OR NOT "unclosed (bracket',
        "text_en:notice^5 ~2 [1 TO *} notice*",
        "notice\\ \n\t\r\0 notice",
        "chunk_id:1 OR notice",
    ],
)
def test_odd_characters_and_operators_are_only_words(query: str, index: LexicalIndex) -> None:
    assert best(index, query)[0] == 1


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_no_query_raises(index: LexicalIndex, query: str) -> None:
    for _, score in index.search(query, 5, DOCS):
        assert score > 0


def test_a_very_long_query_is_answered(index: LexicalIndex) -> None:
    words = " ".join(f"word{n}" for n in range(50_000))
    assert best(index, f"INV-2024-0017 {words}")[0] == 4
    assert best(index, "x" * 100_000) == []


def test_a_question_of_words_without_meaning_is_still_searched(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, "en", "Who are we and what do we do")])
    index.commit()
    assert best(index, "Who are we?") == [1]


def test_title_file_name_and_headings_are_searched_too(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append(
        [
            row(1, "en", "It rose by four percent.", title="Aldermoor annual report"),
            row(2, "en", "It fell by two percent.", name="wexcombe-q2", heading="Revenue"),
        ]
    )
    index.commit()
    assert best(index, "Aldermoor percent")[0] == 1
    assert best(index, "wexcombe percent")[0] == 2
    assert best(index, "revenue percent")[0] == 2


def test_what_is_appended_or_deleted_is_in_force_after_the_commit(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, "en", "notice", document=5), row(2, "de", "notice", document=5)])
    index.append([row(3, "en", "notice", document=6)])
    assert index.ids() == []
    index.commit()
    assert sorted(index.ids()) == [1, 2, 3]
    index.delete_document(5)
    index.append([row(4, "en", "notice", document=5)])
    index.commit()
    assert sorted(index.ids()) == sorted(best(index, "notice")) == [3, 4]
    assert len(index) == 2


@pytest.mark.parametrize(("language", "text"), [TEXTS[10], TEXTS[12]])
def test_a_deletion_is_in_force_in_every_field(language: str, text: str, tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, language, text, document=5), row(2, language, text, document=6)])
    index.commit()
    assert sorted(best(index, text)) == [1, 2]
    index.delete_document(5)
    index.commit()
    assert best(index, text) == [2]


def test_searching_goes_on_after_close_and_so_does_writing(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.append([row(1, "en", "notice")])
    index.close()
    assert best(index, "notice") == [1]
    index.append([row(2, "en", "notice")])
    index.commit()
    assert sorted(best(index, "notice")) == [1, 2]


def test_rare_words_weigh_more_and_weights_stay_positive(index: LexicalIndex) -> None:
    assert index.idf("0017", "en", EVERYTHING) > index.idf("invoic", "en", EVERYTHING) > 0
    assert index.idf("nowhere", "en", EVERYTHING) >= index.idf("0017", "en", EVERYTHING)


def test_content_terms_are_stems_without_the_words_that_carry_no_meaning(
    index: LexicalIndex,
) -> None:
    assert index.content_terms("What are the notices of the parties?", "en") == ["notic", "parti"]
    assert index.content_terms("Wie lang sind die Kündigungsfristen?", "de")[-1].startswith(
        "kundig"
    )
    assert "vacacion" in index.content_terms("¿Cuántas vacaciones tienen?", "es")[-2:]
    assert index.content_terms("opzegtermijn", "nl") == ["opzegtermijn"]
    assert index.content_terms("मुझे कितनी छुट्टियाँ मिलती हैं?", "hi") == ["छुट्ट", "मिल"]
    assert index.content_terms("ลาพักร้อนได้กี่วัน", "th") == ["ลา", "พัก", "ร้อน", "วัน"]


@pytest.mark.parametrize(("language", "text"), [("hi", "सवेतन छुट्टियाँ"), ("th", "พนักงาน ลา")])
def test_the_terms_of_hindi_and_thai_have_the_rarity_of_their_field(
    language: str, text: str, index: LexicalIndex
) -> None:
    unknown = index.idf("nowhere", language, EVERYTHING)
    for term in index.content_terms(text, language):
        assert 0 < index.idf(term, language, EVERYTHING) < unknown


def test_stop_words_are_spelt_as_they_are_looked_up() -> None:
    assert {word for word in STOP_WORDS if prepared(word, "en").strip() != word} == set()
    assert prepared(" ".join(sorted(STOP_WORDS)), "en", content=True).split() == []


@pytest.mark.parametrize("text", ["", "Plain English, 12.5 %.", "Kündigung für Ärzte – geprüft"])
def test_text_that_tantivy_can_break_is_left_as_it_is(text: str) -> None:
    assert prepared(text, "en") is text


@given(st.text(st.sampled_from("aé ทีำ่\u0e4d\u0e32เด्ाँ़。休\u200b\u0308 12"), max_size=40))
def test_what_is_ready_stays_as_it_is(text: str) -> None:
    ready = prepared(text, "th")
    assert prepared(ready, "th").split() == ready.split()


def test_a_folder_that_holds_something_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(SearchIndexError, match="lexical index"):
        LexicalIndex(tmp_path)


def test_a_copy_changes_nothing_in_the_snapshot_it_was_loaded_from(tmp_path: Path) -> None:
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    shared.mkdir()
    mine.mkdir()
    original = LexicalIndex(shared)
    original.append([row(1, "en", "notice"), row(2, "en", "notice")])
    original.close()
    for lock in shared.glob("*.lock"):
        lock.unlink()
    before = {file.name: file.read_bytes() for file in shared.iterdir()}
    copy = LexicalIndex.load(shared, mine)
    copy.delete_document(1)
    copy.append([row(3, "en", "notice")])
    copy.close()
    assert {file.name: file.read_bytes() for file in shared.iterdir()} == before
    assert sorted(copy.ids()) == [2, 3]


def test_a_snapshot_that_vanishes_while_it_is_loaded_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(SearchIndexError, match="lexical index"):
        LexicalIndex.load(tmp_path / "gone", tmp_path / "mine")

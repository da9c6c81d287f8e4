"""An answer as text for programs that render Markdown."""

import pytest

from rag.answer.events import Sentence
from rag.api.bodies import shown
from rag.types import Citation


def cited(text: str, title: str = "Pay") -> Citation:
    return Citation(
        id=1,
        document_id=7,
        chunk_id=1,
        title=title,
        source_uri="/srv/pay.txt",
        page_start=None,
        page_end=None,
        heading_path=(),
        char_start=3,
        char_end=9,
        cited_text=text,
        header_start=0,
        header_end=0,
        header_text="",
        boxes=(),
        answer_start=0,
        answer_end=len(text),
        score=1.0,
        verified=True,
    )


def test_what_a_document_says_becomes_no_markup_and_no_link_of_its_own() -> None:
    text = "See ![x](https://evil.example/?q=1) <img src='https://evil.example/y'>."
    citation = cited(text, title="Pay](https://evil.example) [now\\")
    sentence = Sentence(text, 0, len(text), (citation,), supported=False, reason="a number differs")
    for_people = shown.Shown("https://citadel.example", markers=True)
    assert for_people.add(sentence) == "See x . [1][not supported by its sources]"
    assert "](" not in shown.named(citation) and "https:" not in shown.named(citation)
    as_it_is = shown.Shown("https://citadel.example", markers=False)
    assert as_it_is.add(sentence) == text


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Ten days.", "Ten days. [1]"),
        ("- ten days", "- ten days [1]"),
        ("| sick | ten |", "| sick | ten [1] |"),
        ("```\nleave(10)\n```", "```\nleave(10)\n```\n\n[1]"),
    ],
)
def test_markers_leave_a_list_a_list_and_a_table_a_table(text: str, marked: str) -> None:
    for_people = shown.Shown("", markers=True)
    assert for_people.add(Sentence(text, 0, len(text), (cited(text),))) == marked
    assert shown.unmarked(f"{marked}\n\n{shown.SOURCES}\n\n- [1] x").strip() == text

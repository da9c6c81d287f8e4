"""Elements laid out as one text with offsets."""

import numpy as np
import pytest

from ingest.assemble import MAX_TITLE, assemble
from ingest.parse.model import Element, PageSize, Parsed


def parsed(*elements: Element, **fields: object) -> Parsed:
    return Parsed("text/plain", list(elements), **fields)  # type: ignore[arg-type]


def word_boxes(*words: tuple[float, ...]) -> bytes:
    return np.array(words, "<f4").tobytes()


def test_elements_follow_each_other_with_a_blank_line_and_list_items_without() -> None:
    document = assemble(
        parsed(
            Element("heading", "Leave"),
            Element("paragraph", "Everyone has:"),
            Element("list_item", "- 30 days"),
            Element("list_item", "- public holidays"),
            Element("paragraph", "That is all."),
        ),
        name="a.txt",
    )
    assert document.text == (
        "Leave\n\nEveryone has:\n\n- 30 days\n- public holidays\n\nThat is all."
    )
    for block in document.blocks:
        assert document.text[block.start : block.end] == block.element.text


def test_headings_nest_by_level_and_a_higher_one_ends_the_lower() -> None:
    document = assemble(
        parsed(
            Element("title", "Handbook", level=1),
            Element("heading", "Leave", level=2),
            Element("heading", "Parental\nleave", level=3),
            Element("paragraph", "Twelve weeks."),
            Element("heading", "Pay", level=2),
            Element("paragraph", "Monthly."),
        ),
        name="a.txt",
    )
    paths = {b.element.text: b.heading_path for b in document.blocks}
    assert paths["Handbook"] == ()
    assert paths["Twelve weeks."] == ("Handbook", "Leave", "Parental leave")
    assert paths["Monthly."] == ("Handbook", "Pay")


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("The notice period", "is three months.", "The notice period is three months."),
        ("The notice period, however,", "ends.", "The notice period, however, ends."),
        ("It ends here.", "a new one", "It ends here.\n\na new one"),
        ("The notice period", "Is three months.", "The notice period\n\nIs three months."),
        ("The notice period:", "it ends", "The notice period:\n\nit ends"),
    ],
)
def test_only_an_unfinished_paragraph_runs_on_over_a_page_break(
    before: str, after: str, joined: str
) -> None:
    one, other = Element("paragraph", before, page=1), Element("paragraph", after, page=2)
    assert assemble(parsed(one, other), name="a.pdf").text == joined


def test_paragraphs_of_one_page_are_never_joined() -> None:
    elements = [Element("paragraph", "one", page=1), Element("paragraph", "two", page=1)]
    assert assemble(parsed(*elements), name="a.pdf").text == "one\n\ntwo"


@pytest.mark.parametrize(
    ("title", "name", "expected"),
    [
        ("  Annual \n report ", "a.pdf", "Annual report"),
        ("", "annual_report_2026.final.pdf", "annual report 2026.final"),
        ("", "README", "README"),
        ("", ".profile", ".profile"),
        ("", "___.txt", "___.txt"),
        ("x" * 500, "a.pdf", "x" * MAX_TITLE),
    ],
)
def test_the_title_is_the_documents_or_its_files_name(title: str, name: str, expected: str) -> None:
    assert assemble(parsed(title=title), name=name).title == expected


def test_a_language_that_the_file_names_is_believed_and_else_detected() -> None:
    german = Element("paragraph", "Die Kündigungsfrist beträgt drei Monate zum Quartalsende.")
    assert assemble(parsed(german), name="a").language == "de"
    assert assemble(parsed(german, language="nl"), name="a").language == "nl"


def test_a_document_without_words_is_empty() -> None:
    document = assemble(parsed(Element("paragraph", " \n ")), name="a.txt")
    assert (document.text, document.blocks, document.pages) == ("", [], [])


def test_pages_know_their_span_and_their_words_in_the_documents_offsets() -> None:
    sizes = [PageSize(number, 600, 800) for number in (1, 2, 3)]
    document = assemble(
        parsed(
            Element("heading", "Fees", page=1, words=word_boxes((0, 4, 50, 50, 90, 62))),
            Element("paragraph", "Two euro.", page=1),
            Element("paragraph", "On top", page=3, words=word_boxes((0, 2, 5, 5, 9, 9))),
            pages=sizes,
        ),
        name="a.pdf",
    )
    assert document.text == "Fees\n\nTwo euro.\n\nOn top"
    spans = [document.text[page.char_start : page.char_end] for page in document.pages]
    assert spans == ["Fees\n\nTwo euro.", "", "On top"], "a page of pictures has no text"
    assert document.pages[0].word_array().tolist() == [[0, 4, 50, 50, 90, 62]]
    assert document.pages[2].word_array().tolist() == [[17, 19, 5, 5, 9, 9]]

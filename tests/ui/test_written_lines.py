"""What an engine writes, as the page draws it: shapes of lines, marks, and no markup of its own."""

import pytest

from ui import render, written
from ui.records import Final, Searched, Sentence, Step, Support

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/?q=1)",
    "**<script>alert(1)</script>**",
    "| <b>a</b> | [x](http://evil.example) |",
)


def said(text: str, **more: object) -> Sentence:
    return Sentence(text, (), **{"kind": "written", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("supported", [True, False])
def test_nothing_of_an_engines_text_becomes_markup(text: str, supported: bool) -> None:
    html = render.written(said(text, supported=supported, reason=text))
    for bad in ("<img", "<script", "<b>", "<a ", "href"):
        assert bad not in html


@pytest.mark.parametrize(
    ("text", "kind", "plain"),
    [
        ("Thirty days.", "written", "Thirty days."),
        ("- Thirty days.", "item", "• Thirty days."),
        ("2. Ask the manager.", "item", "2. Ask the manager."),
        ("## Leave", "heading", "Leave"),
        ("-5 degrees", "written", "-5 degrees"),
    ],
)
def test_a_line_says_what_it_is(text: str, kind: str, plain: str) -> None:
    assert written.block_kind(said(text)) == kind
    assert written.plain(text) == plain


def test_a_row_has_cells_and_a_rule_none() -> None:
    assert written.cells("| Mercury | 184.50 |") == ["Mercury", "184.50"]
    assert written.cells("| Analysis | Price |\n| --- | ---: |") == ["Analysis", "Price"]
    assert written.cells("No row at all.") == []


def test_bold_is_bold_and_asterisks_alone_are_kept() -> None:
    assert "<strong>thirty</strong>" in render.written(said("Take **thirty** days."))
    assert "2 * 3" in render.written(said("2 * 3 is 6."))


def test_what_is_not_supported_says_so_in_words_and_why() -> None:
    html = render.written(said("Ninety days.", supported=False, reason="it does not say ninety"))
    assert "not supported by its sources" in html
    assert 'title="it does not say ninety"' in html
    assert "not supported" not in render.written(said("Thirty days."))


def test_a_paragraph_ends_where_its_glue_has_a_line_break() -> None:
    assert not written.begins_block(said("B.", glue=" "))
    assert written.begins_block(said("B.", glue="\n\n"))


def test_steps_say_what_was_done_and_are_closed_once_there_is_an_answer() -> None:
    done = [
        Step(1, "search", "leave <b>", 3),
        Step(2, "open_document", "Handbook, page 4", 1),
        Step(3, "", "the call could not be read", 0, "error"),
    ]
    html = render.steps(done, open_=True)
    assert "<details" in html and " open>" in html
    assert "Searched for “leave &lt;b&gt;”: 3 passages" in html
    assert "Opened Handbook, page 4: 1 passage" in html
    assert " open>" not in render.steps(done, open_=False)
    assert render.steps([], open_=True) == ""


def test_the_footnote_says_how_much_is_supported_and_who_wrote_it() -> None:
    final = Final(
        "answered", Searched("x", 12), engine="llama<3", support=Support(5, 4, 1), answer="x"
    )
    html = render.support(final, 2_300.0)
    assert "4 of 5 sentences supported by their sources. 1 sentence left out." in html
    assert "llama&lt;3" in html and "2.3 s" in html

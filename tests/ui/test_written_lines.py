"""What an engine writes, as the page draws it: blocks of lines, marks, and no markup of its own."""

from html.parser import HTMLParser

import pytest

from rag.client.records import Citation, Final, Searched, Sentence, Step, Support
from ui import render, written

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/?q=1)",
    "**<script>alert(1)</script>**",
    "| <b>a</b> | [x](http://evil.example) |",
    "# <a href=http://evil.example>a</a>",
    "- <iframe src=http://evil.example>",
    "```html\n<svg onload=alert(1)>\n```",
)
DRAWN = {
    *("p", "span", "sup", "strong", "em", "code", "h3", "br"),
    *("div", "table", "tbody", "tr", "td", "th"),
}


class Seen(HTMLParser):
    """The tags and attributes, and the text, that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def cited(id: int) -> Citation:
    return Citation(id, 7, "Handbook", "/srv/handbook.pdf", 3, 3, (), id * 10, id * 10 + 5, "text.")


def said(text: str, *numbers: int, **more: object) -> Sentence:
    citations = tuple(cited(id) for id in numbers)
    return Sentence(text, citations, **{"kind": "written", **more})  # type: ignore[arg-type]


def blocks(*sentences: Sentence) -> list[written.Block]:
    found: list[written.Block] = []
    for sentence in sentences:
        if not found or not found[-1].take(sentence):
            found.append(written.begin(sentence))
    return found


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["written", "lead"])
def test_nothing_of_an_engines_text_becomes_markup(text: str, kind: str) -> None:
    sentence = said(text, 1, kind=kind, supported=False, reason=text)
    seen = Seen(written.drawn(written.begin(sentence)))
    assert seen.tags <= DRAWN
    assert seen.attributes == {"class"}
    assert text in seen.text, "the reason is shown as it is"


@pytest.mark.parametrize(
    ("text", "shape", "plain"),
    [
        ("Thirty days.", "paragraph", "Thirty days."),
        ("- Thirty days.", "list", "Thirty days."),
        ("2. Ask the manager.", "list", "Ask the manager."),
        ("- [ ] Ask the manager.", "list", "Ask the manager."),
        ("## Leave ##", "heading", "Leave"),
        ("> Thirty days.", "paragraph", "Thirty days."),
        ("-5 degrees", "paragraph", "-5 degrees"),
        ("#5 is taken.", "paragraph", "#5 is taken."),
        ("A. Smith decides.", "paragraph", "A. Smith decides."),
        ("---", "paragraph", ""),
        ("```sh\nls -l\n```", "code", "ls -l"),
    ],
)
def test_a_line_says_what_it_is(text: str, shape: str, plain: str) -> None:
    assert written.shape(said(text)) == shape
    assert written.plain(text) == plain


def test_sentences_flow_until_a_line_break_begins_a_block() -> None:
    found = blocks(
        said("# Leave", kind="lead"),
        said("One.", 1, glue="\n\n"),
        said("Two.", 2, glue=" "),
        said("- Three.", 3, glue="\n\n"),
        said("Four.", 3, glue=" "),
        said("- Five.", 4, glue="\n"),
        said("Six.", glue="\n\n"),
    )
    assert [block.shape for block in found] == ["heading", "paragraph", "list", "paragraph"]
    assert [len(block.lines) for block in found] == [1, 1, 2, 1]
    assert [citation.id for citation in found[2].citations] == [3, 4]
    shown = written.drawn(found[1])
    assert shown == (
        '<p class="paragraph">One.<sup class="cite">1</sup> Two.<sup class="cite">2</sup></p>'
    )


def test_items_keep_their_numbers_and_their_depth() -> None:
    (block,) = blocks(
        said("1. Ask."),
        said("a) By mail.", glue="\n   "),
        said("2. Wait.", glue="\n"),
    )
    html = written.drawn(block)
    assert '<p class="item level-0"><span class="sign">1.</span><span>Ask.</span></p>' in html
    assert '<p class="item level-1"><span class="sign">a)</span><span>By mail.</span></p>' in html


def test_rows_are_one_table_and_each_has_its_numbers() -> None:
    (block,) = blocks(
        said("| Analysis | Price |\n| --- | ---: |", kind="lead"),
        said("| Mercury | **184.50** |", 1, glue="\n"),
        said("| Lead | 9 |", 2, glue="\n", supported=False, reason="it does not say 9"),
    )
    html = written.drawn(block)
    assert "<tr><th>Analysis</th><th>Price</th>" in html
    assert "<td>Mercury</td><td><strong>184.50</strong></td>" in html
    assert '<span class="flag">not supported: it does not say 9</span>' in html
    assert html.count("<tr>") == 3 and "---" not in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("2 * 3 * 4 is 24.", "2 * 3 * 4 is 24."),
        ("Take **thirty** days.", "Take <strong>thirty</strong> days."),
        ("Take *thirty* days.", "Take <em>thirty</em> days."),
        ("Run `ls **/*.py` once.", "Run <code>ls **/*.py</code> once."),
        ("A *b** c", "A *b** c"),
    ],
)
def test_stress_and_code_are_drawn_and_asterisks_alone_are_kept(text: str, html: str) -> None:
    assert written.drawn(written.begin(said(text))) == f'<p class="paragraph">{html}</p>'


def test_a_bar_within_a_cell_does_not_end_it() -> None:
    html = written.drawn(written.begin(said("| a \\| b | c |", 1)))
    assert "<td>a | b</td><td>c</td>" in html


def test_what_is_not_supported_says_so_in_words_and_why() -> None:
    html = written.drawn(
        written.begin(said("Ninety days.", 1, supported=False, reason="it does not say <90>"))
    )
    assert '<span class="unsupported">Ninety days.</span>' in html
    assert "not supported: it does not say &lt;90&gt;" in html
    bare = written.drawn(written.begin(said("Ninety days.", supported=False)))
    assert "not supported by its sources" in bare
    assert "not supported" not in written.drawn(written.begin(said("Thirty days.", 1)))


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


def test_notices_and_rewritten_questions_are_escaped() -> None:
    for hostile in HOSTILE[:3]:
        for html in (render.aside(hostile), render.rewritten(hostile)):
            assert Seen(html).tags == {"p"}
    assert render.rewritten("") == ""


def test_the_footnote_says_how_much_is_supported_and_who_wrote_it() -> None:
    final = Final(
        "answered", Searched("x", 12), engine="llama<3", support=Support(5, 4, 1), answer="x"
    )
    html = render.support(final, 2_300.0)
    assert "4 of 5 sentences supported by their sources. 1 sentence left out." in html
    assert "llama&lt;3" in html and "2.3 s" in html

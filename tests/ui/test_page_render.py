"""What the page shows is escaped, and says in words what it shows."""

from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from rag.client import Problem
from rag.client.records import Asked, Citation, Document, Failure, Hit, Passage, Searched, Sentence
from ui import render
from ui.passage import passage
from ui.session import Turn

HOSTILE = (
    '<script>alert(1)</script><img src=x onerror="alert(2)">"\'><a href="javascript:alert(3)">x</a>'
)


class _Tags(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def _seen(html: str) -> _Tags:
    seen = _Tags()
    seen.feed(html)
    return seen


def _citation(**changes: object) -> Citation:
    fields: dict[str, object] = {
        "id": 1,
        "document_id": 7,
        "title": "Travel policy",
        "source_uri": "/srv/docs/travel.pdf",
        "page_start": 3,
        "page_end": 3,
        "heading_path": ("Travel", "Lodging"),
        "char_start": 10,
        "char_end": 20,
        "cited_text": "ten chars.",
    }
    return Citation(**fields | changes)  # type: ignore[arg-type]


def _hit(text: str, title: str = "Handbook") -> Hit:
    return Hit(7, title, "/srv/handbook.md", None, None, (), text, 0, len(text))


def _document(**changes: object) -> Document:
    fields: dict[str, object] = {
        "id": 7,
        "collection": "default",
        "title": "Travel policy",
        "name": "travel.pdf",
        "media_type": "application/pdf",
        "n_chars": 900,
        "n_chunks": 1,
        "n_pages": 12,
        "has_images": True,
        "warnings": (),
        "ingested_at": datetime(2026, 11, 20, tzinfo=UTC),
    }
    return Document(**fields | changes)  # type: ignore[arg-type]


EVERYTHING: dict[str, Callable[[str], str]] = {
    "sentence": lambda text: render.sentence(text),
    "table row": lambda text: render.table(f"{text} | head", [(1, f"{text} | {text}")]),
    "question": render.question,
    "source": lambda text: render.source_place(_citation(heading_path=(text,))),
    "source without headings": lambda text: render.source_place(
        _citation(heading_path=(), page_start=None, source_uri=text)
    ),
    "related": lambda text: render.snippet(_hit(text)),
    "not found": lambda text: render.not_found(Searched(text, 3)),
    "problem": lambda text: render.problem(Problem(text, text, text)),
    "waiting": lambda text: render.waiting(Problem(text, text, text)),
    "page": lambda text: render.page_image(b"png", 1.0, text, 0.5),
    "passage": lambda text: passage(Passage(text, text, text, 5, 9, 99)),
    "viewer": lambda text: render.viewer_header(_document(title=text, name=text), (text,)),
    "document": lambda text: render.document_line(
        _document(name=text, media_type=text, collection=text, warnings=(text,))
    ),
    "listed": lambda text: render.listed(1, False, text),
    "failure": lambda text: render.failure_card(Failure("default", text, text, text)),
}


@pytest.mark.parametrize("part", EVERYTHING)
def test_no_text_becomes_markup(part: str) -> None:
    plain, hostile = EVERYTHING[part]("harmless"), EVERYTHING[part](HOSTILE)
    assert _seen(hostile).tags == _seen(plain).tags
    assert _seen(hostile).attributes == _seen(plain).attributes
    assert "alert(2)" in hostile or part == "source without headings"  # shown as what it is


def test_label_shows_markdown_as_it_is_written() -> None:
    assert render.label("![x](http://h/i.png)") == r"\!\[x\]\(http\:\/\/h\/i\.png\)"
    assert render.label("two\nlines") == "two lines"
    assert render.label("Ümläut 3 – ok") == "Ümläut 3 – ok"


def test_table_row_stands_below_its_header() -> None:
    html = render.table("City | Limit | Note", [(3, "London | 240 | ")])
    assert "<th>City</th><th>Limit</th><th>Note</th>" in html
    assert '<td class="n">3</td><td>London</td><td>240</td>' in html
    assert html.count("<th>") == html.count("<td>")


def test_short_rows_are_filled_up_to_the_width_of_the_table() -> None:
    html = render.table("City | Limit | Note", [(1, "London | 240"), (2, "Paris")])
    assert html.count("<tr>") == 3
    assert html.count("<td>") == 6


def test_place_names_pages_and_headings() -> None:
    assert render.place(_citation()) == "Page 3 · Travel › Lodging"
    assert render.place(_citation(page_end=4, heading_path=())) == "Pages 3–4"
    assert render.place(_citation(source_uri="/a/b.XLSX", heading_path=())) == "Sheet 3"
    assert render.place(_citation(page_start=None, page_end=None)) == "Travel › Lodging"
    assert render.place(_citation(page_start=None, page_end=None, heading_path=())) == ""


def test_title_is_not_said_again_as_a_heading() -> None:
    below = "Page 3 · Lodging"
    assert render.place(_citation(title="Travel")) == below
    assert render.place(_citation(title="Travel: rules for all")) == below
    assert ">Lodging · travel.pdf<" in render.viewer_header(
        _document(title="Travel"), ("Travel", "Lodging")
    )


def test_source_is_told_from_its_other_versions_by_the_file() -> None:
    assert ">Page 3 · Travel › Lodging · travel.pdf<" in render.source_place(_citation())


def test_chip_names_the_document_in_short() -> None:
    assert render.chip(_citation()) == "1\u2002Travel policy\\, page 3"
    assert render.chip(_citation(title="x" * 99, page_start=None)) == f"1\u2002{'x' * 39}…"
    assert render.chip(_citation(title="", page_start=None)) == "1\u2002travel\\.pdf"
    assert render.chip(_citation(), by_file=True) == "1\u2002travel\\.pdf\\, page 3"


def test_entry_of_the_sources_names_the_numbers_that_lead_to_it() -> None:
    cited = [_citation(), _citation(id=4)]
    assert render.source_title(cited) == "1, 4\u2002Travel policy"


def test_versions_of_a_document_are_twins_and_quotes_of_one_are_not() -> None:
    turn = Turn(1, 1, Asked("limit?"))
    turn.sentences = [Sentence("a", (_citation(),)), Sentence("b", (_citation(id=2),))]
    assert turn.twins() == set()
    turn.sentences.append(Sentence("c", (_citation(id=3, document_id=8),)))
    assert turn.twins() == {7, 8}


def test_passage_is_marked_between_its_surroundings() -> None:
    html = passage(Passage("the span", "before ", " after", 5, 30, 99))
    assert 'before <i class="begin"></i><mark>the span</mark> after' in html
    assert html.count("…") == 2


def test_passage_over_several_lines_is_marked_on_each_and_begins_once() -> None:
    html = passage(Passage("one\ntwo", "before\n", "\nafter", 0, 20, 20))
    assert "<mark>one</mark>\n<mark>two</mark>" in html
    assert html.count('class="begin"') == 1


def test_rows_around_a_passage_are_shown_as_a_table() -> None:
    html = passage(Passage("Rome | 140", "City | Limit\n", "\nBern | 160\n\nNote.", 0, 40, 40))
    assert "<tr><td>City</td><td>Limit</td></tr>" in html
    assert "<mark>Rome</mark></td><td><mark>140</mark></td>" in html
    assert "<tr><td>Bern</td><td>160</td></tr>" in html
    assert '<div class="prose">Note.</div>' in html


def test_passage_at_the_edges_of_the_text_shows_no_ellipsis() -> None:
    assert "…" not in passage(Passage("all", "", "", 0, 3, 3))


def test_whole_document_has_nothing_marked() -> None:
    assert "<mark>" not in passage(Passage("", "", "the text", 0, 8, 8))


def test_snippet_is_cut_between_words() -> None:
    assert render.snippet(_hit("word " * 100), limit=23).endswith("word word word word …</p>")


def test_not_found_says_what_was_searched() -> None:
    html = render.not_found(Searched("pet insurance", 1200))
    assert "“pet insurance”" in html
    assert "1,200 documents" in html
    assert "Not mentioned" not in html
    named = render.not_found(Searched("Dupont's <b>locker", 3, unnamed=("Dupont", "<b>")))
    assert "<dt>Not mentioned</dt><dd>“Dupont”, “&lt;b&gt;”</dd>" in named


def test_beside_an_answer_it_is_said_what_nothing_mentions() -> None:
    assert render.unnamed(Searched("x", 3)) == ""
    html = render.unnamed(Searched("x", 3, unnamed=("Dupont", "<b>")))
    assert "Nothing that was found mentions “Dupont”, “&lt;b&gt;”." in html


def test_document_line_tells_state_format_and_extent() -> None:
    html = render.document_line(_document())
    assert "Ready" in html
    assert "PDF · travel.pdf · 12 pages · 1 passage · 20 Nov 2026" in html


def test_document_with_warnings_shows_each() -> None:
    html = render.document_line(_document(warnings=("Page 3 has no text.",)))
    assert "with warnings" in html
    assert "Page 3 has no text." in html


def test_unknown_format_is_named_by_its_media_type() -> None:
    assert render.media("application/x-thing") == "X-THING"


def test_failure_names_file_reason_and_remedy() -> None:
    failure = Failure("default", "/srv/docs/a.pdf", "It has a password.", "Run `citadel ingest`.")
    html = render.failure_card(failure)
    assert "<strong>a.pdf</strong>" in html
    assert "It has a password." in html
    assert "<code>citadel ingest</code>" in html


def test_empty_state_names_the_command_that_fills_it() -> None:
    assert "citadel ingest PATH" in render.nothing_ingested()


def test_counts_read_as_english() -> None:
    assert render.counted(1, "document") == "1 document"
    assert render.counted(0, "document") == "0 documents"
    assert render.counted(1200, "document") == "1,200 documents"
    assert "No document with “x” in the title" in render.listed(0, False, "x")
    assert "The first 50 documents<" in render.listed(50, True, "")


def test_nothing_in_the_looks_is_fetched() -> None:
    from importlib.resources import files

    for name in ("style.css", "mark.svg", ".streamlit/config.toml"):
        text = files("ui").joinpath(name).read_text(encoding="utf-8")
        addresses = text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in addresses, name
        assert "@import" not in addresses, name
        assert "url(" not in addresses, name

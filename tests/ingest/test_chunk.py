"""What a chunk is, shown over random documents and over a few telling ones."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest.assemble import assemble
from ingest.chunk import CONTEXT_TOKENS, TARGET_TOKENS, Prepared, prepare
from ingest.parse.model import Element, PageSize, Parsed
from rag.search.embed import Embedder
from rag.text import sentence_spans
from rag.types import Chunk

VOCABULARY = ["notice", "Kündigung", "días", "12,500.00", "INV-2024-0017", "e.g.", "§", "退職", "x"]
word = st.sampled_from(VOCABULARY)
sentence = st.lists(word, min_size=1, max_size=25).map(lambda words: " ".join(words) + ".")
endless = st.one_of(
    st.lists(word, min_size=200, max_size=500).map(" ".join),
    st.integers(300, 900).map(lambda n: "語" * n),
    st.integers(300, 900).map(lambda n: "a\t" * n),
)
prose = st.one_of(
    st.lists(sentence, min_size=1, max_size=12).map(" ".join),
    st.lists(word, min_size=1, max_size=6).map(" ".join),
)
row = st.lists(word, min_size=2, max_size=12).map(" | ".join)


@st.composite
def tables(draw: st.DrawFn) -> Element:
    rows = draw(st.lists(row, min_size=1, max_size=30))
    header_rows = draw(st.integers(0, min(2, len(rows) - 1)))
    return Element("table", "\n".join(rows), header_rows=header_rows)


elements = st.one_of(
    st.builds(
        Element, st.sampled_from(["heading", "title"]), prose.map(lambda t: t[:80].strip()),
        st.integers(0, 6),
    ),
    st.builds(Element, st.sampled_from(["paragraph", "list_item"]), prose),
    st.builds(Element, st.just("paragraph"), endless),
    st.builds(Element, st.just("code"), st.lists(row, min_size=1, max_size=8).map("\n".join)),
    tables(),
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    """A document over some pages, in reading order."""
    page, placed = 1, []
    for element in draw(st.lists(elements, max_size=12)):
        page += draw(st.integers(0, 1))
        placed.append(
            Element(
                element.kind, element.text, element.level, page, header_rows=element.header_rows
            )
        )
    sizes = [PageSize(number, 600, 800) for number in range(1, page + 1)]
    title = draw(st.one_of(st.just(""), prose))
    return Parsed("application/pdf", placed, title, draw(st.sampled_from(["", "de"])), sizes)


def for_all(examples: int):  # type: ignore[no-untyped-def]
    """Hypothesis over documents, with the session's model."""

    def decorate(test):  # type: ignore[no-untyped-def]
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
        run = hypothesis_settings(
            max_examples=examples, deadline=None, suppress_health_check=checks, derandomize=True
        )
        return run(given(documents())(test))

    return decorate


def overlapping(document: Prepared, chunk: Chunk, parsed: Parsed) -> list[Element]:
    """The elements that a chunk holds a part of."""
    blocks = assemble(parsed, name="file.pdf").blocks
    return [b.element for b in blocks if b.start < chunk.char_end and b.end > chunk.char_start]


@for_all(60)
def test_chunks_are_the_text_at_their_spans_in_order_and_apart(
    embedder: Embedder, parsed: Parsed
) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    end = 0
    for ordinal, chunk in enumerate(document.chunks):
        assert chunk.ordinal == ordinal
        assert chunk.text == document.text[chunk.char_start : chunk.char_end] != ""
        assert end <= chunk.char_start < chunk.char_end
        end = chunk.char_end


@for_all(60)
def test_every_word_that_is_no_heading_is_in_one_chunk(embedder: Embedder, parsed: Parsed) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    covered = np.zeros(len(document.text), int)
    for chunk in document.chunks:
        covered[chunk.char_start : chunk.char_end] += 1
    for block in assemble(parsed, name="file.pdf").blocks:
        for match in re.finditer(r"\S+", block.element.text):
            times = set(covered[block.start + match.start() : block.start + match.end()].tolist())
            if block.element.kind in ("heading", "title"):
                assert times <= {0, 1}
                assert times == {1} or any(
                    " ".join(block.element.text.split()) in chunk.heading_path
                    for chunk in document.chunks
                ), "a heading is in a chunk's path if it is in no chunk"
            else:
                assert times == {1}


@for_all(60)
def test_no_chunk_crosses_a_heading_or_mixes_a_table_with_prose(
    embedder: Embedder, parsed: Parsed
) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    for chunk in document.chunks:
        inside = overlapping(document, chunk, parsed)
        kinds = {element.kind for element in inside}
        if kinds & {"heading", "title"}:
            assert kinds <= {"heading", "title"}, "headings that nothing follows stand alone"
        if "table" in kinds:
            assert len(inside) == 1


@for_all(60)
def test_a_chunk_over_the_target_is_one_unit_that_cannot_be_cut(
    embedder: Embedder, parsed: Parsed
) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    counted = embedder.count_tokens([chunk.text for chunk in document.chunks])
    for chunk, n_tokens in zip(document.chunks, counted, strict=True):
        assert chunk.n_tokens == n_tokens
        assert n_tokens <= TARGET_TOKENS or len(chunk.text) == 1


@for_all(60)
def test_sentences_and_rows_stay_whole(embedder: Embedder, parsed: Parsed) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    borders = {c.char_start for c in document.chunks} | {c.char_end for c in document.chunks}
    for block in assemble(parsed, name="file.pdf").blocks:
        text = block.element.text
        if block.element.kind in ("table", "code"):
            units = [match.span() for match in re.finditer(r"[^\n]+", text)]
        else:
            units = sentence_spans(text, document.language)
        for start, end in units:
            (n_tokens,) = embedder.count_tokens([text[start:end]])
            cut = borders & set(range(block.start + start + 1, block.start + end))
            assert not cut or n_tokens > TARGET_TOKENS, text[start:end]


@for_all(60)
def test_a_tables_chunks_know_its_header_and_no_other_chunk_has_one(
    embedder: Embedder, parsed: Parsed
) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    for chunk in document.chunks:
        (first, *_) = overlapping(document, chunk, parsed)
        header = document.text[chunk.header_start : chunk.header_end]
        lines = first.text.split("\n")[: first.header_rows] if first.kind == "table" else []
        assert header == "\n".join(lines)
        assert chunk.header_start <= chunk.char_start


@for_all(60)
def test_a_chunks_pages_are_those_of_its_first_and_last_words(
    embedder: Embedder, parsed: Parsed
) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    for chunk in document.chunks:
        inside = overlapping(document, chunk, parsed)
        assert (chunk.page_start, chunk.page_end) == (inside[0].page, inside[-1].page)


@for_all(60)
def test_what_is_embedded_ends_with_the_chunk_and_fits_the_models_window(
    embedder: Embedder, parsed: Parsed
) -> None:
    document = prepare(parsed, name="file.pdf", embedder=embedder)
    assert len(document.embed_texts) == len(document.chunks)
    counted = embedder.count_tokens(document.embed_texts)
    for chunk, text, n_tokens in zip(document.chunks, document.embed_texts, counted, strict=True):
        assert text.endswith("\n" + chunk.text)
        assert n_tokens <= chunk.n_tokens + CONTEXT_TOKENS
        assert n_tokens + 2 <= embedder.max_tokens or len(chunk.text) == 1


def chunked(embedder: Embedder, *elements: Element, **fields: object) -> Prepared:
    parsed = Parsed("application/pdf", list(elements), **fields)  # type: ignore[arg-type]
    return prepare(parsed, name="report-q2.pdf", embedder=embedder)


def test_title_file_name_and_headings_are_embedded_with_the_text(embedder: Embedder) -> None:
    document = chunked(
        embedder,
        Element("heading", "Results", level=1),
        Element("heading", "Revenue", level=2),
        Element("paragraph", "It rose by 4 %."),
        title="Aldermoor Ltd",
    )
    assert document.embed_texts == ["Aldermoor Ltd (report-q2)\nResults > Revenue\nIt rose by 4 %."]
    assert document.chunks[0].heading_path == ("Results", "Revenue")


def test_a_title_that_is_the_file_name_or_a_heading_is_not_repeated(embedder: Embedder) -> None:
    document = chunked(
        embedder, Element("title", "Report-Q2 of Aldermoor"), Element("paragraph", "It rose."),
        title="Report-Q2 of Aldermoor",
    )  # fmt: skip
    assert document.embed_texts == ["Report-Q2 of Aldermoor\nIt rose."]


def test_a_long_tables_later_chunks_are_embedded_with_its_header(embedder: Embedder) -> None:
    rows = [f"Bolt M{n} | {n / 7:.2f} | {n} days" for n in range(60)]
    header = "Part | Price in euro | Delivery"
    document = chunked(embedder, Element("table", "\n".join([header, *rows]), header_rows=1))
    first, *later = zip(document.chunks, document.embed_texts, strict=True)
    assert len(later) >= 2
    assert first[0].text.startswith(header)
    assert first[1].count(header) == 1
    for chunk, text in later:
        assert header not in chunk.text
        assert text == f"report-q2\n{header}\n{chunk.text}"


def test_a_context_that_is_too_long_is_cut_and_not_the_text(embedder: Embedder) -> None:
    dense_first = "§ % & " * 40 + "responsibility " * 60
    body = " ".join(f"Sentence {n} says that § {n} applies." for n in range(18))
    document = chunked(
        embedder, Element("heading", dense_first), Element("paragraph", body), title="A title"
    )
    for chunk, text in zip(document.chunks, document.embed_texts, strict=True):
        context = text.removesuffix("\n" + chunk.text)
        assert context.startswith("A title"), "the title is what says most"
        assert embedder.count_tokens([context])[0] <= CONTEXT_TOKENS


def test_a_header_of_many_lines_leaves_room_for_the_rows(embedder: Embedder) -> None:
    header = "\n".join(f"col {n} | § {n}" for n in range(300))
    rows = "\n".join(f"row {n} | {n}" for n in range(100))
    document = chunked(embedder, Element("table", f"{header}\n{rows}", header_rows=300))
    assert document.embed_texts[-1].endswith("\nrow 99 | 99")
    assert max(embedder.count_tokens(document.embed_texts)) <= TARGET_TOKENS + CONTEXT_TOKENS


def test_a_sentence_over_a_page_break_is_one_unit_on_two_pages(embedder: Embedder) -> None:
    words = np.array([[0, 3, 50, 700, 80, 712]], "<f4").tobytes()
    more = np.array([[0, 2, 50, 50, 70, 62]], "<f4").tobytes()
    document = chunked(
        embedder,
        Element("paragraph", "The notice period", page=1, words=words),
        Element("paragraph", "is three months.", page=2, words=more),
        pages=[PageSize(1, 600, 800), PageSize(2, 600, 800)],
    )
    (chunk,) = document.chunks
    assert chunk.text == "The notice period is three months."
    assert (chunk.page_start, chunk.page_end) == (1, 2)
    assert [box.page for box in chunk.boxes] == [1, 2]


def test_pieces_of_an_endless_sentence_know_their_own_pages(embedder: Embedder) -> None:
    document = chunked(
        embedder,
        *(
            Element("paragraph", " ".join(f"word{n}" for n in range(120)), page=page)
            for page in (1, 2, 3)
        ),
        pages=[PageSize(number, 600, 800) for number in (1, 2, 3)],
    )
    assert len(document.chunks) > 3
    assert (document.chunks[0].page_start, document.chunks[0].page_end) == (1, 1)
    assert (document.chunks[-1].page_start, document.chunks[-1].page_end) == (3, 3)


def test_an_endless_sentence_is_cut_between_words(embedder: Embedder) -> None:
    text = "x" * 90 + "\t" + "\t".join(f"Wort{n}" for n in range(400))
    document = chunked(embedder, Element("paragraph", text))
    assert len(document.chunks) > 1
    assert [w for chunk in document.chunks for w in chunk.text.split()] == text.split()


def test_no_section_ends_in_a_crumb(embedder: Embedder) -> None:
    sentences = [f"The {n}th rule says that employees ask before they leave." for n in range(31)]
    document = chunked(embedder, Element("paragraph", " ".join(sentences)))
    sizes = [chunk.n_tokens for chunk in document.chunks]
    assert len(sizes) > 1
    assert min(sizes) > 0.7 * max(sizes)


def test_headings_that_nothing_follows_can_still_be_found(embedder: Embedder) -> None:
    document = chunked(
        embedder,
        Element("heading", "Open positions", level=1),
        Element("heading", "Contact", level=1),
        Element("paragraph", "Write to us."),
        Element("heading", "The end", level=1),
    )
    assert [chunk.text for chunk in document.chunks] == [
        "Open positions",
        "Write to us.",
        "The end",
    ]


@pytest.mark.parametrize("parts", [[], [Element("paragraph", " \n")]])
def test_a_document_without_words_has_no_chunks(embedder: Embedder, parts: list[Element]) -> None:
    document = chunked(embedder, *parts)
    assert document.chunks == []
    assert document.embed_texts == []

"""From a question to events: what is answered is quoted, cited and checked, or not answered."""

import asyncio
from dataclasses import replace

import company
import pytest
from company import ALL, DOCS, HEIGHT, WIDTH, ask, events_of
from library import put

from rag.answer.cite import Quote, cite
from rag.answer.events import Final, Searched, Sentence
from rag.answer.pipeline import collect
from rag.appliance import Appliance
from rag.errors import BadRequest
from rag.settings import Settings
from rag.types import Access

ANSWERED = {
    "How many days of annual leave do employees have?": "thirty days",
    "What is the notice period after probation?": "three months",
    "When must a stolen laptop be reported?": "within four hours",
    "What does the analysis of mercury in water cost?": "184.50",
    "What is the price for asbestos in dust?": "310.00",
    "What do visitors have to wear in the building?": "red badge",
    "What does charging an electric car cost?": "thirty cents",
    "Wie viele Tage Sonderurlaub gibt es bei einem Umzug?": "zwei Tage Sonderurlaub",
    "¿Cuántos días por semana se puede teletrabajar?": "tres días por semana",
}
UNANSWERED = [
    "How is photosynthesis different in desert plants?",
    "Who won the football world cup in 1954?",
    "Which volcano erupted in Iceland in 2010?",
    "qwertz asdfgh yxcvbn",
    "?!",
    "0",
]


@pytest.mark.parametrize(("question", "expected"), ANSWERED.items())
def test_what_the_documents_say_is_answered(question: str, expected: str, asked: Appliance) -> None:
    final = ask(asked, question)
    assert final.status == "answered"
    assert expected in final.answer
    assert final.related == ()
    assert final.evidence >= asked.settings.answer_threshold


@pytest.mark.parametrize("question", [*ANSWERED, *UNANSWERED])
def test_events_come_in_order_and_fit_together(question: str, asked: Appliance) -> None:
    searched, *sentences, final = events_of(asked, question)
    assert isinstance(searched, Searched)
    assert isinstance(final, Final)
    assert final.searched == searched
    assert searched.collections == ("docs",)
    assert searched.n_documents == asked.store.count_documents(DOCS)
    end = 0
    for sentence in sentences:
        assert isinstance(sentence, Sentence)
        assert sentence.start >= end
        assert sentence.text == final.answer[sentence.start : sentence.end] != ""
        assert sentence.citations
        end = sentence.end
    assert end == len(final.answer)
    assert tuple(c for s in sentences for c in s.citations) == final.citations
    assert [c.id for c in final.citations] == list(range(1, len(final.citations) + 1))
    assert (final.status == "answered") == bool(sentences)
    assert (final.question, final.request_id, final.engine) == (question, "r1", "extractive")
    assert {"embed", "total"} <= final.timings_ms.keys()


@pytest.mark.parametrize("question", ANSWERED)
def test_every_citation_is_the_stored_text_at_its_offsets(question: str, asked: Appliance) -> None:
    final = ask(asked, question)
    assert final.citations
    for citation in final.citations:
        whole = asked.store.text(DOCS, citation.document_id)
        assert citation.verified
        assert citation.cited_text == whole[citation.char_start : citation.char_end]
        assert citation.header_text == whole[citation.header_start : citation.header_end]
        shown = final.answer[citation.answer_start : citation.answer_end]
        assert shown == "\n".join(filter(None, (citation.header_text, citation.cited_text)))
        (chunk,) = asked.store.chunks(DOCS, [citation.chunk_id]).values()
        assert chunk.chunk.char_start <= citation.char_start < citation.char_end
        assert citation.char_end <= chunk.chunk.char_end
        assert (chunk.document_id, chunk.title) == (citation.document_id, citation.title)


@pytest.mark.parametrize("question", [q for q in ANSWERED if "in water" in q or "asbestos" in q])
def test_a_table_row_is_quoted_with_its_header(question: str, asked: Appliance) -> None:
    final = ask(asked, question)
    citation = next(c for c in final.citations if ANSWERED[question] in c.cited_text)
    assert citation.header_text == "Analysis | Price in euro | Turnaround"
    assert citation.cited_text.count("\n") == 0
    assert final.answer[citation.answer_start :].startswith(citation.header_text + "\n")
    assert citation.heading_path[-1] == "Laboratory fees"


@pytest.mark.parametrize("question", ANSWERED)
def test_nothing_is_said_twice(question: str, asked: Appliance) -> None:
    quoted = [citation.cited_text for citation in ask(asked, question).citations]
    assert len(quoted) == len(set(quoted))
    assert sum(company.REPEATING in text for text in quoted) <= 1


def test_quotes_of_a_document_come_in_its_order(asked: Appliance) -> None:
    final = ask(asked, "What is the notice period after and during probation?")
    places: dict[int, list[int]] = {}
    for citation in final.citations:
        places.setdefault(citation.document_id, []).append(citation.char_start)
    assert all(starts == sorted(starts) for starts in places.values())
    documents = [citation.document_id for citation in final.citations]
    assert documents == sorted(documents, key=documents.index), "no document is left and taken up"


@pytest.mark.parametrize("question", UNANSWERED)
def test_what_the_documents_do_not_say_is_not_answered(question: str, asked: Appliance) -> None:
    final = ask(asked, question)
    assert (final.status, final.answer, final.citations) == ("no_evidence", "", ())
    assert 0 < len(final.related) <= 3, "the nearest passages are offered"
    assert final.evidence < asked.settings.answer_threshold
    for hit in final.related:
        assert hit.text == asked.store.text(
            DOCS, hit.chunk.document_id, hit.char_start, hit.char_end
        )


def test_an_empty_store_answers_that_there_is_nothing(settings: Settings) -> None:
    with Appliance(settings) as empty:
        final = ask(empty, "How many days of leave are there?")
    assert (final.status, final.related, final.searched.n_documents) == ("no_evidence", (), 0)
    assert final.evidence == 0


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_an_empty_question_is_a_bad_request_before_any_event(
    question: str, asked: Appliance
) -> None:
    with pytest.raises(BadRequest, match="empty") as raised:
        events_of(asked, question)
    assert raised.value.hint


@pytest.mark.parametrize("question", ["What?" * 5000, "\ud800 leave", "a\0b leave", "()[]{}\"'\\"])
def test_no_question_is_too_odd_to_be_answered_or_not(question: str, asked: Appliance) -> None:
    assert ask(asked, question).status in ("answered", "no_evidence")


def test_boxes_lie_on_the_pages_that_the_quote_stands_on(asked: Appliance) -> None:
    final = ask(asked, "What does charging an electric car cost?")
    citation = next(c for c in final.citations if "electric" in c.cited_text)
    assert (citation.page_start, citation.page_end) == (1, 2), "it runs over the page break"
    assert [box.page for box in citation.boxes] == [1, 1, 2, 2], "two lines on each"
    for box in citation.boxes:
        assert 0 <= box.x0 < box.x1 <= WIDTH
        assert 0 <= box.y0 < box.y1 <= HEIGHT


def test_nothing_from_outside_the_access_is_quoted_offered_or_counted(asked: Appliance) -> None:
    question = "What is the board's bonus for the year 2026?"
    allowed, denied = ask(asked, question, ALL), ask(asked, question, DOCS)
    assert "ninety thousand" in allowed.answer
    shown = denied.answer + "".join(hit.text for hit in denied.related)
    assert "ninety thousand" not in shown
    assert denied.searched.n_documents == allowed.searched.n_documents - 1
    nobody = ask(asked, question, Access(frozenset()))
    assert (nobody.status, nobody.related, nobody.searched.n_documents) == ("no_evidence", (), 0)


def test_no_more_quotes_than_set(asked: Appliance, settings: Settings) -> None:
    question = "What is the notice period and how many days of leave, and what about laptops?"
    one = settings.model_copy(update={"data_dir": asked.settings.data_dir, "answer_max_quotes": 1})
    with Appliance(one) as frugal:
        assert len(ask(frugal, question).citations) <= 1


def test_a_threshold_that_nothing_reaches_answers_nothing(
    asked: Appliance, settings: Settings
) -> None:
    strict = settings.model_copy(
        update={"data_dir": asked.settings.data_dir, "answer_threshold": 1.0}
    )
    with Appliance(strict) as appliance:
        assert {ask(appliance, question).status for question in ANSWERED} == {"no_evidence"}


# Documents that change while they are asked about


def test_a_quote_that_is_not_the_stored_text_is_not_cited(asked: Appliance) -> None:
    hit = asked.search("notice period", DOCS).hits[0]
    start = hit.chunk.chunk.char_start
    quote = Quote(hit, hit.chunk, start, start + 20, 0.9)
    assert cite(quote, asked.store, DOCS) is not None
    forged = replace(
        hit.chunk, chunk=replace(hit.chunk.chunk, text="x" * len(hit.chunk.chunk.text))
    )
    assert cite(replace(quote, stored=forged), asked.store, DOCS) is None
    unknown = replace(hit.chunk, id=4711)
    assert cite(replace(quote, stored=unknown), asked.store, DOCS) is None
    assert cite(quote, asked.store, Access(frozenset({"board"}))) is None


def test_a_removed_document_is_not_in_the_next_answer(changed: Appliance) -> None:
    question = "When must a stolen laptop be reported?"
    assert "four hours" in ask(changed, question).answer
    changed.store.remove_sources("docs", ["/hr/handbook.md"])
    assert "four hours" not in ask(changed, question).answer


def test_a_replaced_document_is_cited_as_it_is_now(changed: Appliance) -> None:
    text = "A lost or stolen laptop must be reported to the help desk within two days."
    put(changed.store, changed.embedder, "/hr/handbook.md", text)
    final = ask(changed, "When must a stolen laptop be reported?")
    assert final.citations[0].cited_text == text
    assert "four hours" not in final.answer


def test_a_document_removed_between_search_and_citation_is_not_cited(changed: Appliance) -> None:
    async def remove_meanwhile() -> Final:
        events = changed.answer("When must a stolen laptop be reported?", DOCS, request_id="r")
        searched = await anext(events)
        assert isinstance(searched, Searched)
        changed.store.remove_sources("docs", ["/hr/handbook.md"])
        return await collect(events)

    final = asyncio.run(remove_meanwhile())
    assert "four hours" not in final.answer + "".join(hit.text for hit in final.related)
    assert all(c.source_uri != "/hr/handbook.md" for c in final.citations)


def test_many_may_ask_at_once(asked: Appliance) -> None:
    async def ask_all() -> list[Final]:
        streams = [asked.answer(question, DOCS, request_id=question) for question in ANSWERED]
        return await asyncio.gather(*(collect(stream) for stream in streams))

    for final, (question, expected) in zip(asyncio.run(ask_all()), ANSWERED.items(), strict=True):
        assert final.request_id == question
        assert expected in final.answer

"""Answers that an engine writes: what a reader gets of them, and what when it fails."""

import asyncio
import math
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

import pytest
from company import ALL, DOCS

from rag.answer.conversation import Turn
from rag.answer.events import Event, Final, Notice, Searched, Sentence
from rag.answer.options import Options
from rag.answer.prompts import NOT_FOUND, PROMPT_VERSION, SYSTEM
from rag.appliance import Appliance
from rag.errors import EngineBusy
from rag.types import Access
from tests.fakes.vllm import FakeVLLM, fake_vllm

QUESTION = "How many days of annual leave do employees have?"
LEAVE = "Every employee has thirty days of paid annual leave."
LOST = "Leave not taken by the end of March of the following year is lost."
NOTICE = "After probation the notice period is three months to the end of a month."


def key_of(body: dict[str, Any], phrase: str) -> str:
    """The key of the passage that has the phrase, as a model would find it in its prompt."""
    prompt = body["messages"][-1]["content"]
    before = prompt[: prompt.index(phrase)]
    return re.findall(r"^### \w+ \[(\w{4})\]", before, re.MULTILINE)[-1]


def citing(*pieces: str) -> Callable[[dict[str, Any]], str]:
    """An answer with `{phrase}` as the marker of the passage that has the phrase."""

    def write(body: dict[str, Any]) -> str:
        text = "".join(pieces)
        return re.sub(r"\{([^}]+)\}", lambda m: f"[{key_of(body, m[1])}]", text)

    return write


ANSWER = citing(f"{LEAVE} {{thirty days}}")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeVLLM]:
    with fake_vllm() as fake:
        yield fake


@pytest.fixture
def engine(server: FakeVLLM) -> FakeVLLM:
    """The engine as if nothing had been asked of it yet."""
    server.heal()
    server.answer, server.tokens_per_s, server.first_token_s = ANSWER, math.inf, 0.0
    server.received.clear()
    return server


@contextmanager
def opened(appliance: Appliance, engine: FakeVLLM, **more: Any) -> Iterator[Appliance]:
    """The company's appliance with this engine."""
    changes = {"engine_url": engine.url, "allow_unguarded": True, **more}
    with Appliance(appliance.settings.model_copy(update=changes)) as written:
        yield written


@pytest.fixture(scope="module")
def steady(asked: Appliance, server: FakeVLLM) -> Iterator[Appliance]:
    with opened(asked, server) as appliance:
        yield appliance


@pytest.fixture
def written(steady: Appliance, engine: FakeVLLM) -> Appliance:
    """For tests in which nothing breaks."""
    return steady


def events_of(
    appliance: Appliance, question: str = QUESTION, access: Access = DOCS, **options: Any
) -> list[Event]:
    async def listen() -> list[Event]:
        stream = appliance.answer(question, access, request_id="r", options=Options(**options))
        found = [event async for event in stream]
        async with asyncio.timeout(10):  # what the client's library closes, it closes in a task
            while asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0.01)
        return found

    return asyncio.run(listen())


def ask(appliance: Appliance, question: str = QUESTION, **options: Any) -> Final:
    final = events_of(appliance, question, **options)[-1]
    assert isinstance(final, Final)
    return final


def prompt_of(engine: FakeVLLM, n: int = -1) -> str:
    return cast(str, engine.received[n].body["messages"][-1]["content"])


def test_a_sentence_is_shown_with_the_passage_that_it_rests_on(
    written: Appliance, engine: FakeVLLM
) -> None:
    final = ask(written)
    assert (final.status, final.answer, final.engine) == ("answered", LEAVE, engine.model)
    (citation,) = final.citations
    assert citation.cited_text == LEAVE
    stored = written.store.text(DOCS, citation.document_id, citation.char_start, citation.char_end)
    assert stored == citation.cited_text
    assert citation.verified
    assert final.support.share == 1
    assert final.prompt_version == PROMPT_VERSION
    assert final.usage is not None and final.usage.prompt_tokens > 100
    assert {"pack", "wait", "first_token", "engine", "total"} <= final.timings_ms.keys()


def test_the_engine_gets_the_rules_then_the_passages_and_the_question_last(
    written: Appliance, engine: FakeVLLM
) -> None:
    ask(written)
    system, user = engine.received[-1].body["messages"]
    assert system == {"role": "system", "content": SYSTEM}
    assert user["content"].index("thirty days") < user["content"].index(QUESTION)


def test_two_questions_over_the_same_passages_begin_with_the_same_bytes(
    written: Appliance, engine: FakeVLLM
) -> None:
    ask(written)
    ask(written, QUESTION.lower())
    one, two = prompt_of(engine, 0), prompt_of(engine, 1)
    shared = next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    assert one[:shared].endswith("end of passages\n\nQuestion:\n")


def test_callers_who_may_read_different_things_share_no_cache_and_no_keys(
    written: Appliance, engine: FakeVLLM
) -> None:
    events_of(written, access=DOCS)
    events_of(written, access=ALL)
    one, two = (received.body["cache_salt"] for received in engine.received)
    assert one != two
    assert all(re.fullmatch(r"[0-9a-f]{64}", salt) for salt in (one, two))
    assert key_of(engine.received[0].body, LEAVE) != key_of(engine.received[1].body, LEAVE)


def test_what_may_not_be_read_is_not_in_the_prompt(written: Appliance, engine: FakeVLLM) -> None:
    events_of(written, "What is the board's bonus?", access=DOCS)
    assert all("ninety thousand" not in prompt_of(engine, n) for n in range(len(engine.received)))


def test_a_sentence_that_its_passage_does_not_bear_out_is_marked(
    written: Appliance, engine: FakeVLLM
) -> None:
    wrong = "Every employee has thirty-five days of paid annual leave."
    engine.answer = citing(f"{LEAVE} {{thirty days}} {wrong} {{thirty days}}")
    final = ask(written)
    good, bad = final.sentences
    assert good.supported and not bad.supported
    assert bad.text == wrong and "thirty-five" in bad.reason
    assert [citation.verified for citation in bad.citations] == [False]
    assert (final.support.n_sentences, final.support.n_supported) == (2, 1)


def test_a_sentence_that_is_not_borne_out_is_left_out_where_that_is_set(
    asked: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} There are ninety days. {{thirty days}}")
    with opened(asked, engine, answer_unsupported="drop") as written:
        final = ask(written)
    assert final.answer == LEAVE
    assert (final.support.n_sentences, final.support.n_dropped) == (2, 1)
    assert final.support.share == 0.5


def test_a_sentence_without_a_key_is_not_supported(written: Appliance, engine: FakeVLLM) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} {LOST}")
    _, bad = ask(written).sentences
    assert (bad.supported, bad.citations, bad.reason) == (False, (), "it cites nothing")


def test_a_key_of_nothing_is_removed_and_counted(written: Appliance, engine: FakeVLLM) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}}[zz99]")
    final = ask(written)
    assert final.answer == LEAVE
    assert final.support.n_unknown_keys == 1
    assert len(final.citations) == 1


def test_headings_and_lists_keep_their_shape(written: Appliance, engine: FakeVLLM) -> None:
    engine.answer = citing(
        f"## Leave\n\n- {LEAVE} {{thirty days}}\n- {LOST} {{end of March}}\n\n"
        f"## Notice\n\n{NOTICE} {{three months}}\n\n## Nothing below\n"
    )
    final = ask(written)
    assert final.answer == f"## Leave\n\n- {LEAVE}\n- {LOST}\n\n## Notice\n\n{NOTICE}"
    assert [s.kind for s in final.sentences] == ["lead", "written", "written", "lead", "written"]
    assert final.answer == "".join(s.glue + s.text for s in final.sentences)
    assert final.support.n_sentences == 3


def test_a_heading_that_says_what_no_passage_says_is_not_shown(
    written: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = citing(f"## 45 days for all\n\n{LEAVE} {{thirty days}}")
    assert ask(written).answer == LEAVE


def test_links_images_and_markup_do_not_survive(written: Appliance, engine: FakeVLLM) -> None:
    engine.answer = citing(
        f"{LEAVE} {{thirty days}} ![x](https://evil.example/?q=1)[Click](javascript:alert(1)) "
        "<img src=x onerror=alert(1)> {thirty days}"
    )
    answer = ask(written).answer
    for bad in ("https://", "](", "<img", "javascript:"):
        assert bad not in answer


def test_the_named_phrase_means_that_the_documents_do_not_say(
    written: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = lambda body: NOT_FOUND
    final = ask(written)
    assert (final.status, final.answer, final.engine) == ("no_evidence", "", engine.model)
    assert final.related


def test_who_is_in_no_passage_is_left_to_the_engine_to_say(
    written: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = lambda _: NOT_FOUND
    question = "How many days of annual leave does the employee Dupont have?"
    final = ask(written, question)
    assert (final.status, final.searched.unnamed) == ("no_evidence", ("Dupont",))
    assert final.evidence < 0.01
    assert len(engine.received) == 1, "quotes would not have been given"


def test_the_answer_comes_in_the_language_of_the_question(
    written: Appliance, engine: FakeVLLM
) -> None:
    for question, language in (
        ("Wie viele Tage Sonderurlaub gibt es bei einem Umzug?", "German"),
        ("¿Cuántos días por semana se puede teletrabajar?", "Spanish"),
        (QUESTION, "English"),
    ):
        ask(written, question)
        assert f"Answer in {language}" in prompt_of(engine)


def test_how_much_is_read_is_chosen_for_each_question(asked: Appliance, engine: FakeVLLM) -> None:
    with opened(asked, engine, answer_depth="quick") as written:
        assert ask(written).depth == "quick"
        assert ask(written, depth="exhaustive").depth == "exhaustive"


@pytest.mark.parametrize("fault", ["close", "html", "error", "busy", "rate", "event", "overflow"])
def test_an_engine_that_fails_at_once_gives_quotes_and_a_notice(
    asked: Appliance, engine: FakeVLLM, fault: Any
) -> None:
    engine.fail(fault, after=0)
    with opened(asked, engine) as written:
        final = ask(written)
    assert (final.status, final.engine) == ("answered", "extractive")
    assert LEAVE in final.answer
    assert [notice.kind for notice in final.notices][-1] == "fallback"


def test_an_engine_that_is_down_gives_quotes_and_is_used_again_when_it_is_back(
    asked: Appliance,
) -> None:
    with fake_vllm(answer=ANSWER) as engine, opened(asked, engine) as written:
        engine.stop()
        final = ask(written)
        assert final.engine == "extractive" and LEAVE in final.answer
        assert "cannot be reached" in final.notices[-1].text
        engine.start()
        assert ask(written).engine == engine.model


def test_an_engine_too_slow_to_begin_gives_quotes(asked: Appliance, engine: FakeVLLM) -> None:
    engine.first_token_s = 5
    with opened(asked, engine, engine_first_token_timeout_s=0.2) as written:
        final = ask(written)
    assert final.engine == "extractive"
    assert "takes too long" in final.notices[-1].text


@pytest.mark.parametrize("fault", ["drop", "stall", "garbage", "cut"])
def test_an_engine_that_breaks_off_leaves_what_was_checked_and_says_so(
    asked: Appliance, engine: FakeVLLM, fault: Any
) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} {LOST} {{end of March}} {NOTICE}")
    engine.fail(fault, after=40)
    with opened(asked, engine, engine_token_timeout_s=2.0) as written:
        final = ask(written)
    assert final.answer.startswith(LEAVE)
    assert final.engine == engine.model
    assert final.notices[-1].kind == "incomplete"


def test_an_answer_that_is_too_long_is_cut_after_a_sentence(
    asked: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} " * 20)
    with opened(asked, engine, engine_answer_tokens=64) as written:
        final = ask(written)
    assert final.answer.endswith(LEAVE)
    assert final.notices[-1].kind == "incomplete"


def test_a_reader_who_leaves_stops_the_engine(written: Appliance, engine: FakeVLLM) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} " * 100)
    engine.tokens_per_s = 200

    async def leave() -> None:
        stream = written.answer(QUESTION, DOCS, request_id="r")
        async with aclosing(cast(Any, stream)) as events:
            async for event in events:
                if isinstance(event, Sentence):
                    break

    asyncio.run(leave())
    assert engine.received[-1].left.wait(5)


def test_without_a_guard_the_reader_is_told(written: Appliance) -> None:
    notices = [event for event in events_of(written) if isinstance(event, Notice)]
    assert [notice.kind for notice in notices] == ["unguarded"]


def test_a_question_beyond_the_waiting_places_is_refused_before_anything_is_sent(
    asked: Appliance, engine: FakeVLLM
) -> None:
    engine.tokens_per_s = 20
    with opened(asked, engine, engine_concurrency=1, engine_waiting=1) as written:

        async def crowd() -> None:
            async def one() -> None:
                async for _ in written.answer(QUESTION, DOCS, request_id="r"):
                    pass

            first = asyncio.create_task(one())
            await asyncio.to_thread(engine.next_request)
            second = asyncio.create_task(one())
            while (
                written.writer is None
                or written.writer.admission is None
                or (written.writer.admission.n_waiting == 0)
            ):
                await asyncio.sleep(0.01)
            with pytest.raises(EngineBusy) as busy:
                await one()
            assert busy.value.retry_after_s >= 1
            assert b'{by="none",status="error_429"} 1.0' in written.metrics.render()[0]
            for task in (first, second):
                task.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

        asyncio.run(crowd())


def test_a_rewrite_takes_a_place_too_and_where_there_is_none_the_rule_makes_it(
    asked: Appliance, engine: FakeVLLM
) -> None:
    engine.tokens_per_s = 5
    with opened(asked, engine, engine_concurrency=1, engine_wait_s=0.2) as written:

        async def crowd() -> list[Event]:
            async def first() -> None:
                async for _ in written.answer(QUESTION, DOCS, request_id="r"):
                    pass

            running = asyncio.create_task(first())
            while not engine.received:
                await asyncio.sleep(0.01)
            options = Options(history=(Turn(QUESTION, LEAVE),))
            asking = "And what if it is not taken?"
            stream = written.answer(asking, DOCS, request_id="r", options=options)
            found = [event async for event in stream]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return found

        found = asyncio.run(crowd())
    searched = next(event for event in found if isinstance(event, Searched))
    assert "annual leave" in searched.query, "what it leans on, by the rule"
    assert [notice.kind for notice in found if isinstance(notice, Notice)][-1] == "fallback"
    assert len(engine.received) == 1


def test_a_follow_up_is_searched_as_it_stands_alone(written: Appliance, engine: FakeVLLM) -> None:
    alone = "What happens to annual leave that is not taken?"

    def write(body: dict[str, Any]) -> str:
        if "Last question" in body["messages"][-1]["content"]:
            return alone
        return citing(f"{LOST} {{end of March}}")(body)

    engine.answer = write
    history = (Turn(QUESTION, LEAVE),)
    found = events_of(written, "And what if it is not taken?", history=history)
    searched = next(event for event in found if isinstance(event, Searched))
    assert searched.query == alone
    assert LEAVE in prompt_of(engine)
    kept = events_of(written, "And what if it is not taken?", history=history, rewrite=False)
    searched = next(event for event in kept if isinstance(event, Searched))
    assert searched.query == "And what if it is not taken?"

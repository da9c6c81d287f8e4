"""The engine, the guard and research together: what nobody has judged, nobody reads."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from company import DOCS
from test_written import ANSWER, LEAVE, LOST, QUESTION, citing, events_of, opened

from rag.answer.conversation import Turn
from rag.answer.events import Final, Searched, Sentence, Step
from rag.answer.prompts import PROMPT_VERSION
from rag.appliance import Appliance
from rag.store import Wanted
from tests.fakes.vllm import Call, FakeVLLM, fake_vllm

POISON = "Every employee must drink the poison by the end of March."


def judge(messages: list[dict[str, Any]]) -> str:
    return "unsafe\nS1" if any("poison" in m["content"] for m in messages) else "safe"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[FakeVLLM, FakeVLLM]]:
    with fake_vllm() as engine, fake_vllm(judge=judge) as guard:
        yield engine, guard


@pytest.fixture
def engine(servers: tuple[FakeVLLM, FakeVLLM]) -> FakeVLLM:
    engine, _ = servers
    engine.answer, engine.tokens_per_s = ANSWER, float("inf")
    engine.received.clear()
    return engine


@pytest.fixture
def guard(servers: tuple[FakeVLLM, FakeVLLM]) -> FakeVLLM:
    _, guard = servers
    guard.heal()
    guard.received.clear()
    return guard


@pytest.fixture
def written(changed: Appliance, engine: FakeVLLM, guard: FakeVLLM) -> Iterator[Appliance]:
    more = {"allow_unguarded": False, "guard_url": guard.url, "guard_timeout_s": 1.0}
    with opened(changed, engine, **more) as appliance:
        yield appliance


def final_of(found: list[Any]) -> Final:
    assert isinstance(found[-1], Final)
    return found[-1]


def shown(found: list[Any]) -> str:
    return "".join(event.text for event in found if isinstance(event, Sentence))


def test_the_question_and_the_whole_answer_are_judged(written: Appliance, guard: FakeVLLM) -> None:
    final = final_of(events_of(written))
    assert (final.status, final.answer, final.notices) == ("answered", LEAVE, ())
    conversations = [[m["content"] for m in r.body["messages"]] for r in guard.received]
    assert [QUESTION] in conversations
    assert [QUESTION, LEAVE] in conversations


def test_what_the_guard_blocks_is_taken_back_and_kept_for_admins(
    written: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} {POISON} {{end of March}}")
    found = events_of(written)
    final = final_of(found)
    assert (final.status, final.answer, final.citations) == ("blocked", "", ())
    assert final.categories == ("S1",)
    assert "poison" not in shown(found)
    (kept,) = written.store.withheld.listed(10)
    assert (kept.status, kept.stage, kept.request_id) == ("blocked", "answer", "r")
    assert kept.question == QUESTION and POISON in kept.text


def test_the_audit_record_has_the_prompts_version_the_engine_and_every_verdict(
    written: Appliance,
) -> None:
    before = written.store.audit.head().seq
    final = final_of(events_of(written))
    detail = written.store.audit.read(Wanted(after=before, kind="answer"))[0].detail
    assert detail["prompt_version"] == final.prompt_version == PROMPT_VERSION
    assert (detail["engine"], detail["guard"]) == (final.engine, "on")
    assert {(each["on"], each["action"]) for each in detail["verdicts"]} == {
        ("question", "pass"),
        ("answer", "pass"),
    }
    events_of(written, "How much poison do employees get?")
    blocked = written.store.audit.read(Wanted(after=before, kind="answer"))[-1].detail
    assert (blocked["status"], blocked["categories"]) == ("blocked", ["S1"])
    assert ("question", "block") in {(each["on"], each["action"]) for each in blocked["verdicts"]}


def test_a_question_that_is_blocked_never_reaches_the_engine(
    written: Appliance, engine: FakeVLLM
) -> None:
    final = final_of(events_of(written, "How much poison do employees get?"))
    assert final.status == "blocked"
    assert not engine.received
    assert written.store.withheld.listed(10)[0].stage == "question"


def test_a_guard_that_dies_in_the_middle_lets_nothing_more_through(
    written: Appliance, engine: FakeVLLM, guard: FakeVLLM
) -> None:
    engine.answer = citing(f"{LEAVE} {{thirty days}} " * 40)
    engine.tokens_per_s = 400

    async def listen() -> list[Any]:
        found = []
        async for event in written.answer(QUESTION, DOCS, request_id="r"):
            found.append(event)
            if isinstance(event, Sentence):
                guard.fail("close")
        return found

    found = asyncio.run(listen())
    assert 0 < len([e for e in found if isinstance(e, Sentence)]) < 40
    assert (final_of(found).status, final_of(found).answer) == ("no_verdict", "")
    guard.heal()
    engine.answer = ANSWER
    assert final_of(events_of(written)).status == "answered"


def test_a_rewritten_question_is_judged_before_it_is_shown(
    written: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = lambda body: "Where is the poison kept?"
    found = events_of(written, "And where is it kept?", history=(Turn(QUESTION, LEAVE),))
    searched = next(event for event in found if isinstance(event, Searched))
    assert searched.query == "And where is it kept?"
    assert final_of(found).status == "blocked"


def researching(*calls: tuple[str, dict[str, Any]], answer: Any) -> Any:
    """Makes these calls one after the other, then writes the answer."""

    def write(body: dict[str, Any]) -> Any:
        if not body.get("tools"):
            return answer(body)
        n_made = sum(message["role"] == "tool" for message in body["messages"])
        if n_made >= len(calls):
            return "DONE"
        name, arguments = calls[n_made]
        return [Call(name, json.dumps(arguments))]

    return write


def test_research_shows_its_steps_and_the_answer_cites_what_it_found(
    written: Appliance, engine: FakeVLLM
) -> None:
    calls = [("search", {"query": "mercury in water price"}), ("open_document", {"document": 1})]
    engine.answer = researching(*calls, answer=citing("Mercury costs 184.50 euro. {184.50}"))
    found = events_of(written, "What do we charge?", research=True)
    steps = [event for event in found if isinstance(event, Step)]
    assert [step.tool for step in steps] == ["search", "open_document"]
    assert found.index(steps[-1]) < next(
        i for i, event in enumerate(found) if isinstance(event, Searched)
    )
    final = final_of(found)
    assert final.steps == tuple(steps)
    assert final.answer == "Mercury costs 184.50 euro."
    assert final.citations[0].title == "fees"
    assert final.usage is not None


def test_without_being_asked_for_there_is_no_research(written: Appliance, engine: FakeVLLM) -> None:
    engine.answer = researching(("search", {"query": "leave"}), answer=ANSWER)
    found = events_of(written)
    assert not [event for event in found if isinstance(event, Step)]
    assert len(engine.received) == 1


def test_a_guard_that_is_silent_about_a_result_ends_the_research(
    written: Appliance, engine: FakeVLLM, guard: FakeVLLM
) -> None:
    def call(body: dict[str, Any]) -> Any:
        guard.fail("close")
        return [Call("search", json.dumps({"query": "annual leave"}))]

    engine.answer = call
    final = final_of(events_of(written, research=True))
    assert (final.status, final.answer) == ("no_verdict", "")
    assert written.store.withheld.listed(10)[0].stage == "tool"


def test_a_result_that_is_unsafe_is_kept_for_admins_and_the_answer_given_without_it(
    written: Appliance, engine: FakeVLLM, guard: FakeVLLM
) -> None:
    engine.answer = researching(("search", {"query": "poison"}), answer=ANSWER)
    final = final_of(events_of(written, research=True))
    assert [step.outcome for step in final.steps] == ["withheld"]
    assert (final.status, final.answer) == ("answered", LEAVE)
    [kept] = written.store.withheld.listed(10)
    assert (kept.status, kept.stage) == ("blocked", "tool")
    assert "poison" in kept.text


def test_an_engine_that_fails_in_the_research_is_asked_for_the_answer_all_the_same(
    written: Appliance, engine: FakeVLLM
) -> None:
    engine.answer = citing(f"{LOST} {{end of March}}")
    engine.fail("error", times=2)
    final = final_of(events_of(written, research=True))
    assert (final.answer, final.steps) == (LOST, ())

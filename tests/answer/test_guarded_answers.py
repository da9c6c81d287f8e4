"""Answers with a guard: what it lets pass, what it takes back, and what happens without it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from company import DOCS, ask

from rag.answer.events import Event, Final, Notice, Sentence
from rag.answer.guard import Verdict
from rag.answer.pipeline import answer, collect
from rag.appliance import Appliance
from rag.errors import ConfigError
from rag.settings import Settings
from tests.fakes.vllm import FakeVLLM, fake_vllm

QUESTION = "How many days of annual leave do employees have?"
SAFE = Verdict("pass", "safe")
UNSAFE = Verdict("block", "unsafe", ("S1",))
NONE = Verdict("block", "none", reason="down")
WARN = Verdict("warn", "unsafe", ("S7",))


@dataclass
class Judge:
    """Gives one verdict on the question and one after the other on the answer as it grows."""

    question: Verdict = SAFE
    answers: tuple[Verdict, ...] = (SAFE,)
    judged: list[str] = field(default_factory=list)

    async def judge(self, question: str, answer: str | None = None) -> Verdict:
        if answer is None:
            return self.question
        self.judged.append(answer)
        return self.answers[min(len(self.judged), len(self.answers)) - 1]

    async def aclose(self) -> None:
        pass


def events(appliance: Appliance, guard: Judge) -> list[Event]:
    async def run() -> list[Event]:
        with appliance.held() as held:
            stream = answer(QUESTION, DOCS, replace(held, guard=guard), request_id="r")
            found = [event async for event in stream]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return found

    return asyncio.run(run())


def final_of(found: list[Event]) -> Final:
    assert isinstance(found[-1], Final)
    return found[-1]


def test_what_passes_is_what_would_be_answered_without_a_guard(asked: Appliance) -> None:
    guard = Judge()
    final = final_of(events(asked, guard))
    assert final.status == "answered"
    assert final.answer == ask(asked, QUESTION).answer
    assert "".join(final.answer.split()) == "".join(guard.judged[-1].split())


@pytest.mark.parametrize(("verdict", "status"), [(UNSAFE, "blocked"), (NONE, "no_verdict")])
def test_a_question_that_does_not_pass_gets_nothing(
    asked: Appliance, verdict: Verdict, status: str
) -> None:
    found = events(asked, Judge(question=verdict))
    final = final_of(found)
    assert not [event for event in found if isinstance(event, Sentence)]
    assert (final.status, final.answer, final.citations, final.related) == (status, "", (), ())
    assert final.categories == verdict.categories


@pytest.mark.parametrize(("verdict", "status"), [(UNSAFE, "blocked"), (NONE, "no_verdict")])
def test_an_answer_that_does_not_pass_is_taken_back(
    asked: Appliance, verdict: Verdict, status: str
) -> None:
    final = final_of(events(asked, Judge(answers=(SAFE, verdict))))
    whole = final_of(events(asked, Judge()))
    if len(whole.sentences) > 1:
        assert (final.status, final.answer, final.sentences) == (status, "", ())
    only = final_of(events(asked, Judge(answers=(verdict,))))
    assert (only.status, only.answer, only.citations, only.related) == (status, "", (), ())


def test_a_warning_is_told_once_and_the_answer_shown(asked: Appliance) -> None:
    found = events(asked, Judge(question=WARN, answers=(WARN,)))
    final = final_of(found)
    assert final.status == "answered"
    assert [n.text for n in found if isinstance(n, Notice)] == ["The guard marks this as: privacy."]
    assert [n.kind for n in final.notices] == ["warning"]


@pytest.fixture
def guard() -> Iterator[FakeVLLM]:
    with fake_vllm(judge=lambda messages: "safe") as server:
        yield server


def test_a_guard_that_dies_stops_answers_until_it_is_back(
    changed: Appliance, guard: FakeVLLM
) -> None:
    def status() -> str:
        with Appliance(changed.settings.model_copy(update={"guard_url": guard.url})) as guarded:
            return asyncio.run(collect(guarded.answer(QUESTION, DOCS, request_id="r"))).status

    assert status() == "answered"
    guard.stop()
    assert status() == "no_verdict"
    guard.start()
    assert status() == "answered"


def test_an_engine_without_a_guard_is_not_started_unless_that_is_said_and_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with_engine = settings.model_copy(update={"engine_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(ConfigError, match="no guard"):
        Appliance(with_engine)
    with Appliance(with_engine.model_copy(update={"allow_unguarded": True})) as appliance:
        assert appliance.guard is None
    [said] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "CITADEL_ALLOW_UNGUARDED" in said.getMessage()

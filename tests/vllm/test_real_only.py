"""What the real server does with its model's weights, which the fake does not have."""

from tests.vllm.contract import RealServer
from tests.vllm.serve import Line, RealVLLM

QUESTION = "How many days of leave are there?"
CHOICES = ["thirty", "forty", "none at all"]


def said(engine: RealVLLM, **more: object) -> str:
    content: str = RealServer(engine).chat(QUESTION, **more)["choices"][0]["message"]["content"]
    return content


def test_a_choice_is_kept_to_and_is_the_same_each_time(real_engine: RealVLLM) -> None:
    asked = {"structured_outputs": {"choice": CHOICES}}
    first = said(real_engine, **asked)
    assert first in CHOICES
    assert said(real_engine, **asked) == first


def test_a_regular_expression_is_kept_to(real_engine: RealVLLM) -> None:
    asked = {"structured_outputs": {"regex": r"safe|unsafe S(1|2)"}}
    assert said(real_engine, **asked) in ("safe", "unsafe S1", "unsafe S2")


def test_the_old_name_of_a_choice_is_silently_ignored(real_engine: RealVLLM) -> None:
    assert said(real_engine, guided_choice=CHOICES) not in CHOICES


def test_what_it_writes_is_the_same_each_time(real_engine: RealVLLM) -> None:
    assert said(real_engine) == said(real_engine)


def test_a_scripted_answer_cites_the_passage_that_it_names(real_engine: RealVLLM) -> None:
    passages = "[k3f9] Leave\nThirty days.\n[a2b1] Notice\nNinety days.\n"
    real_engine.script(Line("It is long. [key of Ninety days]", when="Notice"))
    answer = RealServer(real_engine).chat(passages + QUESTION)["choices"][0]["message"]["content"]
    assert answer == "It is long. [a2b1]"
    assert said(real_engine) != answer, "a prompt without what the line is for"

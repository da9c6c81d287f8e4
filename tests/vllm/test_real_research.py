"""Research with a real vLLM: its parser reads the calls, its template takes their results."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from library import put

from rag.answer.engine import Engine
from rag.answer.events import Step
from rag.answer.guard import Guard
from rag.answer.llama_guard import LlamaGuard
from rag.answer.openai_engine import OpenAIEngine
from rag.answer.research import Gathered, GuardSilent, research
from rag.answer.tokens import token_counter
from rag.appliance import Appliance
from rag.search.embed import Embedder
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.store import Store
from rag.types import Access
from tests.vllm.serve import WINDOW_TOKENS, Line, RealVLLM

DOCS = Access(frozenset({"docs"}))
QUESTION = "How long is the leave, and when does the canteen open?"
LEAVE = "Every employee has thirty days of paid annual leave."
CANTEEN = "The canteen opens at half past eleven and has no poison on its menu."
DONE = "DONE"
WAIT_S = 60


def call(name: str, **arguments: object) -> str:
    """A call as Llama writes it."""
    return json.dumps({"name": name, "parameters": arguments})


@dataclass(frozen=True)
class Parts:
    """What a research is done with."""

    settings: Settings
    store: Store
    retriever: Retriever
    engine: Engine | None
    guard: Guard | None = None


@pytest.fixture
def appliance(settings: Settings, embedder: Embedder) -> Iterator[Appliance]:
    with Appliance(settings) as opened:
        put(opened.store, embedder, "/leave.txt", LEAVE)
        put(opened.store, embedder, "/canteen.txt", CANTEEN)
        yield opened


def gather(
    appliance: Appliance, real: RealVLLM, guard: RealVLLM | None = None
) -> tuple[list[Step], Gathered]:
    async def run() -> tuple[list[Step], Gathered]:
        settings = appliance.settings.model_copy(
            update={"engine_url": real.url, "guard_timeout_s": WAIT_S}
            | {"engine_model_dir": real.model_dir, "guard_url": guard.url if guard else None}
        )
        engine = OpenAIEngine(settings)
        judge = LlamaGuard(settings) if guard else None
        with appliance.held() as held:
            parts = Parts(settings, held.store, held.retriever, engine, judge)
        count = await token_counter(settings, engine)
        stream = research(
            QUESTION, parts, DOCS, count=count, window_tokens=WINDOW_TOKENS[real.name]
        )
        *steps, last = [item async for item in stream]
        assert isinstance(last, Gathered)
        return [step for step in steps if isinstance(step, Step)], last

    return asyncio.run(run())


def test_calls_are_parsed_and_their_results_read(
    appliance: Appliance, real_engine: RealVLLM
) -> None:
    """Each line answers the prompt that has the result of the one before."""
    real_engine.script(
        Line(DONE, when="The document has parts"),
        Line(call("open_document", document=1), when="half past eleven"),
        Line(call("search", query="opening hours of the canteen"), when="thirty days of paid"),
        Line(call("search", query="annual leave")),
    )
    steps, gathered = gather(appliance, real_engine)
    assert [(step.tool, step.outcome) for step in steps] == [
        ("search", "ok"),
        ("open_document", "ok"),
    ]
    assert {hit.chunk.title for hit in gathered.hits} == {"leave", "canteen"}
    assert gathered.ended == "done"
    assert gathered.usage is not None
    assert gathered.usage.cached_tokens > 0


@pytest.mark.parametrize(
    "written",
    [
        call("search"),
        call("search", query=5),
        call("search", query="leave", k=5),
        '{"name": "search", "parameters": "leave"}',
        call("search", query="leave " * 1000),
        "{nonsense",
        'I search: {"name": "search", "parameters": {"query": "leave"}}',
    ],
)
def test_a_malformed_call_is_answered_and_research_goes_on(
    appliance: Appliance, real_engine: RealVLLM, written: str
) -> None:
    """These are what its grammar for calls leaves possible, one that is cut off among them."""
    real_engine.script(
        Line(DONE, when="thirty days of paid"),
        Line(call("search", query="annual leave"), when="Error: "),
        Line(written),
    )
    steps, gathered = gather(appliance, real_engine)
    assert [step.outcome for step in steps] == ["error", "ok"]
    assert gathered.ended == "done"
    assert gathered.hits


def test_a_result_is_withheld_by_a_real_guard(
    appliance: Appliance, real_engine: RealVLLM, real_guard: RealVLLM
) -> None:
    real_engine.script(
        Line(DONE, when="withheld by policy"), Line(call("search", query="canteen and leave"))
    )
    steps, gathered = gather(appliance, real_engine, real_guard)
    assert [step.outcome for step in steps] == ["withheld"]
    assert gathered.hits == ()


def test_without_its_guard_research_ends(
    appliance: Appliance, real_engine: RealVLLM, real_guard: RealVLLM
) -> None:
    real_engine.script(Line(call("search", query="annual leave")))
    real_guard.kill()
    with pytest.raises(GuardSilent):
        gather(appliance, real_engine, real_guard)

"""What a search, a question and an answer leave in the audit records; none goes without."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import company
import pytest
from company import ALL, DOCS, ask

from rag.acting import Actor, acting
from rag.appliance import Appliance
from rag.errors import StoreError
from rag.search.embed import Embedder
from rag.settings import Settings
from rag.store import Record, Wanted

LEAVE = "How many days of paid annual leave does every employee have?"


@pytest.fixture(scope="module")
def appliance(
    tmp_path_factory: pytest.TempPathFactory, model_home: Path, embedder: Embedder
) -> Iterator[Appliance]:
    data_dir = tmp_path_factory.mktemp("recorded")
    (data_dir / "models").symlink_to(model_home / "models")
    with Appliance(Settings(data_dir=data_dir, embed_backend="openvino")) as appliance:
        company.fill(appliance.store, embedder)
        yield appliance


def since(appliance: Appliance, seq: int) -> list[Record]:
    return appliance.store.audit.read(Wanted(after=seq))


def with_mode(appliance: Appliance, mode: str) -> Settings:
    return appliance.settings.model_copy(update={"audit_questions": mode})


def test_an_answer_is_recorded_with_what_was_found_and_what_it_cites(appliance: Appliance) -> None:
    before = appliance.store.audit.head().seq
    final = ask(appliance, LEAVE)
    asked, answered = since(appliance, before)
    keyed = appliance.store.audit.keyed
    assert (asked.kind, answered.kind) == ("question", "answer")
    assert asked.detail["request"] == answered.detail["request"] == "r1"
    assert asked.detail["question_hash"] == keyed(LEAVE)
    assert asked.detail["collections"] == ["docs"]
    assert asked.detail["index_seq"] == appliance.store.head()
    assert asked.detail["model"] == appliance.embedder.model_id
    cited = answered.detail["cited"]
    assert cited == [[c.document_id, c.chunk_id, keyed(c.cited_text)] for c in final.citations]
    assert {chunk for _, chunk, _ in cited} <= {chunk for chunk, _ in asked.detail["chunks"]}
    assert (answered.detail["status"], answered.detail["engine"]) == ("answered", "extractive")
    assert appliance.store.audit.verify().problems == []


def test_a_search_is_recorded_with_its_passages(appliance: Appliance) -> None:
    before = appliance.store.audit.head().seq
    token = acting.set(Actor("user", 9, how="key", credential=3))
    result = appliance.search("mercury in water", DOCS, 3)
    acting.reset(token)
    [record] = since(appliance, before)
    assert record.kind == "search"
    assert record.actor == {"kind": "user", "number": 9, "how": "key", "credential": 3}
    found = [member.id for hit in result.hits for member in hit.members]
    assert [chunk for chunk, _ in record.detail["chunks"]] == found
    assert record.detail["question_hash"] == appliance.store.audit.keyed("mercury in water")


@pytest.mark.parametrize("mode", ["clear", "hashed", "none"])
def test_what_was_asked_is_kept_as_the_setting_says(
    appliance: Appliance, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliance, "settings", with_mode(appliance, mode))
    before = appliance.store.audit.head().seq
    ask(appliance, LEAVE)
    asked = since(appliance, before)[0]
    assert (asked.private or {}).get("question") == (LEAVE if mode == "clear" else None)
    assert ("question_hash" in asked.detail) == (mode == "hashed")


def test_no_record_holds_a_text_of_a_document(appliance: Appliance) -> None:
    ask(appliance, "What is the board's bonus?", ALL)
    with sqlite3.connect(appliance.settings.data_dir / "citadel.db") as database:
        rows = [
            *database.execute("SELECT record FROM audit"),
            *database.execute("SELECT texts FROM audit_private"),
        ]
    database.close()
    everything = json.dumps(rows)
    assert "question" in everything
    assert "bonus" not in everything
    assert "thirty days" not in everything


def test_who_leaves_before_the_end_is_recorded(appliance: Appliance) -> None:
    before = appliance.store.audit.head().seq

    async def leave_early() -> None:
        events = appliance.answer(LEAVE, DOCS, request_id="r2")
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave_early())
    asked, left = since(appliance, before)
    assert (asked.kind, left.kind, left.outcome) == ("question", "answer", "failure")
    assert (left.detail["status"], left.detail["request"]) == ("left", "r2")


def test_a_question_that_fails_is_recorded(appliance: Appliance) -> None:
    before = appliance.store.audit.head().seq
    with pytest.raises(Exception, match="the question is empty"):
        ask(appliance, "  ")
    [failed] = since(appliance, before)
    assert (failed.outcome, failed.detail["error"]) == ("failure", "BadRequest")


def test_without_a_record_there_is_no_answer_and_no_hit(
    appliance: Appliance, caplog: pytest.LogCaptureFixture
) -> None:
    """The database takes nothing more: a full disk, say."""
    path = appliance.settings.data_dir / "citadel.db"
    refuse = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
    with sqlite3.connect(path) as database:
        database.execute(refuse)
    try:
        with pytest.raises(StoreError, match="full"):
            appliance.search("leave", DOCS)
        events = appliance.answer(LEAVE, DOCS, request_id="r3")
        with pytest.raises(StoreError, match="full"):
            asyncio.run(anext(events))  # type: ignore[arg-type]
    finally:
        with sqlite3.connect(path) as database:
            database.execute("DROP TRIGGER full")
        database.close()
    assert "r3 is not recorded" in caplog.text

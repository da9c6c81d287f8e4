"""Candidates in a new order by a real cross-encoder, the smallest that there can be."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from library import put
from made_models import made_cross_encoder
from numpy.typing import NDArray

from rag.appliance import Appliance
from rag.errors import ModelError
from rag.search import rerank
from rag.search.passages import NEIGHBOUR
from rag.search.rerank import CrossEncoderReranker, load_reranker
from rag.search.retrieve import Retriever
from rag.settings import Settings
from rag.types import Access

DOCS = Access(frozenset({"docs"}))
RULES = ("leave", "notice", "pension", "travel", "laptops", "canteen", "parking", "overtime")
QUERY = "which rules are there"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_cross_encoder(tmp_path_factory.mktemp("reranker"), ["relevant"])


@pytest.fixture
def reranking(settings: Settings, model_dir: Path) -> Iterator[Appliance]:
    """An appliance with a reranker, over eight rules and a secret one."""
    named = settings.model_copy(update={"rerank_model_dir": model_dir})
    with Appliance(named) as opened:
        for rule in RULES:
            put(opened.store, opened.embedder, f"/{rule}.txt", f"These are the rules on {rule}.")
        put(opened.store, opened.embedder, "/pay.txt", "These are the rules on pay.", "board")
        yield opened


class Spy(CrossEncoderReranker):
    """Remembers what it was given to read."""

    def __init__(self, model_dir: Path) -> None:
        super().__init__(load_reranker(model_dir)._model)
        self.read: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        return super().scores(query, texts)


def test_hits_come_in_the_order_of_the_models_own_scores(
    reranking: Appliance, model_dir: Path
) -> None:
    from sentence_transformers import CrossEncoder
    from torch.nn import Sigmoid

    hits = reranking.search(QUERY, DOCS).hits
    texts = [f"{hit.chunk.title}\n{hit.text}" for hit in hits]
    model = CrossEncoder(str(model_dir), local_files_only=True)
    scores = model.predict([(QUERY, text) for text in texts], activation_fn=Sigmoid())
    assert len(hits) == len(RULES)
    assert len(set(scores.round(4))) == len(RULES), "the model tells them apart"
    assert list(scores) == sorted(scores, reverse=True)
    highest = 1 + NEIGHBOUR  # no passage has another beside it
    assert [hit.score * highest for hit in hits] == pytest.approx((1 + scores) / 2, abs=1e-5)


def test_without_it_the_order_is_that_of_the_fusion(
    reranking: Appliance, settings: Settings
) -> None:
    with reranking.held() as parts:
        before = parts.retriever.retrieve(QUERY, DOCS, 10, reranked=False)
        after = parts.retriever.retrieve(QUERY, DOCS, 10)
    assert [h.chunk.id for h in before.hits] != [h.chunk.id for h in after.hits]
    assert "rerank" in after.timings_ms
    assert "rerank" not in before.timings_ms
    with Appliance(settings) as plain:
        found = plain.search(QUERY, DOCS).hits
    assert [h.chunk.source_uri for h in found] == [h.chunk.source_uri for h in before.hits]


def test_the_model_reads_nothing_that_the_caller_may_not(
    reranking: Appliance, model_dir: Path
) -> None:
    spy = Spy(model_dir)
    with reranking.held() as parts:
        retriever = Retriever(parts.store, parts.indexes, parts.embedder, 0.5, spy)
        hits = retriever.retrieve("rules on pay", DOCS, 10).hits
    assert len(spy.read) == len(RULES)
    assert not any("pay" in text for text in spy.read)
    assert all(hit.chunk.source_uri != "/pay.txt" for hit in hits)


def test_what_is_removed_while_the_model_reads_is_not_in_the_result(
    reranking: Appliance, model_dir: Path
) -> None:
    class Slow(Spy):
        def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
            reranking.store.remove_sources("docs", ["/canteen.txt"])
            return super().scores(query, texts)

    with reranking.held() as parts:
        retriever = Retriever(parts.store, parts.indexes, parts.embedder, 0.5, Slow(model_dir))
        hits = retriever.retrieve(QUERY, DOCS, 10).hits
    assert len(hits) == len(RULES) - 1
    assert all(hit.chunk.source_uri != "/canteen.txt" for hit in hits)


def test_what_is_beyond_those_it_reads_stays_below_them_in_its_order(
    reranking: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reranking.held() as parts:
        fused = parts.retriever.retrieve(QUERY, DOCS, 10, reranked=False).hits
        monkeypatch.setattr(rerank, "READ", 3)
        hits = parts.retriever.retrieve(QUERY, DOCS, 10).hits
    order = [hit.chunk.id for hit in hits]
    assert set(order[:3]) == {hit.chunk.id for hit in fused[:3]}
    assert order[3:] == [hit.chunk.id for hit in fused[3:]]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_query_that_finds_nothing_asks_the_model_nothing(reranking: Appliance) -> None:
    assert reranking.search(QUERY, Access(frozenset())).hits == []


def test_a_directory_without_such_a_model_is_an_error_at_the_start(
    settings: Settings, tmp_path: Path
) -> None:
    def opened(folder: Path) -> None:
        Appliance(settings.model_copy(update={"rerank_model_dir": folder})).close()

    with pytest.raises(ModelError, match="no cross-encoder") as raised:
        opened(tmp_path)
    assert "CITADEL_RERANK_MODEL_DIR" in raised.value.hint
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="cannot load"):
        opened(tmp_path / "broken")
    (tmp_path / "other").mkdir()
    with pytest.raises(ModelError, match="has 2 labels, and ranking takes one"):
        opened(made_cross_encoder(tmp_path / "other", ["yes", "no"]))

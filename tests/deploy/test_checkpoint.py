"""Models of every shape, read from what is published of them."""

import json
from pathlib import Path

import pytest
from published import (
    FP8_WITH_SCALES,
    LLAMA_2_13B,
    LLAMA_3_2_1B,
    LLAMA_3_3_70B,
    PUBLISHED,
    Config,
    model_directory,
    published,
    quantised,
)

from deploy.checkpoint import missing_files, read_model
from deploy.sizing import BUILT_IN, GIB, Node, Wanted, plan
from rag.errors import ConfigError

H100 = 80 * GIB


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_has_its_size(name: str, tmp_path: Path) -> None:
    _, weights_bytes, kv_bytes = PUBLISHED[name]

    model = read_model(published(name, tmp_path))

    assert model.weights_bytes == weights_bytes
    assert model.kv_bytes_per_token(2) == kv_bytes
    assert not model.has_kv_scales


def test_what_is_built_in_is_what_the_directory_says(tmp_path: Path) -> None:
    assert read_model(published("llama-3.3-70b", tmp_path)) == BUILT_IN["llama-3.3-70b"]


@pytest.mark.parametrize(
    ("name", "weights", "parser"),
    [
        ("llama-3.3-70b", "BF16", "llama3_json"),
        ("llama-3.3-70b-awq", "INT4", "llama3_json"),
        ("qwen-2-72b-gptq", "INT4", ""),
        ("llama-3.3-70b-fp8", "FP8", "llama3_json"),
        ("llama-2-13b", "BF16", ""),
        ("mixtral-8x7b", "BF16", ""),
    ],
)
def test_kind_of_weights_and_parser_of_tool_calls_are_known(
    name: str, weights: str, parser: str, tmp_path: Path
) -> None:
    model = read_model(published(name, tmp_path))

    assert (model.weights, model.tool_parser) == (weights, parser)


def test_weights_in_32_bits_are_loaded_in_16(tmp_path: Path) -> None:
    config = LLAMA_3_2_1B | {"torch_dtype": "float32"}

    model = read_model(model_directory(tmp_path, config, 4_943_257_600, ()))

    assert (model.weights, model.weights_bytes) == ("BF16", 2_471_628_800)


def parts(name: str, folder: Path) -> list[int]:
    model = read_model(published(name, folder))
    return [n for n in range(1, 17) if model.divides(n)]


@pytest.mark.parametrize(
    ("name", "divided_by"),
    [
        ("llama-3.3-70b", [1, 2, 4, 8, 16]),  # 8 KV heads, copied on 16
        ("llama-3.1-8b", [1, 2, 4, 8, 16]),
        ("llama-2-13b", [1, 2, 4, 8]),  # 40 heads, but 5 and 10 do not divide 13,824
        ("gemma-2b", [1, 2, 4, 8]),  # one KV head, copied to all
        ("qwen-2.5-72b", [1, 2, 4, 8, 16]),
        ("qwen-2-72b-gptq", [1]),  # 231 groups of 128: not even by two
        ("llama-3.3-70b-awq", [1, 2, 4, 8, 16]),
        ("mixtral-8x7b", [1, 2, 4, 8, 16]),
    ],
)
def test_tensor_parallelism_divides_heads_and_layers(
    name: str, divided_by: list[int], tmp_path: Path
) -> None:
    assert parts(name, tmp_path) == divided_by


@pytest.mark.parametrize(
    ("name", "n_sliding", "window"),
    [
        ("mistral-7b-v0.1", 32, 4096),
        ("gemma-2-9b", 21, 4096),
        ("gemma-3-27b", 52, 1024),
        ("qwen-2.5-72b", 0, 0),  # it names a window and says that it is not used
        ("mixtral-8x7b", 0, 0),
    ],
)
def test_layers_that_look_back_over_a_window_are_known(
    name: str, n_sliding: int, window: int, tmp_path: Path
) -> None:
    model = read_model(published(name, tmp_path))

    assert (model.n_sliding, model.window_tokens) == (n_sliding, window)


def test_a_sliding_window_bounds_what_a_long_sequence_takes(tmp_path: Path) -> None:
    mistral = read_model(published("mistral-7b-v0.1", tmp_path))
    gemma = read_model(published("gemma-3-27b", tmp_path))

    assert mistral.sequence_bytes(4096, 2) == 4096 * 131_072
    assert mistral.sequence_bytes(32_768, 2) == (4095 + 8192) * 131_072
    assert gemma.sequence_bytes(131_072, 2) == 8192 * (10 * 131_072 + 52 * (1023 + 8192))


def test_a_short_window_holds_no_long_context(tmp_path: Path) -> None:
    found = plan(Wanted(read_model(published("llama-2-13b", tmp_path)), None), Node(1, H100))

    assert found.context_tokens == 4096
    assert found.concurrent(8192) == 0


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (quantised(LLAMA_3_3_70B, FP8_WITH_SCALES), ()),
        (quantised(LLAMA_3_3_70B, {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}), ()),
        (LLAMA_3_3_70B, ("model.layers.0.self_attn.k_scale",)),
    ],
)
def test_a_checkpoint_with_scales_gets_an_eight_bit_cache(
    config: Config, names: tuple[str, ...], tmp_path: Path
) -> None:
    model = read_model(model_directory(tmp_path, config, 72_700_000_000, names))

    assert model.has_kv_scales
    assert plan(Wanted(model, None), Node(4, H100)).number_bytes == 1


def test_quantisation_may_be_said_in_a_file_of_its_own(tmp_path: Path) -> None:
    model_directory(tmp_path, LLAMA_3_3_70B, 72_700_000_000, ())
    said = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(said))

    model = read_model(tmp_path)

    assert (model.weights, model.has_kv_scales) == ("FP8", True)


def write_safetensors(file: Path, n_bytes: int) -> None:
    tensor = {"dtype": "U8", "shape": [n_bytes], "data_offsets": [0, n_bytes]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": tensor}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(n_bytes))


def test_weights_in_one_file_are_counted_from_its_header(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_2_1B))
    write_safetensors(tmp_path / "model.safetensors", 1000)

    assert read_model(tmp_path).weights_bytes == 1000


def test_where_the_index_names_no_total_the_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_2_1B))
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    write_safetensors(tmp_path / "one.safetensors", 600)
    write_safetensors(tmp_path / "two.safetensors", 400)

    assert read_model(tmp_path).weights_bytes == 1000


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"num_hidden_layers": "many"}'])
def test_what_is_no_model_is_said_to_be_none(config: str, tmp_path: Path) -> None:
    model_directory(tmp_path, {}, 1000, ())
    (tmp_path / "config.json").write_text(config)

    with pytest.raises(ConfigError, match=r"config\.json"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    "what",
    [
        {"is_encoder_decoder": True},
        {"kv_lora_rank": 512},
        {"layer_types": ["full_attention", "linear_attention"]},
        {"hybrid_override_pattern": "M-M*"},
    ],
)
def test_a_model_that_caches_something_else_is_refused(what: Config, tmp_path: Path) -> None:
    model_directory(tmp_path, LLAMA_3_3_70B | what, 1000, ())

    with pytest.raises(ConfigError, match="does not describe a decoder"):
        read_model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + bytes(7) + b"[]", b"{}"])
def test_weights_that_are_damaged_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_2_1B))
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        read_model(tmp_path)


def test_a_directory_without_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_2_13B))

    with pytest.raises(ConfigError, match="no safetensors"):
        read_model(tmp_path)


def test_files_that_a_server_would_miss_are_listed(tmp_path: Path) -> None:
    folder = published("llama-3.2-1b", tmp_path)
    assert missing_files(folder) == ["model-00001-of-00001.safetensors", "tokenizer.json"]

    write_safetensors(folder / "model-00001-of-00001.safetensors", 10)
    (folder / "tokenizer.json").write_text("{}")
    assert missing_files(folder) == []

"""A model directory as `Model`: its config, and the sizes of its weights. Nothing is loaded."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.sizing import Model
from rag.errors import ConfigError

INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
MAX_HEADER_BYTES = 100 * 1024**2  # the format's own limit
SCALES = (".k_scale", ".v_scale", ".kv_scale", ".k_proj.output_scale")  # of the KV cache
DTYPES = {"bfloat16": "BF16", "float16": "BF16", "float32": "FP32"}  # 16 bit is 16 bit here
LLAMA_3_VOCABULARY = 128_000

Config = Mapping[str, Any]


def read_model(directory: Path) -> Model:
    """The model in a directory.

    Raises:
        ConfigError: there is no model, or one that this arithmetic does not cover.
    """
    file = directory / "config.json"
    config = _read_json(file)
    text = config.get("text_config") or config
    quantised = _quantisation(directory, config)
    names, size = _weights(directory)
    try:
        _check_covered(text)
        return _model(directory.name, text, quantised, names, size)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(
            f"{file} does not describe a decoder ({type(error).__name__}: {error})",
            hint="Name the directory of a model such as Llama 3.3 70B.",
        ) from error


def missing_files(directory: Path) -> list[str]:
    """What a server would look for in vain: weights that the index names, and the tokenizer."""
    index = directory / INDEX
    named = set(_read_json(index).get("weight_map", {}).values()) if index.is_file() else set()
    lacking = sorted(name for name in named if not (directory / name).is_file())
    has_tokenizer = any((directory / name).is_file() for name in TOKENIZERS)
    return lacking if has_tokenizer else [*lacking, TOKENIZERS[0]]


def _model(name: str, config: Config, quantised: Config, names: set[str], size: int) -> Model:
    kind = _kind(config, quantised)
    if kind == "FP32":  # vLLM loads it in 16 bit
        kind, size = "BF16", size // 2
    n_heads = int(config["num_attention_heads"])
    n_sliding, window = _sliding(config)
    return Model(
        name=name,
        weights_bytes=size,
        n_layers=int(config["num_hidden_layers"]),
        n_heads=n_heads,
        n_kv_heads=int(config.get("num_key_value_heads") or n_heads),
        head_dim=int(config.get("head_dim") or int(config["hidden_size"]) // n_heads),
        context_tokens=int(config["max_position_embeddings"]),
        weights=kind,
        n_sliding=n_sliding,
        window_tokens=window,
        evenly=_evenly(config, quantised),
        has_kv_scales=_has_kv_scales(quantised, names),
        tool_parser=_tool_parser(config),
    )


def _check_covered(config: Config) -> None:
    """Refuse what keeps something else than keys and values of every head.

    Raises:
        ValueError: it does.
    """
    if config.get("is_encoder_decoder"):
        raise ValueError("it has an encoder")
    if config.get("kv_lora_rank"):
        raise ValueError("it caches latent vectors, which this arithmetic does not cover")
    kinds = set(config.get("layer_types") or ()) - {"full_attention", "sliding_attention"}
    if kinds or config.get("layers_block_type") or config.get("hybrid_override_pattern"):
        raise ValueError(
            "some of its layers are no attention, which this arithmetic does not cover"
        )


def _sliding(config: Config) -> tuple[int, int]:
    """How many layers look back over a window only, and how far. None where it isn't certain."""
    window = int(config.get("sliding_window") or 0)
    if not window or config.get("use_sliding_window") is False:
        return 0, 0
    n_layers = int(config["num_hidden_layers"])
    if kinds := config.get("layer_types"):
        return sum(kind == "sliding_attention" for kind in kinds), window
    if pattern := int(config.get("sliding_window_pattern") or 0):
        return n_layers - n_layers // pattern, window
    if config.get("model_type") == "gemma2":
        return math.ceil(n_layers / 2), window
    return (n_layers, window) if config.get("model_type") in ("mistral", "mixtral") else (0, 0)


def _evenly(config: Config, quantised: Config) -> tuple[int, ...]:
    """Sizes of which every GPU must get a whole part: the feed-forward width, in whole groups."""
    width = config.get("moe_intermediate_size") or config.get("intermediate_size")
    if not width:
        return ()
    group = _group_size(quantised)
    return (int(width) // group,) if group > 0 and int(width) % group == 0 else (int(width),)


def _group_size(quantised: Config) -> int:
    """Numbers that share a scale; 0 where a scale covers a channel or more."""
    if "group_size" in quantised or "q_group_size" in quantised:
        return int(quantised.get("group_size") or quantised.get("q_group_size") or 0)
    return max((int(g["weights"].get("group_size") or 0) for g in _groups(quantised)), default=0)


def _groups(quantised: Config) -> list[Config]:
    """The groups of compressed-tensors that say how weights are stored."""
    groups = quantised.get("config_groups") or {}
    return [
        g for g in groups.values() if isinstance(g, dict) and isinstance(g.get("weights"), dict)
    ]


def _kind(config: Config, quantised: Config) -> str:
    """What most of the weights are stored as."""
    method = str(quantised.get("quant_method") or quantised.get("quant_algo") or "").lower()
    if not method:
        return DTYPES.get(str(config.get("torch_dtype") or config.get("dtype")), "BF16")
    if "fp8" in method:
        return "FP8"
    stored = [group["weights"] for group in _groups(quantised)]
    bits = [int(w["num_bits"]) for w in stored if "num_bits" in w]
    bits += [int(quantised[key]) for key in ("bits", "w_bit") if quantised.get(key)]
    letters = "FP" if any(w.get("type") == "float" for w in stored) else "INT"
    return f"{letters}{bits[0]}" if bits else method.upper()


def _has_kv_scales(quantised: Config, names: set[str]) -> bool:
    """Whether the checkpoint was calibrated for an FP8 KV cache."""
    declared = quantised.get("kv_cache_scheme") or quantised.get("kv_cache_quant_algo") == "FP8"
    return bool(declared) or any(name.endswith(SCALES) for name in names)


def _tool_parser(config: Config) -> str:
    is_llama_3 = (
        config.get("model_type") == "llama"
        and int(config.get("vocab_size") or 0) >= LLAMA_3_VOCABULARY
    )
    return "llama3_json" if is_llama_3 else ""


def _quantisation(directory: Path, config: Config) -> Config:
    """What is said of quantisation: in the config, or beside it in a file of its own."""
    beside = directory / "hf_quant_config.json"
    found = config.get("quantization_config") or {}
    if not found and beside.is_file():
        found = _read_json(beside).get("quantization") or {}
    return found if isinstance(found, dict) else {}


def _weights(directory: Path) -> tuple[set[str], int]:
    """The names of the weights and their bytes."""
    if (directory / INDEX).is_file():
        return _indexed(directory)
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise ConfigError(
            f"there are no safetensors in {directory}",
            hint="Put the whole model there: config, tokenizer and weights.",
        )
    headers = [_read_header(file) for file in files]
    return {name for header in headers for name in header}, sum(map(_end, headers))


def _indexed(directory: Path) -> tuple[set[str], int]:
    """Names and total of the index; where it names no total, that of the files."""
    index = _read_json(directory / INDEX)
    where, metadata = index.get("weight_map"), index.get("metadata") or {}
    if not isinstance(where, dict):
        raise ConfigError(
            f"{directory / INDEX} has no weight_map", hint="Copy the model's files once more."
        )
    if size := int(metadata.get("total_size") or 0):
        return set(where), size
    return set(where), sum(_end(_read_header(directory / name)) for name in set(where.values()))


def _end(header: Config) -> int:
    """Bytes of the tensors behind a header."""
    return max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)


def _read_header(file: Path) -> Config:
    """The tensors of a safetensors file: 8 bytes of length, then JSON."""
    try:
        with file.open("rb") as opened:
            (n_bytes,) = struct.unpack("<Q", opened.read(8))
            if n_bytes > MAX_HEADER_BYTES:
                raise ValueError("the header is too long")
            header = json.loads(opened.read(n_bytes))
    except (OSError, ValueError, struct.error) as error:
        raise _unreadable(file, error) from error
    if not isinstance(header, dict):
        raise _unreadable(file, ValueError("the header is no object"))
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    if not isinstance(content, dict):
        raise _unreadable(file, ValueError("it holds no object"))
    return content


def _unreadable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"cannot read {file}: {error}",
        hint="Name the directory of a whole model: config, tokenizer and weights.",
    )

"""What fits on a node's GPUs: weights, KV cache, tensor parallelism, replicas, guard.

Arithmetic only; what a server really allocates is in its log ("GPU KV cache size"). The two
constants are those of the table in deploy/README.md, which was checked against published layouts:
vLLM is given 92 % of a GPU, and 4 GiB of that go to activations, CUDA graphs and NCCL.
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ConfigError

GIB = 1024**3
UTILISATION = 0.92
OVERHEAD_BYTES = 4 * GIB  # per GPU
LEAST_CONTEXT = 8192  # tokens; with less there is no room for passages and an answer
GUARD_CONTEXT = 16_384
CONTEXTS = (8192, 32_768, 131_072)


@dataclass(frozen=True, slots=True)
class Model:
    """What of a model decides where it fits."""

    name: str
    weights_bytes: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    context_tokens: int
    has_kv_scales: bool = False  # the checkpoint was calibrated for an FP8 KV cache

    def kv_bytes_per_token(self, kv_bytes: int, tensor_parallel: int = 1) -> int:
        """Bytes of a token's keys and values on one GPU; heads are copied where they run out."""
        heads = math.ceil(self.n_kv_heads / tensor_parallel)
        return 2 * self.n_layers * heads * self.head_dim * kv_bytes


LLAMA_33_70B = Model("llama-3.3-70b (BF16)", 141_107_412_992, 80, 64, 8, 128, 131_072)
LLAMA_33_70B_FP8 = Model("llama-3.3-70b (FP8)", 72_700_000_000, 80, 64, 8, 128, 131_072)
LLAMA_GUARD_3_8B = Model("llama-guard-3-8b (BF16)", 16_060_522_496, 32, 32, 8, 128, 131_072)
BUILT_IN = {
    "llama-3.3-70b": LLAMA_33_70B,
    "llama-3.3-70b-fp8": LLAMA_33_70B_FP8,
    "llama-guard-3-8b": LLAMA_GUARD_3_8B,
}


@dataclass(frozen=True, slots=True)
class Node:
    """The GPUs of one machine; they are alike."""

    n_gpus: int
    gpu_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything goes."""

    model: Model
    guard: Model | None
    node: Node
    tensor_parallel: int
    replicas: int
    context_tokens: int
    kv_bytes: int  # of one number: 2 in BF16, 1 in FP8
    kv_tokens: int  # of one replica
    utilisation: float  # of the engine's GPUs
    guard_gpu: int | None
    guard_shares: bool  # its GPU is also the engine's
    guard_utilisation: float
    free_gpus: tuple[int, ...]

    def concurrent(self, n_tokens: int) -> float:
        """Contexts of so many tokens that all replicas hold at once; 0 where none fits."""
        if n_tokens > self.context_tokens:
            return 0.0
        return math.floor(10 * self.replicas * self.kv_tokens / n_tokens) / 10


def read_model(directory: Path) -> Model:
    """The model in a directory, from its config and the sizes of its weights; nothing is loaded.

    Raises:
        ConfigError: there is no model that can be understood.
    """
    config = _read_json(directory / "config.json")
    config = config.get("text_config", config)
    try:
        n_heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        return Model(
            name=directory.name,
            weights_bytes=_weights_bytes(directory),
            n_layers=int(config["num_hidden_layers"]),
            n_heads=n_heads,
            n_kv_heads=int(config.get("num_key_value_heads") or n_heads),
            head_dim=int(config.get("head_dim") or hidden // n_heads),
            context_tokens=int(config["max_position_embeddings"]),
            has_kv_scales=_has_kv_scales(config),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{directory / 'config.json'} does not describe a decoder: {error}",
            hint="Name the directory of a model such as Llama 3.3 70B.",
        ) from error


def plan(model: Model, guard: Model | None, node: Node, *, fp8_kv: bool = False) -> Plan:
    """The layout with the most replicas that hold a whole window, else the longest window.

    The guard has a GPU of its own where the engine leaves one, else it shares the last.

    Raises:
        ConfigError: nothing fits; the message says by how much.
    """
    kv_bytes = 1 if fp8_kv or model.has_kv_scales else 2
    found_layouts = [
        found
        for alone in ((True, False) if guard is not None else (True,))
        for found in layouts(model, guard, node, kv_bytes, guard_alone=alone)
    ]
    if not found_layouts:
        raise _does_not_fit(model, guard, node)
    return max(found_layouts, key=_worth)


def _worth(found: Plan) -> tuple[int, bool, int, int]:
    """A whole window first, then a guard of its own, then replicas, then room."""
    return (found.context_tokens, not found.guard_shares, found.replicas, found.kv_tokens)


def layouts(
    model: Model, guard: Model | None, node: Node, kv_bytes: int, *, guard_alone: bool
) -> list[Plan]:
    """One for each tensor parallelism that fits; `kv_bytes` of one number of the cache."""
    shares = guard is not None and not guard_alone
    guard_bytes = 0 if guard is None else _guard_bytes(guard)
    if guard_bytes > UTILISATION * node.gpu_bytes:
        return []
    n_engine = node.n_gpus - (guard is not None and guard_alone)
    usable = int(UTILISATION * node.gpu_bytes) - (guard_bytes if shares else 0)
    found = []
    for tensor_parallel in (2**i for i in range(n_engine.bit_length())):
        if tensor_parallel > n_engine or model.n_heads % tensor_parallel:
            continue
        room = usable - OVERHEAD_BYTES - model.weights_bytes // tensor_parallel
        kv_tokens = room // model.kv_bytes_per_token(kv_bytes, tensor_parallel)
        context = min(model.context_tokens, kv_tokens // 1024 * 1024)
        if context < min(LEAST_CONTEXT, model.context_tokens):
            continue
        replicas = 1 if shares else n_engine // tensor_parallel
        last = tensor_parallel * replicas
        at = None if guard is None else (last - 1 if shares else last)
        found.append(
            Plan(
                model, guard, node, tensor_parallel, replicas, context, kv_bytes, kv_tokens,
                utilisation=round(usable / node.gpu_bytes, 3),
                guard_gpu=at,
                guard_shares=shares,
                guard_utilisation=round(
                    guard_bytes / node.gpu_bytes if shares else UTILISATION, 3
                ),
                free_gpus=tuple(range(last + (at is not None and not shares), node.n_gpus)),
            )
        )  # fmt: skip
    return found


def _guard_bytes(guard: Model) -> int:
    """What the guard needs beside something else: weights, overhead, one window of its own."""
    window = min(GUARD_CONTEXT, guard.context_tokens) * guard.kv_bytes_per_token(2)
    return guard.weights_bytes + OVERHEAD_BYTES + window


def _does_not_fit(model: Model, guard: Model | None, node: Node) -> ConfigError:
    have = node.n_gpus * (UTILISATION * node.gpu_bytes - OVERHEAD_BYTES)
    least = LEAST_CONTEXT * model.kv_bytes_per_token(2)
    need = model.weights_bytes + least + (0 if guard is None else _guard_bytes(guard))
    with_guard = "" if guard is None else f" and {guard.name}"
    return ConfigError(
        f"{model.name}{with_guard} does not fit on {node.n_gpus} GPU(s) of"
        f" {node.gpu_bytes / GIB:.0f} GiB: weights, {LEAST_CONTEXT:,} tokens and the guard need"
        f" {need / GIB:.0f} GiB, of which {have / GIB:.0f} GiB can be had, evenly divided",
        hint="Use more or larger GPUs, a checkpoint in FP8 or INT4, or a smaller model.",
    )


def _has_kv_scales(config: dict[str, Any]) -> bool:
    """Whether the quantisation that a checkpoint declares covers the KV cache."""
    quantised = config.get("quantization_config") or {}
    return bool(quantised.get("kv_cache_scheme")) or quantised.get("kv_cache_quant_algo") == "FP8"


def _weights_bytes(directory: Path) -> int:
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        return int(_read_json(index)["metadata"]["total_size"])
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise ConfigError(
            f"there are no safetensors in {directory}",
            hint="Put the whole model there: config, tokenizer and weights.",
        )
    return sum(file.stat().st_size - _header_bytes(file) for file in files)


def _header_bytes(file: Path) -> int:
    with file.open("rb") as opened:
        return 8 + int(struct.unpack("<Q", opened.read(8))[0])


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {file}: {error}", hint="Name the directory of a model."
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file} holds no object", hint="Name the directory of a model.")
    return content

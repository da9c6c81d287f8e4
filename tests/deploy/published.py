"""What is published of some models: the shapes in their config.json, and the size of their weights.

Sizes are those of the 16-bit checkpoints' indexes; those of quantised ones are rounded.
"""

import json
from pathlib import Path
from typing import Any

Config = dict[str, Any]


def shape(layers: int, heads: int, hidden: int, width: int, window: int, **more: Any) -> Config:
    return {
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_size": hidden,
        "intermediate_size": width,
        "max_position_embeddings": window,
        "torch_dtype": "bfloat16",
    } | more


def llama(*sizes: int, **more: Any) -> Config:
    return shape(*sizes, model_type="llama", vocab_size=128_256, **more)


LLAMA_3_3_70B = llama(80, 64, 8192, 28_672, 131_072, num_key_value_heads=8)
LLAMA_3_1_8B = llama(32, 32, 4096, 14_336, 131_072, num_key_value_heads=8)
LLAMA_3_2_1B = llama(16, 32, 2048, 8192, 131_072, num_key_value_heads=8, head_dim=64)
LLAMA_2_13B = shape(40, 40, 5120, 13_824, 4096, model_type="llama", vocab_size=32_000) | {
    "num_key_value_heads": 40,
    "torch_dtype": "float16",
}
QWEN_2_5_72B = shape(80, 64, 8192, 29_568, 32_768, model_type="qwen2", num_key_value_heads=8) | {
    "sliding_window": 131_072,
    "use_sliding_window": False,
}
GEMMA_2B = shape(18, 8, 2048, 16_384, 8192, model_type="gemma", num_key_value_heads=1) | {
    "head_dim": 256
}
GEMMA_2_9B = shape(42, 16, 3584, 14_336, 8192, model_type="gemma2", num_key_value_heads=8) | {
    "head_dim": 256,
    "sliding_window": 4096,
}
GEMMA_3_27B = {
    "model_type": "gemma3",
    "text_config": shape(62, 32, 5376, 21_504, 131_072, num_key_value_heads=16, head_dim=128)
    | {
        "model_type": "gemma3_text",
        "sliding_window": 1024,
        "layer_types": ["sliding_attention" if i % 6 else "full_attention" for i in range(1, 63)],
    },
}
MISTRAL_7B = shape(32, 32, 4096, 14_336, 32_768, model_type="mistral", num_key_value_heads=8) | {
    "sliding_window": 4096
}
MIXTRAL_8X7B = shape(32, 32, 4096, 14_336, 32_768, model_type="mixtral", num_key_value_heads=8) | {
    "sliding_window": None,
    "num_local_experts": 8,
}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}
FP8_GROUP = {"weights": {"num_bits": 8, "type": "float", "strategy": "channel", "group_size": None}}
FP8 = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "config_groups": {"group_0": FP8_GROUP},
    "kv_cache_scheme": None,
}
FP8_WITH_SCALES = FP8 | {"kv_cache_scheme": {"num_bits": 8, "type": "float", "symmetric": True}}


def quantised(config: Config, scheme: Config) -> Config:
    return config | {"quantization_config": scheme}


# name: config, bytes of the weights, bytes of a token's keys and values in 16 bit
PUBLISHED: dict[str, tuple[Config, int, int]] = {
    "llama-3.3-70b": (LLAMA_3_3_70B, 141_107_412_992, 327_680),
    "llama-3.1-8b": (LLAMA_3_1_8B, 16_060_522_496, 131_072),
    "llama-3.2-1b": (LLAMA_3_2_1B, 2_471_628_800, 32_768),
    "llama-2-13b": (LLAMA_2_13B, 26_031_728_640, 819_200),
    "qwen-2.5-72b": (QWEN_2_5_72B, 145_412_407_296, 327_680),
    "llama-3.3-70b-awq": (quantised(LLAMA_3_3_70B, AWQ), 39_800_000_000, 327_680),
    "qwen-2-72b-gptq": (quantised(QWEN_2_5_72B, GPTQ), 41_600_000_000, 327_680),
    "llama-3.3-70b-fp8": (quantised(LLAMA_3_3_70B, FP8), 72_700_000_000, 327_680),
    "gemma-2b": (GEMMA_2B, 5_012_344_832, 18_432),
    "gemma-2-9b": (GEMMA_2_9B, 18_500_000_000, 344_064),
    "gemma-3-27b": (GEMMA_3_27B, 54_900_000_000, 507_904),
    "mistral-7b-v0.1": (MISTRAL_7B, 14_483_464_192, 131_072),
    "mixtral-8x7b": (MIXTRAL_8X7B, 93_405_585_408, 131_072),
}


def model_directory(folder: Path, config: Config, total_size: int, names: tuple[str, ...]) -> Path:
    """A directory with the config and the index of a model, without its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    weight_map = dict.fromkeys(names, "model-00001-of-00001.safetensors")
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def published(name: str, folder: Path) -> Path:
    """The directory of a published model."""
    config, size, _ = PUBLISHED[name]
    return model_directory(folder / name, config, size, ("model.norm.weight",))

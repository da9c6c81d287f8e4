"""What vLLM's HTTP API says: tokens, chunks, errors and metrics in its shapes and words.

The tokenizer is made up (pieces of up to six letters), but it loses nothing, and as with the real
one a `<|special|>` in a user's text becomes one control token.
"""

import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]

BLOCK = 16  # tokens of a block of the KV cache
EOT = "<|eot_id|>"
VOCABULARY = 128_000  # ids from here on are control tokens
TOKEN = re.compile(r"<\|[a-z0-9_]+\|>|\n+|\s?\w{1,6}|\s|[^\w\s]")
ROLES = "Conversation roles must alternate user/assistant/user/assistant/..."
BUSY = (
    "The engine is currently busy and cannot accept new requests. "
    "Please try again later or on a different instance."
)


def tokens_of(text: str) -> list[str]:
    """The pieces of a text; joined they are the text."""
    return TOKEN.findall(text)


def token_id(token: str) -> int:
    """A stable number for a piece, from `VOCABULARY` on for a control token."""
    number = zlib.crc32(token.encode("utf-8", "surrogatepass"))
    if token.startswith("<|") and token.endswith("|>"):
        return VOCABULARY + number % 256
    return number % VOCABULARY


def rendered(body: Json) -> str:
    """The prompt that a chat becomes, after the manner of Llama's template."""
    date = (body.get("chat_template_kwargs") or {}).get("date_string", "")
    parts = ["<|begin_of_text|>", f"Today Date: {date}\n\n" if date else ""]
    if body.get("tools"):
        parts.append(json.dumps(body["tools"]))
    for message in body["messages"]:
        role = {"tool": "ipython"}.get(message["role"], message["role"])
        content = message.get("content") or json.dumps(message.get("tool_calls") or "")
        parts.append(f"<|start_header_id|>{role}<|end_header_id|>\n\n{content}{EOT}")
    return "".join(parts) + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def blocks_of(tokens: Sequence[str], salt: str) -> list[bytes]:
    """One key for each full block, made of everything before it: equal beginnings, equal keys."""
    seen = hashlib.sha256(salt.encode())
    keys = []
    for start in range(0, len(tokens) - BLOCK, BLOCK):  # the last token is always computed
        seen.update("\0".join(tokens[start : start + BLOCK]).encode("utf-8", "surrogatepass"))
        keys.append(seen.digest())
    return keys


def error(status: int, message: str, kind: str = "BadRequestError", param: str = "") -> Json:
    """The body of a refusal."""
    return {"error": {"message": message, "type": kind, "param": param or None, "code": status}}


def overflow(window: int, n_tokens: int) -> Json:
    """The refusal of a prompt that is longer than the window."""
    message = (
        f"This model's maximum context length is {window} tokens. However, your prompt contains "
        f"at least {n_tokens} input tokens, which exceeds this limit even without any output "
        "tokens. Please reduce the length of the input prompt. "
        f"(parameter=input_tokens, value={n_tokens})"
    )
    return error(400, message, param="input_tokens")


def too_many_asked(window: int, max_tokens: int) -> Json:
    """The refusal of an answer that alone is longer than the window."""
    message = (
        f"max_tokens={max_tokens} cannot be greater than max_model_len={window}. Please request "
        f"fewer output tokens. (parameter=max_tokens, value={max_tokens})"
    )
    return error(400, message, param="max_tokens")


def models(names: Iterable[str], window: int, owner: str) -> Json:
    """`/v1/models`."""
    card = {"object": "model", "created": 1, "owned_by": owner, "parent": None, "permission": []}
    cards = [{**card, "id": name, "root": name, "max_model_len": window} for name in names]
    return {"object": "list", "data": cards}


def tokenized(body: Json, window: int) -> Json:
    """`/tokenize`, of a prompt or of messages."""
    text = rendered(body) if "messages" in body else body["prompt"]
    if "prompt" in body and body.get("add_special_tokens", True):
        text = "<|begin_of_text|>" + text
    ids = [token_id(token) for token in tokens_of(text)]
    return {"count": len(ids), "max_model_len": window, "tokens": ids, "token_strs": None}


def logprobs(tokens: Sequence[str], probability: float, n_top: int) -> Json:
    """The logprobs of tokens; a guard's label has `probability`, and the other label the rest."""
    other = {"safe": "unsafe", "unsafe": "safe"}
    content = []
    for token in tokens:
        chances = [(token, probability if token in other else 0.999)]
        if token in other:
            chances.append((other[token], 1 - probability))
        tops = [_logprob(each, chance) for each, chance in chances][:n_top]
        content.append({**_logprob(*chances[0]), "top_logprobs": tops})
    return {"content": content}


def _logprob(token: str, chance: float) -> Json:
    return {
        "token": token,
        "logprob": max(math.log(chance), -9999.0) if chance > 0 else -9999.0,
        "bytes": list(token.encode("utf-8", "replace")),
    }


def usage(n_prompt: int, n_answer: int, n_cached: int) -> Json:
    """Token counts, as with `--enable-prompt-tokens-details`."""
    return {
        "prompt_tokens": n_prompt,
        "total_tokens": n_prompt + n_answer,
        "completion_tokens": n_answer,
        "prompt_tokens_details": {"cached_tokens": n_cached},
    }


def event(data: Json) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def metrics(model: str, gauges: dict[str, float], n_blocks: int) -> str:
    """`/metrics` in Prometheus's text format."""
    labels = f'engine="0",model_name="{model}"'
    lines = [
        "# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig",
        "# TYPE vllm:cache_config_info gauge",
        f'vllm:cache_config_info{{block_size="{BLOCK}",cache_dtype="auto",engine="0",'
        f'enable_prefix_caching="True",num_gpu_blocks="{n_blocks}"}} 1.0',
    ]
    for name, value in gauges.items():
        family = name.removesuffix("_total")
        kind = "gauge" if family == name else "counter"
        lines += [f"# HELP {family} …", f"# TYPE {family} {kind}"]
        lines.append(f"{name}{{{labels}}} {float(value)}")
    return "\n".join(lines) + "\n"

"""Makes the tests' real engine write what a test wants. vLLM loads it (`--logits-processors`).

Everything but the choice of the next token stays vLLM's own. The script is a JSON file, read for
each request anew: a list of lines, of which the first whose `when` is found in the prompt counts.
Without such a line the model writes its nonsense.
"""

import json
import os
import re
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from vllm.config import VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

SCRIPT = "CITADEL_TEST_SCRIPT"
KEY_OF = re.compile(r"\[key of ([^\]]+)\]")
END = "<|eot_id|>"


class Scripted(AdapterLogitsProcessor):
    """Lets a scripted token alone have a chance."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        super().__init__(vllm_config, device, is_pin_memory)
        folder = Path(vllm_config.model_config.tokenizer)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._script = Path(os.environ[SCRIPT])

    def is_argmax_invariant(self) -> bool:
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> "_Line":
        return _Line(self._tokenizer, self._script)


class _Line:
    """One request's answer, worked out from its prompt at its first token."""

    def __init__(self, tokenizer: Tokenizer, script: Path) -> None:
        self._tokenizer = tokenizer
        self._lines = json.loads(script.read_text(encoding="utf-8"))
        self._ids: list[int] | None = None
        self._token_s = 0.0

    def __call__(
        self, prompt_ids: list[int], output_ids: list[int], logits: torch.Tensor
    ) -> torch.Tensor:
        if self._ids is None:
            self._ids = self._answer(self._tokenizer.decode(prompt_ids, skip_special_tokens=False))
        if len(output_ids) < len(self._ids):
            time.sleep(self._token_s)
            token_id = self._ids[len(output_ids)]
            score = logits[token_id].clone()
            logits.fill_(float("-inf"))
            logits[token_id] = score
        return logits

    def _answer(self, prompt: str) -> list[int]:
        for line in self._lines:
            if re.search(line["when"], prompt):
                self._token_s = line["token_s"]
                text = _with_keys(line["says"], line["key"], prompt)
                return self._tokenizer.encode(text + END, add_special_tokens=False).ids
        return []


def _with_keys(says: str, key: str, prompt: str) -> str:
    """`says` with a marker for each `[key of PHRASE]`: of the last key before the phrase."""

    def marker(found: re.Match[str]) -> str:
        before = prompt[: max(prompt.find(found[1]), 0)]
        keys = re.findall(key, before)
        return f"[{keys[-1] if keys else '????'}]"

    return KEY_OF.sub(marker, says)

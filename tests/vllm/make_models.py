"""Writes the two tiny Llama models that the tests' real vLLM serves. Runs in .venv-vllm.

    .venv-vllm/bin/python tests/vllm/make_models.py FOLDER

Both have two layers, heads of 32 dimensions (the CPU kernels know no smaller ones), a BPE tokenizer
trained here and Llama 3's control tokens and headers. `engine` has random weights: what it writes
is nonsense, but always the same nonsense. `guard` has weights set by hand: it writes a blank line
and then `unsafe` and a category where the conversation has one of the words of `MARKED`, else
`safe`. It looks for nothing else and in all of the conversation.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

MARKED = {"poison": "S1", "passport": "S7"}  # S1 blocks by default, S7 warns
HEAD_DIM = 32
N_HEADS = 2
WINDOW_TOKENS = 16_384
BOS, EOT = "<|begin_of_text|>", "<|eot_id|>"
CONTROL = (
    *(BOS, "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"),
    *("<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>"),
    *("<|end_header_id|>", "<|eom_id|>", EOT, "<|python_tag|>"),
)
WORDS = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ROOT = Path(__file__).parents[2]
TEXTS = (*sorted((ROOT / "examples" / "content").rglob("*.md")), ROOT / "README.md")

ENGINE_TEMPLATE = """\
{{- bos_token -}}
{%- if messages[0].role == 'system' -%}
  {%- set system = messages[0].content | trim -%}{%- set turns = messages[1:] -%}
{%- else -%}
  {%- set system = '' -%}{%- set turns = messages -%}
{%- endif -%}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' -}}
{%- if date_string is defined -%}{{- 'Today is ' + date_string + '.\\n' -}}{%- endif -%}
{%- if tools -%}
  {{- 'To call a function, write {"name": its name, "parameters": its arguments}.\\n' -}}
  {%- for tool in tools -%}{{- tool | tojson + '\\n' -}}{%- endfor -%}
{%- endif -%}
{{- system + '<|eot_id|>' -}}
{%- for message in turns -%}
  {%- if message.tool_calls is defined and message.tool_calls -%}
    {%- set call = message.tool_calls[0].function -%}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
    {{- '{"name": "' + call.name + '", "parameters": ' + (call.arguments | tojson) + '}' -}}
  {%- else -%}
    {%- set role = 'ipython' if message.role == 'tool' else message.role -%}
    {{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' -}}
    {{- (message.content or '') | trim -}}
  {%- endif -%}
  {{- '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
{%- endif -%}
"""

# The blank line after the last header is left to the model, which begins with one, as Llama Guard
# may.
GUARD_TEMPLATE = """\
{%- for message in messages -%}
  {%- if (message.role == 'user') != (loop.index0 % 2 == 0)
      or message.role not in ['user', 'assistant'] -%}
    {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') -}}
  {%- endif -%}
{%- endfor -%}
{%- set judged = 'User' if messages | length % 2 == 1 else 'Agent' -%}
{{- bos_token + '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
{{- "Task: Say whether the last message of '" + judged + "' is safe or breaks a rule.\\n" -}}
{%- for number in range(1, 15) -%}{{- 'S' ~ number ~ ': rule ' ~ number ~ '\\n' -}}{%- endfor -%}
{{- '<BEGIN CONVERSATION>\\n\\n' -}}
{%- for message in messages -%}
  {{- ('User' if message.role == 'user' else 'Agent') + ': ' -}}
  {%- if message.content is string -%}
    {{- message.content | trim -}}
  {%- else -%}
    {%- for part in message.content -%}{{- part.text | trim -}}{%- endfor -%}
  {%- endif -%}
  {{- '\\n\\n' -}}
{%- endfor -%}
{{- '<END CONVERSATION>\\n\\nThe first line is "safe" or "unsafe", the second the broken rules.' -}}
{{- '<|eot_id|><|start_header_id|>assistant<|end_header_id|>' -}}
"""


def trained_tokenizer(extra_words: tuple[str, ...] = ()) -> Tokenizer:
    """A byte-level BPE of some 4,000 tokens; each of `extra_words` is one token."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lines(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in extra_words])
    return tokenizer


def _lines() -> Iterator[str]:
    yield from (path.read_text(encoding="utf-8") for path in TEXTS)
    yield from ["safe\n\nunsafe\nS1\n"] * 500  # often enough to become one token each


def config(tokenizer: Tokenizer, rope_theta: float) -> LlamaConfig:
    """Two layers, two heads."""
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=N_HEADS * HEAD_DIM,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=WINDOW_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        bos_token_id=tokenizer.token_to_id(BOS),
        eos_token_id=tokenizer.token_to_id(EOT),
        tie_word_embeddings=False,
        dtype="float32",
    )


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, template: str, folder: Path) -> None:
    """Write everything that a server reads of a model."""
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOT,
        "model_max_length": WINDOW_TOKENS,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    (folder / "chat_template.jinja").write_text(template)


def make_engine(folder: Path) -> None:
    """Random weights, wide enough apart that the best token is the same on every machine."""
    torch.manual_seed(3)
    tokenizer = trained_tokenizer()
    model = LlamaForCausalLM(config(tokenizer, 500_000.0))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=0.2)
    save(model, tokenizer, ENGINE_TEMPLATE, folder)


# Dimensions of the guard's residual stream: the token that it is, and what the first layer finds.
CONSTANT, FOUND = 0, 40
NUMBERS = tuple(category.removeprefix("S") for category in MARKED.values())
WRITTEN = ("<|end_header_id|>", "\n\n", "safe", "unsafe", "\n", "S", *NUMBERS)
NOW = {text: 10 + i for i, text in enumerate(WRITTEN)}


def make_guard(folder: Path) -> None:
    """Each head of the first layer looks for one marked word; the rest is a table of followers.

    The highest dimension that RoPE turns is used for looking: with this base it turns so slowly
    that the place of the word does not matter. `<|begin_of_text|>` is looked at where there is no
    such word.
    """
    tokenizer = trained_tokenizer(tuple(MARKED))
    model = LlamaForCausalLM(config(tokenizer, 1e12))
    ids = {text: _id(tokenizer, text) for text in (*WRITTEN, *MARKED, BOS, EOT)}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0 if parameter.dim() == 1 else 0.0)
        embedded = model.model.embed_tokens.weight  # (vocabulary, hidden)
        embedded[:, CONSTANT] = 1.0
        for text, dim in NOW.items():
            embedded[ids[text], dim] = 1.0
        attention = model.model.layers[0].self_attn
        embedded[ids[BOS], 30] = 1.0
        for head, word in enumerate(MARKED):
            looking, seen = head * HEAD_DIM + HEAD_DIM // 2 - 1, 31 + head
            embedded[ids[word], seen] = 1.0
            attention.q_proj.weight[looking, CONSTANT] = 1.0
            attention.k_proj.weight[looking, seen] = 10.0
            attention.k_proj.weight[looking, 30] = 5.0
            # A token with one mark is normalised to sqrt(64 / 2) in its two dimensions.
            attention.v_proj.weight[head * HEAD_DIM, seen] = 32**-0.5
            attention.o_proj.weight[FOUND + head, head * HEAD_DIM] = 1.0
        _follow(model.lm_head.weight, ids)
    save(model, tokenizer, GUARD_TEMPLATE, folder)


def _follow(logits: torch.Tensor, ids: dict[str, int]) -> None:
    """Which token comes after which, given what was found; `logits` is (vocabulary, hidden)."""
    after, found = 4.0, 2.0
    logits[ids["\n\n"], NOW["<|end_header_id|>"]] = after
    logits[ids["safe"], NOW["\n\n"]] = after
    logits[ids["unsafe"], NOW["\n\n"]] = after
    logits[ids["unsafe"], CONSTANT] = -found / 2
    logits[ids["\n"], NOW["unsafe"]] = after
    logits[ids[EOT], NOW["safe"]] = after
    logits[ids["S"], NOW["\n"]] = after
    for head, number in enumerate(NUMBERS):
        logits[ids["safe"], FOUND + head] = -found
        logits[ids["unsafe"], FOUND + head] = found
        logits[ids[number], NOW["S"]] = after
        logits[ids[number], FOUND + head] = found
        logits[ids[EOT], NOW[number]] = after


def _id(tokenizer: Tokenizer, text: str) -> int:
    (token_id,) = tokenizer.encode(text, add_special_tokens=False).ids
    return int(token_id)


def main(folder: Path) -> None:
    """Make both models; `FOLDER/done` is written last."""
    make_engine(folder / "engine")
    make_guard(folder / "guard")
    (folder / "done").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A plan as commands: `vllm serve`, with the environment that keeps it offline."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass

from deploy.sizing import CONTEXTS, GIB, GUARD_CONTEXT, Model, Node, Plan
from rag.errors import ConfigError

ENGINE_PORT, GUARD_PORT = 8001, 8101
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
BATCHED_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Command:
    """One server: its environment without the key, and its arguments."""

    environment: dict[str, str]
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*variables, shlex.join(self.arguments)])


def commands(plan: Plan, model_dir: str, guard_dir: str, host: str) -> list[Command]:
    """What to run for a plan, replicas first. Keys come from `VLLM_API_KEY` in the environment."""
    found = []
    for replica in range(plan.replicas):
        first = replica * plan.tensor_parallel
        gpus = range(first, first + plan.tensor_parallel)
        found.append(_command(model_dir, gpus, host, ENGINE_PORT + replica, _engine(plan)))
    if plan.guard is not None and plan.guard_gpu is not None:
        window = min(GUARD_CONTEXT, plan.guard.context_tokens)
        options = [
            *("--served-model-name", "guard", "--max-model-len", str(window)),
            *("--gpu-memory-utilization", f"{plan.guard_utilisation:.3f}"),
        ]
        gpus = range(plan.guard_gpu, plan.guard_gpu + 1)
        found.append(_command(guard_dir, gpus, host, GUARD_PORT, options))
    return found


def _engine(plan: Plan) -> list[str]:
    options = [
        *("--served-model-name", "main"),
        *("--tensor-parallel-size", str(plan.tensor_parallel)),
        *("--max-model-len", str(plan.context_tokens)),
        *("--gpu-memory-utilization", f"{plan.utilisation:.3f}"),
        *("--async-scheduling", "--max-num-batched-tokens", str(BATCHED_TOKENS)),
        "--enable-prompt-tokens-details",
        *("--enable-auto-tool-choice", "--tool-call-parser", "llama3_json"),
    ]
    return [*options, "--kv-cache-dtype", "fp8"] if plan.kv_bytes == 1 else options


def _command(model_dir: str, gpus: range, host: str, port: int, options: list[str]) -> Command:
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}
    address = ["--host", host, "--port", str(port)]
    return Command(OFFLINE | visible, ("vllm", "serve", model_dir, *address, *options))


def this_node() -> Node:
    """The GPUs of this machine, as nvidia-smi names them.

    Raises:
        ConfigError: there are none, or they differ.
    """
    program = shutil.which("nvidia-smi")
    hint = "Describe the node instead: --gpus 8 --gpu-memory 80GiB."
    if program is None:
        raise ConfigError("there is no nvidia-smi on this machine", hint=hint)
    asked = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout
        sizes = [int(line) * 1024**2 for line in said.split()]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ConfigError(f"nvidia-smi does not tell the GPUs: {error}", hint=hint) from error
    if not sizes:
        raise ConfigError("nvidia-smi names no GPU", hint=hint)
    if max(sizes) > 1.02 * min(sizes):
        raise ConfigError("the GPUs of this machine differ in memory", hint=hint)
    return Node(len(sizes), min(sizes))


def plan_json(plan: Plan, started_by: list[Command]) -> dict[str, object]:
    """The plan as `--json` prints it."""
    model = plan.model
    return {
        "model": model.name,
        "gpus": plan.node.n_gpus,
        "gpu_bytes": plan.node.gpu_bytes,
        "weights_bytes": model.weights_bytes,
        "kv_bytes_per_token": model.kv_bytes_per_token(plan.kv_bytes),
        "kv_dtype": "fp8" if plan.kv_bytes == 1 else "auto",
        "tensor_parallel": plan.tensor_parallel,
        "replicas": plan.replicas,
        "context_tokens": plan.context_tokens,
        "kv_tokens": plan.kv_tokens,
        "concurrent": {str(n): plan.concurrent(n) for n in CONTEXTS},
        "guard_gpu": plan.guard_gpu,
        "guard_shares": plan.guard_shares,
        "free_gpus": list(plan.free_gpus),
        "commands": [str(command) for command in started_by],
    }


def format_plan(plan: Plan) -> str:
    """The plan for a person."""
    model, node = plan.model, plan.node
    kv = model.kv_bytes_per_token(plan.kv_bytes)
    lines = [
        f"{model.name} on {node.n_gpus} GPU(s) of {node.gpu_bytes / GIB:.0f} GiB",
        f"  weights            {model.weights_bytes / 1e9:,.1f} GB",
        f"  KV cache           {kv:,} bytes a token, {'FP8' if plan.kv_bytes == 1 else '16 bit'}",
        f"  tensor parallel    {plan.tensor_parallel}, {plan.replicas} replica(s)",
        f"  window             {plan.context_tokens:,} tokens{_cut(plan.context_tokens, model)}",
        f"  KV tokens          {plan.kv_tokens:,} a replica",
        "  at once            "
        + ", ".join(f"{plan.concurrent(n):g} of {n // 1024}k" for n in CONTEXTS),
    ]
    if plan.guard is not None:
        shared = ", shared with the engine" if plan.guard_shares else ""
        lines.append(f"  guard              {plan.guard.name} on GPU {plan.guard_gpu}{shared}")
    free = ", ".join(map(str, plan.free_gpus)) or "none"
    lines.append(f"  free for embedding GPU {free}")
    return "\n".join(lines)


def _cut(context_tokens: int, model: Model) -> str:
    whole = context_tokens == model.context_tokens
    return "" if whole else f" of {model.context_tokens:,}: the cache holds no more"

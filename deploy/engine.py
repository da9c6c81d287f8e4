"""A plan as commands: `vllm serve`, with the environment that keeps it offline."""

import math
import shlex
from dataclasses import dataclass

from deploy.sizing import BATCHED_TOKENS, CONTEXTS, GIB, GUARD_CONTEXT, Node, Plan

ENGINE_PORT, GUARD_PORT = 8001, 8101
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
ONE_MACHINE = {  # the processes of a server talk to one another here, not on every address
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
}
KEY = "VLLM_API_KEY"  # the one place where vLLM reads a key that `ps` does not show


@dataclass(frozen=True, slots=True)
class Site:
    """Where the servers run, and what they read."""

    model_dir: str
    guard_dir: str
    host: str = "127.0.0.1"
    port: int = ENGINE_PORT
    guard_port: int = GUARD_PORT
    key_file: str | None = None  # of both; None where VLLM_API_KEY is set already
    tool_template: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One server: its environment without the key, and its arguments."""

    role: str  # engine or guard
    environment: dict[str, str]
    arguments: tuple[str, ...]  # the first is `vllm`
    url: str
    key_file: str | None = None

    def __str__(self) -> str:
        """As one line for a shell. With a key file it starts nothing without a key in it."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        line = " ".join([*variables, shlex.join(self.arguments)])
        if self.key_file is None:
            return line
        read = f'{KEY}="$(cat {shlex.quote(self.key_file)})" && test -n "${KEY}"'
        return f"({read} && export {KEY} && {line})"


def commands(plan: Plan, site: Site) -> list[Command]:
    """What to run for a plan, in the order in which to start it.

    A guard that shares a GPU comes first: it takes its part before the engine takes the rest.
    """
    engine = _engine(plan, site)
    if plan.wanted.guard is None or plan.guard_gpu is None:
        return [engine]
    guard = _guard(plan, site, plan.guard_gpu)
    return [guard, engine] if plan.guard_shares else [engine, guard]


def _engine(plan: Plan, site: Site) -> Command:
    options = [
        *("--served-model-name", "main"),
        *("--tensor-parallel-size", str(plan.tensor_parallel)),
        *(("--data-parallel-size", str(plan.replicas)) if plan.replicas > 1 else ()),
        *("--max-model-len", str(plan.context_tokens)),
        *("--gpu-memory-utilization", _share(plan.utilisation)),
        *(("--kv-cache-dtype", "fp8") if plan.number_bytes == 1 else ()),
        *_hopper(plan.node),
        "--enable-prompt-tokens-details",
        *_tools(plan, site),
    ]
    gpus = range(plan.tensor_parallel * plan.replicas)
    return _command("engine", site, site.model_dir, site.port, gpus, options)


def _guard(plan: Plan, site: Site, gpu: int) -> Command:
    assert plan.wanted.guard is not None
    options = [
        *("--served-model-name", "guard"),
        *("--max-model-len", str(min(GUARD_CONTEXT, plan.wanted.guard.context_tokens))),
        *("--gpu-memory-utilization", _share(plan.guard_utilisation)),
        *_hopper(plan.node),
    ]
    return _command("guard", site, site.guard_dir, site.guard_port, range(gpu, gpu + 1), options)


def _share(of_memory: float) -> str:
    """Rounded down: two servers on one GPU must not want more than there is."""
    return f"{math.floor(round(of_memory * 1000, 3)) / 1000:g}"


def _hopper(node: Node) -> list[str]:
    tuned = ["--async-scheduling", "--max-num-batched-tokens", str(BATCHED_TOKENS)]
    return tuned if node.is_hopper else []


def _tools(plan: Plan, site: Site) -> list[str]:
    """What research needs: calls as JSON, by the model's own template where no other is named."""
    parser = plan.wanted.model.tool_parser
    if not parser:
        return []
    template = [] if site.tool_template is None else ["--chat-template", site.tool_template]
    return ["--enable-auto-tool-choice", "--tool-call-parser", parser, *template]


def _command(
    role: str, site: Site, directory: str, port: int, gpus: range, options: list[str]
) -> Command:
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}
    address = ["--host", site.host, "--port", str(port)]
    arguments = ("vllm", "serve", directory, *address, *options)
    host = f"[{site.host}]" if ":" in site.host else site.host
    environment = OFFLINE | ONE_MACHINE | visible
    return Command(role, environment, arguments, f"http://{host}:{port}", site.key_file)


def plan_json(plan: Plan, started_by: list[Command]) -> dict[str, object]:
    """The plan as `--json` prints it."""
    model, guard = plan.wanted.model, plan.wanted.guard
    return {
        "model": model.name,
        "guard": None if guard is None else guard.name,
        "gpus": plan.node.n_gpus,
        "gpu_bytes": plan.node.gpu_bytes,
        "weights": model.weights,
        "weights_bytes": model.weights_bytes,
        "kv_dtype": _cache_kind(plan),
        "kv_bytes_per_token": model.kv_bytes_per_token(plan.number_bytes),
        "tensor_parallel": plan.tensor_parallel,
        "replicas": plan.replicas,
        "context_tokens": plan.context_tokens,
        "kv_tokens": plan.kv_tokens,
        "concurrent": {str(n): plan.concurrent(n) for n in CONTEXTS},
        "guard_gpu": plan.guard_gpu,
        "guard_shares": plan.guard_shares,
        "embedder_gpu": plan.free_gpus[0] if plan.free_gpus else None,
        "free_gpus": list(plan.free_gpus),
        "notes": notes(plan),
        "commands": [str(command) for command in started_by],
        "urls": {command.role: f"{command.url}/v1" for command in started_by},
    }


def format_plan(plan: Plan) -> str:
    """The plan for a person."""
    model, node = plan.wanted.model, plan.node
    kv = model.kv_bytes_per_token(plan.number_bytes)
    at_once = ", ".join(f"{plan.concurrent(n):g} of {n // 1024}k" for n in CONTEXTS)
    rows = [
        ("weights", f"{model.weights_bytes / 1e9:,.1f} GB, {model.weights}"),
        ("KV cache", f"{kv:,} bytes a token, {_cache_kind(plan)}"),
        ("tensor parallel", f"{plan.tensor_parallel}, {_count(plan.replicas, 'replica')}"),
        ("window", f"{plan.context_tokens:,} tokens"),
        ("KV tokens", f"{plan.kv_tokens:,} a replica"),
        ("at once", at_once),
        ("guard", _format_guard(plan)),
        ("embedder", f"GPU {plan.free_gpus[0]}" if plan.free_gpus else "CPU"),
        ("free", ", ".join(f"GPU {n}" for n in plan.free_gpus[1:]) or "nothing"),
    ]
    lines = [f"{model.name} on {_count(node.n_gpus, 'GPU')} of {node.gpu_bytes / GIB:.1f} GiB"]
    lines += [f"  {name:16} {value}" for name, value in rows]
    lines += [f"  note: {note}" for note in notes(plan)]
    return "\n".join(lines)


def _format_guard(plan: Plan) -> str:
    if plan.wanted.guard is None:
        return "none: the appliance does not start without one unless it is told to"
    shared = ", beside the engine" if plan.guard_shares else ""
    return f"{plan.wanted.guard.name} on GPU {plan.guard_gpu}{shared}"


def _cache_kind(plan: Plan) -> str:
    return "fp8" if plan.number_bytes == 1 else "bf16"


def notes(plan: Plan) -> list[str]:
    """What to know before starting it."""
    model = plan.wanted.model
    found = []
    if plan.context_tokens < model.context_tokens and plan.wanted.context_tokens is None:
        found.append(f"the window is cut from {model.context_tokens:,}: the cache holds no more")
    if plan.number_bytes == 1 and not model.has_kv_scales:
        found.append("the FP8 cache is not calibrated: compare answers with a 16-bit cache first")
    if plan.guard_shares:
        found.append("guard and engine share a GPU: start the guard first and wait for it")
    if model.n_sliding:
        n, window = model.n_sliding, model.window_tokens
        found.append(f"{n} of {model.n_layers} layers look back over {window:,} tokens only")
    if not model.tool_parser:
        found.append("no tool parser is known for this model; research needs one")
    if plan.node.busy:
        gpus = ", ".join(map(str, plan.node.busy))
        found.append(f"something else holds memory on GPU {gpus}; vLLM may refuse to start there")
    return found


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
